"""Keeping a write whole when its caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import anyio

ResultT = TypeVar("ResultT")


class QueuedWrite(asyncio.Future[ResultT]):
    """The outcome of a write that waits in a queue; until it has begun, it can be withdrawn.

    Its caller waits for a future of its own, which a cancellation may take away without touching the write:
    what a shield does, at a third of its cost.
    """

    has_begun = False
    _caller: asyncio.Future[None] | None = None

    def news(self) -> asyncio.Future[None]:
        """Return a future for the one caller of this write, which `settle` wakes."""
        self._caller = self.get_loop().create_future()
        return self._caller

    def settle(self, answer: ResultT | BaseException) -> bool:
        """Say how the write ended, unless it was withdrawn; tell whether that wakes somebody."""
        if self.done():
            return False
        if isinstance(answer, BaseException):
            self.set_exception(answer)
        else:
            self.set_result(answer)
        caller = self._caller
        if caller is None or caller.done():
            return False
        caller.set_result(None)
        return True


async def finish(write: Awaitable[ResultT], *, patience: float) -> ResultT:
    """Wait for `write` even when cancelled, then let the cancellation go on.

    However the cancellation comes (task.cancel, asyncio.timeout, an anyio scope, a TaskGroup, twice), the
    caller leaves at most `patience` seconds late; a write that takes longer ends without it. The error of a
    write that failed meanwhile is the cause of the CancelledError. A queued write that has not begun is
    withdrawn.
    """
    outcome = asyncio.ensure_future(write)
    if outcome.done():
        return outcome.result()
    try:
        await (outcome.news() if isinstance(outcome, QueuedWrite) else asyncio.shield(outcome))
        return outcome.result()
    except asyncio.CancelledError as cancelled:
        if isinstance(outcome, QueuedWrite) and not outcome.has_begun:
            outcome.cancel()
            raise
        await wait_out(outcome, patience)
        if failure := _failure(outcome):
            raise cancelled from failure
        raise


async def finish_behind(exc: BaseException, write: asyncio.Future[Any], *, patience: float, failed: str) -> bool:
    """Wait for `write` while `exc` is on its way: not for long, and never instead of it.

    Returns whether it was written; a failure is a note on `exc` that begins with `failed`.
    """
    await wait_out(write, patience)
    failure: object = _failure(write)
    if not write.done() or write.cancelled():
        failure = f"the store did not answer in {patience:g} s"
    if failure is not None:
        exc.add_note(f"{failed}: {failure}")
    return failure is None


async def wait_out(write: asyncio.Future[ResultT], patience: float) -> None:
    """Wait for `write` at most `patience` seconds, whatever cancellation comes meanwhile; it may not be done then."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience
    # Entered only now: on the good path an anyio scope would cost more than the write.
    with anyio.CancelScope(shield=True):
        while not write.done() and (left := deadline - loop.time()) > 0:
            try:
                await asyncio.wait({write}, timeout=left)
            except asyncio.CancelledError:
                continue  # the first one is on its way already


def _failure(write: asyncio.Future[ResultT]) -> BaseException | None:
    """Return how `write` failed, if it has; a later failure is nobody's, and not worth a word in the log."""
    if not write.done():
        write.add_done_callback(_failure)
        return None
    return None if write.cancelled() else write.exception()
