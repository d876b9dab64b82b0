"""Branches: where in a log of Claude Code's somebody went back to an earlier line, and said something else there.

Each line names the one before it. A line in which a person speaks and which names one after that another person's line
came before begins a branch: what was said in between was taken back. What tools say goes where its call is, since calls
that run side by side have results side by side.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from a2a_session_manager.foreign_records import agent_logs
from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.identifiers import is_id

# A tree has no more levels than 256, and children of what is the deepest need one, too.
_DEEPEST: Final = 200


class Branch(NamedTuple):
    """The session that a line belongs to, where that is a fork; `source_id` and `point` are what it goes on from."""

    id: str
    source_id: str
    point: str


class _Point(NamedTuple):
    """A line: the branch that it is in, by its number, and how often people had spoken in that by then."""

    branch: int
    spoken: int


class Branches:
    """Takes the lines of one log in their order."""

    def __init__(self) -> None:
        # The first is the session itself.
        self._branches: list[Branch | None] = [None]
        self._depths = [1]
        self._spoken = [0]
        self._points: dict[int, _Point] = {}

    def take(self, session_id: str, line: Mapping[str, Any]) -> Branch | None:
        """Return the branch that a line of the session is in; None for the session itself."""
        uuid = text_of(line.get("uuid"))
        if uuid is None:
            return None
        before = self._points.get(_mark(uuid))
        if before is not None:  # the same line again
            return self._branches[before.branch]
        parent = text_of(line.get("parentUuid")) or text_of(line.get("logicalParentUuid"))
        above = None if parent is None else self._points.get(_mark(parent))
        number = 0 if above is None else above.branch
        is_spoken = _is_spoken(line)
        if above is not None and parent is not None and is_spoken and self._spoken[number] > above.spoken:
            number = self._begun(session_id, number, parent, uuid)
        self._spoken[number] += is_spoken
        self._points[_mark(uuid)] = _Point(number, self._spoken[number])
        return self._branches[number]

    def _begun(self, session_id: str, source: int, parent: str, uuid: str) -> int:
        """Return the number of a new branch; that of its source where none can be made."""
        fork_id = f"{session_id}/{uuid}"
        if self._depths[source] >= _DEEPEST or not (is_id(parent) and is_id(fork_id)):
            return source
        above = self._branches[source]
        self._branches.append(Branch(fork_id, session_id if above is None else above.id, parent))
        self._depths.append(self._depths[source] + 1)
        self._spoken.append(0)
        return len(self._branches) - 1


def _is_spoken(line: Mapping[str, Any]) -> bool:
    """Tell whether a person speaks in a line: no tool, and not Claude Code itself."""
    if line.get("type") != "user" or not agent_logs.is_claude_line(line):
        return False
    if line.get("isMeta") is True or line.get("isCompactSummary") is True or "toolUseResult" in line:
        return False
    content = line["message"]["content"]
    blocks = content if isinstance(content, list) else ()
    return not any(isinstance(block, Mapping) and block.get("type") == "tool_result" for block in blocks)


def _mark(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest())
