"""FindingVerbs: which sessions there are: lists, pages, trees and namespaces."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import timedelta
from typing import Any

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager.base import ManagerBase
from a2a_session_manager.models.forked_from import TreeNode
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.models.unfinished_run import UnfinishedRun
from a2a_session_manager.protocols import HeadsPage, LeaseKeeper, PageOrder, SessionPage


class FindingVerbs(ManagerBase):
    """Sessions that are looked for."""

    async def list_sessions(self, prefix: str = "") -> list[str]:
        """Return all session ids that start with `prefix`, in the store's own stable order."""
        return await self._store.list_sessions(prefix)

    def iter_sessions(
        self, prefix: str = "", *, roots_only: bool = False, page_size: int = 100
    ) -> AsyncGenerator[str, None]:
        """Iterate over the session ids that start with `prefix`, in the store's own stable order.

        The ids are read `page_size` at a time. With `roots_only`, sessions that have a parent are left out.
        """
        return self._store.iter_sessions(prefix, roots_only=roots_only, page_size=page_size)

    async def list_page(
        self, prefix: str = "", *, cursor: str | None = None, limit: int = 100, roots_only: bool = False
    ) -> SessionPage:
        """Return one page of at most `limit` session ids that start with `prefix`, in the store's own stable order.

        `cursor` is the one that the page before came with, None for the first page. With `roots_only`, sessions that
        have a parent are left out.
        """
        return await self._store.list_page(prefix, cursor=cursor, limit=limit, roots_only=roots_only)

    async def page(
        self,
        *,
        order: PageOrder = "updated",
        newest_first: bool = True,
        properties: Mapping[str, Any] | None = None,
        title: str | None = None,
        roots_only: bool = False,
        limit: int = 50,
        cursor: str | None = None,
        last: int = 0,
    ) -> HeadsPage:
        """Return a page of at most `limit` heads, those that were active last first; see SessionStore.page.

        `order` and `newest_first` say in which order. `properties`, which the store was made with as `indexed=`, a part
        of the `title`, and `roots_only` leave out others. `cursor` is that of the page before, and `last` how many of
        the newest visible events each head comes with. Raises InvalidSessionOperation for a property that is not
        indexed, and for a cursor of another query.
        """
        return await self._store.page(
            order=order,
            newest_first=newest_first,
            properties=properties,
            title=title,
            roots_only=roots_only,
            limit=limit,
            cursor=cursor,
            last=last,
        )

    async def count(self, *, properties: Mapping[str, Any] | None = None, roots_only: bool = False) -> int:
        """Return how many sessions there are, or how many that have these `properties`; see SessionStore.count.

        With `roots_only`, sessions that have a parent do not count.
        """
        return await self._store.count(properties=properties, roots_only=roots_only)

    async def children(self, id: str) -> list[str]:
        """Return the ids of all children, oldest first; forks and sessions further down are not among them.

        Raises SessionNotFound.
        """
        return await self._store.children(id)

    async def children_page(self, id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """Return one page of at most `limit` ids of children, oldest first. Raises SessionNotFound.

        `cursor` is the one that the page before came with, None for the first page.
        """
        return await self._store.children_page(id, cursor=cursor, limit=limit)

    async def forks(self, id: str) -> list[str]:
        """Return the ids of all forks that begin with an event of this session, oldest first; see SessionStore.forks.

        Raises SessionNotFound.
        """
        return await self._store.forks(id)

    async def forks_page(self, id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """Return one page of at most `limit` ids of such forks, oldest first. Raises SessionNotFound.

        `cursor` is the one that the page before came with, None for the first page.
        """
        return await self._store.forks_page(id, cursor=cursor, limit=limit)

    async def tree(self, id: str) -> list[TreeNode]:
        """Return (id, parent id) of every session of the tree that this one is in, in creation order, the root first.

        Forks are among them; their `forked_from` tells where they begin. Raises SessionNotFound.
        """
        return await self._store.tree(id)

    def unfinished_runs(self, *, older_than: float | timedelta | None = None) -> AsyncGenerator[UnfinishedRun, None]:
        """Yield the runs that have not ended, of all sessions, with who holds each: a run that nobody holds is free.

        With `older_than`, in seconds or as a timedelta, only those that began before that long. The heads of all
        sessions are read, 100 at a time, and no events: about 3 round trips a page on Redis, and of files each
        session's log is looked at. Raises InvalidSessionOperation for what is no age, and for a store that keeps no
        leases.
        """
        if not isinstance(self._store, LeaseKeeper):
            raise InvalidSessionOperation(f"{type(self._store).__name__} keeps no leases of runs: ask for runs(id)")
        return self._store.unfinished_runs(older_than=older_than)

    async def namespaces(self) -> list[str]:
        """Return the names of the namespaces directly inside this one; see SessionStore.namespaces."""
        return await self._store.namespaces()

    def follow_namespace(
        self, *, since: Iterable[SessionHead] = (), last: int = 0
    ) -> AsyncGenerator[NamespaceChange, None]:
        """Yield which sessions come, change and go from now on; see SessionStore.follow_namespace.

        `since` is a page that was read before: what has changed since is yielded first. Each head comes with its newest
        `last` visible events.
        """
        return self._store.follow_namespace(since=since, last=last)
