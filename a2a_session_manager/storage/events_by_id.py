"""Events by their ids, a page of them at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.identifiers import checked_id
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage.codec import damaged, event_model
from a2a_session_manager.storage.loading import decode_events
from a2a_session_manager.storage.read_records import FoundEvents
from a2a_session_manager.storage.reads import load_head
from a2a_session_manager.storage.target import Target

_IDS_A_READ: Final = 500


async def read_events_by_id(
    target: Target, event_ids: Sequence[str], *, message_type: Any = None
) -> list[SessionEvent[Any] | None]:
    """Return the event of each id, None for one that was never appended.

    Raises SessionNotFound, also when another session takes the id between two pages.
    """
    event_model(message_type)  # before anything is read: it may be no type
    left = list(dict.fromkeys(checked_id(event_id, "event id") for event_id in event_ids))
    creation_id = target.creation_id
    if not left:
        await load_head(target)
    events: dict[str, SessionEvent[Any]] = {}
    while left:
        page = await target.backend.find_events(target.key, left[:_IDS_A_READ], max_bytes=target.limits.page_bytes)
        if page is None or creation_id not in (None, page.creation_id):
            raise SessionNotFound(target.key.id)
        creation_id = page.creation_id
        events |= await _decoded(page, target, message_type)
        left = [*page.unread, *left[_IDS_A_READ:]]
        await asyncio.sleep(0)  # a page may be decoded faster than the loop needs its turn; many may not
    return [events.get(event_id) for event_id in event_ids]


async def _decoded(page: FoundEvents, target: Target, message_type: Any) -> dict[str, SessionEvent[Any]]:
    session_id = target.key.id
    found = await decode_events(
        page.events.values(), session_id, target.limits, hidden=page.hidden, message_type=message_type
    )
    for (event_id, stored), event in zip(page.events.items(), found, strict=True):
        if event.id != event_id:
            raise damaged(session_id, f"event {stored.seq}", stored.data, seq=stored.seq)
    return dict(zip(page.events, found, strict=True))
