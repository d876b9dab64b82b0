"""EventMessage: the message of a stored event, without the event, for prompts and other views of a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent


class EventMessage(NamedTuple):
    """The message of a stored event, its seq, and the fields of the event that decide how the message is shown.

    Thousands are made for a prompt, and making a SessionEvent of each would take twice as long. The metadata may be
    shared by several, and must not be changed.
    """

    seq: int
    id: str
    message: Any
    source: EventSource
    type: EventType | str
    task_id: str | None
    metadata: Mapping[str, Any]


class MessageTail(NamedTuple):
    """A session's newest visible messages, oldest first; `earlier_events` counts the visible events before them."""

    messages: list[EventMessage]
    earlier_events: int


def message_of(event: SessionEvent[Any]) -> EventMessage:
    """Return the message of a stored event."""
    return EventMessage(
        event.seq or 0, event.id, event.message, event.source, event.type, event.task_id, event.metadata
    )
