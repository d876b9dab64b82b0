"""The state that sessions share: that of an app, and that of a user of an app, each a session of its own.

An append that changes it takes several commits. The first one, of the session, keeps what is to be shared in a
property; the others set it, key by key, under write ids of their own; then the property goes. Whoever reads a session
with such a property does what is left, so that nothing is lost where a process dies in between, nor set twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import SessionAlreadyExists, SessionNotFound
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session

_PENDING = "adk_to_share:"
_ID, APP, USER = "id", "app", "user"
_CREATE_TRIES = 8

# What is to be set in the state of the app and in that of the user, and an id that says so once.
SharedDelta = Mapping[str, Any]


def shared_delta(app: Mapping[str, Any], user: Mapping[str, Any]) -> SharedDelta | None:
    """Return what is to be shared; None when that is nothing."""
    return {_ID: hidden_id(), APP: app, USER: user} if app or user else None


def pending(name: str, delta: SharedDelta | None) -> dict[str, Any]:
    """Return the property that keeps a delta until it is shared; `name` tells it from others of the session."""
    return {} if delta is None else {_PENDING + name: delta}


async def share_pending(sessions: SessionManager, session: Session[Any], *, app_id: str, user_id: str) -> None:
    """Share all that a session, as it was read, still keeps."""
    for key, delta in session.metadata.properties.items():
        if key.startswith(_PENDING):
            await share(sessions, session.id, key.removeprefix(_PENDING), delta, app_id=app_id, user_id=user_id)


async def share(
    sessions: SessionManager, session_id: str, name: str, delta: SharedDelta, *, app_id: str, user_id: str
) -> None:
    """Set a delta in the states of the app and of the user, once, and remove the property that has kept it."""
    for shared_id, part in ((app_id, delta[APP]), (user_id, delta[USER])):
        if part:
            await _set_once(sessions, shared_id, part, delta[_ID])
    done = SessionChange(unset_properties=[_PENDING + name])
    try:
        await retry_if_unknown(lambda: sessions.store.commit(session_id, done))
    except SessionNotFound:
        return  # it was deleted meanwhile


async def states(sessions: SessionManager, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the shared states in the order of the ids; {} where nothing was ever shared."""
    found = await sessions.store.get_many(ids, last=0)
    return [{} if session is None else session.state for session in found]


async def _set_once(sessions: SessionManager, id: str, values: Mapping[str, Any], write_id: str) -> None:
    store, change = sessions.store, SessionChange(set_state=values)
    for _ in range(_CREATE_TRIES):
        try:
            await retry_if_unknown(lambda: store.commit(id, change, write_id=write_id))
            return
        except SessionNotFound:
            pass
        try:
            # Sessions may expire; what an app or a user has for good does not.
            await retry_if_unknown(lambda: store.create(id, change=change, write_id=write_id, expires=False))
            return
        except SessionAlreadyExists:
            continue
    raise SessionNotFound(id)
