"""`follow`: the log as a stream, replayed and then live, from any backend."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from a2a_session_manager.exceptions import SessionConflict, SessionNotFound
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.limits import StoreLimits
from a2a_session_manager.storage.loading import EventDecoder
from a2a_session_manager.storage.records import LogPage, SessionKey, StoredEvent, StoredRetraction


async def follow(
    backend: Backend, key: SessionKey, limits: StoreLimits, *, creation_id: str | None, after: int
) -> AsyncGenerator[SessionEvent[Any], None]:
    """Yield events behind `after` and retractions in their places, for ever.

    Ends with SessionNotFound, with SessionConflict when the session goes back in time, or with StoreUnavailable
    when the store is closed.
    """
    retractions_seen = 0  # by revision: a page at the end of the log shows the same ones again
    revision, is_end_seen = 0, False  # of the page before
    while True:
        backend.check_open()
        page = await backend.read_log(key, after=after, limit=limits.page_events, max_bytes=limits.page_bytes)
        if page is None or creation_id not in (None, page.creation_id):
            raise SessionNotFound(key.id, f"session {key.id!r} was deleted or has expired: nothing more follows")
        creation_id = page.creation_id
        await _refuse_time_gone_back(backend, key, page, after, revision, is_end_seen=is_end_seen)
        revision, is_end_seen = page.revision, page.is_last
        decoder = EventDecoder(key.id, limits)
        for stretch, retraction in _stretches(page, retractions_seen):
            for stored in stretch:
                yield await decoder.decode(stored)
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
            limit = min(limits.page_events, last - after)
            page = await backend.read_log(key, after=after, limit=limit, max_bytes=limits.page_bytes)
            if (
                page is None
                or not page.events
                or not all(ranges.contains(page.hidden, event.seq) for event in page.events)
            ):
                raise SessionNotFound(key.id)  # deleted meanwhile; another session may have the id by now
            decoder = EventDecoder(key.id, limits, hidden=[(first, last)])
            for event in page.events:
                yield await decoder.decode(event)
            after = page.events[-1].seq


async def _refuse_time_gone_back(
    backend: Backend, key: SessionKey, page: LogPage, after: int, revision: int, *, is_end_seen: bool
) -> None:
    """Raise SessionConflict when the session is an earlier state of what the follower has seen at `revision`.

    A server that was restored, or a replica that lagged behind when it was promoted, has lost the newest commits.
    """
    is_earlier = page.revision < revision
    if page.events:
        # All that was committed up to `revision` has been seen, so what comes now is of later ones.
        is_earlier = is_earlier or (is_end_seen and page.events[0].revision <= revision)
    elif page.revision != revision and after > 0 and not is_earlier:
        [loaded] = await backend.load([key], last=0, whole_head=False)
        is_earlier = loaded is not None and loaded.head.last_seq < after
    if is_earlier:
        raise SessionConflict(
            key.id,
            expected_revision=max(revision, page.revision),
            revision=page.revision,
            message=f"session {key.id!r} is at revision {page.revision}, an earlier state than the one followed up to "
            f"event {after}: the store was restored, or lost its newest commits in a failover; read the session again, "
            "and follow it from there",
        )


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
