"""What a fork is made of, for backends that decide in Python: where its events lie, and what it begins with.

A fork has a log of its own after that of its source. The events before it stay where they are, in the logs of sessions
above the fork, which its head names as segments. They never change, so whoever reads them needs no lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeVar

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.storage.commit_records import Creation
from a2a_session_manager.storage.read_records import StoredRetraction
from a2a_session_manager.storage.records import Segment

FoundT = TypeVar("FoundT")

_FORKS_NAMED: Final = 5

# The revision of the commit that creates a fork, which brings it all that it inherits.
FIRST_REVISION: Final = 1


class LogPart(NamedTuple):
    """Events in a row, by their seqs, that lie in one log: that of `segment`, or with None the session's own."""

    segment: Segment | None
    first: int
    last: int


def log_parts(segments: Sequence[Segment], first: int, last: int) -> Iterator[LogPart]:
    """Yield the logs that hold the events from `first` to `last`, oldest first, each with what it holds of them."""
    for segment in segments:
        if first > last:
            return
        if first <= segment.last_seq:
            yield LogPart(segment, first, min(segment.last_seq, last))
            first = segment.last_seq + 1
    if first <= last:
        yield LogPart(None, first, last)


def inherited(segments: Sequence[Segment], find: Callable[[Segment], FoundT | None]) -> FoundT | None:
    """Return what `find` finds in a segment of a fork, the newest one first; None when it is in none of them."""
    for segment in reversed(segments):
        found = find(segment)
        if found is not None:
            return found
    return None


def inherited_seq(segments: Sequence[Segment], find_seq: Callable[[Segment], int | None]) -> int | None:
    """Return the seq of an event that a fork inherits, given its seq in the log that a segment is a part of."""

    def find(segment: Segment) -> int | None:
        seq = find_seq(segment)
        return seq if seq is not None and segment.first_seq <= seq <= segment.last_seq else None

    return inherited(segments, find)


def first_retraction(creation: Creation) -> StoredRetraction | None:
    """Return the retraction that a fork's own ones begin with: what was hidden when it was made, it has hidden itself.

    Followers are told so where the fork begins, and what was hidden there can be restored by its id. None where nothing
    was, and for what is no fork.
    """
    fork = creation.fork
    if fork is None or not fork.hidden:
        return None
    return StoredRetraction(FIRST_REVISION, fork.source.seq, fork.hidden)


def still_needed(session_id: str, children: int, fork_ids: Sequence[str]) -> InvalidSessionOperation:
    """Return the error of deleting a session alone that has so many children, or these forks right below it."""
    named = ", ".join(map(shown, fork_ids[:_FORKS_NAMED])) + (", …" if len(fork_ids) > _FORKS_NAMED else "")
    below = [f"{children} {'child' if children == 1 else 'children'}"] if children or not fork_ids else []
    if fork_ids:
        below.append(
            f"{len(fork_ids)} {'fork that goes' if len(fork_ids) == 1 else 'forks that go'} on from its events: {named}"
        )
    return InvalidSessionOperation(
        f"session {session_id!r} has {' and '.join(below)}; delete them first, or pass children='cascade'",
        session_id=session_id,
    )
