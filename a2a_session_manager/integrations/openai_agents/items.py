"""Items of openai-agents to events and back, and the items after the last answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from a2a_session_manager.context.messages import event_from_message
from a2a_session_manager.context.repair import REPAIRED
from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.event_message import EventMessage, MessageColumns
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.shapes.normal_form import Call, Result
from a2a_session_manager.shapes.recognition import read_message, shape_of

if TYPE_CHECKING:
    from agents import TResponseInputItem

# This in an event's metadata says that it is an item of openai-agents; the item itself stays as it is.
_MARK = {"framework": "openai-agents"}


def event_from_item(item: object, run_id: str | None) -> SessionEvent[Any]:
    """Return the event that holds an item as it is. Raises InvalidEvent for what is no JSON object."""
    if not isinstance(item, Mapping):
        raise InvalidEvent(f"an item is a JSON object, this one is a {type(item).__name__}: {item!r:.200}")
    # Each event gets a new id, and not the provider's: after a rewind, items come again, and a hidden id stays hidden.
    fields: dict[str, Any] = {"task_id": run_id, "metadata": dict(_MARK)}
    if isinstance(item.get("role"), str) or shape_of(item) is not None:
        return event_from_message(item, **fields)
    kind = item.get("type")  # of an item that came after this release: it is kept, and no view shows it
    return SessionEvent(
        message=dict(item), source=EventSource.LLM, type=kind if isinstance(kind, str) else EventType.MESSAGE, **fields
    )


def items_in(messages: MessageColumns, summary: int | None = None) -> MessageColumns:
    """Return the messages that are items, those of the event `summary`, which stand for items, and those that repair.

    A call without a result is refused by the API, so a result that says "interrupted" goes along with it.
    """
    if messages.metadata.count(_MARK) == len(messages):
        return messages
    rows = zip(messages.metadata, messages.seqs, messages.messages, strict=True)
    return messages.where(
        [metadata == _MARK or seq == summary or _repairs_item(metadata, message) for metadata, seq, message in rows]
    )


def _repairs_item(metadata: Mapping[str, Any], message: Any) -> bool:
    """Tell whether a message is a result that says "interrupted", of a call that is an item: only items have a type."""
    return metadata == REPAIRED and isinstance(message, Mapping) and "type" in message


def items_of(events: Iterable[SessionEvent[Any]]) -> list[TResponseInputItem]:
    """Return the items that events hold."""
    return [event.message for event in events]


def after_the_last_answer(events: Sequence[EventMessage]) -> Sequence[EventMessage]:
    """Return the events after the last assistant message, so that no tool call is separated from its result."""
    parts = [read_message(event.message).parts for event in events]
    called = {part.id for some in parts for part in some if isinstance(part, Call)}
    results: set[str | None] = set()
    for place in range(len(events) - 1, -1, -1):
        results |= {part.call_id for part in parts[place] if isinstance(part, Result)} & called
        results -= {part.id for part in parts[place] if isinstance(part, Call)}
        if events[place].message.get("role") == "assistant" and not results:
            return events[place + 1 :]
    return events
