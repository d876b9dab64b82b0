"""Codex' rollouts: items of the Responses API in lines, with the usage of each request in lines of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.foreign_records import agent_logs
from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.importers.records import Note, Record, SessionStart, opaque, said, stray, without
from a2a_session_manager.importers.source import SourceFile, Value
from a2a_session_manager.importers.times import Clock, Moment, time_of
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes import responses
from a2a_session_manager.usage.recorded import recorded_usage

NAME: Final = "codex"
WHAT: Final = "Codex' rollouts: ~/.codex/sessions/…/rollout-*.jsonl"

_TYPES: Final = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted"})


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are lines of a rollout, or of one as the first releases wrote them."""
    found = [value for value in values if isinstance(value, Mapping)]
    if not found or len(found) < len(values):
        return False
    first = found[0]
    return (first.get("type") in _TYPES and isinstance(first.get("payload"), Mapping)) or _is_old_start(first)


def read(source: SourceFile) -> Iterator[Record]:
    """Yield the session of a rollout, below the thread that spawned it, if any."""
    yield from _Rollout(source).records()


class _Rollout:
    def __init__(self, source: SourceFile) -> None:
        self._source = source
        self._clock = Clock(source.modified_at)
        self._id: str | None = None
        self._model: str | None = None
        self._total: Any = None

    def records(self) -> Iterator[Record]:
        for number, value in enumerate(self._source.values(), start=1):
            line = value.data
            if not isinstance(line, Mapping):
                yield from stray(self._source, value, is_first=number == 1, what="line of a rollout")
                continue
            at = self._clock.at(line.get("timestamp"))
            if self._id is None:
                yield from self._begin(line, at)
            yield from self._line(line, value, f"line-{number}", at)

    def _begin(self, line: Mapping[str, Any], at: Moment) -> Iterator[Record]:
        payload = line.get("payload")
        meta = payload if line.get("type") == "session_meta" and isinstance(payload, Mapping) else line
        self._id = text_of(meta.get("id")) or self._source.name
        about = without(meta, "timestamp", "type", "payload")
        parent = _parent_of(meta)
        yield SessionStart(self._id, parent, created_at=time_of(meta.get("timestamp")) or at.time, about=about)
        if (forked := text_of(meta.get("forked_from_id"))) is not None:
            yield Note(f"{self._id} is Codex' copy of {forked}: what was said and spent before is in both")

    def _line(self, line: Mapping[str, Any], value: Value, event_id: str, at: Moment) -> Iterator[Record]:
        assert self._id is not None, "the first line has begun the session"
        kind, payload = text_of(line.get("type")), line.get("payload")
        about: dict[str, Any] = {"id": event_id, "at": at, "weight": value.weight}
        if kind not in _TYPES or not isinstance(payload, Mapping):
            if responses.SHAPE.is_mine(line):  # as the first releases wrote
                yield said(self._id, line, **about)
            else:
                yield opaque(self._id, dict(line), kind or text_of(line.get("record_type")) or "line", **about)
            return
        if kind == "turn_context":
            self._model = text_of(payload.get("model")) or self._model
        if agent_logs.is_codex_line(line) and responses.SHAPE.is_mine(payload):
            yield said(self._id, dict(payload), **about)
        elif kind == "compacted" and (summary := text_of(payload.get("message"))) is not None:
            message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": summary}]}
            rest = without(payload, "message")
            changes: dict[str, Any] = {"type": EventType.SUMMARY, "source": EventSource.USER}
            yield said(self._id, message, rest=rest, **about, **changes)
        else:
            name = text_of(payload.get("type")) if kind in ("event_msg", "response_item") else kind
            yield opaque(self._id, dict(payload), name or "payload", usage=self._usage(payload), **about)

    def _usage(self, payload: Mapping[str, Any]) -> TokenUsage | None:
        """Return the usage of the last request; None where the line repeats what was told, as many do."""
        info = payload.get("info")
        if payload.get("type") != "token_count" or not isinstance(info, Mapping):
            return None
        last, total = info.get("last_token_usage"), info.get("total_token_usage")
        if not isinstance(last, Mapping) or (total is not None and total == self._total):
            return None
        self._total = total
        return recorded_usage(dict(last), model=self._model, provider="openai")


def _is_old_start(line: Mapping[str, Any]) -> bool:
    return "type" not in line and "instructions" in line and "id" in line and "timestamp" in line


def _parent_of(meta: Mapping[str, Any]) -> str | None:
    """Return the thread that has spawned this one."""
    source = meta.get("source")
    for step in ("subagent", "thread_spawn"):
        source = source.get(step) if isinstance(source, Mapping) else None
    spawned = text_of(source.get("parent_thread_id")) if isinstance(source, Mapping) else None
    return spawned or text_of(meta.get("parent_thread_id"))
