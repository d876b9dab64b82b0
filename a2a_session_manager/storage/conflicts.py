"""Which events a writer has missed that expected an older revision."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable
from functools import partial

from a2a_session_manager.exceptions import SessionConflict
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.loading import decode_events
from a2a_session_manager.storage.read_records import LogPage, StoredEvent
from a2a_session_manager.storage.records import SessionKey

MISSED_EVENTS = 100

ReadLog = Callable[..., Awaitable[LogPage | None]]


async def add_missed_events(conflict: SessionConflict, backend: Backend, key: SessionKey, limits: StoreLimits) -> None:
    """Put the events committed after the expected revision on `conflict`, as many as make a page; O(log n) reads."""
    loaded = (await backend.load([key], last=0, whole_head=False))[0]
    if loaded is None:
        return
    last_seq = loaded.head.last_seq
    read = partial(backend.read_log, key, max_bytes=limits.page_bytes)
    first = await _first_after(conflict.expected_revision, last_seq, read)
    if first > last_seq:
        return
    page = await read(after=first - 1, limit=MISSED_EVENTS)
    if page is not None:
        # A backend may bring more bytes than it was asked for; an error must not carry them along.
        count = paging.fitting((len(event.data) for event in page.events), limits.page_bytes)
        conflict.first_missed_seq, conflict.last_missed_seq = first, last_seq
        conflict.missed_events = await decode_events(page.events[:count], key.id, limits, hidden=page.hidden)


async def _first_after(revision: int, last_seq: int, read: ReadLog) -> int:
    """Return the first seq that a later revision brought; one above `last_seq` when there is none."""
    low, high = 1, last_seq + 1
    # Most writers that are late missed a few events; otherwise the rest is searched by halves, an event at a time.
    middle, limit = max(high - MISSED_EVENTS, 1), MISSED_EVENTS
    while low < high:
        page = await read(after=middle - 1, limit=limit)
        if page is None or not page.events:
            return last_seq + 1
        events = page.events
        earlier = bisect_right(events, revision, key=_revision)
        if earlier == len(events):
            low = events[-1].seq + 1
        elif earlier or events[0].seq == low:
            return events[earlier].seq
        else:
            high = events[0].seq
        middle, limit = (low + high) // 2, 1
    return low


def _revision(event: StoredEvent) -> int:
    return event.revision
