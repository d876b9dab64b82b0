"""Stores whose sessions pages find, and the keys of their index."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis import entries
from a2a_session_manager.storage.redis.keys import entry_keys, index_keys
from a2a_session_manager.storage.redis.script import Script
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import connections_of, keys_of

OpenStore = Callable[..., BaseSessionStore]
NAMES = [f"s{number}" for number in range(12)]


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:12]}:"


@pytest_asyncio.fixture
async def open_store(redis_server: RedisServer, prefix: str) -> AsyncIterator[OpenStore]:
    """Open stores over the same data, as so many processes would."""
    opened: list[BaseSessionStore] = []

    def open_one(*indexed: str, url: str = redis_server.url, **options: object) -> BaseSessionStore:
        given = "".join(f"&{name}={value}" for name, value in options.items())
        opened.append(store_from_url(f"{url}?key_prefix={prefix}{given}", indexed=indexed))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.aclose()


async def filled(store: BaseSessionStore) -> None:
    """Make sessions of two owners, one of each below the first."""
    for number, name in enumerate(NAMES):
        parent_id = NAMES[0] if number in (3, 4) else None
        change = SessionChange(set_properties={"owner": "ab"[number % 2], "n": number % 3})
        await store.create(name, parent_id=parent_id, change=change)


async def found(store: BaseSessionStore, **query: Any) -> list[str]:
    """Return the ids on all pages, which are those that are counted."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await store.page(limit=5, cursor=cursor, **query)
        ids += [head.id for head in page]
        if (cursor := page.cursor) is None:
            break
    counted = {name: value for name, value in query.items() if name in ("properties", "roots_only")}
    assert len(ids) == len(set(ids)) == await store.count(**counted)
    return ids


async def all_entry_keys(store: BaseSessionStore, prefix: str) -> list[tuple[bytes, bytes]]:
    """Return the keys of the entries and of the rows of each shard that has some."""
    namespace: Any = store._namespace
    keys = [entry_keys(prefix, shard) for shard in index_keys(prefix, namespace, roots_only=False)]
    there = await connections_of(store).read_many([("EXISTS", *pair) for pair in keys])
    return [pair for pair, count in zip(keys, there, strict=True) if count]


async def entry_of(store: BaseSessionStore, session_id: str, prefix: str) -> entries.Entry:
    shard, line = (await keys_of(store, session_id)).index_entry
    [data] = await connections_of(store).read_many([("HGET", entry_keys(prefix, shard)[0], line)])
    return entries.Entry.read(data)


class Died(Exception):
    """Stands for the end of a process."""


def dying_after(store: BaseSessionStore, script: Script) -> None:
    """Let the store's process die when a script has run."""
    connections: Any = connections_of(store)
    original = connections.run_many

    async def run_many(calls: Sequence[Any], *sent: Any, **options: Any) -> list[Any]:
        await original(calls, *sent, **options)
        if any(call.script is script for call in calls):
            connections.send_now = lambda calls: None
            raise Died
        return list(await original(calls, *sent, **options))

    connections.run_many = run_many
