"""Connections to a Cluster and through Sentinels: routing, nodes that die, primaries that change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from redis.asyncio import RedisCluster as ClusterClient

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.redis.connections import Connections
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.scripts import IMPATIENT, connected, handed, list_of, push, pushed
from tests.redis_servers.sentinel import SentinelSetup
from tests.redis_servers.server import RedisServer

NAMES = [f"{uuid4().hex}" for _ in range(60)]


@pytest_asyncio.fixture
async def connections(redis_cluster: RedisCluster) -> AsyncIterator[Connections]:
    connections = connected(redis_cluster.url)
    yield connections
    await connections.aclose()


async def test_scripts_find_their_nodes(connections: Connections) -> None:
    single = [await connections.run(push(name, "one")) for name in NAMES]
    many = await connections.run_many([push(name, "two") for name in NAMES])

    assert single == [[b"1", b"new"]] * len(NAMES)
    assert many == [[b"2", b"new"]] * len(NAMES)
    assert len({connections.node_of(list_of(name)) for name in NAMES}) == 3


async def test_a_crowd_needs_no_more_connections_than_there_are(redis_cluster: RedisCluster) -> None:
    name = uuid4().hex
    client = await asyncio.to_thread(
        ClusterClient, host="127.0.0.1", port=redis_cluster.nodes[0].port, max_connections=4, decode_responses=True
    )
    connections = handed(client)

    await asyncio.gather(*(connections.run(push(name, str(number))) for number in range(300)))

    assert len(await pushed(connections, name)) == 300
    await connections.aclose()
    await client.aclose()


async def test_nodes_that_forgot_the_scripts_get_them_again(
    connections: Connections, redis_cluster: RedisCluster
) -> None:
    names = [uuid4().hex for _ in range(20)]
    await connections.run_many([push(name, "one") for name in names])
    for node in redis_cluster.nodes:
        await asyncio.to_thread(node.call, "SCRIPT", "FLUSH")

    answers = await connections.run_many([push(name, "two") for name in names])

    assert answers == [[b"2", b"new"]] * len(names)


async def test_a_node_that_is_killed_and_comes_back_has_lost_and_doubled_nothing(
    connections: Connections, redis_cluster: RedisCluster
) -> None:
    names = [uuid4().hex for _ in range(12)]
    acknowledged: dict[str, list[bytes]] = {name: [] for name in names}
    is_over = False

    async def write(name: str) -> None:
        number = 0
        while not is_over:
            [answer] = await connections.run_many([push(name, str(number))])
            if not isinstance(answer, Exception):
                acknowledged[name].append(str(number).encode())
                number += 1

    async def all_have_more_than(counts: dict[str, int]) -> None:
        for _ in range(300):
            if all(len(acknowledged[name]) > counts[name] for name in names):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"no progress beyond {counts}")

    writers = [asyncio.create_task(write(name)) for name in names]
    await all_have_more_than(dict.fromkeys(names, 0))
    await asyncio.to_thread(redis_cluster.nodes[1].restart)
    await asyncio.to_thread(redis_cluster.wait_until_whole)
    await all_have_more_than({name: len(items) for name, items in acknowledged.items()})
    is_over = True
    await asyncio.gather(*writers)

    cold = connected(redis_cluster.url)
    stored = {name: await pushed(cold, name) for name in names}
    await cold.aclose()
    assert stored == acknowledged


async def wait_until_none_is_open(nodes: Sequence[RedisServer], client_name: str) -> None:
    """Wait until no connection of that name is left on any node."""
    left: list[Any] = []
    for _ in range(100):
        lists = [await asyncio.to_thread(node.call, "CLIENT LIST") for node in nodes]
        left = [client for clients in lists for client in clients if client["name"] == client_name]
        if not left:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"these stay open: {left}")


async def test_closing_lets_those_who_ask_have_their_answers_and_opens_nothing_again(
    redis_cluster: RedisCluster,
) -> None:
    names = [uuid4().hex for _ in range(60)]
    connections = connected(f"{redis_cluster.url}?client_name={names[0]}")
    await connections.run_many([push(name, "one") for name in names])
    reading = [asyncio.create_task(pushed(connections, name)) for name in names]
    await asyncio.sleep(0.001)

    await connections.aclose()

    assert await asyncio.gather(*reading) == [[b"one"]] * len(names)
    await wait_until_none_is_open(redis_cluster.nodes, names[0])


async def test_closing_after_a_node_has_failed_closes_the_connections_to_the_others(
    redis_cluster: RedisCluster,
) -> None:
    names = [uuid4().hex for _ in range(60)]
    connections = connected(f"{redis_cluster.url}?client_name={names[0]}", retry_policy=IMPATIENT)
    await connections.run_many([push(name, "one") for name in names])
    failed, *others = redis_cluster.nodes
    lost = next(name for name in names if str(connections.node_of(list_of(name))).endswith(f":{failed.port}"))
    await asyncio.to_thread(failed.kill)
    try:
        with pytest.raises(StoreUnavailable):
            await connections.run(push(lost, "two"))

        await connections.aclose()

        await wait_until_none_is_open(others, names[0])
    finally:
        await asyncio.to_thread(failed.start)
        await asyncio.to_thread(redis_cluster.wait_until_whole)


async def test_a_published_number_reaches_whoever_waits_at_another_node(connections: Connections) -> None:
    channel = uuid4().hex.encode()
    await connections.wait(channel, 0, 5)
    waiting = asyncio.create_task(connections.wait(channel, 0, 60))
    await asyncio.sleep(0.02)

    await connections.read_many([("PUBLISH", channel, 1)])

    await asyncio.wait_for(waiting, timeout=5)


async def test_writes_go_on_when_sentinels_change_the_primary(sentinels: SentinelSetup) -> None:
    connections = connected(sentinels.url)
    await connections.run(push("sentinel", "before"))
    await asyncio.to_thread(sentinels.wait_until_in_step)

    await asyncio.to_thread(sentinels.primary.kill)
    answer = await asyncio.wait_for(connections.run(push("sentinel", "after")), timeout=15)

    assert answer == [b"2", b"new"]
    assert await asyncio.to_thread(sentinels.replica.call, "LRANGE", list_of("sentinel"), 0, -1) == [
        b"before",
        b"after",
    ]
    await connections.aclose()


async def test_no_sentinel_is_an_error_in_time() -> None:
    connections = connected("redis+sentinel://127.0.0.1:1/sessions", retry_policy=IMPATIENT)

    with pytest.raises(StoreUnavailable, match="check its address"):
        await connections.run(push("nowhere", "one"))

    await connections.aclose()
