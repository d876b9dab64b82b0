"""How many round trips a verb takes on a server that knows the scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio

from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.testing.contract.making import said
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer


@pytest_asyncio.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(redis_server.port) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def store(proxy: FaultyProxy) -> AsyncIterator[BaseSessionStore]:
    async with store_from_url(f"{proxy.url}?key_prefix={uuid4().hex[:12]}:") as store:
        await store.create("root")
        await store.create("child", parent_id="root")
        await store.append("root", said(id="first"))
        await (await store.create("other")).descendants()
        yield store


async def test_a_root_is_listed_first_and_then_created(store: BaseSessionStore, proxy: FaultyProxy) -> None:
    before = proxy.round_trips
    await store.create("another")

    assert proxy.round_trips - before == 2


async def test_an_append_is_one(store: BaseSessionStore, proxy: FaultyProxy) -> None:
    before = proxy.round_trips
    await store.append("root", said(id="second"))
    await store.append("child", said(id="second"))

    assert proxy.round_trips - before == 2


async def test_descendants_are_the_tree_and_the_heads(store: BaseSessionStore, proxy: FaultyProxy) -> None:
    for number in range(20):
        await store.create(f"{number}", parent_id="child")
    root = await store.get("root")
    assert root is not None
    before = proxy.round_trips

    assert len(await root.descendants()) == 21
    assert proxy.round_trips - before == 2
