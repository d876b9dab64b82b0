"""LateUsage: what was paid for in events that come after their run's end and are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.usage_event import usage_event
from a2a_session_manager.protocols import SessionStore


class LateUsage:
    """Remembers whose usage was stored without their events, so that `append_late` counts no money twice."""

    def __init__(self, store: SessionStore, session: Session[Any]) -> None:
        self._store = store
        self._session = session
        self._event_ids: set[str] = set()

    async def keep(self, events: Sequence[SessionEvent[Any]]) -> None:
        """Store the usage of events that will be refused, if they have any."""
        usages = [usage_event(event) for event in events if event.token_usage is not None]
        if usages:
            await self._store.append(self._session, *usages, on_repeat="keep")
            self.note_kept(events)

    def note_kept(self, events: Iterable[SessionEvent[Any]]) -> None:
        """Remember that the store has kept the usage of these events, as it refused them."""
        self._event_ids.update(event.id for event in events)

    def __bool__(self) -> bool:
        return bool(self._event_ids)

    def left_out_of(self, event: SessionEvent[Any]) -> SessionEvent[Any]:
        """Return the event without its usage if that was stored when the event was refused."""
        return event.model_copy(update={"token_usage": None}) if event.id in self._event_ids else event
