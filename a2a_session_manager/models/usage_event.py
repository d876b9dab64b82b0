"""The usage of an event that could not be stored, as an event of its own: what was paid for is always recorded."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.identifiers import derived_id
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.fields_set import with_fields
from a2a_session_manager.models.session_event import SessionEvent


def usage_event(event: SessionEvent[Any]) -> SessionEvent[Any]:
    """Return an event of the usage of `event` alone, which no view shows.

    Its id is derived from that of `event`, so that it is stored once, however often `event` is sent.
    """
    return with_fields(
        event,
        {
            "id": usage_event_id(event.id),
            "message": None,
            "type": EventType.USAGE,
            "metadata": {"usage_of": event.id},
        },
    )


def usage_event_id(event_id: str) -> str:
    """Return the id of the event of the usage of another one."""
    return derived_id(f"{event_id}\nusage")
