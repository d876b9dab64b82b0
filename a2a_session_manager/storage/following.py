"""`follow`: the log as a stream, replayed and then live, from any backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.limits import StoreLimits
from a2a_session_manager.storage.loading import decode_events
from a2a_session_manager.storage.records import LogPage, SessionKey, StoredEvent, StoredRetraction

PAGE_EVENTS = 500


async def follow(
    backend: Backend, key: SessionKey, limits: StoreLimits, *, after: int
) -> AsyncIterator[SessionEvent[Any]]:
    """Yield events behind `after` and retractions in their places, for ever.

    Ends with SessionNotFound, or StoreUnavailable when the store is closed.
    """
    creation_id = None
    retractions_seen = 0  # by revision: a page at the end of the log shows the same ones again
    while True:
        backend.check_open()
        page = await backend.read_log(key, after=after, limit=PAGE_EVENTS)
        if page is None or page.creation_id != (creation_id or page.creation_id):
            raise SessionNotFound(key.id, f"session {key.id!r} was deleted or has expired: nothing more follows")
        creation_id = page.creation_id
        for item in _in_order(page, retractions_seen):
            if isinstance(item, StoredRetraction):
                retractions_seen = item.revision
                async for event in read_ranges(backend, key, limits, item):
                    yield event
            else:
                after = item.seq
                yield (await decode_events([item], key.id, limits))[0]
        if page.is_last:
            await backend.wait(key, creation_id, page.revision)


async def read_ranges(
    backend: Backend, key: SessionKey, limits: StoreLimits, retraction: StoredRetraction
) -> AsyncIterator[SessionEvent[Any]]:
    """Yield the events a retraction hid, marked so, oldest first, a page at a time."""
    for first, last in retraction.hidden:
        after = first - 1
        while after < last:
            page = await backend.read_log(key, after=after, limit=min(PAGE_EVENTS, last - after))
            if (
                page is None
                or not page.events
                or not all(ranges.contains(page.hidden, event.seq) for event in page.events)
            ):
                raise SessionNotFound(key.id)  # deleted meanwhile; another session may have the id by now
            for event in await decode_events(page.events, key.id, limits, hidden=[(first, last)]):
                yield event
            after = page.events[-1].seq


def _in_order(page: LogPage, retractions_seen: int) -> Iterator[StoredEvent | StoredRetraction]:
    """Merge a page's events and retractions: a retraction comes right behind the event it was made after."""
    waiting = [retraction for retraction in page.retractions if retraction.revision > retractions_seen]
    for event in page.events:
        while waiting and waiting[0].after_seq < event.seq:
            yield waiting.pop(0)
        yield event
    yield from waiting
