"""FileBackend: the primitives over a directory, one executor hop for whatever waits together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote
from weakref import WeakKeyDictionary, WeakSet

from a2a_session_manager.budgets.steps import BudgetReply, BudgetStep
from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, LeaseRenewal, Receipt
from a2a_session_manager.storage.file import renewing
from a2a_session_manager.storage.file.catalog_pages import CatalogPages, NoCatalogError
from a2a_session_manager.storage.file.creating import create
from a2a_session_manager.storage.file.damaged_tail import cut_damaged_tail
from a2a_session_manager.storage.file.deleting import delete
from a2a_session_manager.storage.file.diagnosis import diagnose
from a2a_session_manager.storage.file.forking import fork
from a2a_session_manager.storage.file.listing import list_page
from a2a_session_manager.storage.file.namespace_listing import list_namespaces
from a2a_session_manager.storage.file.read_threads import ReadThreads
from a2a_session_manager.storage.file.session_reader import SessionReader
from a2a_session_manager.storage.file.sizes import sizes
from a2a_session_manager.storage.file.spending import step_budget
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree_reader import StoredTreeReader
from a2a_session_manager.storage.file.trusted_part import trusted_log
from a2a_session_manager.storage.file.watching import Watcher
from a2a_session_manager.storage.file.writes import FileWrites
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
from a2a_session_manager.storage.trusted_log import TrustedLog

ResultT = TypeVar("ResultT")

_backends: WeakSet[FileBackend] = WeakSet()


class FileBackend(Backend):
    """Sessions in a directory, for any number of local processes."""

    def __init__(self, path: Path, *, durable: bool, indexed: Sequence[str] = ()) -> None:
        self.indexed = indexed
        self._observer: QueueObserver | None = None
        self._begin(path, durable)
        _backends.add(self)

    @property
    def place(self) -> object:
        """The directory."""
        return FileBackend, self._directory.path

    @property
    def shown_place(self) -> str:
        return f"file:{quote(os.fsencode(self._directory.path))}{'?durability=disk' if self._directory.durable else ''}"

    def statistics(self) -> StoreStatistics:
        open_files = self._directory.pool.open_files
        return replace(self._writes.statistics(), open_files=open_files, followers=self.followers)

    def observe(self, observer: QueueObserver) -> None:
        self._observer = observer
        self._writes.observe(observer)

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> QueuedWrite[Receipt]:
        root_id = key.id if creation.parent is None else creation.parent.root_id
        work = partial(create, self._directory, key, creation, commit)
        return self._writes.change_tree(("tree", SessionKey(key.namespace, root_id)), work, size=commit.size)

    def fork_at_once(
        self, source: SessionKey, key: SessionKey, draft: ForkDraft
    ) -> QueuedWrite[HeadRecord | LoadedSession | None]:
        # The root is not known yet; files are held whoever else is at work on the tree.
        work = partial(fork, self._directory, self._reader, source, key, draft)
        return self._writes.change_tree(("tree", source), work, size=draft.commit.size)

    def commit(self, key: SessionKey, commit: EncodedCommit) -> QueuedWrite[Receipt]:
        return self._told(key, self._writes.commit(key, commit))

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> QueuedWrite[None]:
        work = partial(delete, self._directory, key, creation_id, cascade=cascade, guard=guard)
        return self._told(key, self._writes.change_tree(("tree", key), work, is_long=True))

    def cut_damaged_tail(self, key: SessionKey) -> QueuedWrite[int]:
        return self._writes.change_tree(("tail", key), partial(cut_damaged_tail, self._directory, key), is_long=True)

    async def trusted_log(self, key: SessionKey) -> TrustedLog | None:
        return await trusted_log(self._directory, key, self._reads.run_long)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        load = partial(self._reader.load, last=last, whole_head=whole_head)
        return await self._read(keys, last, lambda: [load(key) for key in keys])

    async def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
        return await self._read([key], last, lambda: self._reader.load_until(key, seq, last))

    async def read_tail(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        return await self._read([key], last, lambda: self._reader.read_tail(key, last))

    async def read_compacted(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        return await self._read([key], last, lambda: self._reader.read_compacted(key, last))

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        return await self._read([key], 0, lambda: self._reader.read_log(key, after, limit, max_bytes))

    async def find_events(self, key: SessionKey, event_ids: Sequence[str], *, max_bytes: int) -> FoundEvents | None:
        return await self._read([key], 0, lambda: self._reader.find_events(key, event_ids, max_bytes))

    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        return await self._reads.run(self._trees.children, key, paging.ordinal_of(cursor), limit)

    async def forks(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        return await self._reads.run(self._trees.forks, key, paging.ordinal_of(cursor), limit)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        return await self._reads.run_long(self._trees.tree, key)

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        return await self._reads.run_long(self._trees.tree_totals, key)

    async def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        work = partial(list_page, self._directory, self._reader, namespace, prefix, cursor, limit, roots_only)
        return await self._reads.run_long(work)

    async def sizes(self, keys: Sequence[SessionKey]) -> list[int | None]:
        return await self._reads.run_long(sizes, self._directory, keys)

    async def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> NamespacePage:
        work = partial(list_namespaces, self._directory, self._reader, namespace, cursor, limit)
        return await self._reads.run_long(work)

    async def page(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> HeadPage:
        if query.order != "id":
            with suppress(NoCatalogError):
                return await self._reads.run_long(self._pages.page, namespace, query, cursor, limit, last)
        return await super().page(namespace, query, cursor=cursor, limit=limit, last=last)

    async def count(self, namespace: Namespace, query: PageQuery) -> int:
        if not query.title:
            with suppress(NoCatalogError):
                return await self._reads.run_long(self._pages.count, namespace, query)
        return await super().count(namespace, query)

    async def rebuild_index(self, namespace: Namespace) -> int | None:
        """Make the index of the namespace anew; return how many sessions are in it. None where it is not written to."""
        with suppress(NoCatalogError):
            return await self._reads.run_long(self._pages.rebuild, namespace)
        return None

    async def held_leases(self, runs: Sequence[tuple[SessionKey, str]]) -> list[HeldLease | None]:
        return await self._reads.run_long(renewing.held, self._directory, runs)

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
        return await self._reads.run_long(renewing.renew, self._directory, renewals)

    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> QueuedWrite[BudgetReply]:
        work = partial(step_budget, self._directory, key, creation_id, step)
        return self._writes.change_tree(("budget", key), work)

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        loop = asyncio.get_running_loop()
        watcher = self._watchers.get(loop)
        if watcher is None:
            watcher = self._watchers[loop] = Watcher(self._directory, self._reader, self._reads.run)
        await watcher.wait(key, creation_id, revision)

    async def ping(self) -> None:
        await self._reads.run_long(self._directory.try_to_write)

    async def diagnose(self) -> list[StoreFinding]:
        return await super().diagnose() or await self._reads.run_long(diagnose, self._directory)

    async def aclose(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        for loop, watcher in list(self._watchers.items()):
            with suppress(RuntimeError):  # a loop that was closed: nobody waits
                loop.call_soon_threadsafe(watcher.wake_all)
        await self._writes.settled()
        await self._reads.close()
        self._writes.close()

    def renew(self) -> None:
        """Begin anew in a forked process: its parent's threads are not there, and its locks are its parent's."""
        self._begin(self._directory.path, self._directory.durable)

    def _begin(self, path: Path, durable: bool) -> None:
        self._directory = StoreDirectory(path, durable=durable, indexed=self.indexed)
        self._reader = SessionReader(self._directory)
        self._trees = StoredTreeReader(self._directory, self._reader)
        self._pages = CatalogPages(self._directory, self._reader)
        self._reads = ReadThreads(self._directory)
        self._writes = FileWrites(self._directory)
        if self._observer is not None:
            self._writes.observe(self._observer)
        self._watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()

    def _told(self, key: SessionKey, write: QueuedWrite[ResultT]) -> QueuedWrite[ResultT]:
        """Let those who follow the session on this loop know when the write is done."""
        watcher = self._watchers.get(asyncio.get_running_loop()) if self._watchers else None
        if watcher is not None and watcher.is_followed(key):
            write.outcome.add_done_callback(lambda _: watcher.wake(key))
        return write

    async def _read(self, keys: Sequence[SessionKey], last: int | None, read: Callable[[], ResultT]) -> ResultT:
        """Read something of these sessions, in a thread that nobody else waits for if it takes long."""

        def refuse_long() -> None:
            for key in keys:
                self._reader.refuse_long(key, last)

        return await self._reads.run_or_run_long(read, refuse_long)


def _renew_all() -> None:
    for backend in list(_backends):
        backend.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
