"""Threads that do a loop's blocking work and wake it with the answer: an executor's job at half its cost."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TypeVar
from weakref import WeakSet, finalize

from a2a_session_manager.exceptions import StoreUnavailable

ResultT = TypeVar("ResultT")
# A piece of work that tells its loop itself; None ends the thread that takes it.
_Tasks = SimpleQueue[Callable[[], None] | None]

_all: WeakSet[Workers] = WeakSet()


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

    def start(self, work: Callable[[], ResultT]) -> asyncio.Future[ResultT]:
        """Begin `work` in a thread and return its outcome. Raises StoreUnavailable once closed."""
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[ResultT] = loop.create_future()
        with self._lock:
            if not self._end.alive:
                raise StoreUnavailable("the store is closed: open a new one")
            self._unfinished += 1
            if self._unfinished > len(self._threads) < self._most:
                self._add_thread()
        self._tasks.put(partial(self._do, work, loop, outcome))
        return outcome

    def close(self) -> None:
        """Take no more work; what was begun is finished."""
        with self._lock:
            self._end()

    def wait(self) -> None:
        """Wait, behind `close`, until all that was begun is finished."""
        for thread in self._threads:
            thread.join()

    def _add_thread(self) -> None:
        # A daemon, so that a process can end while the thread waits for work; `_finish_all` waits where there is some.
        thread = threading.Thread(target=_serve, args=(self._tasks,), name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _do(
        self, work: Callable[[], ResultT], loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[ResultT]
    ) -> None:
        try:
            tell = partial(outcome.set_result, work())
        except BaseException as error:
            tell = partial(outcome.set_exception, error)
        with self._lock:
            self._unfinished -= 1
        with suppress(RuntimeError):  # the loop was closed: nobody waits
            loop.call_soon_threadsafe(_tell, outcome, tell)


def _tell(outcome: asyncio.Future[ResultT], tell: Callable[[], None]) -> None:
    if not outcome.done():
        tell()


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
