"""Keeping a write whole when its caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Generic, TypeVar

import anyio

from a2a_session_manager.limits import DEFAULT_LIMITS

ResultT = TypeVar("ResultT")

_END_SECONDS = DEFAULT_LIMITS.cancel_seconds


class DoneWrite(Generic[ResultT]):
    """A write that ended before anybody could be cancelled: what a future of it says, at a fraction of its cost."""

    __slots__ = ("result",)

    def __init__(self, result: ResultT) -> None:
        self.result = result

    def __await__(self) -> Generator[Any, None, ResultT]:
        yield from ()
        return self.result


class QueuedWrite(Generic[ResultT]):
    """A write that waits in a queue; until it has begun, it can be withdrawn.

    Its one caller awaits `outcome`. A cancellation of that caller cancels the future alone, not the write; whoever
    still waits for the write awaits another future. That is what a shield does, at a fraction of its cost.
    """

    __slots__ = ("has_begun", "outcome")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.has_begun = False
        self.outcome: asyncio.Future[ResultT] = loop.create_future()

    def __await__(self) -> Generator[Any, None, ResultT]:
        return self.outcome.__await__()

    def set_outcome(self, answer: ResultT | BaseException) -> bool:
        """Set the result or the error that the write ended with; tell whether somebody waits for it."""
        is_awaited = not self.outcome.done()
        outcome = self.outcome if is_awaited else self.outcome_again()
        if isinstance(answer, BaseException):
            outcome.set_exception(answer)
        else:
            outcome.set_result(answer)
        return is_awaited

    def outcome_again(self) -> asyncio.Future[ResultT]:
        """Return the future of the outcome: another one if a cancellation has cancelled the first."""
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
    if isinstance(write, DoneWrite):
        result: ResultT = write.result
        return result
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


async def finish_after(exc: BaseException | None, write: Coroutine[Any, Any, None], *, failed: str) -> bool:
    """Finish the write that records how a block ended, `exc` being its error; tell whether it was written.

    After an error the write is not waited for long, and it never takes the place of the error: a failure becomes a note
    on `exc` that begins with `failed`.
    """
    # In a task of its own, because a cancelled scope would withdraw the write that says so.
    outcome = asyncio.ensure_future(write)
    if exc is None:
        await finish(outcome, patience=_END_SECONDS)
        return True
    await wait_out(outcome, _END_SECONDS)
    failure: object = _failure(outcome)
    if not outcome.done() or outcome.cancelled():
        failure = f"the store did not answer in {_END_SECONDS:g} s"
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
