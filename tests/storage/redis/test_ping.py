"""Pings: whether every server that the store writes to is there, and takes what it writes."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.redis.retry_policy import RetryPolicy
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.scripts import connected
from tests.redis_servers.server import RedisServer

IMPATIENT = RetryPolicy(tries=2, try_seconds=0.5, seconds=1)


async def test_a_server_that_was_killed_answers_no_ping_until_it_is_back(own_redis: RedisServer) -> None:
    connections = connected(own_redis.url, retry_policy=IMPATIENT)
    await connections.ping()
    await asyncio.to_thread(own_redis.kill)

    with pytest.raises(StoreUnavailable, match="check its address"):
        await connections.ping()
    await asyncio.to_thread(own_redis.start)
    await connections.ping()
    await connections.aclose()


async def test_a_server_that_became_a_replica_or_takes_rights_away_says_so(
    own_redis: RedisServer, server_with: StartServer
) -> None:
    primary = await server_with()
    connections = connected(own_redis.url, retry_policy=IMPATIENT)
    await connections.ping()
    await asyncio.to_thread(own_redis.call, "REPLICAOF", "127.0.0.1", primary.port)

    with pytest.raises(StoreUnavailable, match="use the primary's address"):
        await connections.ping()
    await asyncio.to_thread(own_redis.call, "REPLICAOF", "NO", "ONE")
    await asyncio.to_thread(own_redis.call, "ACL", "SETUSER", "default", "-rpush", "-ping")
    with pytest.raises(StoreUnavailable, match=r"grant them with ACL SETUSER … \+rpush"):
        await connections.ping()
    await asyncio.to_thread(own_redis.call, "ACL", "SETUSER", "default", "+rpush")
    await connections.ping()
    await connections.aclose()


async def test_every_primary_of_a_cluster_has_to_answer(redis_cluster: RedisCluster) -> None:
    for node in redis_cluster.nodes:
        connections = connected(redis_cluster.url, retry_policy=IMPATIENT)
        await connections.ping()
        await asyncio.to_thread(node.kill)
        try:
            with pytest.raises(StoreUnavailable):
                await connections.ping()
        finally:
            await asyncio.to_thread(node.start)
            await asyncio.to_thread(redis_cluster.wait_until_whole)
        await connections.ping()
        await connections.aclose()
