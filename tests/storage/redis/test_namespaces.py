"""The names of namespaces on Redis: never a short answer, and nothing left where sessions expire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import pytest_asyncio

from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.namespaces import inside
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of, keys_of

OpenStore = Callable[..., BaseSessionStore]

# In namespaces of three levels, whose names have in them what stands in keys.
PLACES = ((), ("acme",), ("acme", "eu"), ("a/b", "c%:d"), ("é",))
ALL = {(): ["a/b", "acme", "é"], ("acme",): ["eu"], ("a/b",): ["c%:d"], ("é",): []}


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:8]}*[a]:"  # which would be a pattern


@pytest.fixture
def server(request: pytest.FixtureRequest) -> RedisServer | RedisCluster:
    started: RedisServer | RedisCluster = request.getfixturevalue(getattr(request, "param", "redis_server"))
    return started


@pytest_asyncio.fixture
async def open_store(server: RedisServer | RedisCluster, prefix: str) -> AsyncIterator[OpenStore]:
    opened: list[BaseSessionStore] = []

    def open_one(options: str = "") -> BaseSessionStore:
        opened.append(store_from_url(f"{server.url}?key_prefix={quote(prefix)}{options}"))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.aclose()


def names_keys(prefix: str, *paths: str) -> list[str]:
    return [f"{prefix}index:{path}:names" for path in paths]


def marks(prefix: str, *paths: str) -> list[str]:
    keys = names_keys(prefix, *paths)
    return [f"{prefix}{{{key}}}:mark:{number}" for key in keys for number in range(2)]


async def _remove(store: BaseSessionStore, *keys: str) -> None:
    removed = await connections_of(store).read_many([("DEL", key) for key in keys])
    assert removed == [1] * len(keys)


async def _fill(store: BaseSessionStore) -> None:
    for names in PLACES:
        await inside(store, names).create("talk")


async def _every_list(store: BaseSessionStore) -> dict[tuple[str, ...], list[str]]:
    return {names: sorted(await inside(store, names).namespaces()) for names in ALL}


@pytest.mark.parametrize("server", ["redis_server", "redis_cluster"], indirect=True)
async def test_the_lists_of_a_store_that_an_earlier_release_wrote_to_are_made_when_asked_for(
    open_store: OpenStore, prefix: str
) -> None:
    store = open_store()
    await _fill(store)
    paths = ("", "acme", "a%2Fb")
    await _remove(store, *names_keys(prefix, *paths), *marks(prefix, *paths))  # it wrote none of these

    assert await _every_list(open_store()) == ALL
    assert await _every_list(open_store()) == ALL


@pytest.mark.parametrize("path", ["", "acme"])
async def test_a_list_that_was_lost_is_made_anew_also_when_others_were_listed_since(
    open_store: OpenStore, prefix: str, path: str
) -> None:
    store = open_store()
    await _fill(store)
    assert await _every_list(store) == ALL
    await _remove(store, *names_keys(prefix, path))

    assert await _every_list(open_store()) == ALL

    await _remove(store, *names_keys(prefix, path))
    await inside(store, ("acme", "later")).create("talk")

    assert await _every_list(open_store()) == {**ALL, ("acme",): ["eu", "later"]}


async def test_other_keys_that_look_like_a_list_are_none(open_store: OpenStore, prefix: str) -> None:
    store = open_store()
    await store.namespace("acme").create("talk")
    foreign = [f"{prefix}index:{name}" for name in ("Y/:roots:00", "a%2fb:roots:00", "x:y:roots:00", "x:roots:0")]
    await connections_of(store).read_many([("ZADD", key, 0, "talk") for key in foreign])

    assert await store.namespaces() == ["acme"]


async def test_a_namespace_that_was_found_empty_while_its_first_session_was_made_is_listed(
    open_store: OpenStore,
) -> None:
    store, reader = open_store(), open_store()
    creator: Any = backend_of(store)._creator
    create_root = creator._create_root

    async def create_after_a_look(*arguments: Any) -> Any:
        assert await reader.namespaces() == []
        assert await reader.namespace("acme").namespaces() == []
        return await create_root(*arguments)

    creator._create_root = create_after_a_look
    await inside(store, ("acme", "eu")).create("talk")

    assert await reader.namespaces() == ["acme"]
    assert await reader.namespace("acme").namespaces() == ["eu"]


async def test_lists_live_as_long_as_what_they_list(open_store: OpenStore, prefix: str) -> None:
    store = open_store("&expiration_seconds=600")
    view = inside(store, ("acme", "eu"))
    await view.create("talk")
    keys = [*names_keys(prefix, "", "acme"), *marks(prefix, "", "acme")]
    made = await connections_of(store).read_many([("PTTL", key) for key in keys])
    in_an_hour = int((time.time() + 3_600) * 1_000)
    await backend_of(store)._expiry.refresh(await keys_of(view, "talk"), in_an_hour)
    refreshed = await connections_of(store).read_many([("PTTL", key) for key in keys])

    assert all(600_000 < milliseconds <= 1_200_000 for milliseconds in made)
    assert all(3_600_000 < milliseconds <= 7_200_000 for milliseconds in refreshed)


async def test_lists_that_are_made_anew_live_as_long_as_what_they_list(open_store: OpenStore, prefix: str) -> None:
    mortal, immortal = open_store("&expiration_seconds=600"), open_store()
    await inside(mortal, ("guest", "inner")).create("talk")
    await immortal.namespace("acme").create("talk")
    await _remove(mortal, *names_keys(prefix, "", "guest"), *marks(prefix, "", "guest"))

    assert await open_store().namespaces() == ["acme", "guest"]
    of_all, of_guest = await connections_of(mortal).read_many(
        [("PTTL", key) for key in names_keys(prefix, "", "guest")]
    )
    assert of_all == -1
    assert 0 < of_guest <= 1_200_000


async def test_many_namespaces_are_listed_once_each_by_several_at_once(open_store: OpenStore) -> None:
    store = open_store()
    names = [f"tenant-{number:03}" for number in range(120)]
    await asyncio.gather(*(store.namespace(name).create("talk") for name in names))

    listings = await asyncio.gather(*(open_store().namespaces() for _ in range(3)))

    assert listings == [names] * 3
