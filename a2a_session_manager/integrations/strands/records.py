"""Sessions, agents and messages of Strands as JSON, and the ids of our sessions that hold them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.namespaces import path_of

# The type of our events that hold a message.
RECORD = "strands_message"
FORMAT = 1
FORMAT_KEY = "strands_format"

ReadT = TypeVar("ReadT")


def session_of(session_id: str) -> str:
    """Return the id of our session for one of Strands'."""
    return f"session/{path_of((_text('session_id', session_id),))}"


def agent_of(session_id: str, agent_id: str) -> str:
    """Return the id of our session for an agent of one."""
    return f"{session_of(session_id)}/{path_of((_text('agent_id', agent_id),))}"


def plain(what: str, value: Any) -> Any:
    """Return a value as JSON values. Raises InvalidEvent, which calls it `what`, for one that is none."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidEvent(f"{what} cannot be written as JSON: {error}") from error


def read_as(session_id: str, read: Callable[[Any], ReadT], value: Any) -> ReadT:
    """Return what `read` makes of a stored value. Raises CorruptSession where Strands cannot read it."""
    try:
        return read(value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CorruptSession(
            session_id,
            f"session {session_id!r} holds a record that the installed strands-agents does not read: {error}",
        ) from error


def checked_format(session: Session[Any]) -> Session[Any]:
    """Return a session as it was read. Raises CorruptSession for what a newer release has written in another way."""
    written = session.metadata.properties.get(FORMAT_KEY)
    if written != FORMAT:
        raise CorruptSession(
            session.id,
            f"session {session.id!r} has format {written!r} of the Strands bridge, and this release reads {FORMAT}: "
            "update a2a_session_manager, or give the bridge a namespace of its own",
        )
    return session


def message_id_of(event: SessionEvent[Any]) -> Any:
    """Return the number that Strands gave to a message, which is no id: two workers give the same one."""
    return event.message.get("message_id")


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidSessionOperation(f"{name}={shown(value)} cannot be used: take a text that is not empty")
    return value
