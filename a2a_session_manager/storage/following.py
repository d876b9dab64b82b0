"""`follow`: the log as a stream, replayed and then live, from any backend."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.limits import StoreLimits
from a2a_session_manager.storage.loading import decode_events
from a2a_session_manager.storage.records import LogPage, SessionKey, StoredEvent, StoredRetraction


async def follow(
    backend: Backend, key: SessionKey, limits: StoreLimits, *, creation_id: str | None, after: int
) -> AsyncGenerator[SessionEvent[Any], None]:
    """Yield events behind `after` and retractions in their places, for ever.

    Ends with SessionNotFound, or StoreUnavailable when the store is closed.
    """
    retractions_seen = 0  # by revision: a page at the end of the log shows the same ones again
    while True:
        backend.check_open()
        page = await backend.read_log(key, after=after, limit=limits.page_events)
        if page is None or creation_id not in (None, page.creation_id):
            raise SessionNotFound(key.id, f"session {key.id!r} was deleted or has expired: nothing more follows")
        creation_id = page.creation_id
        for stretch, retraction in _stretches(page, retractions_seen):
            for event in await decode_events(stretch, key.id, limits):
                yield event
            if retraction is not None:
                retractions_seen = retraction.revision
                async for event in read_ranges(backend, key, limits, retraction):
                    yield event
        if page.events:
            after = page.events[-1].seq
        if page.is_last:
            await backend.wait(key, creation_id, page.revision)
        else:
            await asyncio.sleep(0)  # a long replay must not hold up the loop


async def read_ranges(
    backend: Backend, key: SessionKey, limits: StoreLimits, retraction: StoredRetraction
) -> AsyncGenerator[SessionEvent[Any], None]:
    """Yield the events a retraction hid, marked so, oldest first, a page at a time."""
    for first, last in retraction.hidden:
        after = first - 1
        while after < last:
            page = await backend.read_log(key, after=after, limit=min(limits.page_events, last - after))
            if (
                page is None
                or not page.events
                or not all(ranges.contains(page.hidden, event.seq) for event in page.events)
            ):
                raise SessionNotFound(key.id)  # deleted meanwhile; another session may have the id by now
            for event in await decode_events(page.events, key.id, limits, hidden=[(first, last)]):
                yield event
            after = page.events[-1].seq


def _stretches(page: LogPage, retractions_seen: int) -> Iterator[tuple[Sequence[StoredEvent], StoredRetraction | None]]:
    """Cut a page's events where retractions were made: each stretch with the one right behind it, if any."""
    start = 0
    for retraction in page.retractions:
        if retraction.revision > retractions_seen:
            end = bisect_right(page.events, retraction.after_seq, key=_seq)
            yield page.events[start:end], retraction
            start = end
    yield page.events[start:], None


def _seq(event: StoredEvent) -> int:
    return event.seq
