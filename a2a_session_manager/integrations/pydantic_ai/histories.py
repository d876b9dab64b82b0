"""Histories: the messages that lead to one, each of which names the one before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from a2a_session_manager.integrations.pydantic_ai.messages import is_message, parent_of
from a2a_session_manager.models.change import Restoration, Retraction
from a2a_session_manager.models.session_event import COUNTED, SessionEvent


def copied(event: SessionEvent[Any]) -> SessionEvent[Any]:
    """Return an event as a copy has it: what it cost was spent where it comes from."""
    metadata = {**event.metadata, COUNTED: False}
    return SessionEvent(
        id=event.id, message=event.message, source=event.source, timestamp=event.timestamp, metadata=metadata
    )


def path_to(head_id: str, events: Sequence[SessionEvent[Any]], limit: int | None) -> list[SessionEvent[Any]] | None:
    """Return the last `limit` events of the history that ends with `head_id`; None where one of them is missing."""
    by_id = {event.id: event for event in events if is_message(event)}
    path: list[SessionEvent[Any]] = []
    entry_id: str | None = head_id
    while entry_id is not None and (limit is None or len(path) < limit):
        event = by_id.pop(entry_id, None)  # and so a circle ends
        if event is None:
            return None
        path.append(event)
        entry_id = parent_of(event)
    return path[::-1]


def reaches(head_id: str | None, events: Sequence[SessionEvent[Any]]) -> bool:
    """Tell whether a history can end with `head_id`, which is among these events or None."""
    return head_id is None or path_to(head_id, events, 1) is not None


def hiding(
    head_id: str | None, stored: Sequence[SessionEvent[Any]], new: Sequence[SessionEvent[Any]]
) -> tuple[Retraction | None, Restoration | None]:
    """Return what to hide and to show so that the visible messages are the history that ends with `head_id`."""
    path = [] if head_id is None else path_to(head_id, [*stored, *new], None) or []
    kept = {event.id for event in path}
    messages = [event for event in stored if is_message(event)]
    gone = [event.id for event in messages if not event.retracted and event.id not in kept]
    back = [event.id for event in messages if event.retracted and event.id in kept]
    return (Retraction(event_ids=gone) if gone else None, Restoration(event_ids=back) if back else None)
