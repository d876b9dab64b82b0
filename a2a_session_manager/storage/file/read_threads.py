"""The threads that read: short reads in some, and in others what takes long, so that nobody waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

import aiofiles.os

from a2a_session_manager.concurrency.threads import is_out_of_threads, out_of_threads
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.file.restoring import prepare_to_read
from a2a_session_manager.storage.file.session_reader import TakesLongError
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.workers import Work, Workers

ResultT = TypeVar("ResultT")

_THREADS = 4


class ReadThreads:
    """Runs functions that read the directory, which is prepared before."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory
        self._workers = Workers(_THREADS, name="a2a-session-reads")
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="a2a-session-long-reads")

    async def run(self, function: Callable[..., ResultT], *args: Any) -> ResultT:
        """Run what is soon done."""
        result: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        work = self._workers.start(partial(self._prepared, function, args))
        work.add_done_callback(partial(_tell, result), context=copy_context())
        return await result

    async def run_long(self, function: Callable[..., ResultT], *args: Any) -> ResultT:
        """Run what may take long."""
        with _closed_translated():
            result: ResultT = await aiofiles.os.wrap(self._prepared)(function, args, executor=self._executor)
            return result

    async def run_or_run_long(self, function: Callable[[], ResultT], check: Callable[[], None]) -> ResultT:
        """Run what is soon done unless `check`, which runs before it, raises TakesLongError."""

        def checked() -> ResultT:
            check()
            return function()

        try:
            return await self.run(checked)
        except TakesLongError:
            return await self.run_long(function)

    async def close(self) -> None:
        """Close the directory's files in a thread, and end the threads."""
        # The directory is not prepared: one that is refused, or was never used, is closed as well.
        try:
            await aiofiles.os.wrap(self._directory.close)(executor=self._executor)
        except RuntimeError:  # no thread can be had
            self._directory.close()
        self._workers.close()
        self._executor.shutdown(wait=False)

    def _prepared(self, function: Callable[..., ResultT], args: tuple[Any, ...]) -> ResultT:
        prepare_to_read(self._directory)
        return function(*args)


def _tell(result: asyncio.Future[ResultT], work: Work[ResultT]) -> None:
    if result.done():
        return  # cancelled by whoever waited
    error = work.exception()
    if error is None:
        result.set_result(work.result())
    else:
        result.set_exception(error)


@contextmanager
def _closed_translated() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if is_out_of_threads(error):
            raise out_of_threads() from error
        # The executor was shut down meanwhile, on another loop perhaps.
        raise StoreUnavailable("the store is closed: open a new one") from error
