"""ADKSessionService: the ADK's session service over sessions of ours."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import uuid4

from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.sessions.base_session_service import BaseSessionService, GetSessionConfig, ListSessionsResponse
from google.adk.sessions.session import Session as ADKSession
from google.adk.sessions.state import State

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import (
    CorruptSession,
    InvalidEvent,
    SessionAlreadyExists,
    SessionConflict,
    SessionNotFound,
)
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.integrations.google_adk.border import (
    StaleSessionError,
    app_state_of,
    session_of,
    sessions_of,
    their_errors,
    user_state_of,
)
from a2a_session_manager.integrations.google_adk.records import (
    RECORD,
    StateDelta,
    content_id,
    event_from_stored,
    event_to_store,
    with_derived_id,
)
from a2a_session_manager.integrations.google_adk.shared_state import (
    SharedDelta,
    pending,
    share,
    share_pending,
    shared_delta,
    states,
)
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import CommitResult, SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

_FORMAT = 1
_FORMAT_KEY, _USER, _ID, _TIME = "adk_format", "adk_user_id", "adk_session_id", "adk_last_update_time"
_AT_ONCE = 100
_TRIES = 8
_FIRST_READ = 64
_STALE = (
    "The session has been modified in storage since it was loaded: get it again before appending more events to it."
)


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
                    _FORMAT_KEY: _FORMAT,
                    _USER: user_id,
                    _ID: their_id,
                    _TIME: time.time(),
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
            session = await self._read(our_id, config or GetSessionConfig())
            return None if session is None else await self._as_theirs(session, app_name)

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """Return the sessions of a user, or of all users, without events: the one last that was updated last."""
        with their_errors():
            store, app_id = self._sessions.store, app_state_of(app_name)
            ids = await store.list_sessions(sessions_of(app_name, user_id))
            found: list[Session[Any]] = []
            for start in range(0, len(ids), _AT_ONCE):
                page = await store.get_many(ids[start : start + _AT_ONCE], last=0)
                found += [session for session in page if session is not None]
            for session in found:
                await self._share_pending(session, app_name)
            users = sorted({_user_of(session) for session in found})
            shared_ids = [app_id, *(user_state_of(app_name, user) for user in users)]
            app_state, *user_states = await states(self._sessions, shared_ids)
            state_of = dict(zip(users, user_states, strict=True))
            listed = [_theirs(session, app_name, app_state, state_of[_user_of(session)]) for session in found]
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
                result = await self._commit(our_id, session, ours, delta.session, shared, event.timestamp)
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

    async def _commit(
        self,
        our_id: str,
        session: ADKSession,
        event: SessionEvent[Any],
        state: Mapping[str, Any],
        shared: SharedDelta | None,
        timestamp: float,
    ) -> CommitResult:
        """Commit the event with its state; under another id where its own is that of another event."""
        write_id = content_id(event)

        def change(stored_as: SessionEvent[Any]) -> SessionChange:
            return SessionChange(
                events=[stored_as],
                set_state=state,
                set_properties={_TIME: timestamp, **pending(write_id, shared)},
            )

        try:
            return await self._commit_guarded(our_id, session, change(event), write_id)
        except InvalidEvent as error:
            if error.seq is None:
                raise
            return await self._commit_guarded(our_id, session, change(with_derived_id(event)), write_id)

    async def _commit_guarded(
        self, our_id: str, session: ADKSession, change: SessionChange, write_id: str
    ) -> CommitResult:
        store = self._sessions.store
        marker = session._storage_update_marker
        if not self._refuse_stale or marker is None:
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

    async def _read(self, our_id: str, config: GetSessionConfig) -> Session[Any] | None:
        """Return the session with the events that are asked for."""
        last = config.num_recent_events
        if config.after_timestamp is None:
            return await self._sessions.store.get(our_id, last=last)
        size = _FIRST_READ
        while True:
            size = size if last is None else min(size, last)
            session = await self._sessions.store.get(our_id, last=size)
            if session is None:
                return None
            older = [place for place, event in enumerate(session.events) if _time_of(event) < config.after_timestamp]
            if older or not session.earlier_events or size == last:
                break
            size *= 4
        if older:
            del session.events[: older[-1] + 1]
        return session

    async def _as_theirs(self, session: Session[Any], app_name: str) -> ADKSession:
        await self._share_pending(session, app_name)
        ids = [app_state_of(app_name), user_state_of(app_name, _user_of(session))]
        return _theirs(session, app_name, *await states(self._sessions, ids))

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
        _check_format(session)
        await share_pending(
            self._sessions,
            session,
            app_id=app_state_of(app_name),
            user_id=user_state_of(app_name, _user_of(session)),
        )


def _theirs(
    session: Session[Any], app_name: str, app_state: Mapping[str, Any], user_state: Mapping[str, Any]
) -> ADKSession:
    _check_format(session)
    properties = session.metadata.properties
    theirs = ADKSession(
        app_name=app_name,
        user_id=properties[_USER],
        id=properties[_ID],
        state={
            **session.state,
            **{State.APP_PREFIX + key: value for key, value in app_state.items()},
            **{State.USER_PREFIX + key: value for key, value in user_state.items()},
        },
        events=[event_from_stored(session.id, event) for event in session.events if event.type == RECORD],
        last_update_time=properties[_TIME],
    )
    theirs._storage_update_marker = str(session.last_seq)
    return theirs


def _check_format(session: Session[Any]) -> None:
    written = session.metadata.properties.get(_FORMAT_KEY)
    if written != _FORMAT:
        raise CorruptSession(
            session.id,
            f"session {session.id!r} has format {written!r} of the ADK bridge, and this release reads {_FORMAT}: "
            "update a2a_session_manager, or give the bridge a namespace of its own",
        )


def _user_of(session: Session[Any]) -> str:
    _check_format(session)
    return str(session.metadata.properties[_USER])


def _time_of(event: SessionEvent[Any]) -> float:
    return float(event.message.get("timestamp", 0.0))
