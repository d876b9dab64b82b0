"""`follow`: the log as a stream, replayed and then live, from any backend."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any, Final

from a2a_session_manager.exceptions import SessionConflict, SessionNotFound
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.session_event import SessionEvent, with_seq
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.loading import EventDecoder
from a2a_session_manager.storage.range_reading import read_ranges
from a2a_session_manager.storage.read_records import LogPage, StoredEvent, StoredRetraction
from a2a_session_manager.storage.records import SessionKey

# A follower reads the last event that it has seen again, to look whether it is still there: along with what follows
# or, where it is larger than this, by itself and only when there is news.
_MOST_BYTES_READ_AGAIN: Final = 32_000
_BYTES_COMPARED: Final = 512


async def follow(
    backend: Backend, key: SessionKey, limits: StoreLimits, *, creation_id: str | None, after: int
) -> AsyncGenerator[SessionEvent[Any], None]:
    """Yield events with a seq above `after`, and retractions in their places, for ever.

    Ends with SessionNotFound, with SessionConflict when the session goes back in time, or with StoreUnavailable
    when the store is closed.
    """
    retractions_seen = 0  # by revision: a page at the end of the log shows the same ones again
    seen = _Seen(after)
    while True:
        backend.check_open()
        page = await seen.read_on(backend, key, limits)
        if page is None or creation_id not in (None, page.creation_id):
            raise SessionNotFound(key.id, f"session {key.id!r} was deleted or has expired: nothing more follows")
        creation_id = page.creation_id
        if await seen.is_ahead_of(page, backend, key):
            raise _time_gone_back(key, seen, page)
        decoder = EventDecoder(key.id, limits)
        for stretch, retraction in _stretches(seen.unseen(page), retractions_seen):
            for stored in stretch:
                yield await decoder.decode(stored)
            if retraction is not None:
                retractions_seen = retraction.revision
                async for event in _changed_by(retraction, backend, key, limits, creation_id):
                    yield event
        seen.advance(page)
        if page.is_last:
            backend.followers += 1
            try:
                await backend.wait(key, creation_id, page.revision)
            finally:
                backend.followers -= 1
        else:
            await asyncio.sleep(0)  # a long replay must not hold up the loop


async def _changed_by(
    retraction: StoredRetraction, backend: Backend, key: SessionKey, limits: StoreLimits, creation_id: str
) -> AsyncGenerator[SessionEvent[Any], None]:
    """Yield the events that one commit hid, then those that it restored, each marked so whatever became of it since."""
    for changed, is_hidden in ((retraction.hidden, True), (retraction.restored, False)):
        decoder = EventDecoder(key.id, limits)
        async for _, stored in read_ranges(backend, key, limits, changed, creation_id):
            event = await decoder.decode(stored)
            yield with_seq(event, stored.seq, retracted=is_hidden, restored=not is_hidden)


class _Seen:
    """What a follower has seen of a session, to notice when the session is an earlier state of that.

    A server that was restored, or a replica that lagged when it was promoted, has lost the newest commits; and
    it may have taken others since, under the same revisions and seqs. The tag of the newest commit tells of another
    one under the same revision; the last event seen tells of another course when later commits came after it.
    """

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.revision = 0
        self._tag = ""
        self._is_end = False
        self._retractions: list[StoredRetraction] = []  # those at the end
        self._last: tuple[object, ...] | None = None
        self._last_bytes = 0
        self._is_read_again = seq > 0

    async def read_on(self, backend: Backend, key: SessionKey, limits: StoreLimits) -> LogPage | None:
        """Return a page of what follows, with the last event seen before it where that is to be read again."""
        again = int(self._is_read_again)
        max_bytes = limits.page_bytes + again * self._last_bytes
        return await backend.read_log(
            key, after=self.seq - again, limit=limits.page_events + again, max_bytes=max_bytes
        )

    def unseen(self, page: LogPage) -> LogPage:
        """Return the page without what was there to be read again."""
        events = page.events[1:] if self._is_read_again else page.events
        retractions = [retraction for retraction in page.retractions if retraction.after_seq >= self.seq]
        return page._replace(events=events, retractions=retractions)

    def advance(self, page: LogPage) -> None:
        """Remember what a page has brought, all of which was yielded."""
        brings_nothing = not (self.unseen(page).events or page.is_last)
        self.revision, self._tag, self._is_end = page.revision, page.tag, page.is_last
        if page.events:
            last = page.events[-1]
            self.seq, self._last, self._last_bytes = last.seq, _marks_of(last), len(last.data)
        self._retractions = [retraction for retraction in page.retractions if retraction.after_seq == self.seq]
        # What follows may be so large that no page holds it beside another event.
        self._is_read_again = self.seq > 0 and self._last_bytes <= _MOST_BYTES_READ_AGAIN and not brings_nothing

    async def is_ahead_of(self, page: LogPage, backend: Backend, key: SessionKey) -> bool:
        """Tell whether a page comes from an earlier state of the session, or another course of it."""
        if page.revision < self.revision:
            return True
        if page.revision == self.revision and page.tag != self._tag and page.tag and self._tag:
            return True
        if self._is_end and self._is_in_seen(self.unseen(page)):
            return True
        return not await self._is_last_in(page, backend, key)

    def _is_in_seen(self, page: LogPage) -> bool:
        """Tell whether the page changes what was there up to `revision`, all of which has been seen."""
        if not page.events:
            return page.is_last and self._seen_of(page.retractions) != self._retractions
        return page.events[0].revision <= self.revision or self._seen_of(page.retractions) != self._retractions

    def _seen_of(self, retractions: Sequence[StoredRetraction]) -> list[StoredRetraction]:
        return [retraction for retraction in retractions if retraction.revision <= self.revision]

    async def _is_last_in(self, page: LogPage, backend: Backend, key: SessionKey) -> bool:
        """Tell whether the last event seen is still what lies in its place."""
        if self.seq == 0:
            return True
        events = page.events
        if not self._is_read_again:
            if page.revision == self.revision:
                return True
            again = await backend.read_log(key, after=self.seq - 1, limit=1, max_bytes=1)
            if again is None or again.creation_id != page.creation_id:
                return True  # deleted since the page was read: the next one tells
            events = again.events
        return bool(events) and self._last in (None, _marks_of(events[0]))


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
    """Cut a page's events where retractions were made: each stretch with the one right after it, if any."""
    start = 0
    for retraction in page.retractions:
        if retraction.revision > retractions_seen:
            end = bisect_right(page.events, retraction.after_seq, key=_seq)
            yield page.events[start:end], retraction
            start = end
    yield page.events[start:], None


def _seq(event: StoredEvent) -> int:
    return event.seq
