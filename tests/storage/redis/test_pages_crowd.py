"""Processes write, jump in time and are killed, keys of the index are removed: no page is ever short or in disorder."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.redis import entries
from a2a_session_manager.storage.redis.keys import entry_keys, index_keys
from a2a_session_manager.storage.store import BaseSessionStore
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import connections_of
from tests.storage.redis.processes import filer

STILL = [f"still-{number}" for number in range(7)]
# They are so far apart that their order is known between pages, too.
APART_NANOSECONDS = 100_000_000_000
TOLERANCE_SECONDS = 10
PAGE = 7
INDEXED = ("owner", "n")


class Filers:
    """Processes that write, each of which is killed now and then, and comes again."""

    def __init__(self, url: str, count: int, verbs: int, dice: random.Random) -> None:
        self._url = url
        self._verbs = verbs
        self._dice = dice
        self._running = [self._begun(number) for number in range(count)]

    def kill_one(self) -> None:
        """Kill one and let it begin anew."""
        number = self._dice.randrange(len(self._running))
        self._running[number].kill()
        self._running[number].wait()
        self._running[number] = self._begun(number)

    def ended(self) -> bool:
        """Tell whether all have done what they had to; raise for one that failed."""
        codes = [process.poll() for process in self._running]
        assert all(code in (None, 0) for code in codes)
        return None not in codes

    def kill(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()

    def _begun(self, number: int) -> subprocess.Popen[bytes]:
        seed = self._dice.randrange(10**9)
        arguments = [self._url, f"p{number}", str(seed), str(self._verbs)]
        return subprocess.Popen(
            [sys.executable, "-m", "tests.storage.redis.processes.filer", *arguments],
            cwd=Path(filer.__file__).parents[4],
            stdout=subprocess.DEVNULL,
        )


async def paged(store: BaseSessionStore, **query: Any) -> list[list[SessionHead]]:
    pages: list[list[SessionHead]] = []
    cursor = None
    while True:
        page = await store.page(limit=PAGE, cursor=cursor, **query)
        pages.append(list(page))
        if (cursor := page.cursor) is None:
            return pages


async def check_the_still(store: BaseSessionStore, dice: random.Random) -> None:
    """Whatever goes on, those that nobody touches are on one page each."""
    query: dict[str, Any] = {
        "order": dice.choice(["updated", "created"]),
        "newest_first": dice.choice([True, False]),
        "properties": dice.choice([None, {"owner": "still"}, {"owner": "still", "n": 7}]),
    }
    found = [head.id for page in await paged(store, **query) for head in page if head.id in STILL]
    assert found == (STILL[::-1] if query["newest_first"] else STILL), query
    # One whose id was free meanwhile is another session.
    assert await store.count(properties={"owner": "still"}) == len(STILL)


async def damage(store: BaseSessionStore, prefix: str, dice: random.Random) -> None:
    """Remove a key of the index, or a part of one."""
    shard = dice.choice(index_keys(prefix, store._namespace, roots_only=False))
    facts, order = entry_keys(prefix, shard)
    damages: list[Sequence[tuple[Any, ...]]] = [
        [("DEL", facts)],
        [("DEL", order)],
        [("DEL", facts), ("DEL", order)],
        [("ZPOPMAX", order)],
        [("HDEL", facts, ":mark")],
        [("SET", order, "x", "XX")],
    ]
    await connections_of(store).read_many(dice.choice(damages))


async def check_all(store: BaseSessionStore) -> None:
    """Compare pages with what the sessions are, read one by one."""
    loaded = await store.get_many(await store.list_sessions(), last=0)
    truth = {session.id: session for session in loaded if session is not None}

    owners = {each: session.metadata.properties.get("owner") for each, session in truth.items()}

    assert set(truth) >= set(STILL)
    await paged(store)  # it puts right what those who were killed have left
    for newest_first in (True, False):
        pages = await paged(store, newest_first=newest_first)
        assert sorted(head.id for page in pages for head in page) == sorted(truth)
        sign = 1 if newest_first else -1
        bound = float("inf")
        for page in pages:
            times = [sign * head.updated_at.timestamp() for head in page]
            assert times == sorted(times, reverse=True)
            assert max(times, default=0) <= bound + TOLERANCE_SECONDS
            bound = min([bound, *times])
        created = [
            head.created_at for page in await paged(store, order="created", newest_first=newest_first) for head in page
        ]
        assert created == sorted(created, reverse=newest_first)
        assert len(created) == len(truth)
    roots = [head.id for page in await paged(store, roots_only=True) for head in page]
    assert sorted(roots) == sorted(each for each, session in truth.items() if session.parent_id is None)
    for owner in [*filer.OWNERS, "still", "nobody"]:
        expected = sorted(each for each, value in owners.items() if value == owner)
        for order in ("updated", "id"):
            heads = [head for page in await paged(store, order=order, properties={"owner": owner}) for head in page]
            assert sorted(head.id for head in heads) == expected
        assert await store.count(properties={"owner": owner}) == len(expected)
    assert await store.count() == len(truth)


@pytest.fixture(
    params=[
        ("redis_server", 2, 6, 1, 7),
        *(pytest.param(("redis_server", 4, 600, 12, seed), marks=pytest.mark.soak) for seed in range(4)),
        *(pytest.param(("redis_cluster", 4, 300, 8, seed), marks=pytest.mark.soak) for seed in range(2)),
    ],
    ids=str,
)
def crowd(request: pytest.FixtureRequest) -> tuple[str, int, int, int, int]:
    """Return the URL of servers, how many processes write, how many verbs each, how many are killed, and the seed."""
    servers, *numbers = request.param
    started: RedisServer | RedisCluster = request.getfixturevalue(servers)
    return started.url, *numbers


async def test_pages_of_what_processes_write_that_are_killed(
    crowd: tuple[str, int, int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, processes, verbs, kills, seed = crowd
    prefix, dice = f"{uuid4().hex[:12]}:", random.Random(seed)
    url = f"{url}?key_prefix={prefix}"
    async with store_from_url(url, indexed=INDEXED) as store:
        for number in range(filer.SHARED):
            await store.create(f"shared-{number}")
        for number, name in enumerate(STILL):
            at = time.time_ns() - (len(STILL) - number) * APART_NANOSECONDS
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr(clock, "time_ns", lambda at=at: at)
                await store.create(name, change=SessionChange(set_properties={"owner": "still", "n": 7}))
        filers = await asyncio.to_thread(Filers, url, processes, verbs, dice)
        try:
            for _ in range(kills):
                await asyncio.sleep(0.3)
                for _ in range(2):
                    await damage(store, prefix, dice)
                    await check_the_still(store, dice)
                await asyncio.to_thread(filers.kill_one)
            while not filers.ended():
                await damage(store, prefix, dice)
                await check_the_still(store, dice)
                await asyncio.sleep(0.3)  # for them to get on
        finally:
            await asyncio.to_thread(filers.kill)

        await asyncio.sleep(filer.LIFE_SECONDS)
        # Nobody is under way any more.
        monkeypatch.setattr(entries, "_UNDER_WAY", 0)
        await check_all(store)
        cold = store_from_url(url)
        await check_all_are_gone(cold, prefix)
        await cold.aclose()


async def check_all_are_gone(store: BaseSessionStore, prefix: str) -> None:
    """Delete everything: nothing of the index is left."""
    for session_id in [each async for each in store.iter_sessions(roots_only=True)]:
        await store.delete(session_id, children="cascade")
    assert list(await store.page()) == []
    assert await store.count() == 0
    keys = [
        key for shard in index_keys(prefix, store._namespace, roots_only=False) for key in entry_keys(prefix, shard)
    ]
    assert sum(await connections_of(store).read_many([("EXISTS", key) for key in keys])) == 0
