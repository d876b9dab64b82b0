"""BaseSessionStore: every public verb, written once over the few primitives of a backend."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionConflict,
    SessionManagerError,
    SessionNotFound,
    StoreUnavailable,
)
from a2a_session_manager.models.change import CommitResult, Retraction, SessionChange
from a2a_session_manager.models.identifier import new_id
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import ChildPolicy, SessionStore
from a2a_session_manager.storage import conflicts, following, saving
from a2a_session_manager.storage.cancellation import finish
from a2a_session_manager.storage.encoding import encode_append, encode_change
from a2a_session_manager.storage.in_step import absorb, newborn, place_events
from a2a_session_manager.storage.limits import DEEPEST_TREE
from a2a_session_manager.storage.loading import moment
from a2a_session_manager.storage.reading import SessionReader, checked_namespace
from a2a_session_manager.storage.records import (
    Creation,
    EncodedCommit,
    Parent,
    Receipt,
    SessionKey,
    StoredRetraction,
)
from a2a_session_manager.storage.saving import Save

ResultT = TypeVar("ResultT")


class BaseSessionStore(SessionReader):
    """A store over a backend. The verbs validate, encode, compare and guard; the backend only writes.

    Where a verb takes a session, an id means whichever session has it now; a Session means the one that was
    read, is refused once that is gone, and is in step with the store when the verb returns.
    """

    def namespace(self, name: str) -> BaseSessionStore:
        """Return a view of one namespace, which shares this store's backend and needs no closing."""
        return NamespaceView(self._backend, namespace=checked_namespace(name), limits=self._limits)

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
    ) -> Session[Any]:
        """Create a session holding `change`; raise SessionAlreadyExists, or SessionNotFound for the parent."""
        if id is None and write_id is not None:
            raise InvalidSessionOperation("a write_id without an id makes another session each time: give both")
        key = self._key(new_id() if id is None else id)
        change = SessionChange() if change is None else change
        commit = await encode_change(change, self._limits, write_id=new_id() if write_id is None else write_id)
        creation = Creation(new_id(), commit.written_at, await self._parent(parent_id))
        receipt = await self._finished(self._backend.create(key, creation, commit))
        if receipt.is_repeat:
            head = await self._head(key)
            creation = creation._replace(creation_id=head.creation_id, created_at=head.created_at)
        session: Session[Any] = Session(id=key.id, parent_id=parent_id)
        session.metadata.created_at = moment(creation.created_at)
        session._baseline = newborn(key.id, parent_id, creation, self)
        await absorb(session, commit, receipt, await place_events(change.events, receipt), self._limits)
        return session

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        """Commit what changed since the session was read, or create it; then it is in step with the store."""
        was_sent = await self._settle_unknown(session)
        if was_sent and expected_revision is not None:
            # What was sent before has passed the guard; what came since is guarded against what it made.
            expected_revision = session.revision
        save = await self._next_save(session)
        if save is not None:
            save.commit.expected_revision = None if save.creation else expected_revision
            session._unsettled = save
            await self._settle(session, save)
        elif expected_revision is not None and not was_sent:
            await self.commit(session, SessionChange(), expected_revision=expected_revision)

    async def commit(
        self,
        session: Session[Any] | str,
        change: SessionChange,
        *,
        expected_revision: int | None = None,
        write_id: str | None = None,
    ) -> CommitResult:
        """Commit `change`. Only `expected_revision` can make it stale: SessionConflict tells what was missed."""
        key, creation_id = self._named(session)
        commit = await encode_change(
            change,
            self._limits,
            expected_revision=expected_revision,
            creation_id=creation_id,
            write_id=write_id,
        )
        return await self._write(session, key, commit, change.events)

    async def append(
        self, session: Session[Any] | str, *events: SessionEvent[Any], expected_revision: int | None = None
    ) -> list[SessionEvent[Any]]:
        """Append events at a cost that does not grow with the session; return them with their `seq`."""
        if expected_revision is not None:
            change = SessionChange(events=events)
            return (await self.commit(session, change, expected_revision=expected_revision)).events
        key, creation_id = self._named(session)
        commit = await encode_append(events, self._limits)
        commit.creation_id = creation_id
        # Not guarded, so never stale: there is no conflict to complete.
        receipt = await self._finished(self._backend.commit(key, commit))
        return await self._absorbed(session, commit, receipt, events)

    async def retract(
        self,
        session: Session[Any] | str,
        *event_ids: str,
        last: int | None = None,
        after: int | None = None,
        write_id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Hide events and return those this call hid, oldest first; one event is hidden only once."""
        change = SessionChange(retraction=Retraction(event_ids, last, after))
        return (await self.commit(session, change, write_id=write_id)).retracted

    async def delete(self, session: Session[Any] | str, *, children: ChildPolicy = "refuse") -> None:
        """Delete the session, and with `cascade` all below it; absent is fine. Nothing brings it back."""
        if children not in ("refuse", "cascade"):
            raise InvalidSessionOperation(f"children={children!r} is unknown: take 'refuse' or 'cascade'")
        key, creation_id = self._named(session)
        if creation_id is None:
            loaded = (await self._backend.load([key], last=0, whole_head=False))[0]
            if loaded is None:
                return
            creation_id = loaded.head.creation_id
        await self._finished(self._backend.delete(key, creation_id, cascade=children == "cascade"))

    async def aclose(self) -> None:
        """Finish what is under way and release what the store opened; later verbs raise StoreUnavailable."""
        await self._open_backend.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def _as_store(self) -> BaseSessionStore:
        return self

    def _named(self, session: Session[Any] | str) -> tuple[SessionKey, str | None]:
        if not isinstance(session, Session):
            return self._key(session), None
        baseline = session._baseline
        return self._key(session.id), None if baseline is None else baseline.creation_id

    async def _write(
        self,
        session: Session[Any] | str,
        key: SessionKey,
        commit: EncodedCommit,
        events: Sequence[SessionEvent[Any]],
    ) -> CommitResult:
        receipt = await self._committed(key, commit)
        new = await self._absorbed(session, commit, receipt, events)
        hidden = await self._hidden_events(key, receipt) if receipt.hidden else []
        return CommitResult(receipt.revision, receipt.last_seq, new, hidden)

    async def _absorbed(
        self,
        session: Session[Any] | str,
        commit: EncodedCommit,
        receipt: Receipt,
        events: Sequence[SessionEvent[Any]],
    ) -> list[SessionEvent[Any]]:
        """Bring the session in step, if one was given, and return `events` in their places."""
        new = await place_events(events, receipt)
        if isinstance(session, Session) and session._baseline is not None:
            await absorb(session, commit, receipt, new, self._limits)
        return new

    async def _committed(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        try:
            return await self._finished(self._backend.commit(key, commit))
        except SessionConflict as conflict:
            await conflicts.add_missed_events(conflict, self._backend, key, self._limits)
            raise

    async def _finished(self, write: Awaitable[ResultT]) -> ResultT:
        future = asyncio.ensure_future(write)
        return future.result() if future.done() else await finish(future, patience=self._limits.cancel_seconds)

    async def _hidden_events(self, key: SessionKey, receipt: Receipt) -> list[SessionEvent[Any]]:
        retraction = StoredRetraction(receipt.revision, receipt.last_seq, tuple(receipt.hidden))
        hidden = following.read_ranges(self._backend, key, self._limits, retraction)
        return [event async for event in hidden]

    async def _next_save(self, session: Session[Any]) -> Save | None:
        self._key(session.id)
        while True:
            before = session._baseline, session._unsettled
            save = await self._compared(session)
            if session._baseline is before[0] and session._unsettled is before[1]:
                return save
            # Another task saves the same object: theirs is settled first, and the rest is compared anew.
            await self._settle_unknown(session)

    async def _compared(self, session: Session[Any]) -> Save | None:
        if session._baseline is not None and self._is_home(session._baseline.store):
            return await saving.changes_of(session, self, self._limits)
        return await saving.birth_of(session, await self._parent(session.parent_id), self, self._limits)

    async def _settle_unknown(self, session: Session[Any]) -> bool:
        """Send again what was sent here before without an answer; tell whether there was such a thing."""
        save: Save | None = session._unsettled
        if save is None or not self._is_home(save.store):
            return False
        await self._settle(session, save)
        return True

    async def _settle(self, session: Session[Any], save: Save) -> None:
        """Send `save`, the same bytes each time, until its outcome is known."""
        key = self._key(session.id)
        try:
            if save.creation is not None:
                receipt = await self._finished(self._backend.create(key, save.creation, save.commit))
            else:
                receipt = await self._committed(key, save.commit)
        except StoreUnavailable:
            raise
        except SessionManagerError:
            session._unsettled = None
            raise
        # Another task may have saved the same object meanwhile: then it is settled already.
        if session._unsettled is save:
            saving.settle(session, save, receipt)
            session._unsettled = None

    def _is_home(self, store: SessionStore) -> bool:
        """Tell whether `store` keeps the same sessions as this one: another view of them, or itself."""
        return (
            isinstance(store, BaseSessionStore)
            and store._open_backend is self._open_backend
            and store._namespace == self._namespace
        )

    async def _parent(self, parent_id: str | None) -> Parent | None:
        if parent_id is None:
            return None
        key = self._key(parent_id)
        loaded = (await self._backend.load([key], last=0, whole_head=False))[0]
        if loaded is None:
            raise SessionNotFound(
                parent_id,
                f"no session {parent_id!r} to be the parent: save the parent first, in the same namespace",
            )
        head = loaded.head
        if head.depth >= DEEPEST_TREE:
            raise InvalidSessionOperation(
                f"session {parent_id!r} is {head.depth} levels deep, and {DEEPEST_TREE} are allowed: "
                "start a new root and name the old one in its properties",
                session_id=parent_id,
            )
        return Parent(head.key.id, head.creation_id, head.root_id, head.depth)


class NamespaceView(BaseSessionStore):
    """A store's view of one namespace; the store that made it does the closing."""

    async def aclose(self) -> None:
        """Do nothing: the backend belongs to the store that made this view."""
