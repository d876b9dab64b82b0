"""Pages of children and of the log: what every backend cuts the same way."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.storage.records import StoredEvent, StoredRetraction

_DIGITS = 15


def ordinal_of(cursor: str | None) -> int:
    """Return the ordinal that a cursor over children names, 0 for the start."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _DIGITS):
        raise InvalidSessionOperation(f"cursor {shown(cursor)} is not one of a page: start again without it")
    return int(cursor)


def fitting(sizes: Iterable[int], max_bytes: int) -> int:
    """Return how many events of these sizes, the first ones, make a page of `max_bytes`: one at least."""
    sizes = list(sizes)
    if sum(sizes) <= max_bytes:  # as they nearly always do
        return len(sizes)
    total = count = 0
    for size in sizes:
        total += size
        if count and total > max_bytes:
            break
        count += 1
    return count


def taken(events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
    """Yield events, each of which is let go when the next one is asked for."""
    left = deque(events)
    del events  # or it would hold them all to the end
    while left:
        yield left.popleft()


def retractions_of_page(
    retractions: Sequence[StoredRetraction], after: int, events: Sequence[StoredEvent], *, is_last: bool
) -> list[StoredRetraction]:
    """Return the retractions that belong to a page of the log, out of all in commit order."""
    start = bisect_left(retractions, after, key=_after_seq)
    end = len(retractions) if is_last or not events else bisect_left(retractions, events[-1].seq, key=_after_seq)
    return list(retractions[start:end])


def _after_seq(retraction: StoredRetraction) -> int:
    return retraction.after_seq
