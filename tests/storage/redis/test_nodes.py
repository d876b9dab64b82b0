"""The Redis store on a Cluster and under Sentinels, while nodes die and primaries change."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.testing.contract.making import ids, said, spending
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.sentinel import SentinelSetup
from tests.storage.redis.test_faults import assert_whole, crowd


async def test_sessions_of_a_cluster_survive_a_node_that_is_killed_and_comes_back(redis_cluster: RedisCluster) -> None:
    url = f"{redis_cluster.url}?key_prefix=test-{uuid4().hex}:"
    talks = [f"talk {number}" for number in range(9)]  # among all nodes
    async with store_from_url(url) as store:
        for talk in talks:
            await store.create(talk)
        writers = [asyncio.create_task(crowd(store, talk, tasks=3, events=40)) for talk in talks]
        for node in redis_cluster.nodes:
            await asyncio.sleep(0.1)
            await asyncio.to_thread(node.restart)
            await asyncio.to_thread(redis_cluster.wait_until_whole)
        await asyncio.gather(*writers)

    async with store_from_url(url) as cold:
        for talk in talks:
            await assert_whole(cold, talk, tasks=3, events=40)


async def test_trees_of_a_cluster_lie_on_one_node_each_and_are_found_from_every_session(
    redis_cluster: RedisCluster,
) -> None:
    url = f"{redis_cluster.url}?key_prefix=test-{uuid4().hex}:"
    async with store_from_url(url) as store:
        for root in ("a", "b", "c"):
            await store.create(root)
            for number in range(5):
                child = f"{root}{number}"
                await store.create(child, parent_id=root, change=SessionChange(events=[spending(1, id=child)]))

    async with store_from_url(url) as cold:
        for root in ("a", "b", "c"):
            assert await cold.children(root) == [f"{root}{number}" for number in range(5)]
            assert len(await cold.tree(f"{root}3")) == 6
            assert (await cold.usage(root, tree=True)).total.requests == 5
        await cold.delete("a", children="cascade")
        assert sorted(await cold.list_sessions()) == sorted(
            ["b", "c", *(f"{root}{number}" for root in "bc" for number in range(5))]
        )


async def test_what_the_replica_had_is_there_after_a_failover_and_writes_go_on(sentinels: SentinelSetup) -> None:
    async with store_from_url(sentinels.url) as store:
        await store.create("talk")
        await crowd(store, "talk", tasks=8, events=10, name="before")
        await asyncio.to_thread(sentinels.wait_until_in_step)
        await asyncio.to_thread(sentinels.primary.kill)

        await asyncio.wait_for(crowd(store, "talk", tasks=8, events=10, name="after"), timeout=30)

    async with store_from_url(sentinels.url) as cold:
        log = ids(await cold.events("talk"))
        assert len(log) == len(set(log)) == 160
        assert all(event.startswith("before") for event in log[:80])
        assert (await cold.usage("talk")).total.requests == 160


@pytest.mark.parametrize("is_away", [False, True], ids=["whole", "one node away"])
async def test_a_node_that_is_away_holds_up_nobody_elses_sessions(redis_cluster: RedisCluster, is_away: bool) -> None:
    url = f"{redis_cluster.url}?key_prefix=test-{uuid4().hex}:"
    talks = [f"talk {number}" for number in range(30)]
    async with store_from_url(url) as store:
        for talk in talks:
            await store.create(talk)
        if is_away:
            await asyncio.to_thread(redis_cluster.nodes[2].pause)
        writes = {talk: asyncio.create_task(store.append(talk, said(id="e"))) for talk in talks}

        await asyncio.wait(writes.values(), timeout=1)
        done = [talk for talk, write in writes.items() if write.done()]
        if is_away:
            await asyncio.to_thread(redis_cluster.nodes[2].resume)
        await asyncio.gather(*writes.values())

        assert len(done) == 30 if not is_away else 10 <= len(done) < 30
