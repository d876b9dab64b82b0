"""What changed in a session since it was read, or all that a new one holds: what `save` sends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import hidden_id, shown
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.clock import micros, moment, now_micros
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.sync_state import SyncState
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.serialization.values import inline_or_thread
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Parent
from a2a_session_manager.storage.encoding import (
    EVENT_VALUES,
    NOTHING_KNOWN,
    check_commit,
    encode_compactions,
    encode_events,
    encode_runs,
    encode_values,
)


@dataclass(frozen=True, slots=True, eq=False)
class Save:
    """One save, exactly as it is sent: the session keeps it until its outcome is known.

    `events` are the session's own objects that the commit appends.
    """

    store: SessionStore
    creation: Creation | None
    commit: EncodedCommit
    events: Sequence[SessionEvent[Any]]


def check_shape(session: object) -> None:
    """Refuse what is no session, and a session whose fields hold something else: they let anything be assigned.

    Raises InvalidSessionOperation.
    """
    if not isinstance(session, Session):
        raise InvalidSessionOperation(f"{shown(session)} is no session: pass the Session to save")
    kinds = {"events": list, "runs": list, "state": dict, "metadata": SessionMetadata}
    found = {name: getattr(session, name) for name in kinds}
    if isinstance(found["metadata"], SessionMetadata):
        kinds["metadata.properties"] = dict
        found["metadata.properties"] = found["metadata"].properties
    for name, kind in kinds.items():
        if not isinstance(found[name], kind):
            raise InvalidSessionOperation(f"session.{name} is a {type(found[name]).__name__}: assign a {kind.__name__}")
    # As a whole these have been checked, unless model_copy or model_construct made them.
    SessionMetadata(created_at=session.metadata.created_at, updated_at=session.metadata.updated_at)


def check_may_leave(session: Session[Any]) -> None:
    """Refuse to save a fork where it was not read: what it inherits would be paid for twice.

    Raises InvalidSessionOperation.
    """
    if session.forked_from is not None:
        raise InvalidSessionOperation(
            f"session {session.id!r} is a fork of {session.forked_from.id!r}, and cannot be saved without it: save the "
            "source to the other store and fork it there, or copy the fork with fork(detached=True) first",
            session_id=session.id,
        )


async def changes_of(session: Session[Any], store: SessionStore, limits: StoreLimits) -> Save | None:
    """Return the save of what changed since `session` was read, or None when nothing did.

    Raises InvalidSessionOperation when stored events or runs were removed, moved or replaced, or the id or
    the parent was changed; InvalidEvent for values that cannot be stored.
    """
    sync = session._sync
    assert sync is not None, "a session that is in step with no store is created, not changed"
    known = sync.copied()  # for the thread; the loop goes on changing what is in step
    _check_identity(session, known)
    _check_times(session, known)
    events = _appended(session, known)
    encode = _encoder(session, events, limits, known)

    def encode_changes(check: JsonCheck) -> EncodedCommit:
        return _changes(known, encode(check))

    commit = await inline_or_thread(encode_changes, limits, values_beside=EVENT_VALUES * len(events))
    commit.creation_id = known.creation_id
    commit.compactions = encode_compactions(events, commit)
    check_commit(commit, limits)
    return None if commit.is_empty else Save(store, None, commit, events)


async def creation_of(session: Session[Any], parent: Parent | None, store: SessionStore, limits: StoreLimits) -> Save:
    """Return the save that creates `session` with all it holds, below `parent` if it has one."""
    if session.is_partial:
        raise InvalidSessionOperation(
            f"session {session.id!r} was read without its older events: "
            "read it whole with get(id) before you save it to another store",
            session_id=session.id,
        )
    events = list(session.events)
    encode = _encoder(session, events, limits)
    commit = await inline_or_thread(encode, limits, values_beside=EVENT_VALUES * len(events))
    check_commit(commit, limits)
    return Save(store, _creation(session, parent, commit), commit, events)


def _creation(session: Session[Any], parent: Parent | None, commit: EncodedCommit) -> Creation:
    metadata = session.metadata
    created_at = micros(metadata.created_at)
    if session._sync is not None or "updated_at" in metadata.model_fields_set:
        return Creation(hidden_id(), created_at, parent, micros(metadata.updated_at))
    return Creation(hidden_id(), created_at, parent, max(created_at, commit.written_at))


def _encoder(
    session: Session[Any], events: Sequence[SessionEvent[Any]], limits: StoreLimits, known: SyncState | None = None
) -> Callable[[JsonCheck], EncodedCommit]:
    """Return the function that encodes the session as it is now, also in a thread while the session changes."""
    state, properties, runs = dict(session.state), dict(session.metadata.properties), list(session.runs)
    known_state, known_properties, known_runs = (
        (NOTHING_KNOWN,) * 3 if known is None else (known.state, known.properties, known.runs)
    )

    def encode(check: JsonCheck) -> EncodedCommit:
        return EncodedCommit(
            events=encode_events(events, check, limits),
            state=encode_values(state, check, limits, "state", known=known_state),
            properties=encode_values(properties, check, limits, "properties", known=known_properties),
            runs=encode_runs(runs, check, limits, known=known_runs),
            written_at=now_micros(),
            write_id=hidden_id(),
        )

    return encode


def _check_identity(session: Session[Any], known: SyncState) -> None:
    if session.id != known.session_id:
        raise InvalidSessionOperation(
            f"session {known.session_id!r} cannot be renamed to {session.id!r}: create a new Session",
            session_id=known.session_id,
        )
    if session.parent_id != known.parent_id:
        raise InvalidSessionOperation(
            f"the parent of session {session.id!r} is {known.parent_id!r} and never changes; "
            f"to go below {session.parent_id!r}, create a new Session with parent_id",
            session_id=session.id,
        )


def _check_times(session: Session[Any], known: SyncState) -> None:
    metadata = session.metadata
    for name in ("created_at", "updated_at"):
        # A time that nobody gave is not compared: the metadata may have been replaced, or a shallow copy shares them.
        if name in metadata.model_fields_set and getattr(metadata, name) != moment(getattr(known, name)):
            raise InvalidSessionOperation(
                f"metadata.{name} of session {session.id!r} cannot be changed, for it is stored already: an import "
                "gives the times to a new Session before its first save; a time of your own goes into the properties",
                session_id=session.id,
            )


def _appended(session: Session[Any], known: SyncState) -> list[SessionEvent[Any]]:
    count = len(known.events)
    # Lists compare by identity first, so this is quick for events nobody touched.
    if session.events[:count] != known.events:
        raise InvalidSessionOperation(
            f"stored events of session {session.id!r} were removed, moved or replaced: "
            "the log is append-only; hide events with retract()",
            session_id=session.id,
        )
    return session.events[count:]


def _changes(known: SyncState, commit: EncodedCommit) -> EncodedCommit:
    """Leave in `commit`, which holds all of the session's values and runs, those that differ from what is known."""
    _check_runs_kept(known, commit)
    commit.state = _difference(known.state, commit.state)
    commit.properties = _difference(known.properties, commit.properties)
    commit.runs = {run_id: run for run_id, run in commit.runs.items() if run.data != known.runs.get(run_id)}
    return commit


def _check_runs_kept(known: SyncState, commit: EncodedCommit) -> None:
    if gone := sorted(known.runs.keys() - commit.runs.keys()):
        raise InvalidSessionOperation(
            f"stored runs of session {known.session_id!r} were removed: {gone}; runs stay, cancel them instead",
            session_id=known.session_id,
        )


def _difference(known: Mapping[str, bytes], current: Mapping[str, bytes | None]) -> dict[str, bytes | None]:
    changed = {key: value for key, value in current.items() if value != known.get(key)}
    return {**changed, **dict.fromkeys(key for key in known if key not in current)}
