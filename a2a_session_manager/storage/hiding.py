"""Which events a commit hides, for backends that decide in Python; nothing is changed here."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.records import EncodedRetraction, HeadRecord, Range

FindSeq = Callable[[str], int | None]


def newly_hidden(head: HeadRecord, retraction: EncodedRetraction, find_seq: FindSeq) -> tuple[Range, ...]:
    """Return the seqs that `retraction` hides and that were visible. Raises InvalidSessionOperation for unknown ids."""
    wanted = ranges.merged(_wanted(head, retraction, find_seq))
    return tuple(ranges.subtract(wanted, head.hidden))


def _wanted(head: HeadRecord, retraction: EncodedRetraction, find_seq: FindSeq) -> Iterator[Range]:
    if retraction.last is not None:
        yield from ranges.visible_tail(head.last_seq, retraction.last, head.hidden)
    if retraction.after is not None and retraction.after < head.last_seq:
        yield (retraction.after + 1, head.last_seq)
    for event_id in retraction.event_ids:
        seq = find_seq(event_id)
        if seq is None:
            raise InvalidSessionOperation(
                f"session {head.key.id!r} holds no event {event_id!r} to retract: check the id",
                session_id=head.key.id,
            )
        yield (seq, seq)
