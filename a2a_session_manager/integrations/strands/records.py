"""Sessions, agents and messages of Strands as JSON, and the ids of our sessions that hold them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from strands.types.session import SessionMessage, decode_bytes_values, encode_bytes_values

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent
from a2a_session_manager.integrations.foreign_formats import ForeignFormat
from a2a_session_manager.integrations.foreign_ids import joined_id
from a2a_session_manager.models.session_event import SessionEvent

# The type of our events that hold a message.
RECORD = "strands_message"
FORMAT = ForeignFormat("Strands", "strands_format")

ReadT = TypeVar("ReadT")

_FIELDS = tuple(inspect.signature(SessionMessage).parameters)


def session_of(session_id: str) -> str:
    """Return the id of our session for one of Strands'. Raises InvalidSessionOperation for what cannot be one."""
    return joined_id("session", session_id)


def agent_of(session_id: str, agent_id: str) -> str:
    """Return the id of our session for an agent of one. Raises InvalidSessionOperation for what cannot be one."""
    return joined_id("session", session_id, agent_id)


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


def message_record(message: SessionMessage) -> Any:
    """Return a message as JSON values. Raises InvalidEvent for one that is none."""
    what = f"message {message.message_id!r}"
    try:
        return plain(what, encode_bytes_values({name: getattr(message, name) for name in _FIELDS}))
    except InvalidEvent:  # its own way, which copies all of it once more, also takes dataclasses apart
        return plain(what, message.to_dict())


def message_from(record: Mapping[str, Any]) -> SessionMessage:
    """Return the message of a record, as its `from_dict` does, which looks its own fields up for each one."""
    return SessionMessage(**decode_bytes_values({name: record[name] for name in _FIELDS if name in record}))


def message_id_of(event: SessionEvent[Any]) -> Any:
    """Return the number that Strands gave to a message, which is no id: two workers give the same one."""
    return event.message.get("message_id") if isinstance(event.message, dict) else None
