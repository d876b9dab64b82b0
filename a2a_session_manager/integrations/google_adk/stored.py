"""Sessions of ours as the ADK's: how they are read, and what their properties say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.adk.sessions.base_session_service import GetSessionConfig
from google.adk.sessions.session import Session as ADKSession
from google.adk.sessions.state import State

from a2a_session_manager.integrations.foreign_formats import ForeignFormat
from a2a_session_manager.integrations.foreign_ids import parts_of
from a2a_session_manager.integrations.google_adk.records import RECORD, event_from_stored
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

FORMAT = ForeignFormat("ADK", "adk_format")
USER, ID, TIME = "adk_user_id", "adk_session_id", "adk_last_update_time"
_FIRST_READ = 64


async def read_session(sessions: SessionManager, our_id: str, config: GetSessionConfig) -> Session[Any] | None:
    """Return the session with those of its events that are the ADK's, and asked for."""
    if config.after_timestamp is not None:
        return await _read_since(sessions, our_id, config.after_timestamp, config.num_recent_events)
    session = await sessions.store.get(our_id, last=config.num_recent_events)
    if session is not None and len(_records(session)) < len(session.events):  # somebody else's are among them
        records = await sessions.store.events(session, type=RECORD)
        last = len(records) if config.num_recent_events is None else config.num_recent_events
        session.events[:] = records[max(len(records) - last, 0) :]
    return session


async def _read_since(sessions: SessionManager, our_id: str, since: float, last: int | None) -> Session[Any] | None:
    """Return the session with the events after the newest one that is older, of which there may be `last` at most."""
    size = _FIRST_READ
    while True:
        session = await sessions.store.get(our_id, last=size)
        if session is None:
            return None
        records = _records(session)
        newer = records[max((at for at, each in enumerate(records, 1) if _time_of(each) < since), default=0) :]
        if len(newer) < len(records) or not session.earlier_events or (last is not None and len(newer) >= last):
            session.events[:] = newer if last is None else newer[max(len(newer) - last, 0) :]
            return session
        size *= 4


def _records(session: Session[Any]) -> list[SessionEvent[Any]]:
    return [event for event in session.events if event.type == RECORD]


def theirs_of(
    session: Session[Any], app_name: str, app_state: Mapping[str, Any], user_state: Mapping[str, Any]
) -> ADKSession:
    """Return the ADK's session for one of ours as it was read, and the states that it shares.

    Its names are those in our id: a fork has the properties of its source.
    """
    _, _, user_id, their_id = parts_of(session.id)
    properties = session.metadata.properties
    theirs = ADKSession(
        app_name=app_name,
        user_id=user_id,
        id=their_id,
        state={
            **session.state,
            **{State.APP_PREFIX + key: value for key, value in app_state.items()},
            **{State.USER_PREFIX + key: value for key, value in user_state.items()},
        },
        events=[event_from_stored(session.id, event) for event in session.events],
        last_update_time=properties[TIME],
    )
    theirs._storage_update_marker = str(session.last_seq)
    return theirs


def user_of(session: Session[Any]) -> str:
    """Return whose session it is."""
    return parts_of(session.id)[2]


def _time_of(event: SessionEvent[Any]) -> float:
    """Return when an event was; one that the ADK cannot read is named by who reads it."""
    time = event.message.get("timestamp") if isinstance(event.message, dict) else None
    return float(time) if isinstance(time, int | float) else 0.0
