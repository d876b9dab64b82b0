"""The commit of an event with the state that it changes, for writers who may be late."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import InvalidEvent, SessionConflict, SessionNotFound
from a2a_session_manager.integrations.google_adk.border import StaleSessionError
from a2a_session_manager.integrations.google_adk.records import content_id, with_derived_id
from a2a_session_manager.integrations.google_adk.shared_state import SharedDelta, pending
from a2a_session_manager.integrations.google_adk.stored import TIME
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import CommitResult, SessionChange
from a2a_session_manager.models.session_event import SessionEvent

_TRIES = 8
_STALE = (
    "The session has been modified in storage since it was loaded: get it again before appending more events to it."
)


async def commit_event(
    sessions: SessionManager,
    our_id: str,
    event: SessionEvent[Any],
    *,
    state: Mapping[str, Any],
    shared: SharedDelta | None,
    timestamp: float,
    marker: str | None,
) -> CommitResult:
    """Commit an event with its state; under another id where its own is that of another event.

    `marker` says which event was the newest when the writer has read the session, and None that it does not matter.
    Raises SessionNotFound and StaleSessionError.
    """
    write_id = content_id(event)

    def change(stored_as: SessionEvent[Any]) -> SessionChange:
        return SessionChange(
            events=[stored_as],
            set_state=state,
            set_properties={TIME: timestamp, **pending(write_id, shared)},
        )

    try:
        return await _commit(sessions, our_id, change(event), write_id, marker)
    except InvalidEvent as error:
        if error.seq is None:
            raise
        return await _commit(sessions, our_id, change(with_derived_id(event)), write_id, marker)


async def _commit(
    sessions: SessionManager, our_id: str, change: SessionChange, write_id: str, marker: str | None
) -> CommitResult:
    store = sessions.store
    if marker is None:
        return await retry_if_unknown(lambda: store.commit(our_id, change, write_id=write_id))
    for _ in range(_TRIES):
        head = await store.get(our_id, last=0)
        if head is None:
            raise SessionNotFound(our_id)
        guard: int | None = head.revision
        if str(head.last_seq) != marker:
            if (await store.events_by_id(our_id, change.events[0].id)) == [None]:
                raise StaleSessionError(_STALE)
            guard = None  # it is there already, and sent again
        commit = partial(store.commit, our_id, change, expected_revision=guard, write_id=write_id)
        try:
            return await retry_if_unknown(commit)
        except SessionConflict:
            continue  # perhaps only properties have changed: the next look tells
    raise StaleSessionError(_STALE)
