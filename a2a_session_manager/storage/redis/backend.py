"""RedisBackend: the primitives over Redis; commits that wait together leave in one round trip."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Sequence
from contextvars import Context
from dataclasses import replace
from typing import Any, Final, TypeVar

from a2a_session_manager.budgets.steps import BudgetReply, BudgetStep
from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.identifiers import shown
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, LeaseRenewal, Receipt
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.observer import QueueObserver
from a2a_session_manager.storage.page_records import HeadPage, PageQuery
from a2a_session_manager.storage.read_records import (
    FoundEvents,
    HeadRecord,
    LoadedSession,
    LogPage,
    LogTail,
    NamespacePage,
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.storage.records import HeldLease, SessionKey
from a2a_session_manager.storage.redis.activity_entries import ActivityEntries
from a2a_session_manager.storage.redis.budgets import Budgets
from a2a_session_manager.storage.redis.committing import Committer
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.creating import Creator
from a2a_session_manager.storage.redis.deleting import Deleter
from a2a_session_manager.storage.redis.diagnosis import diagnose_servers
from a2a_session_manager.storage.redis.entries import KnownProperties
from a2a_session_manager.storage.redis.entry_calls import EntryCalls
from a2a_session_manager.storage.redis.entry_repair import EntryRepair
from a2a_session_manager.storage.redis.entry_rows import EntryRows
from a2a_session_manager.storage.redis.entry_writes import EntryWriter
from a2a_session_manager.storage.redis.expiry import Expiry
from a2a_session_manager.storage.redis.following import Followers
from a2a_session_manager.storage.redis.forking import fork_at_once
from a2a_session_manager.storage.redis.head_pages import HeadPages
from a2a_session_manager.storage.redis.heads import creation_of
from a2a_session_manager.storage.redis.index import Index
from a2a_session_manager.storage.redis.index_lines import IndexLines
from a2a_session_manager.storage.redis.indexed_sessions import IndexedSessions
from a2a_session_manager.storage.redis.leases import Leases
from a2a_session_manager.storage.redis.listing import Listing
from a2a_session_manager.storage.redis.locating import Locator
from a2a_session_manager.storage.redis.namespace_listing import NamespaceListing
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.segments import FORMATS
from a2a_session_manager.storage.redis.session_reader import SessionReader
from a2a_session_manager.storage.redis.tree_reader import StoredTreeReader

_log = logging.getLogger("a2a_session_manager.storage.redis")

ResultT = TypeVar("ResultT")

# How long a store that is closed waits for what was asked for before: a server may hang.
_CLOSE_SECONDS: Final = 2.5


class RedisBackend(Backend):
    """Sessions on Redis, for any number of processes and machines."""

    def __init__(self, connections: Connections, *, prefix: str, ttl: int, indexed: Sequence[str] = ()) -> None:
        self.indexed = indexed
        self._connections = connections
        self._prefix = prefix
        self._has_expiry = ttl > 0
        self._tasks: set[asyncio.Task[Any]] = set()
        entry_calls = EntryCalls(prefix, KnownProperties(indexed))
        lines = IndexLines(connections, prefix, ttl, entry_calls)
        index = Index(connections, lines, prefix, ttl, entry_calls)
        self._locator = Locator(connections, prefix, lines)
        reaper = Reaper(connections, index, self._begun)
        self._expiry = Expiry(connections, index, ttl)
        self._trees = StoredTreeReader(connections, self._locator, reaper)
        self._reader = SessionReader(connections, self._locator, self._trees)
        self._entries = EntryWriter(connections, self._locator, entry_calls)
        activity = ActivityEntries(connections, entry_calls, self._begun)
        self._creator = Creator(connections, self._locator, index, self._entries, activity, self._expiry, reaper)
        self._deleter = Deleter(connections, self._locator, index, self._reader, self._trees, reaper)
        self._listing = Listing(lines, reaper)
        self._namespaces = NamespaceListing(connections, prefix, self._listing, self._begun)
        self._leases = Leases(self._locator)
        self._budgets = Budgets(self._locator, reaper)
        self._followers = Followers(connections, self._locator)
        self._committer = Committer(connections, self._locator, activity, self._expiry, reaper, self._begun)
        indexed_sessions = IndexedSessions(connections, reaper)
        self._repair = EntryRepair(connections, prefix, entry_calls, indexed_sessions)
        rows = EntryRows(connections, prefix, lines, entry_calls, self._repair)
        self._pages = HeadPages(prefix, rows, self._repair, indexed_sessions, self._reader, reaper)

    @property
    def place(self) -> object:
        """Servers, database and prefix, or the client that was handed in and the prefix."""
        return RedisBackend, self._connections.place, self._prefix

    @property
    def shown_place(self) -> str:
        return f"{self._connections.shown_place} key_prefix={shown(self._prefix)}"

    def statistics(self) -> StoreStatistics:
        counted = self._committer.statistics()
        return replace(
            counted,
            retries=counted.retries + self._connections.retries,
            connections=self._connections.open_connections,
            followers=self.followers,
        )

    def observe(self, observer: QueueObserver) -> None:
        self._committer.observe(observer)
        self._connections.observe(observer)

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> asyncio.Task[Receipt]:
        return self._begun(self._creator.create(key, creation, commit))

    def fork_at_once(
        self, source: SessionKey, key: SessionKey, draft: ForkDraft
    ) -> asyncio.Task[HeadRecord | LoadedSession | None] | None:
        if self._connections.has_nodes:  # an id is claimed on a node of its own
            return None
        return self._begun(fork_at_once(self._creator, self._reader, self._locator, source, key, draft))

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        if commit.properties:
            return self._begun(self._commit_properties(key, commit))
        return self._committer.commit(key, commit)

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> asyncio.Task[None]:
        deleting = self._deleter.delete(key, creation_id, cascade=cascade, guard=guard)
        return self._begun(deleting)

    async def creation_id_of(self, key: SessionKey) -> str | None:
        try:
            return await super().creation_id_of(key)
        except CorruptSession:
            # What has lost a part can be deleted; what is of a newer release is somebody's good session.
            keys, line = await self._reader.line(key)
            [version] = await self._connections.read_many([("HGET", keys.head, "v")])
            if line is None or version not in (None, *FORMATS):
                raise
            return creation_of(line)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        return await self._reader.load(keys, last=last, whole_head=whole_head)

    async def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
        return await self._reader.load_until(key, seq=seq, last=last)

    async def read_tail(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        return await self._reader.tails.read_tail(key, last=last)

    async def read_compacted(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        return await self._reader.tails.read_compacted(key, last=last)

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        return await self._reader.read_log(key, after=after, limit=limit, max_bytes=max_bytes)

    async def find_events(self, key: SessionKey, event_ids: Sequence[str], *, max_bytes: int) -> FoundEvents | None:
        return await self._reader.find_events(key, event_ids, max_bytes=max_bytes)

    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        return await self._trees.children(key, after=paging.ordinal_of(cursor), limit=limit)

    async def forks(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        return await self._trees.children(key, after=paging.ordinal_of(cursor), limit=limit, of_forks=True)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        return await self._trees.tree(key)

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        return await self._trees.tree_totals(key)

    async def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        return await self._listing.page(namespace, prefix=prefix, cursor=cursor, limit=limit, roots_only=roots_only)

    async def sizes(self, keys: Sequence[SessionKey]) -> list[int | None]:
        return await self._reader.sizes(keys)

    async def rebuild_index(self, namespace: Namespace) -> int | None:
        await self._namespaces.rebuild(namespace)
        await self._repair.complete(namespace, anew=True)
        return await self._pages.count(namespace, PageQuery("created"))

    async def stamps(self, keys: Sequence[SessionKey]) -> list[str | None]:
        return await self._reader.stamps(keys)

    async def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> NamespacePage:
        return await self._namespaces.page(namespace, cursor=cursor, limit=limit)

    async def page(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> HeadPage:
        if query.order == "id" and query.properties:
            return await self._pages.page_by_id(namespace, query, cursor=cursor, limit=limit, last=last)
        if query.order == "id":
            return await super().page(namespace, query, cursor=cursor, limit=limit, last=last)
        return await self._pages.page(namespace, query, cursor=cursor, limit=limit, last=last)

    async def count(self, namespace: Namespace, query: PageQuery) -> int:
        return await self._pages.count(namespace, query)

    async def held_leases(self, runs: Sequence[tuple[SessionKey, str]]) -> list[HeldLease | None]:
        return await self._leases.held(runs)

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
        return await self._leases.renew(renewals)

    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> asyncio.Task[BudgetReply]:
        return self._begun(self._budgets.step(key, creation_id, step))

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        await self._followers.wait(key, creation_id, revision)

    async def ping(self) -> None:
        await self._connections.ping()

    async def diagnose(self) -> list[StoreFinding]:
        if found := await super().diagnose():
            return found
        client, place = await self._connections.client(), self._connections.shown_place
        return await diagnose_servers(client, place, has_expiry=self._has_expiry)

    async def aclose(self) -> None:
        self.is_closed = True
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._settled()
        except TimeoutError:
            _log.warning("redis did not answer within %g s of closing: what is under way fails", _CLOSE_SECONDS)
            await self._connections.aclose(waits=False)  # what is left fails at once
            await self._settled()
        await self._connections.aclose()

    async def _commit_properties(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        """Commit what sessions are found by: the index has it before, and what it was before no more after."""
        announced = await self._entries.announce(key, commit)
        if announced is None:
            return await self._committer.commit(key, commit)
        try:
            receipt = await self._committer.commit(key, commit)
        except SessionManagerError as error:
            await self._entries.withdraw(announced, error)
            raise
        await self._entries.settle(announced, commit, receipt)
        return receipt

    async def _settled(self) -> None:
        """Wait until all that was asked for on this loop is answered."""
        await self._committer.settled()
        loop = asyncio.get_running_loop()
        while under_way := {task for task in self._tasks if task.get_loop() is loop}:
            await asyncio.wait(under_way)

    def _begun(self, work: Coroutine[Any, Any, ResultT]) -> asyncio.Task[ResultT]:
        """Begin what `aclose` waits for."""
        # In an empty context: what a caller has set in its own must not stick to everybody's writes.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
