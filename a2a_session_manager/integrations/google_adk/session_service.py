"""ADKSessionService: the ADK's session service over sessions of ours."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig, ListSessionsResponse
from google.adk.sessions.session import Session as ADKSession

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import SessionAlreadyExists, SessionNotFound
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.integrations.foreign_ids import parts_of
from a2a_session_manager.integrations.google_adk.appends import commit_event
from a2a_session_manager.integrations.google_adk.border import (
    app_state_of,
    session_of,
    sessions_of,
    their_errors,
    user_state_of,
)
from a2a_session_manager.integrations.google_adk.records import StateDelta, content_id, event_to_store
from a2a_session_manager.integrations.google_adk.shared_state import (
    SharedDelta,
    pending,
    share,
    share_pending,
    shared_delta,
    states,
)
from a2a_session_manager.integrations.google_adk.stored import (
    FORMAT,
    ID,
    TIME,
    USER,
    read_session,
    theirs_of,
    user_of,
)
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session

_AT_ONCE = 100
_PARTS = 4  # of the id of a session: others of the namespace may begin like it


class ADKSessionService(BaseSessionService):
    """The ADK's session service: each of its sessions is one of ours, and each event an event of it.

    An event that is sent again, by its id, changes nothing. The state of an app and of a user are sessions of their
    own that never expire; deltas of any number of writers are all kept, key by key. The verbs raise the ADK's errors,
    which are ValueErrors but for AlreadyExistsError, with ours as the cause; StoreUnavailable and StoreFull come as
    they are, since the ADK has no such error.

    Args:
        sessions: the manager of the store, or of a namespace of it, which has nothing else in it. It stays open.
        refuse_stale: refuse an append to a session that somebody else has appended to since it was read, as the ADK's
            SQL services do. By default both events are kept, in the order in which they came.
    """

    def __init__(self, sessions: SessionManager, *, refuse_stale: bool = False) -> None:
        self._sessions = sessions
        self._refuse_stale = refuse_stale

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> ADKSession:
        """Create a session, and set the state that it begins with; raises AlreadyExistsError when the id is taken.

        Spaces around `session_id` do not count; without one, a random one is made.
        """
        their_id = (session_id or "").strip() or str(uuid4())
        with their_errors():
            delta = StateDelta.of(state)
            our_id, write_id = session_of(app_name, user_id, their_id), hidden_id()
            change = SessionChange(
                set_state=delta.session,
                set_properties={
                    **FORMAT.as_property(),
                    USER: user_id,
                    ID: their_id,
                    TIME: time.time(),
                    **pending(write_id, shared_delta(delta.app, delta.user)),
                },
            )
            try:
                session = await retry_if_unknown(
                    lambda: self._sessions.store.create(our_id, change=change, write_id=write_id)
                )
            except SessionAlreadyExists as error:
                raise AlreadyExistsError(f"Session with id {their_id} already exists.") from error
            return await self._as_theirs(session, app_name)

    async def get_session(
        self,
        *,
        app_name: str,
        user_id: str,
        session_id: str,
        config: GetSessionConfig | None = None,
    ) -> ADKSession | None:
        """Return the session with its events, oldest first, and the merged state; None when there is none.

        `config` may ask for the newest events only, by their number or since a time, which reads no more than that.
        """
        with their_errors():
            our_id = session_of(app_name, user_id, session_id.strip() if session_id else session_id)
            session = await read_session(self._sessions, our_id, config or GetSessionConfig())
            return None if session is None else await self._as_theirs(session, app_name)

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """Return the sessions of a user, or of all users, without events: the one last that was updated last."""
        with their_errors():
            store, app_id = self._sessions.store, app_state_of(app_name)
            ids = await store.list_sessions(sessions_of(app_name, user_id))
            found: list[Session[Any]] = []
            for start in range(0, len(ids), _AT_ONCE):
                page = await store.get_many(ids[start : start + _AT_ONCE], last=0)
                found += [each for each in page if each is not None and len(parts_of(each.id)) == _PARTS]
            for session in found:
                await self._share_pending(session, app_name)
            users = sorted({user_of(session) for session in found})
            shared_ids = [app_id, *(user_state_of(app_name, user) for user in users)]
            app_state, *user_states = await states(self._sessions, shared_ids)
            state_of = dict(zip(users, user_states, strict=True))
            listed = [theirs_of(session, app_name, app_state, state_of[user_of(session)]) for session in found]
        listed.sort(key=lambda session: (session.last_update_time, session.user_id, session.id))
        return ListSessionsResponse(sessions=listed)

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Delete the session; one that is not there is fine. The states of the app and of the user stay."""
        with their_errors():
            our_id = session_of(app_name, user_id, session_id.strip() if session_id else session_id)
            session = await self._sessions.store.get(our_id, last=0)
            if session is not None:
                await self._share_pending(session, app_name)
                await retry_if_unknown(lambda: self._sessions.store.delete(session, children="cascade"))

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """Return the state that the user has in all sessions of the app, without the prefix; {} when there is none."""
        with their_errors():
            [state] = await states(self._sessions, [user_state_of(app_name, user_id)])
        return state

    async def append_event(self, session: ADKSession, event: Event) -> Event:
        """Append an event to the stored session and, once that is done, to the caller's; a partial one to neither.

        Raises SessionNotFoundError, and with `refuse_stale` StaleSessionError, a ValueError before ADK 2.10.
        """
        if event.partial:
            return event
        self._apply_temp_state(session, event)
        event = self._trim_temp_delta_state(event)
        with their_errors():
            our_id = session_of(session.app_name, session.user_id, session.id)
            ours, delta = event_to_store(event), StateDelta.of(event.actions.state_delta)
            shared = shared_delta(delta.app, delta.user)
            try:
                result = await commit_event(
                    self._sessions,
                    our_id,
                    ours,
                    state=delta.session,
                    shared=shared,
                    timestamp=event.timestamp,
                    marker=session._storage_update_marker if self._refuse_stale else None,
                )
            except SessionNotFound as error:
                raise SessionNotFoundError(f"Session {session.id} not found.") from error
            [stored] = result.events
            if shared is not None:
                await self._share(our_id, session, content_id(ours), shared, is_repeat=stored.is_repeat)
        if stored.is_repeat and any(known.id == event.id and known == event for known in session.events):
            return event
        self._update_session_state(session, event)
        session.events.append(event)
        session.last_update_time = event.timestamp
        session._storage_update_marker = str(result.last_seq)
        return event

    async def _as_theirs(self, session: Session[Any], app_name: str) -> ADKSession:
        await self._share_pending(session, app_name)
        ids = [app_state_of(app_name), user_state_of(app_name, user_of(session))]
        return theirs_of(session, app_name, *await states(self._sessions, ids))

    async def _share(
        self, our_id: str, session: ADKSession, name: str, shared: SharedDelta, *, is_repeat: bool
    ) -> None:
        """Share what an append has brought: once also where it was sent before, in which case that one's is kept."""
        app_id, user_id = app_state_of(session.app_name), user_state_of(session.app_name, session.user_id)
        if not is_repeat:
            await share(self._sessions, our_id, name, shared, app_id=app_id, user_id=user_id)
        elif (head := await self._sessions.store.get(our_id, last=0)) is not None:
            await share_pending(self._sessions, head, app_id=app_id, user_id=user_id)

    async def _share_pending(self, session: Session[Any], app_name: str) -> None:
        FORMAT.check(session)
        await share_pending(
            self._sessions,
            session,
            app_id=app_state_of(app_name),
            user_id=user_state_of(app_name, user_of(session)),
        )
