"""Two ways of one read, compared after every few steps of a history."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.records import SessionKey
from tests.redis_servers.server import RedisServer
from tests.storage.redis.both_ways import both_ways
from tests.storage.redis.histories import Drawn, History, small_pages

# By the quick way and by the script: of all sessions that there are by now.
Compare = Callable[[Backend, Backend, Sequence[SessionKey]], Awaitable[None]]


def compare_reads(server: RedisServer, drawn: Drawn, compare: Compare) -> None:
    """Compare what the two ways read, after each of the lists of steps."""
    length, steps = drawn

    async def run() -> None:
        async with both_ways(server) as stores:
            history = History(stores[0])
            await history.begin(length)
            quick, slow = [store._open_backend for store in stores]
            for few in steps:
                await history.take(few)
                await compare(quick, slow, [SessionKey((), name) for name in history.names])

    with small_pages():
        asyncio.run(run())
