"""Keeping a write whole when its caller is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import anyio

ResultT = TypeVar("ResultT")


class QueuedWrite(asyncio.Future[ResultT]):
    """The outcome of a write that waits in a queue; until it has begun, it can be withdrawn."""

    has_begun = False


async def finish(write: asyncio.Future[ResultT], *, patience: float) -> ResultT:
    """Wait for `write` even when cancelled, then let the cancellation go on.

    However the cancellation comes (task.cancel, asyncio.timeout, an anyio scope, a TaskGroup, twice), the
    caller leaves at most `patience` seconds late; a write that takes longer ends without it. The error of a
    write that failed meanwhile is the cause of the CancelledError. A queued write that has not begun is
    withdrawn.
    """
    if write.done():
        return write.result()
    try:
        return await asyncio.shield(write)
    except asyncio.CancelledError as cancelled:
        if isinstance(write, QueuedWrite) and not write.has_begun:
            write.cancel()
            raise
        await wait_out(write, patience)
        if write.done() and not write.cancelled() and (failure := write.exception()) is not None:
            raise cancelled from failure
        raise


async def finish_behind(exc: BaseException, write: asyncio.Future[Any], *, patience: float, failed: str) -> bool:
    """Wait for `write` while `exc` is on its way: not for long, and never instead of it.

    Returns whether it was written; a failure is a note on `exc` that begins with `failed`.
    """
    await wait_out(write, patience)
    failure: object = f"the store did not answer in {patience:g} s"
    if write.done():
        failure = write.exception()
    else:
        write.add_done_callback(_look_at)
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


def _look_at(write: asyncio.Future[Any]) -> None:
    """Take the outcome that nobody waits for any more, so that asyncio does not report it as forgotten."""
    if not write.cancelled():
        write.exception()
