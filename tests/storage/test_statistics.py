"""What each store counts: batches and their sizes, tries again, and what waits, is under way and is open."""

from __future__ import annotations

import asyncio
import fcntl
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import SessionManager, StoreStatistics, store_from_url
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage import InMemorySessionStore
from a2a_session_manager.storage.batching import CommitQueue
from a2a_session_manager.storage.busy_keys import BUSY, BusyKeys
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.file.long_works import LONG
from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.testing.contract.making import said
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer
from tests.storage.file.processes.common import file_of
from tests.storage.file.test_long_works import LongStarter
from tests.storage.redis.connecting import users_client
from tests.storage.starter import Starter
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]  # a fixture


def counts(statistics: StoreStatistics, *names: str) -> tuple[int, ...]:
    return tuple(getattr(statistics, name) for name in names)


async def test_the_size_of_batches_is_told_in_commits(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.create("talk")
        await asyncio.gather(*[store.append("talk", said()) for _ in range(30)])
        told = store.statistics()

    assert told.commits == 30
    if isinstance(store, InMemorySessionStore):
        assert counts(told, "batches", "largest_batch") == (0, 0)
        assert told.mean_batch == 0.0
    else:
        assert 2 <= told.batches < 30
        assert 1 < told.largest_batch < 30
        assert told.mean_batch == 30 / told.batches


async def test_what_waits_and_what_is_under_way_is_told_while_it_is_so(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.create("talk")
        writes = [asyncio.ensure_future(store.append("talk", said())) for _ in range(5)]
        await asyncio.sleep(0)
        during = store.statistics()
        await asyncio.gather(*writes)

        expected = (0, 0, 5) if isinstance(store, InMemorySessionStore) else (1, 4, 0)
        assert counts(during, "commits_in_flight", "commits_waiting", "commits") == expected


async def test_followers_are_told_while_they_wait(open_store: OpenStore) -> None:
    async with open_store() as store:
        await store.create("talk")
        streams = [store.follow("talk") for _ in range(3)]
        news = [asyncio.ensure_future(anext(stream)) for stream in streams]
        for _ in range(2_000):
            if store.statistics().followers == 3:
                break
            await asyncio.sleep(0.001)
        assert store.namespace("acme").statistics().followers == 3

        await store.append("talk", said())
        await asyncio.gather(*news)

        assert store.statistics().followers == 0
        for stream in streams:
            await stream.aclose()


async def test_the_store_of_a_manager_tells_its_statistics() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("talk") as chat:
        await chat.user("Hello")

        assert sessions.store.statistics() == StoreStatistics(commits=1)


async def test_open_files_are_told(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        assert store.statistics().open_files == 0
        for name in ("one", "two"):
            await store.create(name)
            await store.append(name, said())

        assert store.statistics().open_files == 5  # of each, its log and its tree; and the catalog of both

    assert store.statistics().open_files == 0


async def test_commits_that_find_their_file_held_are_told_as_retries(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("talk")
        file = await asyncio.to_thread(file_of(tmp_path, "talk").open, "rb")
        await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
        writes = [asyncio.ensure_future(store.append("talk", said())) for _ in range(3)]
        await asyncio.sleep(0.2)
        during = store.statistics()
        await asyncio.to_thread(file.close)
        await asyncio.gather(*writes)
        after = store.statistics()

    assert (during.commits, during.commits_waiting + during.commits_in_flight) == (0, 3)
    assert after.commits == 3
    assert after.retries >= during.retries > 0


async def test_a_large_commit_on_files_is_told_once_though_it_leaves_apart(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("talk")
        await store.append("talk", *[said("x" * 1_000) for _ in range(1_000)])
        told = store.statistics()

    assert counts(told, "commits", "commits_in_flight", "largest_batch") == (1, 0, 1)


async def test_connections_and_round_trips_made_again_are_told(redis_server: RedisServer) -> None:
    async with FaultyProxy(redis_server.port) as proxy:
        store = store_from_url(f"{proxy.url}?key_prefix={uuid4().hex}:")
        assert counts(store.statistics(), "connections", "retries") == (0, 0)
        await store.create("talk")
        before = store.statistics()
        proxy.drop_replies(2, b"EVALSHA")
        await store.append("talk", said())
        after = store.statistics()
        await store.aclose()

    assert before.connections > 0
    assert before.retries == 0
    assert counts(after, "retries", "commits") == (2, 1)
    assert store.statistics().connections == 0


async def test_retries_are_told_though_none_has_helped(own_redis: RedisServer) -> None:
    async with store_from_url(own_redis.url) as store:
        await store.create("talk")
        await asyncio.to_thread(own_redis.kill)
        with pytest.raises(StoreUnavailable):
            await store.append("talk", said())

        assert counts(store.statistics(), "retries", "commits", "connections") == (7, 1, 0)


async def test_the_connections_of_a_client_that_was_handed_in_are_told(redis_server: RedisServer) -> None:
    client = await users_client(redis_server)
    async with RedisSessionStore(client, key_prefix=f"{uuid4().hex}:") as store:
        await store.create("talk")
        assert store.statistics().connections == 1
    await client.aclose()


async def test_on_a_cluster_the_queues_of_all_nodes_and_their_connections_are_told(
    redis_cluster: RedisCluster,
) -> None:
    async with store_from_url(f"{redis_cluster.url}?key_prefix={uuid4().hex}:") as store:
        names = [f"talk {number}" for number in range(12)]
        await asyncio.gather(*map(store.create, names))
        await asyncio.gather(*[store.append(name, said()) for name in names])
        told = store.statistics()

    assert told.commits == 12
    assert told.batches >= 3
    assert told.connections >= 3


@pytest.mark.parametrize("kind", ["file", "redis"])
def test_commits_of_all_loops_are_told_together(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if kind == "file":
        url = f"file:{tmp_path}"
    else:
        url = f"{request.getfixturevalue('redis_server').url}?key_prefix={uuid4().hex}:"
    store = store_from_url(url)

    async def append() -> None:
        if await store.get("talk", last=0) is None:
            await store.create("talk")
        await store.append("talk", said())

    for _ in range(3):
        asyncio.run(append())
    assert store.statistics().commits == 3
    asyncio.run(store.aclose())


class TestTheQueue:
    """What the commit queue counts, whatever becomes of a write."""

    async def test_a_write_that_is_parked_is_answered_once(self) -> None:
        starter = LongStarter()
        starter.put("a")
        starter.put("b", "c", ordering_key="other")
        await starter.answer([BUSY])
        await starter.answer()
        parked = starter.queue.statistics()
        await starter.next_batch(3)
        again = starter.queue.statistics()
        await starter.answer()
        done = starter.queue.statistics()

        shown = ("commits", "batches", "largest_batch", "retries", "commits_waiting", "commits_in_flight")
        assert counts(parked, *shown) == (2, 2, 2, 1, 1, 0)
        assert counts(again, *shown) == (2, 3, 2, 1, 0, 1)
        assert counts(done, *shown) == (3, 3, 2, 1, 0, 0)

    async def test_a_write_that_turns_out_to_take_long_is_answered_once(self) -> None:
        starter = LongStarter()
        starter.put("a")
        await starter.answer([LONG])
        starter.put("b")
        during = starter.queue.statistics()
        starter.settle(1)
        await starter.next_batch(3)
        starter.settle(2)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

        shown = ("commits", "commits_waiting", "commits_in_flight")
        assert counts(during, *shown) == (0, 1, 1)
        assert counts(starter.queue.statistics(), *shown) == (2, 0, 0)

    async def test_a_write_that_leaves_apart_is_a_batch_of_its_own(self) -> None:
        starter = LongStarter()
        starter.put_long("a", ordering_key="a")
        during = starter.queue.statistics()
        await starter.answer()

        shown = ("commits", "batches", "largest_batch", "commits_in_flight")
        assert counts(during, *shown) == (0, 1, 1, 1)
        assert counts(starter.queue.statistics(), *shown) == (1, 1, 1, 0)

    async def test_a_batch_that_cannot_start_is_answered_too(self) -> None:
        def refuse(_: object) -> Any:
            raise StoreUnavailable("closed")

        queue = CommitQueue(refuse, keys=BusyKeys(seconds=1, message=""))
        write = queue.put("key", "work", 1)

        assert isinstance(write.outcome.exception(), StoreUnavailable)
        assert counts(queue.statistics(), "commits", "commits_in_flight") == (1, 0)

    async def test_a_write_that_was_withdrawn_is_none(self) -> None:
        starter = Starter()
        starter.put("a")
        [withdrawn] = starter.put("b")
        withdrawn.outcome.cancel()
        await starter.answer()

        shown = ("commits", "batches", "commits_waiting", "commits_in_flight")
        assert counts(starter.queue.statistics(), *shown) == (1, 1, 0, 0)
