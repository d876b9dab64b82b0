"""What idle followers cost: each has open one chat that nobody writes to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median

from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks.measure import Result, Sample, compared, judged_alone, lateness_turns
from benchmarks.payloads import short_message
from benchmarks.scenarios import Sizes, an_event, grown

_EVENTS_READ = 10
# Each takes seconds.
_LONG_TURNS = 15


async def processor_of_idle_followers(store: BaseSessionStore, sizes: Sizes) -> Result:
    """The part of a core, in per cent, that the process takes with idle followers; without any is shown."""
    turns = lateness_turns(sizes.turns)
    alone = [await _processor_share(sizes.watched_seconds) for _ in range(turns)]
    async with _followers(store, await _chats(store, sizes), sizes):
        beside = [await _processor_share(sizes.watched_seconds) for _ in range(turns)]
    return judged_alone("followed", beside, "%", {"without": median(alone)})


async def append_beside_idle_followers(store: BaseSessionStore, sizes: Sizes) -> Result:
    """Appending one by one to a session, with idle followers of other sessions, against the same without followers."""
    append = _appending(store, await grown(store, _EVENTS_READ), sizes.watched_seconds)
    session_ids = await _chats(store, sizes)

    async def beside() -> float:
        async with _followers(store, session_ids, sizes):
            return await append()

    return await compared({"without": append, "beside": beside}, turns=min(sizes.turns, _LONG_TURNS))


def _appending(store: BaseSessionStore, session_id: str, watched_seconds: float) -> Sample:
    """Return a sample that is long enough to hold several of the looks that the store takes at followed sessions."""

    async def sample() -> float:
        count, start = 0, time.perf_counter()
        while (seconds := time.perf_counter() - start) < watched_seconds:
            await store.append(session_id, an_event(short_message()))
            count += 1
        return seconds / count

    return sample


async def _processor_share(seconds: float) -> float:
    start, spent = time.perf_counter(), time.process_time()
    await asyncio.sleep(seconds)
    return 100 * (time.process_time() - spent) / (time.perf_counter() - start)


async def _chats(store: BaseSessionStore, sizes: Sizes) -> list[str]:
    return [await grown(store, _EVENTS_READ) for _ in range(sizes.followers)]


@asynccontextmanager
async def _followers(store: BaseSessionStore, session_ids: Sequence[str], sizes: Sizes) -> AsyncIterator[None]:
    """Follow sessions that nobody writes to, one follower each; the block begins when all have read theirs."""
    have_read = asyncio.Semaphore(0)

    async def follow(session_id: str) -> None:
        async for event in store.follow(session_id):
            if event.seq == _EVENTS_READ:
                have_read.release()

    tasks = [asyncio.create_task(follow(session_id)) for session_id in session_ids]
    try:
        for _ in tasks:
            await have_read.acquire()
        await asyncio.sleep(sizes.watched_seconds)  # a store's first look at what is followed is not an idle one
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
