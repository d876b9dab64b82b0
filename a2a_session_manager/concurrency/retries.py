"""Sending a write again whose outcome is not known: its ids make that harmless."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from a2a_session_manager.exceptions import StoreUnavailable

ResultT = TypeVar("ResultT")


async def retry_if_unknown(write: Callable[[], Awaitable[ResultT]], *, pauses: Sequence[float] = (0,)) -> ResultT:
    """Send a write and, while its outcome is not known, the same one again after each of the `pauses`, in seconds.

    Raises StoreUnavailable when the outcome of the last one is not known either.
    """
    for pause in pauses:
        try:
            return await write()
        except StoreUnavailable:
            await asyncio.sleep(pause)
    return await write()
