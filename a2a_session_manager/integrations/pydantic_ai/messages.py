"""Messages of pydantic-ai to events and back: each as its own JSON, with what its response cost."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_ai.conversation_store import ConversationEntry
from pydantic_ai.messages import ModelMessage, ModelResponse

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.models.event_message import EventMessage
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

# The key in the metadata of the events that are messages, which says what comes before each.
MARK: Final = "pydantic_ai"
_VERSION: Final = 1
_MESSAGES: Final[TypeAdapter[ModelMessage]] = TypeAdapter(ModelMessage)


def event_of(message: ModelMessage, id: str, parent_id: str | None = None) -> SessionEvent[Any]:
    """Return the event that holds a message; `parent_id` is the id of the one before it."""
    is_response = isinstance(message, ModelResponse)
    return SessionEvent(
        id=id,
        message=_MESSAGES.dump_python(message, mode="json"),
        source=EventSource.LLM if is_response else EventSource.USER,
        metadata={MARK: {"v": _VERSION, "parent": parent_id}},
        token_usage=_usage(message, id) if isinstance(message, ModelResponse) else None,
    )


def is_message(event: SessionEvent[Any] | EventMessage) -> bool:
    """Tell whether an event holds a message of pydantic-ai."""
    return MARK in event.metadata


def entry_of(event: SessionEvent[Any], session_id: str) -> ConversationEntry:
    """Return the entry that an event holds.

    Raises CorruptSession for one of a newer release, and for a message that pydantic-ai cannot read any more.
    """
    mark = event.metadata.get(MARK)
    if not isinstance(mark, dict) or mark.get("v") != _VERSION:
        raise CorruptSession(
            session_id, f"entry {event.id!r} was written by a newer release: upgrade a2a_session_manager"
        )
    return ConversationEntry(id=event.id, parent_id=mark.get("parent"), message=message_of(event, session_id))


def message_of(event: SessionEvent[Any] | EventMessage, session_id: str) -> ModelMessage:
    """Return the message that an event holds. Raises CorruptSession for one that pydantic-ai cannot read any more."""
    try:
        return _MESSAGES.validate_python(event.message)
    except ValidationError as error:
        raise CorruptSession(
            session_id,
            f"message {event.id!r} cannot be read by this release of pydantic-ai: take the one that has written it",
        ) from error


def parent_of(event: SessionEvent[Any]) -> str | None:
    """Return the id of the entry before that of an event."""
    parent: str | None = event.metadata[MARK].get("parent")
    return parent


def _usage(response: ModelResponse, entry_id: str) -> TokenUsage:
    """Return what a response cost, under the provider's id of it where there is one."""
    response_id = response.provider_response_id or entry_id
    if not response.usage.has_values():
        return missing_usage(response.model_name or "", response.provider_name, response_id=response_id)
    return recorded_usage(
        response.usage, model=response.model_name, provider=response.provider_name, response_id=response_id
    )
