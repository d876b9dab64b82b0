"""Chat messages to events and back, key for key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.compaction import compaction_in
from a2a_session_manager.models.event_message import EventMessage, MessageColumns
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.serialization.json_check import unlimited
from a2a_session_manager.serialization.values import encode_value
from a2a_session_manager.shapes.normal_form import Call, Message, Result, Role
from a2a_session_manager.shapes.recognition import read_message, shape_of

# A chat message of any shape, with whatever keys the provider adds.
ChatMessage = dict[str, Any]

_SOURCES: Final[Mapping[Role, EventSource]] = {"user": EventSource.USER, "assistant": EventSource.LLM}
_ROLES: Final = {EventSource.USER: "user", EventSource.LLM: "assistant", EventSource.SYSTEM: "system"}
_SAID: Final = frozenset({EventType.MESSAGE, EventType.TOOL_CALL, EventType.TOOL_RESULT})
_SAID_BY_IDENTITY: Final = frozenset(map(id, _SAID))
_SPOKEN: Final = _SAID | {EventType.SUMMARY}


def event_from_message(message: Mapping[str, Any], **fields: Any) -> SessionEvent[Any]:
    """Return the event that keeps a chat message of any shape as it is: every key, in its order, nulls too.

    `fields` are further fields of the event: `id`, `task_id`, `token_usage` and so on. Raises InvalidEvent for what has
    no role and is of no shape that is known here.
    """
    role = message.get("role")
    if not (isinstance(role, str) and role) and shape_of(message) is None:
        raise InvalidEvent(
            f"a chat message needs a role, this one has {shown(role)}, and is of no other known shape: "
            f"{shown(dict(message))}",
            path="role",
        )
    read = read_message(message)
    source = _SOURCES.get(read.role, EventSource.SYSTEM)
    return SessionEvent(message=dict(message), source=source, type=_kind(read), **fields)


def chat_messages(events: Iterable[SessionEvent[Any] | EventMessage]) -> list[ChatMessage]:
    """Return the chat messages that `events` hold, in order; what was never said to a model is left out.

    Raises InvalidEvent for a message that JSON cannot hold.
    """
    found = (message_from_event(event) for event in events)
    return [message for message in found if message is not None]


def are_chat_messages(columns: MessageColumns) -> bool:
    """Tell whether all events hold a message with a role, which is sent as it is; without a look at each event."""
    if not (are_said(columns) and set(map(type, columns.messages)) <= {dict}):
        return False
    return {type(message.get("role")) for message in columns.messages} <= {str}


def are_said(columns: MessageColumns) -> bool:
    """Tell whether all events are of types that say something to a model, whatever they hold; summaries are not."""
    # By identity: the hash of an enum's member takes longer than all the rest.
    return set(map(id, columns.types)) <= _SAID_BY_IDENTITY


def message_from_event(event: SessionEvent[Any] | EventMessage) -> ChatMessage | None:
    """Return the chat message of an event, or None for a reference, a bridge, an own type, or no payload.

    A compaction is none either: it is shown in the place of what it stands for, or not at all. Plain text speaks with
    the role of its source, but for what tools and summaries say; other JSON goes in as text.
    """
    message = event.message
    if message is None or event.type not in _SPOKEN:
        return None
    if event.type is EventType.SUMMARY and compaction_in(event.type, event.metadata) is not None:
        return None
    if isinstance(message, dict) and (isinstance(message.get("role"), str) or shape_of(message) is not None):
        return message
    is_content = isinstance(message, str | list)
    return {"role": _role(event), "content": message if is_content else json_text(message, "message")}


def source_of(role: str) -> EventSource:
    """Return who speaks in a role; tools, developers and unknown roles speak as SYSTEM."""
    return {"user": EventSource.USER, "assistant": EventSource.LLM}.get(role, EventSource.SYSTEM)


def json_text(value: Any, what: str) -> str:
    """Return `value` as JSON text. Raises InvalidEvent, naming `what`, when JSON cannot hold it."""
    return encode_value(value, unlimited(), what).decode()


def _kind(message: Message) -> EventType:
    if any(isinstance(part, Result) and not part.is_hosted for part in message.parts):
        has_calls = message.role == "assistant"
        return EventType.TOOL_CALL if has_calls else EventType.TOOL_RESULT
    has_calls = any(isinstance(part, Call) for part in message.parts)
    return EventType.TOOL_CALL if message.role == "assistant" and has_calls else EventType.MESSAGE


def _role(event: SessionEvent[Any] | EventMessage) -> str:
    # Neither a tool nor a model may speak with the system's authority. A tool's text without its call cannot be given
    # in the tool's own role: every provider would refuse it.
    if event.type == EventType.TOOL_CALL:
        return "assistant"
    if event.type == EventType.TOOL_RESULT or (event.type == EventType.SUMMARY and event.source is EventSource.LLM):
        return "user"
    return _ROLES[event.source]
