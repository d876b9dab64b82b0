"""Claude Code's session logs: side chains become children, rewinds forks, and usage that comes twice counts once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final

from a2a_session_manager.foreign_records import agent_logs
from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.identifiers import is_id
from a2a_session_manager.importers.branches import Branch, Branches
from a2a_session_manager.importers.records import Record, SessionStart, TitleRecord, opaque, said, stray, without
from a2a_session_manager.importers.source import SourceFile, Value
from a2a_session_manager.importers.times import Clock, Moment, time_of
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.usage.recorded import recorded_usage

NAME: Final = "claude-code"
WHAT: Final = "Claude Code's session logs: ~/.claude/projects/…/*.jsonl"

_TYPES: Final = frozenset(
    {
        "summary",
        "user",
        "assistant",
        "system",
        "file-history-snapshot",
        "queue-operation",
        "progress",
        "attachment",
        "ai-title",
        "custom-title",
        "last-prompt",
    }
)
_TITLES: Final = {"summary": "summary", "ai-title": "aiTitle", "custom-title": "customTitle"}
# A request's lines lie close to each other: of so many requests the newest usage is remembered.
_REQUESTS: Final = 64
# So many first lines may say neither which session it is, nor when that was.
_WAITING: Final = 200
# Who answers where the API did not.
_NOBODY: Final = "<synthetic>"


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are lines of such a log."""
    found = [value for value in values if isinstance(value, Mapping)]
    known = all(value.get("type") in _TYPES for value in found if "uuid" in value)
    return known and any(
        agent_logs.is_claude_line(value) or ("leafUuid" in value and "summary" in value) for value in found
    )


def read(source: SourceFile) -> Iterator[Record]:
    """Yield the session of a log, named by its id, a child for each side chain, and a fork for each rewind.

    The session goes on as it first did; what was said once somebody had gone back to an earlier line is in the fork. So
    a log that has grown by a rewind brings a fork, and leaves what was there. A log of a sub-agent is the child alone,
    below the session that its lines name.
    """
    yield from _Log(source).records()


class _Log:
    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._clock = Clock(source.modified_at)
        self._begun: set[str] = set()
        # Of each line its id and what it says, as 8 bytes each.
        self._lines: dict[int, int] = {}
        # Of lines on a side chain whose agent has no name: the session that each is in.
        self._chains: dict[str, str] = {}
        self._branches = Branches()
        self._usages: OrderedDict[str, TokenUsage] = OrderedDict()
        self._session_id: str | None = None
        self._is_timed = False

    def records(self) -> Iterator[Record]:
        waiting: list[tuple[Value, Mapping[str, Any]]] = []
        for value in self._source.values():
            if not isinstance(value.data, Mapping):
                yield from stray(self._source, value, is_first=False, what="line of Claude Code's log")
                continue
            line = value.data
            self._session_id = self._session_id or text_of(line.get("sessionId"))
            self._is_timed = self._clock.at(line.get("timestamp")).is_known or self._is_timed
            waiting.append((value, line))
            if len(waiting) < _WAITING and not (self._session_id and self._is_timed):
                continue  # its name, or its time, comes later
            self._session_id = self._session_id or self._source.name
            for earlier, record in waiting:
                yield from self._line(record, earlier)
            waiting = []
        self._session_id = self._session_id or self._source.name
        for earlier, record in waiting:
            yield from self._line(record, earlier)

    def _line(self, line: Mapping[str, Any], value: Value) -> Iterator[Record]:
        at = self._clock.at(line.get("timestamp"))
        session_id = self._place_of(line)
        if session_id not in self._begun:
            yield from self._begin(session_id, line, at)
        if line.get("isSidechain") is not True and (fork := self._branches.take(session_id, line)) is not None:
            session_id = fork.id
            if fork.id not in self._begun:
                yield self._begin_fork(fork, line, at)
        kind = text_of(line.get("type")) or "line"
        if kind in _TITLES and (title := text_of(line.get(_TITLES[kind]))) is not None:
            yield TitleRecord(session_id, title)
        own_id = text_of(line.get("uuid"))
        event_id = own_id if own_id is not None and is_id(own_id) else f"line-{value.line}"
        mark, content = _mark(f"{session_id} {event_id}"), _mark(str(line.get("message", line)))
        if self._lines.setdefault(mark, content) != content:  # the same again is known by its id
            event_id = f"{event_id[:400]}:{value.line}"
        if not agent_logs.is_claude_line(line):
            yield opaque(session_id, dict(line), kind, id=event_id, at=at, weight=value.weight)
            return
        held = next(agent_logs.claude_message(line))
        message = line["message"]
        rest = {**without(line, "message", "uuid", "timestamp"), "message": without(message, "role", "content")}
        usage = None if held.usage is None or held.model == _NOBODY else self._new_usage(line)
        changes = {"type": EventType.SUMMARY} if line.get("isCompactSummary") is True else {}
        yield said(session_id, held.message, id=event_id, at=at, rest=rest, usage=usage, weight=value.weight, **changes)

    def _place_of(self, line: Mapping[str, Any]) -> str:
        """Return the session that a line belongs to."""
        assert self._session_id is not None, "lines wait until it is known"
        if line.get("isSidechain") is not True:
            return self._session_id
        agent_id = text_of(line.get("agentId"))
        uuid, parent = text_of(line.get("uuid")), text_of(line.get("parentUuid"))
        name = agent_id or self._chains.get(parent or "") or uuid or "chain"
        if agent_id is None and uuid is not None:
            self._chains[uuid] = name
        return f"{self._session_id}/subagents/agent-{name}"

    def _begin(self, session_id: str, line: Mapping[str, Any], at: Moment) -> Iterator[SessionStart]:
        self._begun.add(session_id)
        is_main = session_id == self._session_id
        about = {"id": self._session_id if is_main else session_id.rpartition("agent-")[2]}
        for name in ("cwd", "gitBranch", "version"):
            if name in line:
                about[name] = line[name]
        created_at = time_of(line.get("timestamp"))
        if is_main:
            yield SessionStart(session_id, created_at=created_at, about=about)
        else:
            yield SessionStart(session_id, self._session_id, created_at=created_at or at.time, about=about)

    def _begin_fork(self, fork: Branch, line: Mapping[str, Any], at: Moment) -> SessionStart:
        self._begun.add(fork.id)
        about = {"id": self._session_id, "branch": line["uuid"]}
        return SessionStart(fork.id, fork.source_id, fork.point, created_at=at.time, about=about)

    def _new_usage(self, line: Mapping[str, Any]) -> TokenUsage | None:
        """Return the usage of a line's request, unless a line before has told the same."""
        usage = recorded_usage(line, model=text_of(line["message"].get("model")))
        if usage.response_id is None:
            return usage
        before = self._usages.pop(usage.response_id, None)
        self._usages[usage.response_id] = usage
        if len(self._usages) > _REQUESTS:
            self._usages.popitem(last=False)
        return None if before == usage else usage


def _mark(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())
