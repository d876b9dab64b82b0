"""StoreVerbs: the verbs that a SessionManager has of its store. Each does what SessionStore says."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar, Unpack, overload

from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager.budgets import BudgetStoreVerbs
from a2a_session_manager.models.change import CommitResult, SessionChange
from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.forked_from import TreeNode
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.models.pruning import PruneResult
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.unfinished_run import UnfinishedRun
from a2a_session_manager.protocols import (
    ChildPolicy,
    EventsPage,
    HeadsPage,
    LeaseKeeper,
    PageOrder,
    RepeatPolicy,
    SessionPage,
    SessionStore,
)
from a2a_session_manager.statistics import StoreStatistics

MessageT = TypeVar("MessageT")


class StoreVerbs(BudgetStoreVerbs):
    """The verbs of `store`, handed on."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    @property
    def store(self) -> SessionStore:
        """The store that all verbs use."""
        return self._store

    async def namespaces(self) -> list[str]:
        """Return the names of the namespaces directly inside this one; see SessionStore.namespaces."""
        return await self._store.namespaces()

    async def get_many(self, ids: Sequence[str], *, last: int | None = 0) -> list[Session[Any] | None]:
        """Return several sessions in the order of `ids`, None for each one that does not exist.

        Of each, the newest `last` events are loaded: none unless asked for, None loads all.
        """
        return await self._store.get_many(ids, last=last)

    async def commit(
        self,
        session: Session[Any] | str,
        change: SessionChange,
        *,
        expected_revision: int | None = None,
        write_id: str | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> CommitResult:
        """Commit `change` as one atomic step, and return what it did.

        With `expected_revision`, raises SessionConflict when the session has another revision by then. A `write_id`
        that was committed before changes nothing and returns the first result. `on_repeat` is that of `append`.
        """
        return await self._store.commit(
            session, change, expected_revision=expected_revision, write_id=write_id, on_repeat=on_repeat
        )

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        """Append events in one commit, and return them in the same order as they are stored, each with its `seq`.

        The cost does not grow with the session. With `expected_revision`, raises SessionConflict when the session has
        another revision by then. `on_repeat` decides about an event whose id is stored already with other content:
        "refuse" raises InvalidEvent, "keep" returns the stored one.
        """
        return await self._store.append(session, *events, expected_revision=expected_revision, on_repeat=on_repeat)

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        """Commit what changed in `session` since it was read, or create it; see SessionStore.save.

        With `expected_revision`, usually `session.revision`, raises SessionConflict when the session has another one by
        then.
        """
        await self._store.save(session, expected_revision=expected_revision)

    async def retract(
        self,
        session: Session[Any] | str,
        *event_ids: str,
        last: int | None = None,
        after: int | None = None,
        write_id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Hide events from the default view, and return those that this call hid, oldest first.

        Which ones is said in exactly one way: by `event_ids`, as the `last` ones that are visible now, or as all with
        a seq above `after`. A repeat of a `write_id` hides nothing more and returns what the first call hid. Raises
        InvalidSessionOperation when none or several ways are used, and for an id that was never appended.
        """
        return await self._store.retract(session, *event_ids, last=last, after=after, write_id=write_id)

    async def restore(
        self, session: Session[Any] | str, *event_ids: str, write_id: str | None = None, id: str | None = None
    ) -> list[SessionEvent[Any]]:
        """Show hidden events again in the default view, and return those that this call restored, oldest first.

        Which ones is said in exactly one way: by `event_ids`, or by the `write_id` of the retraction to undo. `id` is
        this call's own write id, which makes it repeatable. Raises InvalidSessionOperation for what was never hidden,
        is unknown, or was claimed by `retract(last=)` and so comes back by id alone; see SessionStore.restore.
        """
        return await self._store.restore(session, *event_ids, write_id=write_id, id=id)

    async def delete(
        self,
        session: Session[Any] | str,
        *,
        children: ChildPolicy = "refuse",
        expected_revision: int | None = None,
    ) -> None:
        """Delete the session for good. When there is none, nothing happens.

        `children` decides about a session that has any: "refuse" raises InvalidSessionOperation, "cascade" deletes all
        below it in the same step. With `expected_revision`, raises SessionConflict and deletes nothing when the session
        itself has another revision by then; those below it are not guarded.
        """
        await self._store.delete(session, children=children, expected_revision=expected_revision)

    async def cut_damaged_tail(self, id: str) -> int:
        """Give up the damaged end of a session, and return its length in bytes; see SessionStore.cut_damaged_tail."""
        return await self._store.cut_damaged_tail(id)

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

    @overload
    async def events(
        self,
        session: Session[Any] | str,
        *,
        message_type: type[MessageT],
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[MessageT]]: ...
    @overload
    async def events(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]: ...
    async def events(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]:
        """Return the visible events with a seq above `after`, oldest first, and at most the first `limit` of them.

        With `include_retracted`, the hidden ones come as well, marked `retracted`. `message_type` is the type to read
        messages as; see `get`. `type`, `source`, `run`, `since` and `until` leave out all events but those that fit
        each that is given; see EventFilters.
        """
        return await self._store.events(
            session,
            after=after,
            limit=limit,
            include_retracted=include_retracted,
            message_type=message_type,
            **which,
        )

    async def events_page(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int = 100,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> EventsPage:
        """Return a page of the visible events with a seq above `after`, oldest first; see SessionStore.events_page.

        It holds up to `limit` events. With `include_retracted`, the hidden ones come as well, marked `retracted`. The
        filters are those of `events`.
        """
        return await self._store.events_page(
            session, after=after, limit=limit, include_retracted=include_retracted, **which
        )

    @overload
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: type[MessageT]
    ) -> list[SessionEvent[MessageT] | None]: ...
    @overload
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: Any = None
    ) -> list[SessionEvent[Any] | None]: ...
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: Any = None
    ) -> list[SessionEvent[Any] | None]:
        """Return the events of these ids in the order given, None for each one that was never appended.

        A hidden event comes as well, marked `retracted`. `message_type` is that of `get`.
        """
        return await self._store.events_by_id(session, *event_ids, message_type=message_type)

    async def runs(self, id: str) -> list[SessionRun]:
        """Return all runs of the session, in the order they were first committed. Raises SessionNotFound."""
        return await self._store.runs(id)

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

    def follow(self, id: str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one as it is committed; see SessionStore.follow."""
        return self._store.follow(id, after=after)

    def follow_namespace(
        self, *, since: Iterable[SessionHead] = (), last: int = 0
    ) -> AsyncGenerator[NamespaceChange, None]:
        """Yield which sessions come, change and go from now on; see SessionStore.follow_namespace.

        `since` is a page that was read before: what has changed since is yielded first. Each head comes with its newest
        `last` visible events.
        """
        return self._store.follow_namespace(since=since, last=last)

    async def usage(self, id: str, *, tree: bool = False) -> TokenSummary:
        """Return the tokens and the cost of the session; with `tree`, the sum of it and all sessions below it."""
        return await self._store.usage(id, tree=tree)

    async def prune(
        self,
        *,
        older_than: float | timedelta | None = None,
        keep_last: int | None = None,
        max_bytes: int | None = None,
        properties: Mapping[str, Any] | None = None,
        branches: bool = False,
        dry_run: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> PruneResult:
        """Remove what has been idle, and return what was removed; a dry run, the default, only says what would be.

        Whole trees go, a root with all below it. `older_than` is how long one must have been idle, in seconds or as a
        timedelta; so many as `keep_last` of those that were active last stay in any case; what is above `max_bytes` in
        sum goes, the idle ones first. `properties` are those of the roots that are considered. With `branches`, idle
        branches of trees that stay go as well. What came alive meanwhile stays. See SessionStore.prune.
        """
        return await self._store.prune(
            older_than=older_than,
            keep_last=keep_last,
            max_bytes=max_bytes,
            properties=properties,
            branches=branches,
            dry_run=dry_run,
            progress=progress,
        )

    async def rebuild_index(self) -> int | None:
        """Make what `page`, `count` and `namespaces` find by anew; return how many sessions are in it now.

        See SessionStore.rebuild_index.
        """
        return await self._store.rebuild_index()

    async def ping(self) -> None:
        """Return when the store can be reached and written to; raise StoreUnavailable, with the remedy, otherwise."""
        await self._store.ping()

    async def diagnose(self) -> list[StoreFinding]:
        """Return what is wrong, or worth knowing, about where the store keeps its data; see SessionStore.diagnose."""
        return await self._store.diagnose()

    def statistics(self) -> StoreStatistics:
        """Return what the store has done so far and holds open now."""
        return self._store.statistics()
