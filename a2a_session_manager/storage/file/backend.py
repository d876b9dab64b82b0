"""FileBackend: the primitives over a directory, one executor hop for whatever waits together."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote
from weakref import WeakKeyDictionary, WeakSet

import aiofiles.os

from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.concurrency.threads import is_out_of_threads, out_of_threads
from a2a_session_manager.exceptions import SessionManagerError, StoreUnavailable
from a2a_session_manager.identifiers import shown
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.batching import Busy, CommitQueue, Long
from a2a_session_manager.storage.file.committing import commit
from a2a_session_manager.storage.file.engine import FileEngine
from a2a_session_manager.storage.file.existence import MOST_AT_ONCE
from a2a_session_manager.storage.file.listing import list_page
from a2a_session_manager.storage.file.restoring import bring_in_order
from a2a_session_manager.storage.file.session_reader import SessionReader, TakesLongError
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.syncing import Syncer, Unsynced
from a2a_session_manager.storage.file.watching import Watcher
from a2a_session_manager.storage.file.workers import Work, Workers
from a2a_session_manager.storage.records import (
    Creation,
    EncodedCommit,
    Guard,
    LoadedSession,
    LogPage,
    Receipt,
    SessionKey,
    TreeNode,
    TreeTotals,
)

_log = logging.getLogger("a2a_session_manager.storage.file")

ResultT = TypeVar("ResultT")

BUSY_SECONDS = 5.0
_READ_THREADS = 4
_WRITE_THREADS = 8
_LONG_THREADS = 32
_MOST_EVENTS_AT_ONCE = 256
_backends: WeakSet[FileBackend] = WeakSet()


class FileBackend(Backend):
    """Sessions in a directory, for any number of local processes."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self._begin(path, durable)
        _backends.add(self)

    @property
    def place(self) -> object:
        """The directory."""
        return FileBackend, self._directory.path

    @property
    def shown_place(self) -> str:
        return f"file:{quote(os.fsencode(self._directory.path))}{'?durability=disk' if self._directory.durable else ''}"

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> QueuedWrite[Receipt]:
        root_id = key.id if creation.parent is None else creation.parent.root_id
        lane = ("tree", SessionKey(key.namespace, root_id))
        return self._trees.put(lane, partial(self._engine.create, key, creation, commit), commit.size)

    def commit(self, key: SessionKey, commit: EncodedCommit) -> QueuedWrite[Receipt]:
        size = commit.size
        is_long = size > MOST_AT_ONCE or len(commit.events) > _MOST_EVENTS_AT_ONCE
        return self._told(key, self._queue.put(key, commit, size, is_long=is_long))

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> QueuedWrite[None]:
        work = partial(self._engine.delete, key, creation_id, cascade=cascade, guard=guard)
        return self._told(key, self._trees.put(("tree", key), work, 0, is_long=True))

    def cut_damaged_tail(self, key: SessionKey) -> QueuedWrite[int]:
        return self._trees.put(("tail", key), partial(self._engine.cut_damaged_tail, key), 0, is_long=True)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        load = partial(self._reader.load, last=last, whole_head=whole_head)
        return await self._read(keys, last, lambda: [load(key) for key in keys])

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        return await self._read([key], 0, lambda: self._reader.read_log(key, after, limit, max_bytes))

    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        return await self._hop(self._reader.children, key, paging.ordinal_of(cursor), limit)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        return await self._long_hop(self._reader.tree, key)

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        return await self._long_hop(self._reader.tree_totals, key)

    async def list_page(
        self, namespace: str, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        work = partial(list_page, self._directory, self._reader, namespace, prefix, cursor, limit, roots_only)
        return await self._long_hop(work)

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        loop = asyncio.get_running_loop()
        watcher = self._watchers.get(loop)
        if watcher is None:
            watcher = self._watchers[loop] = Watcher(self._directory, self._reader, self._hop)
        await watcher.wait(key, creation_id, revision)

    async def aclose(self) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        for loop, watcher in list(self._watchers.items()):
            with suppress(RuntimeError):  # a loop that was closed: nobody waits
                loop.call_soon_threadsafe(watcher.wake_all)
        await self._queue.aclose()
        await self._trees.aclose()
        # Not by a hop of its own kind: a directory that is refused, or was never used, is none to prepare.
        try:
            await aiofiles.os.wrap(self._directory.close)(executor=self._executor)
        except RuntimeError:  # no thread can be had
            self._directory.close()
        self._executor.shutdown(wait=False)
        self._long_executor.shutdown(wait=False)
        self._workers.close()
        self._long_workers.close()
        self._syncer.close()

    def renew(self) -> None:
        """Begin anew in a forked process: its parent's threads are not there, and its locks are its parent's."""
        self._begin(self._directory.path, self._directory.durable)

    def _begin(self, path: Path, durable: bool) -> None:
        self._directory = StoreDirectory(path, durable=durable)
        self._engine = FileEngine(self._directory)
        self._reader = SessionReader(self._directory)
        self._executor = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="a2a-session-reads")
        self._long_executor = ThreadPoolExecutor(_READ_THREADS, thread_name_prefix="a2a-session-long-reads")
        self._workers = Workers(_WRITE_THREADS, name="a2a-session-writes")
        self._long_workers = Workers(_LONG_THREADS, name="a2a-session-long")
        self._syncer = Syncer()
        self._watchers: WeakKeyDictionary[asyncio.AbstractEventLoop, Watcher] = WeakKeyDictionary()
        # Apart, so that making a session holds up no commit.
        self._queue, self._trees = (self._new_queue(path) for _ in range(2))

    def _new_queue(self, path: Path) -> CommitQueue:
        return CommitQueue(
            self._start_batch,
            start_long=self._start_long,
            busy_seconds=BUSY_SECONDS,
            busy_message=f"{path}: another process held the file",
            log_busy=_log_busy,
        )

    def _told(self, key: SessionKey, write: QueuedWrite[ResultT]) -> QueuedWrite[ResultT]:
        """Let those who follow the session on this loop know when the write is done."""
        watcher = self._watchers.get(asyncio.get_running_loop()) if self._watchers else None
        if watcher is not None and watcher.is_followed(key):
            write.outcome.add_done_callback(lambda _: watcher.wake(key))
        return write

    async def _read(self, keys: Sequence[SessionKey], last: int | None, work: Callable[[], ResultT]) -> ResultT:
        """Read something of these sessions, in a thread that nobody else waits for if it takes long."""

        def at_once() -> ResultT:
            for key in keys:
                self._reader.refuse_long(key, last)
            return work()

        try:
            return await self._hop(at_once)
        except TakesLongError:
            return await self._long_hop(work)

    async def _hop(self, function: Callable[..., ResultT], *args: Any) -> ResultT:
        return await self._hop_to(self._executor, function, *args)

    async def _long_hop(self, function: Callable[..., ResultT], *args: Any) -> ResultT:
        return await self._hop_to(self._long_executor, function, *args)

    async def _hop_to(self, executor: ThreadPoolExecutor, function: Callable[..., ResultT], *args: Any) -> ResultT:
        def prepared() -> ResultT:
            self._directory.prepare_to_read()
            self._bring_in_order()
            return function(*args)

        with _closed_translated():
            result: ResultT = await aiofiles.os.wrap(prepared)(executor=executor)
            return result

    def _bring_in_order(self) -> None:
        if self._directory.is_copy:
            bring_in_order(self._directory, self._engine)

    def _start_batch(self, batch: Mapping[Hashable, Sequence[Any]]) -> Work[dict[Hashable, Sequence[Any]]]:
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("a batch: %d writes to %d files", sum(map(len, batch.values())), len(batch))
        return self._workers.start(partial(self._answers, batch, at_once=True))

    def _start_long(self, batch: Mapping[Hashable, Sequence[Any]]) -> Work[dict[Hashable, Sequence[Any]]]:
        return self._long_workers.start(partial(self._answers, batch, at_once=False))

    def _answers(self, batch: Mapping[Hashable, Sequence[Any]], *, at_once: bool) -> dict[Hashable, Sequence[Any]]:
        """Do a batch's work, the commits of one session together, and return the answers of each lane."""
        answers: dict[Hashable, Sequence[Any]] = {}
        try:
            self._directory.prepare()
            self._bring_in_order()
        except SessionManagerError as error:
            return {lane: [error] * len(works) for lane, works in batch.items()}
        unsynced = Unsynced(self._syncer, most=self._directory.pool.most)
        for lane, works in batch.items():
            unsynced.make_room()
            answers[lane] = self._lane_answers(lane, works, unsynced, at_once)
        unsynced.sync()
        for key, failure in unsynced.failures.items():
            answers[key] = [failure] * len(batch[key])
        return answers

    def _lane_answers(self, lane: Hashable, works: Sequence[Any], unsynced: Unsynced, at_once: bool) -> Sequence[Any]:
        if not isinstance(lane, SessionKey):
            return list(map(_answer, works))
        answer = _answer(partial(commit, self._directory, lane, works, unsynced, at_once=at_once))
        return [answer] * len(works) if isinstance(answer, Exception | Busy | Long) else answer


def _log_busy(lane: Any, seconds: float) -> None:
    key = lane if isinstance(lane, SessionKey) else lane[1]
    _log.warning(
        "session %s has waited for %.1f s: a file of it is held elsewhere; after %g s its writes fail",
        shown(key.id), seconds, BUSY_SECONDS,
    )  # fmt: skip


@contextmanager
def _closed_translated() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if is_out_of_threads(error):
            raise out_of_threads() from error
        # The executor was shut down meanwhile, on another loop perhaps.
        raise StoreUnavailable("the store is closed: open a new one") from error


def _renew_all() -> None:
    for backend in list(_backends):
        backend.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)


def _answer(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except SessionManagerError as error:
        return error
    except Exception as error:
        unknown = StoreUnavailable(f"the write failed in an unforeseen way ({error!r}): report it, and write again")
        unknown.__cause__ = error
        return unknown
