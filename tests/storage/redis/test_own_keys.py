"""The store touches its own keys only: beside another program's, and beside stores whose prefixes extend its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import pairwise
from uuid import uuid4

import pytest

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis.keys import probe_key
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import listening, said, spending, whole
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import connections_of

# Each extends the one before, up to what the store's own keys begin with.
PREFIXES = ["", "app", "app:", "app:x:", "app:index:", "app:index:x:roots:"]
# Ids and namespaces that look like parts of keys.
NAMES = ["index:", "rights", "talk:head", "roots:00", "{talk}", ":tree"]


@pytest.fixture
async def stores(redis_server: RedisServer) -> AsyncIterator[list[BaseSessionStore]]:
    """Open stores whose prefixes extend each other, the first of them empty, in a database of their own."""
    url = redis_server.url.removesuffix("/0") + "/9"
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(store_from_url(f"{url}?key_prefix={prefix}")) for prefix in PREFIXES]
        yield opened
        await connections_of(opened[0]).read_many([("FLUSHDB",)])


@pytest.mark.parametrize("prefix", ["app:", ""])
async def test_opening_a_store_leaves_another_programs_keys_alone(redis_server: RedisServer, prefix: str) -> None:
    own = f"{uuid4().hex[:12]}{prefix}" if prefix else ""
    foreign = [f"{own}rights", f"{own}index", f"{own}index:", f"{own}{{a2a-session-manager.rights}}"]
    async with store_from_url(f"{redis_server.url}?key_prefix={own}") as store:
        connections = connections_of(store)
        await connections.read_many([("HSET", key, "ines", "admin") for key in foreign])
        await store.create(f"talk{own}")
        await store.delete(f"talk{own}")

        left = await connections.read_many([("HGETALL", key) for key in foreign])
        await connections.read_many([("DEL", *foreign)])

    assert left == [[b"ines", b"admin"]] * len(foreign)


async def test_the_key_that_rights_are_tried_on_is_left_alone_where_somebody_has_it(redis_server: RedisServer) -> None:
    prefix = f"{uuid4().hex[:12]}:"
    async with store_from_url(f"{redis_server.url}?key_prefix={prefix}") as store:
        connections = connections_of(store)
        [probe] = connections._trial.keys
        await connections.read_many([("SET", probe, "somebody else's")])
        await store.create("talk")
        [left] = await connections.read_many([("GET", probe)])
        await connections.read_many([("DEL", probe)])

    assert left == b"somebody else's"
    assert probe_key(prefix) != probe


async def test_stores_whose_prefixes_extend_each_other_share_nothing(stores: list[BaseSessionStore]) -> None:
    for number, store in enumerate(stores):
        for name in NAMES:
            change = SessionChange(events=[spending(number + 1)], set_state={"number": number})
            await store.namespace(name).create(name, change=change)
            await store.create(f"{name}{number}", change=change)
            await store.create(f"kid of {name}{number}", parent_id=f"{name}{number}")

    for number, store in enumerate(stores):
        expected = {f"{name}{number}" for name in NAMES} | {f"kid of {name}{number}" for name in NAMES}
        assert set(await store.list_sessions()) == expected
        for name in NAMES:
            assert await store.namespace(name).list_sessions() == [name]
            assert (await whole(store.namespace(name), name)).state == {"number": number}

    # What one prunes and deletes is nobody else's.
    for store, next_one in pairwise(stores):
        for name in NAMES:
            await store.namespace(name).delete(name)
            assert await store.namespace(name).list_sessions() == []
            assert await next_one.namespace(name).list_sessions() == [name]


async def test_followers_hear_of_their_own_store_only(stores: list[BaseSessionStore]) -> None:
    for store in stores[:2]:
        await store.create("talk")

    async with listening(stores[0], "talk") as take:
        await stores[1].append("talk", said(id="theirs"))
        await stores[0].append("talk", said(id="mine"))

        [heard] = await take(1)

    assert heard.id == "mine"
