"""Writes of what was said long ago: sessions and their activity get the times that they had."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.clock import micros
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import reads, writes
from a2a_session_manager.storage.commit_records import Creation
from a2a_session_manager.storage.encoding import encode_commit
from a2a_session_manager.storage.forking import ForkRequest, fork_session
from a2a_session_manager.storage.priced_events import priced_events
from a2a_session_manager.storage.store import BaseSessionStore


async def create_dated(
    store: BaseSessionStore,
    session_id: str,
    change: SessionChange,
    *,
    parent_id: str | None,
    created_at: datetime,
    updated_at: datetime,
    write_id: str,
) -> None:
    """Create a session as it was created at that time, and was last active at that one, with what `change` brings."""
    target = store.target(session_id)
    events = await priced_events(change.events, store.pricer)
    commit = await encode_commit(target, events, change, write_id=write_id)
    commit.written_at = micros(updated_at)
    parent = None if parent_id is None else await reads.load_parent(store.target(parent_id))
    creation = Creation(hidden_id(), micros(created_at), parent, micros(updated_at))
    await writes.send(target, commit, events, creation=creation)


async def commit_dated(
    store: BaseSessionStore, session_id: str, change: SessionChange, *, at: datetime, write_id: str | None
) -> None:
    """Commit `change` as if it was then. Of a change of nothing but events, the ids make it repeatable."""
    target = store.target(session_id)
    events: Sequence[SessionEvent[Any]] = await priced_events(change.events, store.pricer)
    commit = await encode_commit(target, events, change, write_id=write_id)
    if commit.is_append and write_id is None:
        commit.write_id = None
    commit.written_at = micros(at)
    await writes.send(target, commit, events)


async def fork_dated(
    store: BaseSessionStore,
    source_id: str,
    event_id: str,
    *,
    new_id: str,
    properties: dict[str, Any],
    created_at: datetime,
) -> None:
    """Fork a session at an event as if it was then, or do nothing where that was done before."""
    request = ForkRequest(event_id, new_id, properties, written_at=micros(created_at))
    await fork_session(store, store.target(source_id), request)
