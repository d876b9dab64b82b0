"""`follow`: the log as a stream, replayed and then live, from any backend."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from a2a_session_manager.exceptions import SessionConflict, SessionNotFound
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.limits import StoreLimits
from a2a_session_manager.storage.loading import EventDecoder
from a2a_session_manager.storage.records import LogPage, Range, SessionKey, StoredEvent, StoredRetraction

# How often a follower looks whether the last event that it has told is still there.
_COMPARED_SECONDS: Final = 4.0
_BYTES_COMPARED: Final = 512
# Hidden events that lie so close to each other are read together with what lies between them.
_WIDEST_GAP: Final = 256


async def follow(
    backend: Backend, key: SessionKey, limits: StoreLimits, *, creation_id: str | None, after: int
) -> AsyncGenerator[SessionEvent[Any], None]:
    """Yield events behind `after` and retractions in their places, for ever.

    Ends with SessionNotFound, with SessionConflict when the session goes back in time, or with StoreUnavailable
    when the store is closed.
    """
    retractions_seen = 0  # by revision: a page at the end of the log shows the same ones again
    seen = _Seen(after)
    while True:
        backend.check_open()
        page = await backend.read_log(key, after=seen.seq, limit=limits.page_events, max_bytes=limits.page_bytes)
        if page is None or creation_id not in (None, page.creation_id):
            raise SessionNotFound(key.id, f"session {key.id!r} was deleted or has expired: nothing more follows")
        creation_id = page.creation_id
        if await seen.is_ahead_of(page, backend, key):
            raise _time_gone_back(key, seen, page)
        decoder = EventDecoder(key.id, limits)
        for stretch, retraction in _stretches(page, retractions_seen):
            for stored in stretch:
                yield await decoder.decode(stored)
            if retraction is not None:
                retractions_seen = retraction.revision
                async for event in read_ranges(backend, key, limits, retraction):
                    yield event
        seen.advance(page)
        if page.is_last:
            await backend.wait(key, creation_id, page.revision)
        else:
            await asyncio.sleep(0)  # a long replay must not hold up the loop


async def read_ranges(
    backend: Backend, key: SessionKey, limits: StoreLimits, retraction: StoredRetraction
) -> AsyncGenerator[SessionEvent[Any], None]:
    """Yield the events a retraction hid, marked so, oldest first, a page at a time."""
    hidden = retraction.hidden
    decoder = EventDecoder(key.id, limits, hidden=hidden)
    after = 0
    while (at := bisect_right(hidden, after, key=_last_of)) < len(hidden):
        after = max(after, hidden[at][0] - 1)
        limit = _end_of_page(hidden, at, after + limits.page_events) - after
        page = await backend.read_log(key, after=after, limit=limit, max_bytes=limits.page_bytes)
        if page is None or not page.events:
            raise SessionNotFound(key.id)
        for event in page.events:
            if not ranges.contains(hidden, event.seq):
                continue
            if not ranges.contains(page.hidden, event.seq):
                raise SessionNotFound(key.id)  # deleted meanwhile; another session has the id by now
            yield await decoder.decode(event)
        after = page.events[-1].seq


def _end_of_page(hidden: Sequence[Range], at: int, most: int) -> int:
    """Return the last seq to read with the range `at`: ranges that lie close to each other are read together."""
    end = min(hidden[at][1], most)
    for first, last in islice(hidden, at + 1, None):
        if first - end > _WIDEST_GAP or first > most:
            break
        end = min(last, most)
    return end


def _last_of(hidden: Range) -> int:
    return hidden[1]


class _Seen:
    """What a follower has seen of a session, to notice when the session is an earlier state of that.

    A server that was restored, or a replica that lagged behind when it was promoted, has lost the newest commits; and
    it may have taken others since, under the same revisions and seqs.
    """

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.revision = 0
        self._is_end = False
        self._last: tuple[object, ...] | None = None
        self._compared_at = asyncio.get_running_loop().time()

    def advance(self, page: LogPage) -> None:
        """Take note of a page that was told."""
        self.revision, self._is_end = page.revision, page.is_last
        if page.events:
            self.seq = page.events[-1].seq
            self._last = _marks_of(page.events[-1])

    async def is_ahead_of(self, page: LogPage, backend: Backend, key: SessionKey) -> bool:
        """Tell whether the page behind `seq` comes from an earlier state of the session, or another course of it."""
        if page.revision < self.revision:
            return True
        # All that was committed up to `revision` has been seen, so what comes now is of later ones.
        if page.events and self._is_end and page.events[0].revision <= self.revision:
            return True
        if not page.events and page.revision != self.revision and self.seq > 0:
            [loaded] = await backend.load([key], last=0, whole_head=False)
            if loaded is not None and loaded.head.last_seq < self.seq:
                return True
        return not await self._is_last_there(backend, key)

    async def _is_last_there(self, backend: Backend, key: SessionKey) -> bool:
        """Tell whether the last event seen is still what lies in its place; asked now and then."""
        now = asyncio.get_running_loop().time()
        if self._last is None or now - self._compared_at < _COMPARED_SECONDS:
            return True
        self._compared_at = now
        page = await backend.read_log(key, after=self.seq - 1, limit=1, max_bytes=1)
        return page is None or (bool(page.events) and _marks_of(page.events[0]) == self._last)


def _marks_of(event: StoredEvent) -> tuple[object, ...]:
    """Return what tells an event from another one in its place: its id and time stand at the beginning."""
    return event.revision, len(event.data), event.data[:_BYTES_COMPARED]


def _time_gone_back(key: SessionKey, seen: _Seen, page: LogPage) -> SessionConflict:
    return SessionConflict(
        key.id,
        expected_revision=max(seen.revision, page.revision),
        revision=page.revision,
        message=f"session {key.id!r} is at revision {page.revision}, an earlier state than the one followed up to "
        f"event {seen.seq}, or another course since: the store was restored, or lost its newest commits in a failover; "
        "read the session again, and follow it from there",
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
