"""Pages of children and of the log, which every backend cuts in the same way."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage.read_records import NamespacePage, StoredEvent, StoredRetraction

_DIGITS = 15


def ordinal_of(cursor: str | None) -> int:
    """Return the ordinal that a cursor over children stands for; 0 for None, the start.

    Raises InvalidSessionOperation for what no page has returned as its cursor.
    """
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= _DIGITS):
        raise InvalidSessionOperation(f"cursor {shown(cursor)} is not one of a page: start again without it")
    return int(cursor)


def page_of(found: Sequence[tuple[str, str]], limit: int) -> SessionPage:
    """Return a page of the first `limit` ids, which come with cursors; one more is found when another page follows."""
    return SessionPage([each for each, _ in found[:limit]], found[limit - 1][1] if len(found) > limit else None)


def page_after(session_ids: Sequence[str], cursor: str | None, limit: int) -> SessionPage:
    """Return up to `limit` of all the ids of a listing, those after the id `cursor`; None begins at the first one.

    Raises InvalidSessionOperation when the listing does not hold the cursor, or not any more.
    """
    if cursor is not None and cursor not in session_ids:
        raise InvalidSessionOperation(f"cursor {shown(cursor)} is not one of a page: start again without it")
    start = 0 if cursor is None else session_ids.index(cursor) + 1
    found = list(session_ids[start : start + limit])
    return SessionPage(found, found[-1] if start + limit < len(session_ids) else None)


def names_page(names: Iterable[str], cursor: str | None, limit: int) -> NamespacePage:
    """Return the first `limit` of sorted names that come after `cursor`, which is the last name of a page."""
    found = list(islice((name for name in names if cursor is None or name > cursor), limit + 1))
    page = found[:limit]
    return NamespacePage(page, page[-1] if len(found) > limit else None)


def fitting(sizes: Iterable[int], max_bytes: int) -> int:
    """Return how many of the first events, whose `sizes` are in bytes, fit into a page of `max_bytes`: at least one."""
    sizes = list(sizes)
    if sum(sizes) <= max_bytes:  # nearly always
        return len(sizes)
    total = count = 0
    for size in sizes:
        total += size
        if count and total > max_bytes:
            break
        count += 1
    return count


def taken(events: Iterable[StoredEvent]) -> Iterator[StoredEvent]:
    """Yield events one by one; each can be freed when the caller asks for the next one."""
    left = deque(events)
    del events  # this name would keep all of them alive to the end
    while left:
        yield left.popleft()


def retractions_of_page(
    retractions: Sequence[StoredRetraction], after: int, events: Sequence[StoredEvent], *, is_last: bool
) -> list[StoredRetraction]:
    """Return the retractions, out of all in commit order, that belong to the page of `events` after the seq `after`.

    The last page also has those that were made after its last event.
    """
    start = bisect_left(retractions, after, key=_after_seq)
    end = len(retractions) if is_last or not events else bisect_left(retractions, events[-1].seq, key=_after_seq)
    return list(retractions[start:end])


def _after_seq(retraction: StoredRetraction) -> int:
    return retraction.after_seq
