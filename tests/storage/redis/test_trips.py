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
        await store.events_by_id("root", "first")
        await store.events("root")
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


async def test_events_by_their_ids_are_one(store: BaseSessionStore, proxy: FaultyProxy) -> None:
    await store.append("child", *[said(id=f"e{number}") for number in range(300)])
    before = proxy.round_trips

    found = await store.events_by_id("child", "e299", "nobody", *[f"e{number}" for number in range(0, 300, 2)])

    assert proxy.round_trips - before == 1
    assert [event and event.id for event in found[:3]] == ["e299", None, "e0"]


async def test_events_that_a_filter_looks_for_are_one_a_page(store: BaseSessionStore, proxy: FaultyProxy) -> None:
    await store.append("root", *[said(id=f"e{number}", task_id=f"{number % 100}") for number in range(900)])
    before = proxy.round_trips

    assert len(await store.events("root", run="7", limit=5)) == 5
    assert proxy.round_trips - before == 1
    assert len(await store.events("root", run="7")) == 9
    assert proxy.round_trips - before == 3
