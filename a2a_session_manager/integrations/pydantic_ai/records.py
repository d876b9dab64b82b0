"""The record of a conversation in the state of its session."""

from __future__ import annotations

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_ai.conversation_store import ConversationRecord

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.integrations.foreign_ids import joined_id, prefix_of
from a2a_session_manager.models.session import Session

_FIRST: Final = "pydantic-ai"  # of all ids, so that other sessions of the namespace are no conversations
ALL_CONVERSATIONS: Final = prefix_of(_FIRST)
STATE_KEY: Final = "pydantic_ai"
_VERSION: Final = 1
_RECORDS: Final = TypeAdapter(ConversationRecord)


def session_of(conversation_id: str) -> str:
    """Return the id of our session for a conversation. Raises InvalidSessionOperation for what cannot be one."""
    return joined_id(_FIRST, conversation_id)


def as_state(record: ConversationRecord) -> dict[str, Any]:
    """Return a record as it is stored."""
    return {STATE_KEY: {"v": _VERSION, "record": _RECORDS.dump_python(record, mode="json")}}


def record_of(session: Session[Any] | None) -> ConversationRecord | None:
    """Return the record of a session; None for one without, and for a fork that still has that of its source.

    Raises CorruptSession for one of a newer release, and for one that pydantic-ai cannot read any more.
    """
    stored = None if session is None else session.state.get(STATE_KEY)
    if session is None or stored is None:
        return None
    version = stored.get("v")
    if isinstance(version, int) and version > _VERSION:
        raise CorruptSession(session.id, f"{session.id!r} was written by a newer release: upgrade a2a_session_manager")
    try:
        record = _RECORDS.validate_python(stored["record"])
    except (ValidationError, KeyError) as error:
        raise CorruptSession(
            session.id, f"the record of {session.id!r} cannot be read by this release of pydantic-ai"
        ) from error
    return record if session_of(record.conversation_id) == session.id else None
