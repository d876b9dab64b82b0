"""The newest events of a session, and how full they leave a model's context."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import decides_context
from a2a_session_manager.protocols import ReadableStore

_FIRST_LOOK = 20


async def newest(store: ReadableStore, session: Session[Any] | str, *, last: int | None) -> Session[Any]:
    """Return a fresh read of `session` with its newest `last` events, None for all of them.

    Raises SessionNotFound, also when the id belongs to a later session by now.
    """
    session_id, creation_id = (session.id, session.creation_id) if isinstance(session, Session) else (session, None)
    found = await store.get(session_id, last=last)
    if found is None or creation_id not in (None, found.creation_id):
        raise SessionNotFound(session_id)
    return found


async def context_size(store: ReadableStore, session: Session[Any] | str) -> int | None:
    """Return `Session.context_size` as it is in the store: one read, unless the newest events tell nothing of it."""
    last = _FIRST_LOOK
    while True:
        found = await newest(store, session, last=last)
        is_told = any(map(decides_context, found.events))
        has_asked = found.forked_from is not None or found.token_summary.total.requests
        if is_told or not found.earlier_events or not has_asked:
            return found.context_size
        last *= 2
