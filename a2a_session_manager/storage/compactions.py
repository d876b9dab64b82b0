"""Which events a summary stands for, and which summary counts; for backends that decide in Python.

A head remembers the summaries that were not ended. What hides or brings back an event that one of them covers ends it,
for good, in the same commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict
from a2a_session_manager.models.compaction import digest
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import EncodedCompaction, PlacedSummary, Range, StoredCompaction


class ShownTail(NamedTuple):
    """What a view under a compaction is made of.

    Args:
        ranges: the seqs of the events, oldest first; that of each summary is among them.
        earlier_events: how many more visible events are not covered.
        summaries: the summaries that are shown, each with the seq where it stands.
        compaction: the one that counts; None for none.
    """

    ranges: list[Range]
    earlier_events: int
    summaries: dict[int, int]
    compaction: StoredCompaction | None


def check(head: HeadRecord, commit: EncodedCommit) -> None:
    """Refuse a summary of what is not as it was when it was summarised, or is not there.

    Raises SessionConflict, and InvalidSessionOperation.
    """
    for made in commit.compactions:
        if made.last > head.last_seq:
            raise beyond(head.key.id, made, head.last_seq)
        if made.is_compaction and hidden_digest(head.hidden, made.first, made.last) != made.hidden:
            raise outdated(head.key.id, head.revision)


def hidden_digest(hidden: Sequence[Range], first: int, last: int) -> str:
    """Return the digest of what of `first` to `last` is hidden."""
    return digest(ranges.subtract([(first, last)], ranges.gaps(first, last, hidden)))


def beyond(session_id: str, made: EncodedCompaction, last_seq: int) -> InvalidSessionOperation:
    """Return the error for a summary of events that are not there."""
    return InvalidSessionOperation(
        f"session {session_id!r} has {last_seq} events, and a summary of {made.first} to {made.last} was to stand for "
        "them: read the session again",
        session_id=session_id,
    )


def outdated(session_id: str, revision: int) -> SessionConflict:
    """Return the error for a summary of events of which some were hidden, or came back, meanwhile."""
    return SessionConflict(
        session_id,
        expected_revision=revision,
        revision=revision,
        message=f"session {session_id!r}: events were retracted or restored while they were summarised: do it again",
    )


def apply(head: HeadRecord, commit: EncodedCommit, hidden: Sequence[Range], restored: Sequence[Range] = ()) -> None:
    """Bring the summaries of `head` to where a commit leads that hides and restores ranges; its events are in."""
    changed = [*hidden, *restored]
    if changed and head.compactions:
        head.compactions[:] = [each for each in head.compactions if not _meets(each, changed)]
    for made in commit.compactions:
        seq = head.last_seq - _events_after(made, commit)
        if made.is_compaction and not _meets(made, changed):
            head.compactions.append(StoredCompaction(seq, made.first, made.last, made.pins))
            head.compactions.sort(key=_reach, reverse=True)
        elif not made.is_compaction and hidden:
            head.placed.append(PlacedSummary(seq, hidden[0][0]))


def in_force(head: HeadRecord) -> StoredCompaction | None:
    """Return the compaction that counts: of those that are not retracted, the one that reaches furthest."""
    return next((each for each in head.compactions if not ranges.contains(head.hidden, each.seq)), None)


def shown(head: HeadRecord, last: int | None) -> ShownTail:
    """Return what a view is made of that shows the newest `last` events after what is covered, None for all.

    What is before these and not covered comes always, as the summaries do.
    """
    hidden, last_seq = head.hidden, head.last_seq
    compaction = in_force(head)
    covered = 0 if compaction is None else compaction.last
    front = [] if compaction is None else _uncovered(compaction, hidden)
    if last is None:
        tail = ranges.gaps(covered + 1, last_seq, hidden)
    else:
        tail = _above(ranges.visible_tail(last_seq, last, hidden), covered)
    wanted = ranges.merged([*front, *tail])
    visible = ranges.size(front) + (last_seq - covered) - ranges.size(_above(hidden, covered))
    summaries = {each.seq: each.place for each in head.placed if not ranges.contains(hidden, each.seq)}
    if compaction is not None:
        summaries = {seq: place for seq, place in summaries.items() if seq > covered or ranges.contains(front, seq)}
        summaries[compaction.seq] = compaction.first
    ranges.add(wanted, ((seq, seq) for seq in summaries))
    return ShownTail(wanted, visible - ranges.size(wanted), summaries, compaction)


def _uncovered(compaction: StoredCompaction, hidden: Sequence[Range]) -> list[Range]:
    """Return what is visible up to the end of a compaction, and is not covered."""
    parts = [(1, compaction.first - 1), *compaction.pins]
    return [gap for first, last in parts if first <= last for gap in ranges.gaps(first, last, hidden)]


def _above(some: Iterable[Range], seq: int) -> list[Range]:
    return [(max(first, seq + 1), last) for first, last in some if last > seq]


def _meets(compaction: StoredCompaction | EncodedCompaction, changed: Iterable[Range]) -> bool:
    return any(first <= compaction.last and last >= compaction.first for first, last in changed)


def _events_after(made: EncodedCompaction, commit: EncodedCommit) -> int:
    """Return how many events of a commit come after that of a summary."""
    ids = list(dict.fromkeys(event.id for event in commit.events))
    return len(ids) - 1 - ids.index(made.event_id)


def _reach(compaction: StoredCompaction) -> Range:
    return compaction.last, compaction.seq
