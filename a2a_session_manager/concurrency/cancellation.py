"""Keeping a write whole when its caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator
from typing import Any, Generic, TypeVar

import anyio

ResultT = TypeVar("ResultT")


class QueuedWrite(Generic[ResultT]):
    """A write that waits in a queue; until it has begun, it can be withdrawn.

    Its one caller awaits `outcome`. A cancellation takes that future away without touching the write, and who
    still wants to know awaits another: what a shield does, at a fraction of its cost.
    """

    __slots__ = ("has_begun", "outcome")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.has_begun = False
        self.outcome: asyncio.Future[ResultT] = loop.create_future()

    def __await__(self) -> Generator[Any, None, ResultT]:
        return self.outcome.__await__()

    def settle(self, answer: ResultT | BaseException) -> bool:
        """Say how the write ended; tell whether that wakes somebody."""
        is_awaited = not self.outcome.done()
        outcome = self.outcome if is_awaited else self.outcome_again()
        if isinstance(answer, BaseException):
            outcome.set_exception(answer)
        else:
            outcome.set_result(answer)
        return is_awaited

    def outcome_again(self) -> asyncio.Future[ResultT]:
        """Return the outcome, anew if a cancellation took it away."""
        if self.outcome.cancelled():
            self.outcome = self.outcome.get_loop().create_future()
            self.outcome.add_done_callback(_failure)
        return self.outcome


async def finish(write: Awaitable[ResultT], *, patience: float) -> ResultT:
    """Wait for `write` even when cancelled, then let the cancellation go on.

    However the cancellation comes (task.cancel, asyncio.timeout, an anyio scope, a TaskGroup, twice), the
    caller leaves at most `patience` seconds late; a write that takes longer ends without it. The error of a
    write that failed meanwhile is the cause of the CancelledError. A queued write that has not begun is
    withdrawn.
    """
    outcome = write.outcome if isinstance(write, QueuedWrite) else asyncio.ensure_future(write)
    if outcome.done():
        return outcome.result()
    try:
        return await (outcome if isinstance(write, QueuedWrite) else asyncio.shield(outcome))
    except asyncio.CancelledError as cancelled:
        if isinstance(write, QueuedWrite):
            if not write.has_begun:
                raise  # and with its outcome cancelled, it never will
            outcome = write.outcome_again()
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
