"""Stores over memory with one planted fault each, in who is below whom, and in what order."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, Parent, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.stored import StoredSession
from a2a_session_manager.storage.read_records import LoadedSession, TreeNode
from a2a_session_manager.storage.records import SessionKey, Totals


class _ByName(MemoryBackend):
    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        page = await super().children(key, cursor=cursor, limit=limit)
        return page and SessionPage(sorted(page.session_ids), page.cursor)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        nodes = await super().tree(key)
        return nodes and sorted(nodes, key=lambda node: node.id)


class SortsSiblingsByName(BaseSessionStore):
    """Lists children, and all of a tree, by their ids."""

    def __init__(self) -> None:
        super().__init__(_ByName())


class SortsTreesByName(SortsSiblingsByName):
    """The same; it shows wherever all of a tree is listed, too."""


class MakesOrphans(InMemorySessionStore):
    """Makes a root of a session whose parent is not there."""

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
        expires: bool = True,
    ) -> Session[Any]:
        try:
            return await super().create(id, parent_id=parent_id, change=change, write_id=write_id, expires=expires)
        except SessionNotFound:
            return await super().create(id, change=change, write_id=write_id, expires=expires)


class PutsChildrenBelowWhoeverHasTheId(InMemorySessionStore):
    """Does not ask whether the parent is the session that was read."""

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
        expires: bool = True,
    ) -> Session[Any]:
        above = parent_id.id if isinstance(parent_id, Session) else parent_id
        return await super().create(id, parent_id=above, change=change, write_id=write_id, expires=expires)


class _Overwriting(MemoryBackend):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        if (stored := self._sessions.get(key)) is not None:
            self._remove(stored)
        return super().create(key, creation, commit)


class LetsEveryCreatorWin(BaseSessionStore):
    """Creates a session over the one that has the id."""

    def __init__(self) -> None:
        super().__init__(_Overwriting())


class OverwritesATakenId(LetsEveryCreatorWin):
    """The same; it shows without a race, too."""


class _DeletesByIdAlone(MemoryBackend):
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        stored = self._sessions.get(key)
        meant = creation_id if stored is None else stored.head.creation_id
        return super().delete(key, meant, cascade=cascade, guard=guard)


class DeletesALaterSession(BaseSessionStore):
    """Deletes whichever session has the id by now."""

    def __init__(self) -> None:
        super().__init__(_DeletesByIdAlone())


class _KeepsTotals(MemoryBackend):
    def __init__(self) -> None:
        super().__init__()
        self._left: dict[SessionKey, Totals] = {}

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        done = super().create(key, creation, commit)
        if creation.parent is None:
            self._sessions[key].tree.totals.update(self._left.pop(key, {}))
        return done

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        if (stored := self._sessions.get(key)) is not None:
            self._left[key] = dict(stored.tree.totals)
        return super().delete(key, creation_id, cascade=cascade, guard=guard)


class SpendsWhatADeletedTreeHasSpent(BaseSessionStore):
    """Keeps the sum of a tree by the id of its root."""

    def __init__(self) -> None:
        super().__init__(_KeepsTotals())


class _RepeatsForks(MemoryBackend):
    async def forks(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        before = None if cursor is None else str(max(int(cursor) - 1, 0))
        page = await super().forks(key, cursor=before, limit=limit + (cursor is not None))
        return page and SessionPage(page.session_ids, page.cursor)


class ListsForksTwice(BaseSessionStore):
    """Begins a page of forks with the last one of the page before."""

    def __init__(self) -> None:
        super().__init__(_RepeatsForks())


class SavesOrphans(InMemorySessionStore):
    """Saves a session whose parent is gone as a root."""

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        try:
            await super().save(session, expected_revision=expected_revision)
        except SessionNotFound:
            await super().save(Session(id=session.id))


class _AnswersForTheAbsent(MemoryBackend):
    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        return await super().children(key, cursor=cursor, limit=limit) or SessionPage([], None)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        return await super().tree(key) or []


class FindsNothingBelowTheAbsent(BaseSessionStore):
    """Says that a session that is not there has nothing below it."""

    def __init__(self) -> None:
        super().__init__(_AnswersForTheAbsent())


class _LooksEverywhere(MemoryBackend):
    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        return await super().load(list(map(self._anywhere, keys)), last=last, whole_head=whole_head)

    def _parent(self, namespace: Namespace, named: Parent) -> StoredSession:
        return super()._parent(self._anywhere(SessionKey(namespace, named.id)).namespace, named)

    def _anywhere(self, key: SessionKey) -> SessionKey:
        return key if key in self._sessions else next((each for each in self._sessions if each.id == key.id), key)


class LooksForParentsEverywhere(BaseSessionStore):
    """Finds the session of an id in another namespace when it is not in its own."""

    def __init__(self) -> None:
        super().__init__(_LooksEverywhere())
