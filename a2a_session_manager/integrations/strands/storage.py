"""StrandsStorage: the Storage of Strands, in which its SnapshotSessionManager keeps whole agents as bytes."""

from __future__ import annotations

import builtins
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from strands.storage import Storage
from strands.types.exceptions import StorageError

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionConflict,
    SessionManagerError,
    SessionNotFound,
)
from a2a_session_manager.identifiers import hidden_id, shown
from a2a_session_manager.integrations.strands.owned_loop import OverALoop
from a2a_session_manager.integrations.strands.records import FORMAT
from a2a_session_manager.integrations.strands.splices import Blob, Record, is_whole, read, record_of
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.sync import LoopThread

ResultT = TypeVar("ResultT")

_RECORD = "strands_bytes"
_PREFIX = "storage/"
_TRIES = 8
# Of so many keys, what was written or read last is kept, so that the next write needs no read.
_MOST_KEPT = 16


@dataclass(frozen=True, slots=True)
class _Known:
    session: Session[Any]
    revision: int
    blob: Blob | None


class StrandsStorage(OverALoop, Storage):
    """The `Storage` of Strands: `SnapshotSessionManager("trip", storage=StrandsStorage(sessions))`.

    Each key is a session. A text that is written again is stored as what differs in it, so that snapshots of a growing
    conversation take a few times its size in all, and not its square. Of two writers of one key, the last one wins.
    The verbs raise StorageError with our error as the cause.

    Args:
        sessions: the manager of the store, or of a namespace of it. It stays open.
        loop: see StrandsSessionRepository.
    """

    def __init__(self, sessions: SessionManager, *, loop: LoopThread | None = None) -> None:
        super().__init__(sessions, loop=loop)
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def write(self, key: str, data: bytes) -> None:
        """Store `data` under `key`, in the place of what is there."""
        await self._wait(self._write(key, bytes(data)))

    async def read(self, key: str) -> bytes | None:
        """Return what is stored under `key`, or None when nothing is."""
        return await self._wait(self._read(key))

    async def delete(self, key: str) -> None:
        """Delete what is stored under `key`; nothing there is fine."""
        await self._wait(self._delete(key))

    async def list(self, query: str) -> builtins.list[str]:
        """Return the keys that begin with `query`, sorted; all of them for an empty one."""
        return await self._wait(self._list(query))

    async def _write(self, key: str, data: bytes) -> None:
        session_id = _session_of(key)
        for _ in range(_TRIES):
            known = self._known.get(session_id) or await self._look(session_id)
            try:
                await (self._create(session_id, data) if known is None else self._append(known, data))
                return
            except SessionConflict:
                await self._replace(session_id, data)
                return
            except (SessionAlreadyExists, SessionNotFound):
                self._known.pop(session_id, None)  # created or deleted since it was looked for
        raise SessionNotFound(session_id)

    async def _read(self, key: str) -> bytes | None:
        session = await self._sessions.store.get(_session_of(key))
        if session is None:
            self._known.pop(_session_of(key), None)
            return None
        data, blob = _bytes_in(session)
        self._keep(session, session.revision, blob)
        return data

    async def _delete(self, key: str) -> None:
        session_id = _session_of(key)
        self._known.pop(session_id, None)
        await retry_if_unknown(lambda: self._sessions.store.delete(session_id, children="cascade"))

    async def _list(self, prefix: str) -> builtins.list[str]:
        ids = await self._sessions.store.list_sessions(_PREFIX + prefix)
        return sorted(each.removeprefix(_PREFIX) for each in ids)

    async def _look(self, id: str) -> _Known | None:
        session = await self._sessions.store.get(id)
        return None if session is None else self._keep(session, session.revision, _bytes_in(session)[1])

    async def _create(self, id: str, data: bytes) -> None:
        record, blob = record_of(data, None)
        change, write_id = SessionChange(events=[_event(record)], set_properties=FORMAT.as_property()), hidden_id()
        session = await retry_if_unknown(lambda: self._sessions.store.create(id, change=change, write_id=write_id))
        self._keep(session, session.revision, blob)

    async def _append(self, known: _Known, data: bytes) -> None:
        record, blob = record_of(data, known.blob)
        change, write_id = _change(record), hidden_id()
        self._known.pop(known.session.id, None)
        result = await retry_if_unknown(
            lambda: self._sessions.store.commit(
                known.session, change, expected_revision=known.revision, write_id=write_id
            )
        )
        self._keep(known.session, result.revision, blob)

    async def _replace(self, id: str, data: bytes) -> None:
        """Store all of the bytes, whatever is there: the last one who writes wins."""
        record, _ = record_of(data, None)
        change, write_id = _change(record), hidden_id()
        await retry_if_unknown(lambda: self._sessions.store.commit(id, change, write_id=write_id))

    def _keep(self, session: Session[Any], revision: int, blob: Blob | None) -> _Known:
        known = self._known[session.id] = _Known(session, revision, blob)
        self._known.move_to_end(session.id)
        if len(self._known) > _MOST_KEPT:
            self._known.popitem(last=False)
        return known

    async def _wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        try:
            return await self._loop.wait(work)
        except SessionManagerError as error:
            raise StorageError(str(error)) from error


def _session_of(key: str) -> str:
    if not key:
        raise InvalidSessionOperation(f"storage key {shown(key)} cannot be used: take a text that is not empty")
    return _PREFIX + key


def _event(record: Record) -> SessionEvent[Any]:
    return SessionEvent(message=record, source=EventSource.SYSTEM, type=_RECORD)


def _change(record: Record) -> SessionChange:
    return SessionChange(events=[_event(record)], retraction=Retraction(after=0) if is_whole(record) else None)


def _bytes_in(session: Session[Any]) -> tuple[bytes, Blob | None]:
    FORMAT.check(session)
    return read(session.id, [event.message for event in session.events if event.type == _RECORD])
