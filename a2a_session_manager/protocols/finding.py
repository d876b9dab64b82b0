"""SearchableStore: what a store promises of finding sessions: in lists and pages, and in the tree they are in."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Protocol

from a2a_session_manager.models.forked_from import TreeNode
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.protocols.pages import HeadsPage, PageOrder, SessionPage


class SearchableStore(Protocol):
    """Finds sessions and namespaces. SessionStore says what the parameters and errors of all verbs mean."""

    async def namespaces(self) -> list[str]:
        """Return the names of the namespaces directly inside this one, in the store's own stable order.

        Those that hold a session, or have one inside them that does; the default namespace has no name. It looks for a
        session of each. A Redis that an earlier release wrote to is looked through once, in steps that hold up nobody.
        """

    async def list_sessions(self, prefix: str = "") -> list[str]:
        """Return all session ids that start with `prefix`, in the store's own stable order."""

    async def list_page(
        self, prefix: str = "", *, cursor: str | None = None, limit: int = 100, roots_only: bool = False
    ) -> SessionPage:
        """Return one page of the session ids that start with `prefix`, in the store's own stable order.

        `cursor` is the one that the page before came with, None for the first page; a page holds at most `limit` ids.
        With `roots_only`, sessions that have a parent are left out. A session that exists from the first page to the
        last appears exactly once.
        """

    def iter_sessions(
        self, prefix: str = "", *, roots_only: bool = False, page_size: int = 100
    ) -> AsyncGenerator[str, None]:
        """Iterate over the session ids that start with `prefix`, in the store's own stable order.

        The ids are read `page_size` at a time. With `roots_only`, sessions that have a parent are left out.
        """

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
        """Return a page of at most `limit` heads; it has fewer only when there are no more. Nobody need be read for it.

        A session is on one page of a paging at most. By "created" and "id", one that exists from the first page to the
        last is on one exactly; by "updated", one that becomes active meanwhile has moved, and may be on none.

        Args:
            order: "updated" is by the last activity: exactly so within a page, and between pages to 10 seconds.
                "created" is by the time of creation, and "id" the store's own stable order, that of `list_page`.
            newest_first: the direction of an order by time; it says nothing of "id". Oldest first by activity, what was
                active after the paging began is left out, by the writers' clocks: where these disagree, a session may
                come again.
            properties: only sessions that have all of these, each with just this value: a text, a whole number, True or
                False. The keys are among those that the store was made with, as `indexed=`.
            title: only sessions whose title has this in it somewhere; capitals are small letters here, and forms of a
                character that look alike are one. Titles are not indexed: the heads that the other filters let through
                are read, until the page is full.
            roots_only: leave out sessions that have a parent, but for forks of roots, which are conversations, too.
            limit: how many heads a page has at most.
            cursor: the one that the page before came with, None for the first page; it is asked for with the same order
                and filters.
            last: how many of the newest visible events each head comes with.

        Raises InvalidSessionOperation for a property that is not indexed, and for a cursor of another query.
        """

    async def count(self, *, properties: Mapping[str, Any] | None = None, roots_only: bool = False) -> int:
        """Return how many sessions there are, or how many that have these `properties`, which are those of `page`.

        With `roots_only`, sessions that have a parent do not count, but forks of roots do. Raises
        InvalidSessionOperation for a property that is not indexed.
        """

    async def children(self, session_id: str) -> list[str]:
        """Return the ids of all children, oldest first; forks and sessions further down are not among them."""

    async def children_page(self, session_id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """Return one page of at most `limit` ids of children, oldest first.

        `cursor` is the one that the page before came with, None for the first page.
        """

    async def forks(self, session_id: str) -> list[str]:
        """Return the ids of all forks right below the session, oldest first: those that begin with one of its events.

        A fork that begins with an event which its source has inherited itself is below the session that has stored it.
        """

    async def forks_page(self, session_id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """Return one page of at most `limit` ids of forks right below the session, oldest first.

        `cursor` is the one that the page before came with, None for the first page.
        """

    async def tree(self, session_id: str) -> list[TreeNode]:
        """Return (id, parent id) of every session of the whole tree that `session_id` is in, in creation order.

        The root comes first; its parent id is None. Forks are among them, and their `forked_from` tells where they
        begin.
        """

    def follow_namespace(
        self, *, since: Iterable[SessionHead] = (), last: int = 0
    ) -> AsyncGenerator[NamespaceChange, None]:
        """Yield which sessions come, change and go from now on, each within about 10 seconds; properties count, too.

        It never ends by itself. Several changes of a session may come as one, and in no order among sessions. To miss
        nothing, pass the page that is shown as `since`: what has changed of its sessions, and which others were active
        later than all of them, is yielded first. Each head comes with its newest `last` visible events.

        All sessions of the namespace are looked at every few seconds, the less often the longer it takes, without
        reading those that have not changed; all who follow it in one process share these looks. Raises StoreUnavailable
        when the store cannot be reached, or is closed.
        """
