"""Chat messages to events and back, key for key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.event_message import EventMessage, MessageColumns
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.serialization.json_check import unlimited
from a2a_session_manager.serialization.values import encode_value

# An OpenAI chat message: {"role": …, "content": …} with whatever keys the provider adds.
ChatMessage = dict[str, Any]

_SOURCES = {"user": EventSource.USER, "assistant": EventSource.LLM}
_ROLES = {EventSource.USER: "user", EventSource.LLM: "assistant", EventSource.SYSTEM: "system"}
_SPOKEN = frozenset({EventType.MESSAGE, EventType.SUMMARY, EventType.TOOL_CALL, EventType.TOOL_RESULT})


def event_from_message(message: Mapping[str, Any], **fields: Any) -> SessionEvent[Any]:
    """Return the event that keeps a chat message as it is: every key, in its order, nulls and unknown ones too.

    `fields` are further fields of the event: `id`, `task_id`, `token_usage` and so on. Raises InvalidEvent
    for a message without a role.
    """
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise InvalidEvent(
            f"a chat message needs a role, this one has {shown(role)}: {shown(dict(message))}", path="role"
        )
    return SessionEvent(message=dict(message), source=source_of(role), type=_kind(message, role), **fields)


def chat_messages(events: Iterable[SessionEvent[Any] | EventMessage]) -> list[ChatMessage]:
    """Return the chat messages that `events` hold, in order; what was never said to a model is left out.

    Raises InvalidEvent for a message that JSON cannot hold.
    """
    found = (message_from_event(event) for event in events)
    return [message for message in found if message is not None]


def chat_messages_of(columns: MessageColumns) -> list[ChatMessage]:
    """Return the same as `chat_messages`; where all are chat messages already, without a look at each event."""
    # By identity first: the hash of an enum's member takes longer than all the rest.
    types = {id(kind): kind for kind in columns.types}.values()
    are_dicts = set(map(type, columns.messages)) <= {dict}
    if not (are_dicts and _SPOKEN.issuperset(types)):
        return chat_messages(columns)
    roles = [message.get("role") for message in columns.messages]
    return columns.messages if set(map(type, roles)) <= {str} else chat_messages(columns)


def message_from_event(event: SessionEvent[Any] | EventMessage) -> ChatMessage | None:
    """Return the chat message of an event, or None for a reference, a bridge, an own type, or no payload.

    Plain text speaks with the role of its source, a summary as the system; other JSON goes in as text.
    """
    message = event.message
    if message is None or event.type not in _SPOKEN:
        return None
    if isinstance(message, dict) and isinstance(message.get("role"), str):
        return message
    is_content = isinstance(message, str | list)
    return {"role": _role(event), "content": message if is_content else json_text(message, "message")}


def source_of(role: str) -> EventSource:
    """Return who speaks in a role; tools, developers and unknown roles speak as SYSTEM."""
    return _SOURCES.get(role, EventSource.SYSTEM)


def json_text(value: Any, what: str) -> str:
    """Return `value` as JSON text. Raises InvalidEvent, naming `what`, when JSON cannot hold it."""
    return encode_value(value, unlimited(), what).decode()


def _kind(message: Mapping[str, Any], role: str) -> EventType:
    if role in ("tool", "function"):
        return EventType.TOOL_RESULT
    calls = message.get("tool_calls") or message.get("function_call")
    return EventType.TOOL_CALL if role == "assistant" and calls else EventType.MESSAGE


def _role(event: SessionEvent[Any] | EventMessage) -> str:
    if event.type in (EventType.SUMMARY, EventType.TOOL_CALL, EventType.TOOL_RESULT):
        return "system"  # a tool's part without its call id would be refused by every provider
    return _ROLES[event.source]
