"""Replicas lag behind: the store reads from primaries alone, and says so to whoever hands in anything else."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import RedisCluster
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.sentinel import Sentinel

from a2a_session_manager import InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.storage.redis.address import RedisAddress
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.scripts import IMPATIENT
from tests.storage.redis.looks import connections_of


@pytest.mark.parametrize("setting", ["read_from_replicas", "load_balancing_strategy"])
def test_a_cluster_client_that_reads_from_replicas_is_refused_by_name(setting: str) -> None:
    client = RedisCluster(startup_nodes=[ClusterNode("127.0.0.1", 1)])
    setattr(client, setting, True)  # not every redis-py knows both

    with pytest.raises(InvalidSessionOperation, match=setting):
        RedisSessionStore(client)


@pytest.mark.parametrize("setting", ["read_from_replicas", "load_balancing_strategy"])
def test_an_address_that_asks_for_replicas_is_refused_by_name(setting: str) -> None:
    options: Any = {setting: True}

    with pytest.raises(InvalidSessionOperation, match=setting):
        RedisSessionStore(address=RedisAddress("cluster", (("127.0.0.1", 1),), options=options))


def test_a_sentinel_client_of_replicas_is_refused() -> None:
    made: Any = Sentinel
    sentinels = made([("127.0.0.1", 1)])

    with pytest.raises(InvalidSessionOperation, match="master_for"):
        RedisSessionStore(sentinels.slave_for("mymaster"))
    RedisSessionStore(sentinels.master_for("mymaster"))


async def reading(store: BaseSessionStore) -> object:
    return await store.get("talk", last=1)


async def listing(store: BaseSessionStore) -> object:
    return await store.list_sessions()


async def test_a_replica_is_refused_by_reads_too_and_loses_nobodys_lines(server_with: StartServer) -> None:
    primary = await server_with()
    replica = await server_with(("replicaof", "127.0.0.1", str(primary.port)))
    async with store_from_url(primary.url) as store:
        await store.create("talk")
        for read in (reading, listing):
            lagging = store_from_url(replica.url)
            connections_of(lagging)._loop_clients._retry_policy = IMPATIENT

            with pytest.raises(StoreUnavailable, match="use the primary's address"):
                await read(lagging)
            await lagging.aclose()

        assert await store.list_sessions() == ["talk"]
