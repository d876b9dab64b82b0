"""Every kind of fault for a while, under a crowd at work: nothing lost, doubled, reordered, hung or left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from uuid import uuid4

import pytest

from a2a_session_manager.storage import store_from_url
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import APPEND_ONLY, EVERYSEC, POSTPONED_SECONDS, RedisServer
from tests.storage.redis.processes.crowd import Crowd
from tests.storage.redis.test_demoted import Moving, moving
from tests.storage.redis.test_moving_slots import move_slots

pytestmark = pytest.mark.soak

SECONDS = 20

Fault = Callable[[RedisServer, FaultyProxy], Awaitable[object]]


async def kill(server: RedisServer, _: FaultyProxy) -> None:
    await asyncio.sleep(2)
    await asyncio.to_thread(server.restart)


async def kill_while_the_disk_is_busy(server: RedisServer, _: FaultyProxy) -> None:
    await asyncio.sleep(2)
    await asyncio.to_thread(server.restart_without_the_last, random.uniform(0.1, 1.5))


async def stop(server: RedisServer, _: FaultyProxy) -> None:
    server.pause()
    await asyncio.sleep(random.uniform(1, 8))
    server.resume()
    await asyncio.sleep(1)


async def pause_clients(server: RedisServer, _: FaultyProxy) -> None:
    what = random.choice(["ALL", "WRITE"])
    await asyncio.to_thread(server.call, "CLIENT", "PAUSE", random.randint(500, 3_000), what)
    await asyncio.sleep(4)


async def kill_clients(server: RedisServer, _: FaultyProxy) -> None:
    await asyncio.sleep(0.05)
    for kind in ("normal", "pubsub"):
        await asyncio.to_thread(server.call, "CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


async def flush_scripts(server: RedisServer, _: FaultyProxy) -> None:
    await asyncio.sleep(0.02)
    await asyncio.to_thread(server.call, "SCRIPT", "FLUSH")


async def fill_up(server: RedisServer, _: FaultyProxy) -> None:
    await asyncio.to_thread(server.call, "CONFIG", "SET", "maxmemory", "1mb")
    await asyncio.sleep(random.uniform(0.2, 1))
    await asyncio.to_thread(server.call, "CONFIG", "SET", "maxmemory", "0")
    await asyncio.sleep(1)


async def lose_replies(_: RedisServer, proxy: FaultyProxy) -> None:
    proxy.drop_replies(1)
    await asyncio.sleep(0.05)


async def cut(_: RedisServer, proxy: FaultyProxy) -> None:
    await asyncio.sleep(0.3)
    proxy.cut()


async def half_close(_: RedisServer, proxy: FaultyProxy) -> None:
    await asyncio.sleep(0.3)
    proxy.half_close()


async def reset(_: RedisServer, proxy: FaultyProxy) -> None:
    await asyncio.sleep(0.2)
    proxy.reset()


async def swallow(_: RedisServer, proxy: FaultyProxy) -> None:
    proxy.is_black_hole = True
    await asyncio.sleep(random.uniform(0.5, 6))
    proxy.is_black_hole = False
    proxy.cut()
    await asyncio.sleep(1)


async def anything(server: RedisServer, proxy: FaultyProxy) -> None:
    await random.choice([kill, stop, kill_clients, flush_scripts, lose_replies, cut, half_close, reset])(server, proxy)


@pytest.mark.parametrize("fault", [kill, anything])
async def test_kills_of_a_server_that_writes_before_it_answers(fault: Fault, server_with: StartServer) -> None:
    await under(fault, await server_with(*APPEND_ONLY))


@pytest.mark.parametrize("fault", [kill, kill_while_the_disk_is_busy, anything])
async def test_kills_of_a_server_that_may_answer_before_it_writes(fault: Fault, server_with: StartServer) -> None:
    crowd = await under(fault, await server_with(*EVERYSEC), server_forgets=True)
    assert crowd.forgotten or fault is not kill_while_the_disk_is_busy


@pytest.mark.parametrize(
    "fault",
    [stop, pause_clients, kill_clients, flush_scripts, fill_up, lose_replies, cut, half_close, reset, swallow],
)
async def test_a_fault_of_the_server_or_of_the_way_to_it(fault: Fault, server_with: StartServer) -> None:
    await under(fault, await server_with())


async def under(fault: Fault, server: RedisServer, *, server_forgets: bool = False) -> Crowd:
    """Let a crowd work while `fault` comes again and again; `server_forgets`: see `Crowd`."""
    tasks = asyncio.all_tasks()
    async with FaultyProxy(server.port) as proxy:

        async def faults() -> None:
            loop = asyncio.get_running_loop()
            end = loop.time() + SECONDS
            while loop.time() < end:
                written_until = server.written_until
                await fault(server, proxy)
                if server_forgets and server.written_until != written_until:
                    async with store_from_url(server.url) as restarted:
                        await crowd.take_back(restarted, server.written_until - POSTPONED_SECONDS)

        async with store_from_url(proxy.url) as store:
            crowd = Crowd(store, server_forgets)
            await crowd.work(faults)
        await until_none_is_open(proxy)
        assert {task for task in asyncio.all_tasks() - tasks if "Proxy" not in repr(task)} == set()
    async with store_from_url(server.url) as cold:
        await crowd.check(cold)
    left: list[bytes] = await asyncio.to_thread(server.call, "KEYS", "*life*")
    assert [key for key in left if not key.endswith(b":refused")] == []
    return crowd


async def until_none_is_open(proxy: FaultyProxy) -> None:
    async with asyncio.timeout(10):
        while proxy.open_lines:  # noqa: ASYNC110  the proxy knows no event for it
            await asyncio.sleep(0.05)


async def test_slots_that_are_moved(redis_cluster: RedisCluster) -> None:
    url = f"{redis_cluster.url}?key_prefix={uuid4().hex}:"

    async def reshard() -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(SECONDS):
                while True:
                    await asyncio.to_thread(move_slots, redis_cluster, 5)

    async with store_from_url(url) as store:
        crowd = Crowd(store)
        await crowd.work(reshard)
    async with store_from_url(url) as cold:
        await crowd.check(cold)


@pytest.mark.parametrize("how", [Moving.move, Moving.promote], ids=["demoted", "killed"])
async def test_a_primary_in_whose_place_its_replica_is(
    how: Callable[[Moving], Awaitable[None]], server_with: StartServer
) -> None:
    async with moving(server_with) as servers:

        async def replace() -> None:
            for _ in range(4):
                await asyncio.sleep(SECONDS / 5)
                await how(servers)

        async with store_from_url(servers.proxy.url) as store:
            crowd = Crowd(store)
            await crowd.work(replace)
        await until_none_is_open(servers.proxy)
        async with store_from_url(servers.proxy.url) as cold:
            await crowd.check(cold)
