"""Stores over memory with one planted fault each, in what people find sessions and events by."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from a2a_session_manager.models.event_filter import EventFilter, EventFilters
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import InMemorySessionStore
from tests.storage.faulty import IgnoresTheGuard


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
