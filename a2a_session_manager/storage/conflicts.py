"""What a stale writer missed, found by its revision."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from a2a_session_manager.exceptions import SessionConflict
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.limits import StoreLimits
from a2a_session_manager.storage.loading import decode_events
from a2a_session_manager.storage.records import SessionKey, StoredEvent

MISSED_EVENTS = 100


async def add_missed_events(conflict: SessionConflict, backend: Backend, key: SessionKey, limits: StoreLimits) -> None:
    """Put the events committed after the expected revision on `conflict`; O(log n) reads."""
    loaded = (await backend.load([key], last=0, whole_head=False))[0]
    if loaded is None:
        return
    last_seq = loaded.head.last_seq
    first = await _first_behind(conflict.expected_revision, last_seq, backend, key)
    if first > last_seq:
        return
    page = await backend.read_log(key, after=first - 1, limit=MISSED_EVENTS)
    if page is not None:
        conflict.first_missed_seq, conflict.last_missed_seq = first, last_seq
        conflict.missed_events = await decode_events(page.events, key.id, limits, hidden=page.hidden)


async def _first_behind(revision: int, last_seq: int, backend: Backend, key: SessionKey) -> int:
    """Return the first seq that a later revision brought; one above `last_seq` when there is none."""
    tail = await _read(backend, key, max(last_seq - MISSED_EVENTS, 0), MISSED_EVENTS)
    if not tail or tail[-1].revision <= revision:
        return last_seq + 1
    if tail[0].seq == 1 or tail[0].revision <= revision:
        return tail[bisect_right(tail, revision, key=_revision)].seq
    low, high = 1, tail[0].seq
    while low < high:
        middle = (low + high) // 2
        found = await _read(backend, key, middle - 1, 1)
        if found and found[0].revision <= revision:
            low = middle + 1
        else:
            high = middle
    return low


async def _read(backend: Backend, key: SessionKey, after: int, limit: int) -> Sequence[StoredEvent]:
    page = await backend.read_log(key, after=after, limit=limit)
    return [] if page is None else page.events


def _revision(event: StoredEvent) -> int:
    return event.revision
