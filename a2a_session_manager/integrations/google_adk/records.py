"""Events and state of the ADK as JSON, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.adk.events.event import Event
from google.adk.sessions.state import State
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError, to_jsonable_python

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent
from a2a_session_manager.identifiers import derived_id
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.usage.recorded import recorded_usage

RECORD = "google_adk_event"
_USER = "user"


@dataclass(frozen=True, slots=True)
class StateDelta:
    """What changes in the state, by whose it is; the keys are without their prefixes. `temp:` is nobody's."""

    app: dict[str, Any] = field(default_factory=dict)
    user: dict[str, Any] = field(default_factory=dict)
    session: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, state: Mapping[str, Any] | None) -> StateDelta:
        """Return the parts of a state with prefixed keys, as JSON values. Raises InvalidEvent for what is none."""
        delta = cls()
        for key, value in (state or {}).items():
            if key.startswith(State.TEMP_PREFIX):
                continue
            whose, name = delta.session, key
            for prefix, part in ((State.APP_PREFIX, delta.app), (State.USER_PREFIX, delta.user)):
                if key.startswith(prefix):
                    whose, name = part, key.removeprefix(prefix)
            try:
                whose[name] = to_jsonable_python(value)
            except (PydanticSerializationError, ValueError, RecursionError) as error:
                raise InvalidEvent(f"state {key!r} is no JSON value: {error}", path=f"state.{key}") from error
        return delta


def event_to_store(event: Event) -> SessionEvent[Any]:
    """Return our event for one of the ADK's, under the same id. Raises InvalidEvent for what is no JSON."""
    try:
        message = event.model_dump(mode="json", exclude_none=True)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise InvalidEvent(f"event {event.id!r} cannot be written as JSON: {error}", event_id=event.id) from error
    delta = event.actions.state_delta
    if delta:  # a None in it is a value, and not left out
        message["actions"]["state_delta"] = to_jsonable_python(delta)
    return SessionEvent(
        id=event.id,
        message=message,
        source=EventSource.USER if event.author == _USER else EventSource.LLM,
        type=RECORD,
        token_usage=None
        if event.usage_metadata is None
        else recorded_usage(
            event.usage_metadata.model_dump(mode="json", exclude_none=True),
            model=getattr(event, "model_version", None),
            provider="google",
        ),
    )


def with_derived_id(event: SessionEvent[Any]) -> SessionEvent[Any]:
    """Return the event under an id that its content decides, for one whose own id is taken by another event."""
    return event.model_copy(update={"id": content_id(event)})


def content_id(event: SessionEvent[Any]) -> str:
    """Return an id that is the same for an event that is sent again, and another one for any other event."""
    return derived_id(f"{event.id}:{json.dumps(event.message, sort_keys=True)}")


def event_from_stored(session_id: str, stored: SessionEvent[Any]) -> Event:
    """Return the ADK's event. Raises CorruptSession for one that the installed release does not read."""
    try:
        return Event.model_validate(stored.message)
    except ValidationError as error:
        raise CorruptSession(
            session_id,
            f"session {session_id!r}: event {stored.seq} is none that the installed google-adk reads: {error}",
            seq=stored.seq,
        ) from error
