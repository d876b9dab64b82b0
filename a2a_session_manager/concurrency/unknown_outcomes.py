"""Writes that nobody would send again: sent twice where the reply is lost, and made however a block ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from a2a_session_manager.concurrency.cancellation import finish, finish_behind
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.limits import DEFAULT_LIMITS

ResultT = TypeVar("ResultT")

_END_SECONDS = DEFAULT_LIMITS.cancel_seconds


async def retry_if_unknown(write: Callable[[], Awaitable[ResultT]], *, pauses: Sequence[float] = (0,)) -> ResultT:
    """Send a write, and after each pause once more, the same, while its outcome is not known.

    Its ids make that harmless.
    """
    for pause in pauses:
        try:
            return await write()
        except StoreUnavailable:
            await asyncio.sleep(pause)
    return await write()


async def write_at_end(write: Coroutine[Any, Any, None], exc: BaseException | None, *, failed: str) -> bool:
    """Await the write that records how a block ended, `exc` being what ended it; tell whether it was written.

    After an error the write never stands in its way: a failure is a note on `exc` that begins with `failed`.
    """
    # In a task of its own: a cancelled scope would withdraw the write that says so.
    outcome = asyncio.ensure_future(write)
    if exc is not None:
        return await finish_behind(exc, outcome, patience=_END_SECONDS, failed=failed)
    await finish(outcome, patience=_END_SECONDS)
    return True
