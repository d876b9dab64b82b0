"""The visible events of a session, or all of them, read a page of its log at a time."""

from __future__ import annotations

import asyncio
from typing import Any

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import EventsPage
from a2a_session_manager.storage.codec import event_model
from a2a_session_manager.storage.loading import decode_events
from a2a_session_manager.storage.ranges import after_hidden, contains
from a2a_session_manager.storage.reads import load_head
from a2a_session_manager.storage.target import Target


async def read_events(
    target: Target,
    *,
    after: int,
    limit: int | None,
    max_bytes: int | None = None,
    include_retracted: bool = False,
    message_type: Any = None,
) -> EventsPage:
    """Return up to `limit` events with a seq above `after`; with `max_bytes`, what fits, and one at least.

    Raises SessionNotFound, also when another session takes the id between two pages of the log.
    """
    event_model(message_type)  # before anything is read: it may be no type
    backend, key, limits, creation_id = target
    found: list[SessionEvent[Any]] = []
    size = 0
    if limit == 0:
        await load_head(target)
        return EventsPage(found, after)
    while True:
        wanted = limits.page_events if limit is None else min(limit - len(found), limits.page_events)
        most = limits.page_bytes if max_bytes is None else max(max_bytes - size, 0)
        page = await backend.read_log(key, after=after, limit=wanted, max_bytes=most)
        if page is None or creation_id not in (None, page.creation_id):
            raise SessionNotFound(key.id)
        creation_id = page.creation_id
        shown = page.events
        if page.hidden and not include_retracted:
            shown = [event for event in shown if not contains(page.hidden, event.seq)]
        size += sum([len(event.data) for event in shown])
        found += await decode_events(shown, key.id, limits, hidden=page.hidden, message_type=message_type)
        if page.is_last:
            return EventsPage(found, None)
        after = page.events[-1].seq
        is_full = max_bytes is not None and (size >= max_bytes or len(page.events) < wanted)
        if len(found) == limit or (found and is_full):
            return EventsPage(found, after)
        if not include_retracted:
            after = after_hidden(page.hidden, after)
        await asyncio.sleep(0)  # a page may be decoded faster than the loop needs its turn; many may not
