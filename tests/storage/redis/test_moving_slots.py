"""A cluster that moves a slot: the sessions in it wait until that is done, and no other session waits for them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from uuid import uuid4

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import committing
from a2a_session_manager.testing.contract.making import ids, said
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of


class Slot:
    """The slot of a key, and the nodes it is moved between."""

    def __init__(self, cluster: RedisCluster, key: bytes) -> None:
        self.number: int = cluster.nodes[0].call("CLUSTER KEYSLOT", key)
        ids_of = {node: str(node.call("CLUSTER MYID"), "ascii") for node in cluster.nodes}
        [self.source] = [node for node in cluster.nodes if node.call("CLUSTER", "COUNTKEYSINSLOT", self.number)]
        self.target: RedisServer = next(node for node in cluster.nodes if node is not self.source)
        self._source_id, self._target_id = ids_of[self.source], ids_of[self.target]

    def open(self) -> None:
        self.target.call("CLUSTER SETSLOT", self.number, "IMPORTING", self._source_id)
        self.source.call("CLUSTER SETSLOT", self.number, "MIGRATING", self._target_id)

    def close(self) -> None:
        for node in (self.source, self.target):
            node.call("CLUSTER SETSLOT", self.number, "STABLE")


def node_of(store: BaseSessionStore, session_id: str) -> Hashable:
    return connections_of(store).node_of(tree_of(store, session_id))


def tree_of(store: BaseSessionStore, session_id: str) -> bytes:
    return backend_of(store)._locator.keys_of(store._key(session_id)).tree


@asynccontextmanager
async def with_open_slot(cluster: RedisCluster) -> AsyncIterator[tuple[BaseSessionStore, str, list[str], Slot]]:
    """Make sessions; open the slot of one of them. Brings some others of its node."""
    async with store_from_url(f"{cluster.url}?key_prefix={uuid4().hex}:") as store:
        names = [f"s{number}" for number in range(30)]
        await asyncio.gather(*(store.create(name) for name in names))
        moved = names[0]
        others = [name for name in names[1:] if node_of(store, name) == node_of(store, moved)][:5]
        slot = await asyncio.to_thread(Slot, cluster, tree_of(store, moved))
        await asyncio.to_thread(slot.open)
        try:
            yield store, moved, others, slot
        finally:
            await asyncio.to_thread(slot.close)


async def test_a_slot_that_is_moved_holds_up_nobody_else(redis_cluster: RedisCluster) -> None:
    async with with_open_slot(redis_cluster) as (store, moved, others, slot):
        waiting = [asyncio.create_task(store.append(moved, said(id=f"waits {number}"))) for number in range(3)]
        await asyncio.sleep(0)
        for number in range(5):
            await asyncio.gather(*(store.append(name, said(id=f"{number}")) for name in others))
            waiting.append(asyncio.create_task(store.append(moved, said(id=f"waits {number + 3}"))))

        assert not any(task.done() for task in waiting)
        await asyncio.to_thread(slot.close)
        await asyncio.gather(*waiting)

        assert ids(await store.events(moved)) == [f"waits {number}" for number in range(8)]
        for name in others:
            assert ids(await store.events(name)) == [f"{number}" for number in range(5)]


async def test_a_session_whose_slot_is_moved_for_too_long_is_told(
    redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committing, "_SLOT_SECONDS", 0.2)
    async with with_open_slot(redis_cluster) as (store, moved, _, slot):
        event = said(id="once")
        with pytest.raises(StoreUnavailable, match="moving the slot of this session"):
            await store.append(moved, event)

        await asyncio.to_thread(slot.close)
        await store.append(moved, event)
        assert ids(await store.events(moved)) == ["once"]


async def test_a_session_is_found_where_its_slot_went(redis_cluster: RedisCluster) -> None:
    async with with_open_slot(redis_cluster) as (store, moved, _, slot):
        waiting = asyncio.create_task(store.append(moved, said(id="waits")))
        await asyncio.to_thread(move, redis_cluster, slot)

        await waiting
        await store.append(moved, said(id="after"))
        assert ids(await store.events(moved)) == ["waits", "after"]


def move(cluster: RedisCluster, slot: Slot) -> None:
    """Bring the keys of an open slot to its target, and say so to all nodes."""
    while keys := slot.source.call("CLUSTER GETKEYSINSLOT", slot.number, 100):
        slot.source.call("MIGRATE", "127.0.0.1", slot.target.port, "", 0, 5_000, "KEYS", *keys)
    owner = str(slot.target.call("CLUSTER MYID"), "ascii")
    for node in (slot.target, slot.source, *cluster.nodes):
        node.call("CLUSTER SETSLOT", slot.number, "NODE", owner)


def move_slots(cluster: RedisCluster, count: int) -> None:
    """Move some slots in which there are keys, one after the other."""
    keys: list[bytes] = random.choice(cluster.nodes).call("KEYS", "*")
    for key in random.sample(keys, min(count, len(keys))):
        with suppress(ValueError):  # it is gone, and its slot is empty
            slot = Slot(cluster, key)
            slot.open()
            time.sleep(random.uniform(0, 0.2))
            move(cluster, slot)
