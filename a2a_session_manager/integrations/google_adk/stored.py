"""Sessions of ours as the ADK's: how they are read, and what their properties say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.session import Session as ADKSession
from google.adk.sessions.state import State

from a2a_session_manager.integrations.foreign_formats import ForeignFormat
from a2a_session_manager.integrations.google_adk.records import RECORD, event_from_stored
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

FORMAT = ForeignFormat("ADK", "adk_format")
USER, ID, TIME = "adk_user_id", "adk_session_id", "adk_last_update_time"
_FIRST_READ = 64


async def read_session(sessions: SessionManager, our_id: str, config: GetSessionConfig) -> Session[Any] | None:
    """Return the session with the events that are asked for."""
    last = config.num_recent_events
    if config.after_timestamp is None:
        return await sessions.store.get(our_id, last=last)
    size = _FIRST_READ
    while True:
        size = size if last is None else min(size, last)
        session = await sessions.store.get(our_id, last=size)
        if session is None:
            return None
        older = [place for place, event in enumerate(session.events) if _time_of(event) < config.after_timestamp]
        if older or not session.earlier_events or size == last:
            break
        size *= 4
    if older:
        del session.events[: older[-1] + 1]
    return session


def theirs_of(
    session: Session[Any], app_name: str, app_state: Mapping[str, Any], user_state: Mapping[str, Any]
) -> ADKSession:
    """Return the ADK's session for one of ours as it was read, and the states that it shares."""
    FORMAT.check(session)
    properties = session.metadata.properties
    theirs = ADKSession(
        app_name=app_name,
        user_id=properties[USER],
        id=properties[ID],
        state={
            **session.state,
            **{State.APP_PREFIX + key: value for key, value in app_state.items()},
            **{State.USER_PREFIX + key: value for key, value in user_state.items()},
        },
        events=[event_from_stored(session.id, event) for event in session.events if event.type == RECORD],
        last_update_time=properties[TIME],
    )
    theirs._storage_update_marker = str(session.last_seq)
    return theirs


def user_of(session: Session[Any]) -> str:
    """Return whose session it is. Raises CorruptSession."""
    FORMAT.check(session)
    return str(session.metadata.properties[USER])


def _time_of(event: SessionEvent[Any]) -> float:
    return float(event.message.get("timestamp", 0.0))
