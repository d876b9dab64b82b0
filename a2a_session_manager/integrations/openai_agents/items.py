"""Items of openai-agents to events and back, and the items after the last answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.event_message import EventMessage, MessageColumns
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent

if TYPE_CHECKING:
    from agents import TResponseInputItem

# This in an event's metadata says that it is an item of openai-agents; the item itself stays as it is.
_MARK = {"framework": "openai-agents"}


def event_from_item(item: object, run_id: str | None) -> SessionEvent[Any]:
    """Return the event that holds an item as it is. Raises InvalidEvent for what is no JSON object."""
    if not isinstance(item, Mapping):
        raise InvalidEvent(f"an item is a JSON object, this one is a {type(item).__name__}: {item!r:.200}")
    # Each event gets a new id, and not the provider's: after a rewind, items come again, and a hidden id stays hidden.
    return SessionEvent(
        message=dict(item), source=_source(item), type=_kind(item), task_id=run_id, metadata=dict(_MARK)
    )


def items_in(messages: MessageColumns) -> MessageColumns:
    """Return the messages that are items."""
    if messages.metadata.count(_MARK) == len(messages):
        return messages
    return messages.where([metadata == _MARK for metadata in messages.metadata])


def items_of(events: Iterable[SessionEvent[Any]]) -> list[TResponseInputItem]:
    """Return the items that events hold."""
    return [event.message for event in events]


def after_the_last_answer(events: Sequence[EventMessage]) -> Sequence[EventMessage]:
    """Return the events after the last assistant message, so that no tool call is separated from its result."""
    called = {event.message.get("call_id") for event in events if event.type == EventType.TOOL_CALL} - {None}
    results: set[Any] = set()
    for place in range(len(events) - 1, -1, -1):
        item, kind = events[place].message, events[place].type
        if kind == EventType.TOOL_RESULT:
            results |= {item.get("call_id")} & called
        elif kind == EventType.TOOL_CALL:
            results.discard(item.get("call_id"))
        elif item.get("role") == "assistant" and not results:
            return events[place + 1 :]
    return events


def _source(item: Mapping[str, Any]) -> EventSource:
    role = item.get("role")
    if role == "user":
        return EventSource.USER
    is_others = role not in (None, "assistant") or _kind(item) == EventType.TOOL_RESULT
    return EventSource.SYSTEM if is_others else EventSource.LLM


def _kind(item: Mapping[str, Any]) -> EventType | str:
    kind = item.get("type")
    if not isinstance(kind, str) or kind == "message":
        return EventType.MESSAGE
    if kind.endswith("_output"):
        return EventType.TOOL_RESULT
    return EventType.TOOL_CALL if kind.endswith("_call") else kind
