"""What a fork takes over of its source, decided without I/O, by the verb or by a backend that has just read that."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.limits import DEEPEST_TREE
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Fork, Parent
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import Range, Segment

# The property of a copy that says what it is of, and whether it is whole; of a fork of the copy it says nothing.
COPIED_FROM: Final = "copied_from"


class ForkDraft(NamedTuple):
    """A fork that is to be made of a session as it will be found.

    Attributes:
        source_creation_id: the incarnation of the source that is meant; None means whichever has the id now.
        seq: the event where it begins; None for the newest visible one.
        last: how many of the newest visible events up to there are looked at.
        marks: where one of these is in the data of one of them, the fork is not made without a closer look.
        creation_id: names the fork's incarnation.
        commit: what it begins with, beside what it takes over.
    """

    source_creation_id: str | None
    seq: int | None
    last: int
    marks: Sequence[bytes]
    creation_id: str
    commit: EncodedCommit

    def looks_at(self, head: HeadRecord) -> list[Range]:
        """Return the seqs of the events to look for marks in."""
        last_seq = head.last_seq if self.seq is None else min(self.seq, head.last_seq)
        return ranges.visible_tail(last_seq, self.last, head.hidden)

    def planned(self, source: HeadRecord, looked_at: Iterable[bytes]) -> tuple[Creation, EncodedCommit] | None:
        """Return how to create the fork; None where that takes a closer look. Raises InvalidSessionOperation."""
        if self.source_creation_id not in (None, source.creation_id):
            return None
        if self.marks:
            data = b"".join(looked_at)
            for mark in self.marks:
                if mark in data:
                    return None
        fork, parent = taken_over(source, point_in(source, self.seq))
        creation = Creation(self.creation_id, self.commit.written_at, parent, fork=fork)
        return creation, with_values_of(source, self.commit)


def point_in(head: HeadRecord, seq: int | None) -> int:
    """Return the seq where a fork at `seq` begins. Raises InvalidSessionOperation for what is no point."""
    session_id = head.key.id
    if seq is None:
        newest = ranges.visible_tail(head.last_seq, 1, head.hidden)
        if not newest:
            raise no_point(session_id, "has no visible event")
        return newest[0][1]
    if seq > head.last_seq:
        raise no_point(session_id, f"has {head.last_seq} events, and none with the seq {seq}")
    if ranges.contains(head.hidden, seq):
        raise no_point(session_id, f"has retracted the event {seq}", "or restore that one first")
    return seq


def no_point(session_id: str, why: str, *remedies: str) -> InvalidSessionOperation:
    """Return the error of a fork that is to begin where there is no event to be seen."""
    all_remedies = ", ".join(["fork it at an event that it shows", *remedies])
    return InvalidSessionOperation(
        f"session {session_id!r} {why}: {all_remedies}; nothing was made", session_id=session_id
    )


def cut(head: HeadRecord, seq: int) -> HeadRecord:
    """Return the head, changed so as if its log ended with the event `seq`."""
    head.last_seq = seq
    head.hidden = ranges.common(head.hidden, [(1, seq)])
    head.compactions = [each for each in head.compactions if each.seq <= seq]
    head.placed = [each for each in head.placed if each.seq <= seq]
    return head


def taken_over(source: HeadRecord, seq: int) -> tuple[Fork, Parent]:
    """Return what a fork at `seq` takes over of its source, and the session that it hangs below."""
    session_id, creation_id = source.key.id, source.creation_id
    segments, depth = source.segments, source.depth
    if seq > source.inherited:
        segments = (*segments, Segment(session_id, creation_id, source.inherited + 1, seq))
    else:
        segments = tuple(each for each in segments if each.first_seq <= seq)
        segments = (*segments[:-1], segments[-1]._replace(last_seq=seq))
        # Each is the parent of the next one, and the last one that of the source.
        depth -= len(source.segments) - len(segments) + 1
    if depth >= DEEPEST_TREE:
        raise InvalidSessionOperation(
            f"session {session_id!r} cannot be forked at {seq}: its fork would be {depth + 1} levels deep, and "
            f"{DEEPEST_TREE} are allowed: pass detached=True to copy it into a new root",
            session_id=session_id,
        )
    fork = Fork(
        ForkedFrom(session_id, creation_id, seq),
        segments,
        tuple(ranges.common(source.hidden, [(1, seq)])) if source.hidden else (),
        tuple([each for each in source.compactions if each.seq <= seq]),
        tuple([each for each in source.placed if each.seq <= seq]),
    )
    return fork, Parent(segments[-1].session_id, segments[-1].creation_id, source.root_id, depth)


def with_values_of(source: HeadRecord, commit: EncodedCommit) -> EncodedCommit:
    """Return the commit that creates a fork, with the values that it takes over, as they are stored."""
    if not (source.state or source.properties):
        return commit
    kept = {key: data for key, data in source.properties.items() if key != COPIED_FROM}
    return replace(commit, state=dict(source.state), properties={**kept, **commit.properties})
