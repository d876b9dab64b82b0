"""Pages of children and of the log: what every backend cuts the same way."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage.records import StoredEvent, StoredRetraction


def ordinal_of(cursor: str | None) -> int:
    """Return the ordinal that a cursor over children names, 0 for the start."""
    if cursor is None:
        return 0
    if not cursor.isdecimal():
        raise InvalidSessionOperation(f"cursor {cursor!r} is not one of a page: start again without it")
    return int(cursor)


def retractions_of_page(
    retractions: Sequence[StoredRetraction], after: int, events: Sequence[StoredEvent], *, is_last: bool
) -> list[StoredRetraction]:
    """Return the retractions that belong to a page of the log, out of all in commit order."""
    start = bisect_left(retractions, after, key=_after_seq)
    end = len(retractions) if is_last or not events else bisect_left(retractions, events[-1].seq, key=_after_seq)
    return list(retractions[start:end])


def _after_seq(retraction: StoredRetraction) -> int:
    return retraction.after_seq
