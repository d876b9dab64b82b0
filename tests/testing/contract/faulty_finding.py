"""Stores over memory with one planted fault each, in what people find sessions and events by."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from a2a_session_manager.models.event_filter import EventFilter, EventFilters
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import FoundEvents
from a2a_session_manager.storage.records import SessionKey
from tests.testing.contract.faulty import IgnoresTheGuard


class LosesTheUsersTitle(IgnoresTheGuard):
    """What was allowed at a revision is written at a later one."""


class LimitsBeforeItFilters(InMemorySessionStore):
    """Its limit counts events that are left out, too."""

    async def events(self, session: Any, **options: Any) -> list[SessionEvent[Any]]:
        which = {name: options.pop(name) for name in EventFilters.__annotations__ if name in options}
        only = EventFilter(**which)
        return [event for event in await super().events(session, **options) if only.lets_through(event)]


class FiltersByTheHour(InMemorySessionStore):
    """Takes times for exact to the hour."""

    async def events(self, session: Any, *, since: Any = None, **options: Any) -> list[SessionEvent[Any]]:
        earlier = None if since is None else since - timedelta(hours=1)
        return await super().events(session, since=earlier, **options)


class FindsInItsOwnOrder(InMemorySessionStore):
    """Events come by their seqs, however they were asked for."""

    async def events_by_id(self, session: Any, *event_ids: str, **options: Any) -> list[SessionEvent[Any] | None]:
        found = await super().events_by_id(session, *event_ids, **options)
        return sorted(found, key=lambda event: 0 if event is None else event.seq or 0)


class _Finds(MemoryBackend):
    """Memory whose events by id come as `changed` makes them."""

    def changed(self, found: FoundEvents) -> FoundEvents:
        raise NotImplementedError

    async def find_events(self, key: SessionKey, event_ids: Sequence[str], *, max_bytes: int) -> FoundEvents | None:
        found = await super().find_events(key, event_ids, max_bytes=max_bytes)
        return None if found is None else self.changed(found)


class _ForgetsUnread(_Finds):
    def changed(self, found: FoundEvents) -> FoundEvents:
        return found._replace(unread=())


class ForgetsUnreadEvents(BaseSessionStore):
    """Cuts a page by its bytes, and says that nothing is left."""

    def __init__(self) -> None:
        super().__init__(_ForgetsUnread())


class _Unmarked(_Finds):
    def changed(self, found: FoundEvents) -> FoundEvents:
        return found._replace(hidden=())


class FindsHiddenEventsUnmarked(BaseSessionStore):
    """Says of no event that it is hidden."""

    def __init__(self) -> None:
        super().__init__(_Unmarked())


class _FindsAnother(_Finds):
    def changed(self, found: FoundEvents) -> FoundEvents:
        stored = list(found.events.values())
        return found._replace(events=dict(zip(found.events, [*stored[1:], *stored[:1]], strict=True)))


class FindsAnotherEvent(BaseSessionStore):
    """Takes the events of one page for each other."""

    def __init__(self) -> None:
        super().__init__(_FindsAnother())


class AnswersWhenClosed(InMemorySessionStore):
    """Says that it is there, whatever it is."""

    async def ping(self) -> None:
        pass
