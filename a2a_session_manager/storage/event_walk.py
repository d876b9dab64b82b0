"""Events by their ids where nothing tells where they lie: the log is read from its start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.read_records import FoundEvents, LogPage, StoredEvent
from a2a_session_manager.storage.records import Range

_EVENTS_A_PAGE: Final = 500


async def find_by_walking(
    read_page: Callable[[int, int], Awaitable[LogPage | None]], session_id: str, event_ids: Sequence[str]
) -> FoundEvents | None:
    """Return the events of these ids from the pages that `read_page(after, limit)` brings; None for no session.

    Raises CorruptSession for an event that cannot be read before the last one is found.
    """
    left = set(event_ids)
    found: dict[str, StoredEvent] = {}
    hidden: list[Range] = []
    after, creation_id = 0, None
    while True:
        page = await read_page(after, _EVENTS_A_PAGE)
        if page is None or creation_id not in (None, page.creation_id):
            return None
        creation_id = page.creation_id
        for event in page.events:
            event_id = _id_of(event, session_id) if left else None
            if event_id in left:
                left.remove(event_id)
                found[event_id] = event
                if ranges.contains(page.hidden, event.seq):
                    hidden.append((event.seq, event.seq))
        if page.is_last or not left:
            return FoundEvents(creation_id, found, (), hidden)
        after = page.events[-1].seq


async def read_by_walking(
    read_page: Callable[[int, int], Awaitable[LogPage | None]], wanted: Iterable[Range], creation_id: str
) -> list[StoredEvent] | None:
    """Return the events of `wanted`, which are in order, from such pages; None when the session is there no more."""
    found: list[StoredEvent] = []
    for first, last in wanted:
        after = first - 1
        while after < last:
            page = await read_page(after, last - after)
            if page is None or not page.events or page.creation_id != creation_id:
                return None
            found += page.events
            after = page.events[-1].seq
    return found


def _id_of(event: StoredEvent, session_id: str) -> str:
    try:
        return str(parsed(event.data)["id"])
    except (ValueError, LookupError, TypeError) as error:
        raise CorruptSession(
            session_id,
            f"session {session_id!r}: event {event.seq} is damaged: restore it from a backup; nothing was changed",
            seq=event.seq,
        ) from error
