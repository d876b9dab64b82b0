"""Which events a commit hides, and which it restores, for backends that decide in Python; nothing is changed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.commit_records import FirstResult
from a2a_session_manager.storage.read_records import HeadRecord, StoredRetraction
from a2a_session_manager.storage.records import EncodedRestoration, EncodedRetraction, Range

FindSeq = Callable[[str], int | None]


class History(NamedTuple):
    """What a restoration is decided by, which no head holds.

    `retractions` are all of the session, restorations too, in the order of their commits. `undone` is the first result
    of the write id whose retraction is to be undone; None where no such write id is known, or none is named.
    """

    retractions: Sequence[StoredRetraction]
    undone: FirstResult | None = None


NO_HISTORY: Final = History(())


def newly_hidden(head: HeadRecord, retraction: EncodedRetraction, find_seq: FindSeq) -> tuple[Range, ...]:
    """Return the seqs that `retraction` hides and that were visible. Raises InvalidSessionOperation for unknown ids."""
    wanted = ranges.merged(_wanted(head, retraction, find_seq))
    return tuple(ranges.subtract(wanted, head.hidden))


def newly_restored(
    head: HeadRecord, restoration: EncodedRestoration, find_seq: FindSeq, history: History
) -> tuple[Range, ...]:
    """Return the seqs that `restoration` shows again and that were hidden.

    Raises InvalidSessionOperation for an id that is unknown or was never hidden, and for a write id that is unknown,
    hid nothing, or claimed what it hid.
    """
    if restoration.write_id is None:
        wanted = ranges.merged(_named(head, restoration.event_ids, find_seq, history))
    else:
        wanted = _still_hidden_by(head, restoration.write_id, history)
    return tuple(ranges.common(wanted, head.hidden))


def replayed(retractions: Iterable[StoredRetraction]) -> list[Range]:
    """Return what is hidden after all of `retractions`, in the order of their commits."""
    hidden: list[Range] = []
    for each in retractions:
        hidden += each.hidden
        if each.restored:
            hidden = ranges.subtract(ranges.merged(hidden), each.restored)
    return ranges.merged(hidden)


def never_hidden(session_id: str, event_id: str) -> InvalidSessionOperation:
    """Return the error of restoring an event that was never hidden."""
    return InvalidSessionOperation(
        f"event {event_id!r} of session {session_id!r} was never retracted there, and is shown: leave it out (what the "
        "source of a fork retracts and restores is nothing to the fork)",
        session_id=session_id,
    )


def unknown_event(session_id: str, event_id: str) -> InvalidSessionOperation:
    """Return the error of hiding or restoring an event that is not there."""
    return InvalidSessionOperation(
        f"session {session_id!r} holds no event {event_id!r} to retract or restore: check the id",
        session_id=session_id,
    )


def unknown_write(session_id: str, write_id: str) -> InvalidSessionOperation:
    """Return the error of undoing a write that is not known."""
    return InvalidSessionOperation(
        f"session {session_id!r} knows no write {write_id!r} whose retraction could be undone: pass the write_id that "
        "retract() was given, or the ids of the events",
        session_id=session_id,
    )


def hid_nothing(session_id: str, write_id: str) -> InvalidSessionOperation:
    """Return the error of undoing a write that hid nothing."""
    return InvalidSessionOperation(
        f"the write {write_id!r} of session {session_id!r} has hidden nothing that could be restored: pass the "
        "write_id of one that has, or the ids of the events",
        session_id=session_id,
    )


def was_pop(session_id: str, write_id: str) -> InvalidSessionOperation:
    """Return the error of undoing a write that claimed the newest events."""
    return InvalidSessionOperation(
        f"the write {write_id!r} of session {session_id!r} has claimed the newest events by retract(last=), and "
        "whoever claimed them may have used them since: restore them by their ids, restore(*event_ids)",
        session_id=session_id,
    )


def _wanted(head: HeadRecord, retraction: EncodedRetraction, find_seq: FindSeq) -> Iterator[Range]:
    if retraction.last is not None:
        yield from ranges.visible_tail(head.last_seq, retraction.last, head.hidden)
    if retraction.after is not None and retraction.after < head.last_seq:
        yield (retraction.after + 1, head.last_seq)
    for event_id in retraction.event_ids:
        seq = find_seq(event_id)
        if seq is None:
            raise unknown_event(head.key.id, event_id)
        yield (seq, seq)


def _named(head: HeadRecord, event_ids: Iterable[str], find_seq: FindSeq, history: History) -> Iterator[Range]:
    ever_hidden: list[Range] | None = None
    for event_id in event_ids:
        seq = find_seq(event_id)
        if seq is None:
            raise unknown_event(head.key.id, event_id)
        if not ranges.contains(head.hidden, seq):
            if ever_hidden is None:
                ever_hidden = _hidden_since(history, 0)
            if not ranges.contains(ever_hidden, seq):
                raise never_hidden(head.key.id, event_id)
        yield (seq, seq)


def _still_hidden_by(head: HeadRecord, write_id: str, history: History) -> list[Range]:
    """Return what a write hid, without what was restored since, and perhaps hidden by another."""
    undone = history.undone
    if undone is None:
        raise unknown_write(head.key.id, write_id)
    if undone.is_pop:
        raise was_pop(head.key.id, write_id)
    if not undone.hidden:
        raise hid_nothing(head.key.id, write_id)
    # What another one could hide had been restored before.
    return ranges.subtract(undone.hidden, _hidden_since(history, undone.revision))


def _hidden_since(history: History, revision: int) -> list[Range]:
    return ranges.merged(hidden for each in history.retractions if each.revision > revision for hidden in each.hidden)
