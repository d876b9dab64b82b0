"""LoopThread: an event loop in a thread of its own, for callers that have none, or run on another one."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import anyio
import anyio.to_thread

from a2a_session_manager.concurrency.threads import is_out_of_threads, out_of_threads
from a2a_session_manager.exceptions import InvalidSessionOperation, StoreUnavailable

ResultT = TypeVar("ResultT")


class LoopThread:
    """Runs coroutines on one event loop, whose thread begins with the first of them and ends with `close`.

    A store belongs to the loops that use it; through this, it is used on one, whoever calls from wherever. Callers may
    be many threads at once. A process that was forked after the thread had begun needs another one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = 0
        self._is_closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_closed(self) -> bool:
        """True once `close` was called."""
        return self._is_closed

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run `work` on the loop, wait for it, and return its result or raise its error. It blocks the calling thread.

        When the wait is interrupted, such as by Ctrl-C, `work` is cancelled and its end awaited. Raises
        InvalidSessionOperation on the loop's own thread, where it would wait for itself, and in a forked process;
        StoreUnavailable when this is closed.
        """
        handed = self._hand_over(work)
        try:
            handed.future.exception()
        except BaseException:
            handed.cancel()
            handed.future.exception()
            raise
        return handed.result()

    async def wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run `work` on the loop, and return its result or raise its error, for a caller on a loop of asyncio or trio.

        A caller that is cancelled cancels `work`, and goes on when that has ended: a commit that has begun is finished
        first. On the loop itself, `work` is simply awaited. Raises what `run` does.
        """
        if self._thread is threading.current_thread():
            return await work
        handed = self._hand_over(work)
        try:
            await _done(handed.future)
        except BaseException:
            handed.cancel()
            with anyio.CancelScope(shield=True):
                await _done(handed.future)
            raise
        return handed.result()

    def iterate(self, items: AsyncGenerator[ResultT, None]) -> Generator[ResultT, None, None]:
        """Yield what `items` yields, each awaited on the loop; closing this closes `items`."""
        try:
            while True:
                try:
                    item = self.run(anext(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            with suppress(StoreUnavailable):  # whoever closed the loop has closed `items`
                self.run(items.aclose())

    def close(self) -> None:
        """Cancel what still runs, and end the loop and its thread. Doing it twice is fine."""
        with self._lock:
            self._is_closed = True
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None or self._process != os.getpid():
            return
        loop.call_soon_threadsafe(loop.stop)
        if thread is not threading.current_thread():
            thread.join()

    def _hand_over(self, work: Coroutine[Any, Any, ResultT]) -> _Handed[ResultT]:
        try:
            with self._lock:  # what is handed over before `close` is there before the loop ends
                return _Handed(self._running_loop(), work)
        except BaseException:
            work.close()
            raise

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._is_closed:
            raise StoreUnavailable("the loop of these sessions is closed: open new ones")
        if self._loop is None:
            return self._begin()
        if self._process != os.getpid():
            raise InvalidSessionOperation(
                "this process was forked after its parent had used these sessions: open them in each process"
            )
        if self._thread is threading.current_thread():
            raise InvalidSessionOperation(
                "called on the loop's own thread, it would wait for itself: await the manager's verb there"
            )
        return self._loop

    def _begin(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_serve, args=(loop,), name="a2a-session-manager-loop", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            loop.close()
            if is_out_of_threads(error):
                raise out_of_threads() from error
            raise
        self._loop, self._thread, self._process = loop, thread, os.getpid()
        return loop


class _Handed(Generic[ResultT]):
    """A coroutine that was handed to a loop; `future` tells from any thread when it has ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, ResultT]) -> None:
        self.future: Future[asyncio.Task[ResultT]] = Future()
        self._loop = loop
        self._work = work
        self._task: asyncio.Task[ResultT] | None = None
        loop.call_soon_threadsafe(self._begin)  # in a copy of the caller's context

    def cancel(self) -> None:
        """Cancel it; `future` is done when it has ended."""
        with suppress(RuntimeError):  # the loop was closed just now, and has cancelled it
            self._loop.call_soon_threadsafe(self._cancel)

    def result(self) -> ResultT:
        """Return the result of a coroutine that has ended, or raise its error."""
        task = self.future.result()
        if task.cancelled():
            raise StoreUnavailable(
                "these sessions were closed meanwhile: what was under way may have happened, and may be sent again "
                "with the same ids"
            )
        error = task.exception()
        if error is not None:
            raise error
        return task.result()

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work)
        self._task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[ResultT]) -> None:
        self.future.set_result(task)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        asyncio.set_event_loop(None)
        loop.close()


async def _done(future: Future[Any]) -> None:
    """Return when `future` is done; being cancelled here does nothing to it."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:  # trio
        await anyio.to_thread.run_sync(future.exception, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1))
    else:
        await asyncio.shield(asyncio.wrap_future(future))
