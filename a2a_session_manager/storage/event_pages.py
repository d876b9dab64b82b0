"""The visible events of a session, or all of them, read a page of its log at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.event_filter import EventFilter
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import EventsPage
from a2a_session_manager.storage.codec import event_model
from a2a_session_manager.storage.loading import decode_events
from a2a_session_manager.storage.ranges import after_hidden, contains
from a2a_session_manager.storage.read_records import StoredEvent
from a2a_session_manager.storage.reads import load_head
from a2a_session_manager.storage.target import Target


async def read_events(
    target: Target,
    *,
    after: int,
    limit: int | None,
    max_bytes: int | None = None,
    include_retracted: bool = False,
    only: EventFilter | None = None,
    message_type: Any = None,
) -> EventsPage:
    """Return up to `limit` events with a seq above `after`; with `max_bytes`, what fits, and one at least.

    With `only`, those that it lets through, of which there may be few: then whole pages of the log are read, and what
    does not come out is forgotten. Raises SessionNotFound, also when another session takes the id between two pages.
    """
    event_model(message_type)  # before anything is read: it may be no type
    backend, key, limits, creation_id = target[:4]
    found = _Found(limits, limit, max_bytes, only)
    if limit == 0:
        await load_head(target)
        return EventsPage(found.events, after)
    while True:
        wanted, most = found.room()
        page = await backend.read_log(key, after=after, limit=wanted, max_bytes=most)
        if page is None or creation_id not in (None, page.creation_id):
            raise SessionNotFound(key.id)
        creation_id = page.creation_id
        shown = page.events
        if page.hidden and not include_retracted:
            shown = [event for event in shown if not contains(page.hidden, event.seq)]
        events = await decode_events(shown, key.id, limits, hidden=page.hidden, message_type=message_type)
        if found.has_more(shown, events):
            return EventsPage(found.events, found.events[-1].seq)
        if page.is_last:
            return EventsPage(found.events, None)
        after = page.events[-1].seq
        if found.is_full(is_short=len(page.events) < wanted):
            return EventsPage(found.events, after)
        if not include_retracted:
            after = after_hidden(page.hidden, after)
        await asyncio.sleep(0)  # a page may be decoded faster than the loop needs its turn; many may not


@dataclass(slots=True)
class _Found:
    """The events that were found so far, and what may still come to them."""

    limits: StoreLimits
    limit: int | None
    max_bytes: int | None
    only: EventFilter | None
    events: list[SessionEvent[Any]] = field(default_factory=list)
    size: int = 0

    def room(self) -> tuple[int, int]:
        """Return how many events, and how many bytes of them, to read next."""
        if self.only is not None:  # nobody knows how many of them it lets through
            return self.limits.page_events, self.limits.page_bytes
        return (
            self.limits.page_events
            if self.limit is None
            else min(self.limit - len(self.events), self.limits.page_events),
            self.limits.page_bytes if self.max_bytes is None else max(self.max_bytes - self.size, 0),
        )

    def has_more(self, stored: Sequence[StoredEvent], events: list[SessionEvent[Any]]) -> bool:
        """Take those of a page that are wanted, up to the first one that there is no room for; tell whether it is."""
        if self.only is None:
            self.events += events
            self.size += sum([len(event.data) for event in stored])
            return False
        for record, event in zip(stored, events, strict=True):
            if not self.only.lets_through(event):
                continue
            size = self.size + len(record.data)
            is_too_large = self.max_bytes is not None and size > self.max_bytes and len(self.events) > 0
            if is_too_large or len(self.events) == self.limit:
                return True
            self.events.append(event)
            self.size = size
        return False

    def is_full(self, *, is_short: bool) -> bool:
        """Tell whether nothing more is wanted; `is_short` tells that the last page had no room for more events."""
        if len(self.events) == self.limit:
            return True
        if self.max_bytes is None or not self.events:
            return False
        return self.size >= self.max_bytes or (is_short and self.only is None)
