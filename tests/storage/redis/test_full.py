"""A server that is full and evicts nothing: what reads goes on, and what frees memory does."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager.exceptions import SessionNotFound, StoreFull
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.testing.contract.making import said, spending
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of


async def fill(server: RedisServer) -> None:
    await asyncio.to_thread(server.call, "CONFIG SET", "maxmemory", 1)


async def make_room(server: RedisServer) -> None:
    await asyncio.to_thread(server.call, "CONFIG SET", "maxmemory", 0)


async def grow(store: BaseSessionStore) -> None:
    await store.create("talk")
    for name, parent_id in {"kid": "talk", "below": "kid", "sibling": "talk"}.items():
        await store.create(name, parent_id=parent_id)
        await store.append(name, spending(1))


@pytest.mark.parametrize(("victim", "left"), [("talk", []), ("kid", ["sibling", "talk"])])
async def test_a_cascade_makes_room_and_leaves_nothing(own_redis: RedisServer, victim: str, left: list[str]) -> None:
    async with store_from_url(own_redis.url) as store:
        await grow(store)
        await fill(own_redis)

        await store.delete(victim, children="cascade")

        assert sorted(await store.list_sessions()) == left
    keys: list[bytes] = await asyncio.to_thread(own_redis.call, "KEYS", "*")
    of_victim = [key for key in keys if victim == "talk" or b":kid" in key or b":below" in key or b":gone" in key]
    assert [key for key in of_victim if not key.endswith(b":refused")] == []


async def test_a_listing_passes_over_what_it_cannot_remove_yet(own_redis: RedisServer) -> None:
    async with store_from_url(own_redis.url) as store:
        await store.create("talk")
        # As a process leaves it that died between the claim of an id and the creation.
        backend = backend_of(store)
        keys = backend._locator.keys_in(store._key("kid"), "talk")
        await backend._deleter._reaper._index.add([(keys, True)])
        await connections_of(store).read_many([("SET", keys.locator, "claim talk")])
        await fill(own_redis)

        assert await store.list_sessions() == ["talk"]

        await make_room(own_redis)
        assert await store.list_sessions() == ["talk"]
        assert await connections_of(store).read_many([("EXISTS", keys.locator)]) == [0]


async def test_who_follows_learns_that_the_session_was_deleted(own_redis: RedisServer) -> None:
    async with store_from_url(own_redis.url) as store, store_from_url(own_redis.url) as cold:
        await store.create("talk")
        await store.append("talk", said(id="e1"))
        await fill(own_redis)
        following = store.follow("talk")
        assert (await asyncio.wait_for(anext(following), 10)).id == "e1"
        hearing = asyncio.ensure_future(anext(following))
        done, _ = await asyncio.wait({hearing}, timeout=0.3)
        assert not done

        with pytest.raises(StoreFull):
            await cold.append("talk", said(id="e2"))
        await cold.delete("talk")

        with pytest.raises(SessionNotFound):
            await asyncio.wait_for(hearing, 10)


@pytest.mark.parametrize("kind", ["listens before", "listens since"])
async def test_who_follows_hears_all_when_there_is_room_again(own_redis: RedisServer, kind: str) -> None:
    async with store_from_url(own_redis.url) as store, store_from_url(own_redis.url) as cold:
        await store.create("talk")
        heard: list[str] = []

        async def follow() -> None:
            async for event in store.follow("talk"):
                heard.append(event.id)
                if len(heard) == 4:
                    return

        if kind == "listens since":
            await fill(own_redis)
        following = asyncio.create_task(follow())
        await asyncio.sleep(0.2)
        for number in range(2):
            await fill(own_redis)
            await asyncio.sleep(0.1)
            await make_room(own_redis)
            for one in range(2):
                await cold.append("talk", said(id=f"e{2 * number + one}"))

        await asyncio.wait_for(following, 20)
        assert heard == ["e0", "e1", "e2", "e3"]


async def test_a_store_that_is_opened_then_reads_and_deletes(own_redis: RedisServer) -> None:
    async with store_from_url(own_redis.url) as store:
        await grow(store)
    await fill(own_redis)

    async with store_from_url(own_redis.url) as cold:
        assert len(await cold.events("kid")) == 1
        assert sorted(await cold.list_sessions()) == ["below", "kid", "sibling", "talk"]
        await cold.delete("sibling")
        await cold.delete("talk", children="cascade")
        assert await cold.list_sessions() == []
