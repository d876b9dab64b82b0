"""One address that leads to another primary now: the demoted one is still running, and its connections stay open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.storage.redis.retry_policy import RetryPolicy
from a2a_session_manager.testing.contract.making import ids, said
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.scripts import connected, push
from tests.redis_servers.server import RedisServer
from tests.redis_servers.startable import wait_until

MANY = 20


class Moving:
    """A primary, its replica, and an address that leads to the one that writes."""

    def __init__(self, old: RedisServer, new: RedisServer, proxy: FaultyProxy) -> None:
        self._old = old
        self._new = new
        self.proxy = proxy

    async def move(self) -> None:
        """Make the replica the primary and the primary its replica; nothing that was acknowledged is lost."""
        await asyncio.to_thread(wait_until, self._is_in_step, "the replica did not come into step")
        await asyncio.to_thread(self._old.call, "FAILOVER")
        await self._lead_to_the_new()

    async def promote(self) -> None:
        """Kill the primary, once its replica has all that it acknowledged, and promote that; start it as a replica."""
        await asyncio.to_thread(self._old.call, "CLIENT", "PAUSE", 10_000, "WRITE")
        await asyncio.to_thread(wait_until, self._is_in_step, "the replica did not come into step")
        await asyncio.to_thread(self._old.kill)
        await asyncio.to_thread(self._new.call, "REPLICAOF", "NO", "ONE")
        await self._lead_to_the_new()
        await asyncio.to_thread(self._new.start)
        await asyncio.to_thread(self._new.call, "REPLICAOF", "127.0.0.1", self._old.port)

    async def _lead_to_the_new(self) -> None:
        await asyncio.to_thread(wait_until, self._is_promoted, "the replica was not promoted")
        self._old, self._new = self._new, self._old
        self.proxy.target_port = self._old.port

    def _is_promoted(self) -> bool:
        told: dict[str, Any] = self._new.call("INFO", "replication")
        return bool(told["role"] == "master")

    def _is_in_step(self) -> bool:
        told: dict[str, Any] = self._new.call("INFO", "replication")
        written: dict[str, Any] = self._old.call("INFO", "replication")
        is_up: bool = told["master_link_status"] == "up"
        return is_up and told["slave_repl_offset"] >= written["master_repl_offset"]


@asynccontextmanager
async def moving(start: StartServer) -> AsyncIterator[Moving]:
    quick = ("repl-diskless-sync-delay", "0")
    old = await start(quick)
    new = await start(quick, ("replicaof", "127.0.0.1", str(old.port)))
    async with FaultyProxy(old.port) as proxy:
        yield Moving(old, new, proxy)


def many(name: str) -> list[str]:
    return [f"{name} {number}" for number in range(MANY)]


async def append_many(store: BaseSessionStore, name: str) -> None:
    await asyncio.gather(*(store.append("talk", said(id=one)) for one in many(name)))


@pytest.mark.parametrize("kind", ["ours", "handed in"])
async def test_the_next_try_reaches_the_new_primary(kind: str, server_with: StartServer) -> None:
    async with moving(server_with) as servers:
        client: Redis | None = None
        if kind != "ours":
            client = await asyncio.to_thread(Redis, port=servers.proxy.port)
        store = store_from_url(servers.proxy.url) if client is None else RedisSessionStore(client)
        await store.create("talk")
        await append_many(store, "before")

        await servers.move()
        await append_many(store, "after")

        session = await store.get("talk", last=MANY)
        assert session is not None
        assert sorted(ids(session.events)) == sorted(many("after"))
        async with store_from_url(servers.proxy.url) as cold:
            assert sorted(ids(await cold.events("talk"))) == sorted(many("before") + many("after"))
        await store.aclose()
        if client is not None:
            await client.aclose()


async def test_a_try_that_gave_up_has_dropped_the_connection_too(server_with: StartServer) -> None:
    async with moving(server_with) as servers:
        once = connected(servers.proxy.url, retry_policy=RetryPolicy(tries=1))
        await once.run(push("talk", "before"))
        await servers.move()

        with pytest.raises(StoreUnavailable, match="read-only replica"):
            await once.run(push("talk", "refused"))

        assert await once.run(push("talk", "taken")) == [b"2", b"new"]
        await once.aclose()
