"""The events of some ranges of seqs, read a page of the log at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncGenerator, Sequence
from itertools import islice
from typing import Final

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.read_records import LogPage, StoredEvent
from a2a_session_manager.storage.records import Range, SessionKey

# Events that lie so close to each other are read together with what lies between them.
_WIDEST_GAP: Final = 256


async def read_ranges(
    backend: Backend, key: SessionKey, limits: StoreLimits, wanted: Sequence[Range], creation_id: str | None
) -> AsyncGenerator[tuple[LogPage, StoredEvent], None]:
    """Yield the events of `wanted` (merged), oldest first, each with the page that it came in.

    Raises SessionNotFound when the session `creation_id` is there no more; None means whichever has the id.
    """
    after = 0
    while (at := bisect_right(wanted, after, key=_last_of)) < len(wanted):
        after = max(after, wanted[at][0] - 1)
        limit = _end_of_page(wanted, at, after + limits.page_events) - after
        page = await backend.read_log(key, after=after, limit=limit, max_bytes=limits.page_bytes)
        if page is None or not page.events or creation_id not in (None, page.creation_id):
            raise SessionNotFound(key.id)
        for event in page.events:
            if ranges.contains(wanted, event.seq):
                yield page, event
        after = page.events[-1].seq


def _end_of_page(wanted: Sequence[Range], at: int, most: int) -> int:
    """Return the last seq to read with the range `at`: ranges that lie close to each other are read together."""
    end = min(wanted[at][1], most)
    for first, last in islice(wanted, at + 1, None):
        if first - end > _WIDEST_GAP or first > most:
            break
        end = min(last, most)
    return end


def _last_of(each: Range) -> int:
    return each[1]
