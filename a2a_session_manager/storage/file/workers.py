"""Threads that do a loop's blocking work and wake it with the answer: an executor's job at a part of its cost."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar
from weakref import WeakSet, finalize

from a2a_session_manager.concurrency.threads import out_of_threads
from a2a_session_manager.exceptions import StoreUnavailable

_log = logging.getLogger("a2a_session_manager.storage.file")

ResultT = TypeVar("ResultT")
# A piece of work that tells its loop itself; None ends the thread that takes it.
_Tasks = SimpleQueue[Callable[[], None] | None]

_all: WeakSet[Workers] = WeakSet()


class Work(Generic[ResultT]):
    """What one piece of work comes to. It tells its loop like a future, but without a turn of the loop in between."""

    __slots__ = ("_context", "_do", "_error", "_loop", "_result", "_tell")

    def __init__(self, do: Callable[[], ResultT]) -> None:
        self._do = do
        self._loop = asyncio.get_running_loop()
        self._error: BaseException | None = None

    def add_done_callback(self, tell: Callable[[Work[ResultT]], object], /, *, context: Context) -> None:
        """Have the loop call `tell`. The caller of `start` does this before it lets the loop go on."""
        self._tell = tell
        self._context = context

    def cancelled(self) -> bool:
        return False

    def exception(self) -> BaseException | None:
        return self._error

    def result(self) -> ResultT:
        return self._result

    def run(self) -> None:
        """Do the work, in a thread."""
        try:
            self._result = self._do()
        except BaseException as error:
            self._error = error

    def wake_loop(self) -> None:
        """Tell the loop that the work is done."""
        with suppress(RuntimeError):  # the loop was closed: nobody waits
            self._loop.call_soon_threadsafe(self._tell_now)

    def _tell_now(self) -> None:
        self._context.run(self._tell, self)


class Workers:
    """Up to `most` threads, started as work comes; it ends with `close`, or when nobody holds it any more."""

    def __init__(self, most: int, *, name: str) -> None:
        self._most = most
        self._name = name
        self._tasks: _Tasks = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._unfinished = 0
        self._lock = threading.Lock()
        self._end = finalize(self, _end, self._tasks, self._threads)
        _all.add(self)

    def start(self, do: Callable[[], ResultT]) -> Work[ResultT]:
        """Begin to `do` something in a thread. Raises StoreUnavailable once closed, and when no thread can be had."""
        work = Work(do)
        with self._lock:
            if not self._end.alive:
                raise StoreUnavailable("the store is closed: open a new one")
            if self._unfinished >= len(self._threads) < self._most:
                self._add_thread()
            self._unfinished += 1
        self._tasks.put(partial(self._do, work))
        return work

    def close(self) -> None:
        """Take no more work; what was begun is finished."""
        with self._lock:
            self._end()

    def wait(self) -> None:
        """Wait, after `close`, until all that was begun is finished."""
        for thread in self._threads:
            thread.join()

    def _add_thread(self) -> None:
        # A daemon, so that a process can end while the thread waits for work; `_finish_all` waits where there is some.
        thread = threading.Thread(target=_serve, args=(self._tasks,), name=self._name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._threads:
                raise out_of_threads() from error
            _log.info("no further thread can be had: %d write", len(self._threads))
            return  # those that there are take the work
        self._threads.append(thread)

    def _do(self, work: Work[ResultT]) -> None:
        work.run()
        with self._lock:
            self._unfinished -= 1
        work.wake_loop()


def _serve(tasks: _Tasks) -> None:
    while (task := tasks.get()) is not None:
        task()
        del task  # what it holds must not live until the next one comes


def _end(tasks: _Tasks, threads: list[threading.Thread]) -> None:
    for _ in threads:
        tasks.put(None)


def _finish_all() -> None:
    for workers in list(_all):
        workers.close()
        workers.wait()


atexit.register(_finish_all)
if hasattr(os, "register_at_fork"):
    # A forked process has none of its parent's threads, and their locks may look held for ever.
    os.register_at_fork(after_in_child=_all.clear)
