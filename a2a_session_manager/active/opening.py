"""Reading a session, or creating it when it is not there."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import SessionStore

_TRIES = 8
_FIRST_PAUSE_SECONDS = 0.001


async def open_session(
    store: SessionStore,
    id: str | None,
    *,
    parent: Session[Any] | str | None = None,
    last: int | None = 0,
    change: SessionChange | None = None,
) -> Session[Any]:
    """Return the session of this id, or create it holding `change`; two callers at once get the same one.

    Raises InvalidSessionOperation when it exists below another parent.
    """
    if id is None:
        return await store.create(parent_id=parent, change=change)
    for attempt in range(_TRIES):
        found = await store.get(id, last=last)
        if found is not None:
            return _checked_parent(found, parent)
        try:
            return await store.create(id, parent_id=parent, change=change)
        except SessionAlreadyExists:
            # Somebody was faster: read theirs, unless it is deleted again by then.
            await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))
    raise SessionAlreadyExists(id)


def _checked_parent(session: Session[Any], parent: Session[Any] | str | None) -> Session[Any]:
    parent_id = parent.id if isinstance(parent, Session) else parent
    if parent_id is not None and session.parent_id != parent_id:
        raise InvalidSessionOperation(
            f"session {session.id!r} exists below {session.parent_id!r}, not below {parent_id!r}: "
            "a parent never changes; choose another id",
            session_id=session.id,
        )
    return session
