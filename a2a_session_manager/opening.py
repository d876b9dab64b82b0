"""Reading a session, or creating it when it is not there."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import SessionStore


async def open_session(
    store: SessionStore,
    id: str | None,
    *,
    parent_id: str | None = None,
    last: int | None = 0,
    change: SessionChange | None = None,
) -> Session[Any]:
    """Return the session of this id, or create it holding `change`; two callers at once get the same one.

    Raises InvalidSessionOperation when it exists below another parent.
    """
    while id is not None:
        found = await store.get(id, last=last)
        if found is not None:
            return _checked_parent(found, parent_id)
        try:
            return await store.create(id, parent_id=parent_id, change=change)
        except SessionAlreadyExists:
            continue  # somebody was faster: read theirs
    return await store.create(parent_id=parent_id, change=change)


def _checked_parent(session: Session[Any], parent_id: str | None) -> Session[Any]:
    if parent_id is not None and session.parent_id != parent_id:
        raise InvalidSessionOperation(
            f"session {session.id!r} exists below {session.parent_id!r}, not below {parent_id!r}: "
            "a parent never changes; choose another id",
            session_id=session.id,
        )
    return session
