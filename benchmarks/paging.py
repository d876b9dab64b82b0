"""What pages of heads cost, and what being found by properties costs those who write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from a2a_session_manager import SessionChange
from a2a_session_manager.protocols import HeadsPage
from a2a_session_manager.storage.store import BaseSessionStore
from benchmarks.measure import Result, Sample, compared, timed
from benchmarks.payloads import short_message
from benchmarks.scenarios import Sizes, an_event

INDEXED = ("owner",)
_FEW = 100
_SESSIONS_OF_AN_OWNER = 100
_CREATED_AT_ONCE = 64
_CREATED_IN_A_SAMPLE = 5  # for each operation of one

Ask = Callable[[BaseSessionStore], Awaitable[HeadsPage]]


async def newest(store: BaseSessionStore) -> HeadsPage:
    """Read what a sidebar shows first."""
    return await store.page(limit=50)


async def newest_of_an_owner(store: BaseSessionStore) -> HeadsPage:
    """Read what it shows to one of many users."""
    return await store.page(limit=50, properties={"owner": "user 0"})


async def page_by_number(store: BaseSessionStore, sizes: Sizes, *, ask: Ask) -> Result:
    """A page of 50 among many sessions against among 100; each owner has 100."""
    samples = {}
    for name, count in (("few", _FEW), ("many", sizes.sessions)):
        view = store.namespace(name)
        await filled(view, count)
        samples[f"among {count:,}"] = _asking(view, ask, max(sizes.operations // 10, 1))
    return await compared(samples, turns=sizes.turns)


async def page_in_time(store: BaseSessionStore, sizes: Sizes, *, ask: Ask) -> Result:
    """A page of 50 among many sessions, which has been asked for before."""
    await filled(store, sizes.sessions)
    return await timed("page", _asking(store, ask, max(sizes.operations // 10, 1)), turns=sizes.turns)


async def append_to_indexed(plain: BaseSessionStore, indexed: BaseSessionStore, sizes: Sizes) -> Result:
    """Processor time of an append to a session that is found by its owner, against one that no page was asked for."""
    for store in (plain, indexed):
        await filled(store, _FEW)
    await newest(indexed)
    await newest_of_an_owner(indexed)

    def appending(store: BaseSessionStore) -> Sample:
        async def sample() -> float:
            begun = time.process_time()
            for number in range(sizes.operations):
                await store.append(f"s{number % _FEW}", an_event(short_message()))
            return (time.process_time() - begun) / sizes.operations

        return sample

    return await compared({"plain": appending(plain), "indexed": appending(indexed)}, turns=sizes.turns)


async def create_indexed(plain: BaseSessionStore, indexed: BaseSessionStore, sizes: Sizes) -> Result:
    """Creating sessions with an owner, many at once, where they are found by it, against where they are not."""
    created = 0

    def creating(store: BaseSessionStore) -> Sample:
        async def sample() -> float:
            nonlocal created
            count = sizes.operations * _CREATED_IN_A_SAMPLE
            begun = time.perf_counter()
            await filled(store, count, first=created)
            seconds = (time.perf_counter() - begun) / count
            created += count
            return seconds

        return sample

    return await compared({"plain": creating(plain), "indexed": creating(indexed)}, turns=sizes.turns)


async def filled(store: BaseSessionStore, count: int, *, first: int = 0) -> None:
    """Create `count` sessions, each of an owner who has 100 of them."""
    owners = max(count // _SESSIONS_OF_AN_OWNER, 1)

    async def create(start: int) -> None:
        for number in range(first + start, first + count, _CREATED_AT_ONCE):
            properties = {"owner": f"user {number % owners}", "title": f"Chat {number}"}
            await store.create(f"s{number}", change=SessionChange(set_properties=properties))

    await asyncio.gather(*map(create, range(_CREATED_AT_ONCE)))


def _asking(store: BaseSessionStore, ask: Ask, operations: int) -> Sample:
    async def sample() -> float:
        begun = time.perf_counter()
        for _ in range(operations):
            assert len(await ask(store)) == 50
        return (time.perf_counter() - begun) / operations

    return sample
