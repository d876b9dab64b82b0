"""BaseSessionStore: a store over a backend. All its verbs are written once, here and in reading and writing."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

from anyio.abc import AsyncResource

from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionConflict,
    SessionManagerError,
    StoreUnavailable,
)
from a2a_session_manager.hierarchy import TreeReader
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage import saving
from a2a_session_manager.storage.reading import checked_namespace
from a2a_session_manager.storage.records import EncodedCommit, HeadRecord, Receipt
from a2a_session_manager.storage.saving import Save
from a2a_session_manager.storage.session_sync import tag_of
from a2a_session_manager.storage.writing import SessionWriter


class BaseSessionStore(SessionWriter, AsyncResource):
    """A store over a backend: `save`, on top of the verbs that read and write, and its own life.

    Where a verb takes a session, an id means whichever session has it now; a Session means the one that was
    read, is refused once that is gone, and is in step with the store when the verb returns.
    """

    def __repr__(self) -> str:
        backend = getattr(self, "_open_backend", None)  # a debugger may show a store whose `__init__` has failed
        if backend is None:
            return f"<{type(self).__name__}>"
        namespace = f"namespace={shown(self._namespace)}" if self._namespace else ""
        parts = [type(self).__name__, backend.shown_place, namespace, "closed" if backend.is_closed else ""]
        return f"<{' '.join(filter(None, parts))}>"

    def namespace(self, name: str) -> BaseSessionStore:
        """Return a view of one namespace, which shares this store's backend and needs no closing."""
        return NamespaceView(self._backend, namespace=checked_namespace(name), limits=self._limits, pricer=self._pricer)

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        """Commit what changed since the session was read, or create it; then it is in step with the store."""
        saving.check_shape(session)
        expected_revision = arguments.limit("expected_revision", expected_revision)
        was_sent = await self._settle_unknown(session)
        if was_sent and expected_revision is not None:
            # What was sent before has passed the guard; what came since is guarded against what it made.
            expected_revision = session.revision
        save = await self._next_save(session)
        if save is not None:
            if save.creation is not None and expected_revision:
                raise SessionConflict(session.id, expected_revision=expected_revision, revision=0)
            save.commit.expected_revision = None if save.creation else expected_revision
            save.commit.expected_tag = tag_of(session, expected_revision)
            session._unsettled = save
            await self._settle(session, save)
        elif expected_revision is not None and not was_sent:
            await self.commit(session, SessionChange(), expected_revision=expected_revision)

    async def aclose(self) -> None:
        """Finish what is under way and release what the store opened; later verbs raise StoreUnavailable."""
        await self._open_backend.aclose()

    def _as_store(self) -> BaseSessionStore:
        return self

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
        await saving.price_new_events(session, self._pricer)
        if await self._is_at_home(session):
            return await saving.changes_of(session, self, self._limits)
        return await saving.birth_of(session, await self._parent(session.parent_id), self, self._limits)

    async def _settle_unknown(self, session: Session[Any]) -> bool:
        """Send again what was sent here before without an answer; tell whether there was such a thing."""
        save: Save | None = session._unsettled
        if save is None or not await self._has_sent(save, session):
            return False
        await self._settle(session, save)
        return True

    async def _has_sent(self, save: Save, session: Session[Any]) -> bool:
        """Tell whether `save` was sent to this place, perhaps through a store over it that is closed by now."""
        if self._is_home(save.store):
            return True
        creation_id = save.commit.creation_id if save.creation is None else save.creation.creation_id
        head = await self._head_of_life(session.id, creation_id)
        return head is not None

    async def _is_at_home(self, session: Session[Any]) -> bool:
        """Tell whether the session was read from this place: the same creation id there is the same session."""
        baseline = session._baseline
        if baseline is None or self._is_home(baseline.store):
            return baseline is not None
        head = await self._head_of_life(session.id, baseline.creation_id)
        if head is None:
            return False
        if head.revision < baseline.revision:
            # A copy of the data, or a backup of it: what the session has seen beyond would be missing without a word.
            raise SessionConflict(session.id, expected_revision=baseline.revision, revision=head.revision)
        if session._baseline is baseline:
            session._baseline = replace(baseline, store=self._as_store())
        return True

    async def _head_of_life(self, session_id: str, creation_id: str | None) -> HeadRecord | None:
        loaded = (await self._backend.load([self._key(session_id)], last=0, whole_head=False))[0]
        return loaded.head if loaded is not None and loaded.head.creation_id == creation_id else None

    async def _settle(self, session: Session[Any], save: Save) -> None:
        """Send `save`, the same bytes each time, until its outcome is known."""
        key, creation = self._key(session.id), save.creation

        def write(commit: EncodedCommit) -> Awaitable[Receipt]:
            if creation is not None:
                return self._finished(self._backend.create(key, creation, commit))
            return self._committed(key, commit)

        try:
            receipt, events = await self._sent(key, save.commit, save.events, write)
        except StoreUnavailable:
            raise
        except SessionManagerError:
            session._unsettled = None
            raise
        await saving.settle(session, save, self._as_store(), receipt, events)

    def _is_home(self, store: TreeReader) -> bool:
        """Tell whether `store` keeps the same sessions as this one: another view of them, or itself."""
        if not isinstance(store, BaseSessionStore) or store._namespace != self._namespace:
            return False
        mine, other = self._open_backend, store._open_backend
        return other is mine or (mine.place is not None and other.place == mine.place)


class NamespaceView(BaseSessionStore):
    """A store's view of one namespace; the store that made it does the closing."""

    def namespace(self, name: str) -> BaseSessionStore:
        """Refuse: a tenant's view must not lead to another tenant. Raises InvalidSessionOperation."""
        raise InvalidSessionOperation(f"namespaces do not nest: ask the store itself for {name!r}")

    async def aclose(self) -> None:
        """Do nothing: the backend belongs to the store that made this view."""
