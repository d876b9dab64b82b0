"""Stores whose sessions expire, on one server and on a cluster, and what lies on it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import said, spending
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of, keys_of

OpenStore = Callable[[float | None], BaseSessionStore]
Look = Callable[[], Awaitable[dict[str, str]]]
LetAllExpire = Callable[[], Awaitable[None]]
LONG = 1_000.0
SHORT = 0.4


@pytest.fixture(params=["redis_server", "redis_cluster"], ids=["single", "cluster"])
def server(request: pytest.FixtureRequest) -> RedisServer | RedisCluster:
    """Where the sessions lie."""
    started: RedisServer | RedisCluster = request.getfixturevalue(request.param)
    return started


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:12]}:"


@pytest.fixture
async def open_store(server: RedisServer | RedisCluster, prefix: str) -> AsyncIterator[OpenStore]:
    """Open stores over the same data, each with its own time to live."""
    opened: list[BaseSessionStore] = []

    def open_one(expiration_seconds: float | None) -> BaseSessionStore:
        option = "" if expiration_seconds is None else f"&expiration_seconds={expiration_seconds}"
        opened.append(store_from_url(f"{server.url}?key_prefix={prefix}{option}"))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.aclose()


@pytest.fixture
def look(server: RedisServer | RedisCluster, prefix: str) -> Look:
    """Return all that a test has stored, whichever node holds it: each key with its value as a text."""
    readers = {"hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "zset": ("ZRANGE", 0, -1, "WITHSCORES")}

    def all_of_nodes() -> dict[str, str]:
        found: dict[str, Any] = {}
        for node in server.nodes if isinstance(server, RedisCluster) else [server]:
            with node.admin() as client:
                send: Callable[..., Any] = client.execute_command
                for name in send("KEYS", f"{prefix}*"):
                    reader, *bounds = readers.get(send("TYPE", name).decode(), ("GET",))
                    found[name.decode().removeprefix(prefix)] = send(reader, name, *bounds)
        return {name: str(value) for name, value in found.items() if value}  # one that ends meanwhile reads as empty

    return lambda: asyncio.to_thread(all_of_nodes)


@pytest.fixture
def let_all_expire(server: RedisServer | RedisCluster, prefix: str) -> LetAllExpire:
    """Let so long a time pass that all that expires is gone."""

    def pass_time() -> None:
        for node in server.nodes if isinstance(server, RedisCluster) else [server]:
            with node.admin() as client:
                send: Callable[..., Any] = client.execute_command
                for name in send("KEYS", f"{prefix}*"):
                    if name == f"{prefix}index::due".encode():
                        for line in send("ZRANGE", name, 0, -1):
                            send("ZADD", name, 1, line)
                    if name.endswith(b":tree"):
                        for field in send("HKEYS", name):
                            if field.startswith(b"d:"):
                                send("HSET", name, field, 1)
                    if client.pttl(name) >= 0:
                        send("PEXPIRE", name, 1)
        time.sleep(0.02)

    return lambda: asyncio.to_thread(pass_time)


def keys_below(store: BaseSessionStore, session_id: str, root_id: str) -> SessionKeys:
    return backend_of(store)._locator.keys_in(store._key(session_id), root_id)


def everything() -> SessionChange:
    """Return a change that makes use of every key a session can have."""
    return SessionChange(
        events=[spending(3, id="e1", task_id="r"), said(id="e2"), said(id="e3")],
        set_state={"k": 1},
        runs=[SessionRun(id="r")],
    )


async def deadlines(store: BaseSessionStore, *session_ids: str) -> dict[str, int]:
    """Return when each key expires that is there, in ms from now, -1 for never."""
    keys: dict[str, bytes] = {}
    for session_id in session_ids:
        place = await keys_of(store, session_id)
        of_tree = (place.tree, place.totals, place.budgets, place.refused)
        keys |= {key.decode(): key for key in (*place.all_of_session, *of_tree)}
    answers = await connections_of(store).read_many([("PTTL", key) for key in keys.values()])
    return {name: ttl for name, ttl in zip(keys, answers, strict=True) if ttl != -2}


async def shorten(store: BaseSessionStore, session_id: str, remaining: int) -> None:
    """Let a session and its tree's keys expire in `remaining` ms, as if nobody had written for long."""
    place = await keys_of(store, session_id)
    seconds, micros = (await connections_of(store).read_many([("TIME",)]))[0]
    deadline = int(seconds) * 1_000 + int(micros) // 1_000 + remaining
    touched = [
        *place.all_of_session,
        *((place.tree, place.totals, place.budgets, place.refused) if place.is_root else ()),
    ]
    commands: list[Any] = [("HSET", place.head, "deadline", deadline)]
    commands.append(("HSET", place.tree, "deadline" if place.is_root else f"d:{session_id}", deadline))
    await connections_of(store).read_many([*commands, *(("PEXPIREAT", key, deadline) for key in touched)])


def spread(found: dict[str, int]) -> int:
    return max(found.values()) - min(found.values())


async def expiring(open_store: OpenStore, *names: str) -> BaseSessionStore:
    """Create each session below the one before it, in a store where they expire soon: so late that all are there."""
    seconds = SHORT
    while True:
        store = open_store(seconds)
        try:
            for name, parent_id in zip(names, (None, *names), strict=False):
                await store.create(name, parent_id=parent_id, change=everything())
            return store
        except SessionNotFound:  # this machine is slow just now
            seconds *= 4
            with suppress(SessionNotFound):
                await store.delete(names[0], children="cascade")


def assert_only_root_is_left(found: dict[str, str]) -> None:
    assert {name: value for name, value in found.items() if "kid" in name + value or "below" in name + value} == {}
    assert {name.rpartition(":")[2] for name in found if "{:root}" in name} == {
        "head", "log", "ids", "runs", "unfinished", "tree", "totals", "refused",
    }  # fmt: skip


async def children(store: BaseSessionStore) -> list[str]:
    return await store.children("root")
