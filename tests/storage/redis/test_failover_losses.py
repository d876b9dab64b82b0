"""A failover that loses what was acknowledged: the store is as it was before, and nothing reads as damaged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from redis.asyncio import Redis

from a2a_session_manager.exceptions import SessionConflict, SessionNotFound
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore, scripts
from a2a_session_manager.storage.redis.script import Script
from a2a_session_manager.testing.contract.making import ids, said, several, spending, whole
from a2a_session_manager.testing.contract.writes import seen
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer
from tests.redis_servers.startable import wait_until
from tests.storage.redis.looks import connections_of

NAMES = ["talk", "kid", "below", "near"]


class Lagging:
    """A primary whose replica can be made to lag, and an address that leads to the one that writes."""

    def __init__(self, primary: RedisServer, replica: RedisServer, link: FaultyProxy, proxy: FaultyProxy) -> None:
        self._primary = primary
        self._replica = replica
        self._link = link
        self.proxy = proxy

    async def lag(self) -> None:
        """Let nothing reach the replica from now on; it has all that was written before."""
        await asyncio.to_thread(wait_until, self._is_in_step, "the replica did not come into step")
        self._link.is_black_hole = True

    async def fail_over(self) -> None:
        """Kill the primary, and promote the replica."""
        await asyncio.to_thread(self._primary.kill)
        await asyncio.to_thread(self._replica.call, "REPLICAOF", "NO", "ONE")
        self.proxy.target_port = self._replica.port

    def _is_in_step(self) -> bool:
        told: dict[str, Any] = self._replica.call("INFO", "replication")
        written: dict[str, Any] = self._primary.call("INFO", "replication")
        is_up: bool = told["master_link_status"] == "up"
        return is_up and told["slave_repl_offset"] >= written["master_repl_offset"]


@asynccontextmanager
async def lagging(start: StartServer) -> AsyncIterator[Lagging]:
    primary = await start(("repl-diskless-sync-delay", "0"))
    async with FaultyProxy(primary.port) as link, FaultyProxy(primary.port) as proxy:
        replica = await start(("replicaof", "127.0.0.1", str(link.port)))
        yield Lagging(primary, replica, link, proxy)


async def grow(store: BaseSessionStore) -> None:
    change = SessionChange(events=several(3), set_state={"k": 1}, runs=[SessionRun(id="r")])
    for name, parent_id in {"talk": None, "kid": "talk", "below": "kid", "near": None}.items():
        await store.create(name, parent_id=parent_id, change=change)


async def as_it_was(store: BaseSessionStore, before: dict[str, Any]) -> None:
    assert {name: await seen(store, name) for name in before} == before
    assert sorted(await store.list_sessions()) == sorted(before)
    assert {name for name, _ in await store.tree("talk")} == {"talk", "kid", "below"}


@pytest.mark.parametrize("kind", ["ours", "handed in"])
async def test_who_wrote_what_was_lost_goes_on_from_what_is_left(kind: str, server_with: StartServer) -> None:
    async with lagging(server_with) as servers:
        client: Redis | None = None
        if kind == "handed in":
            client = await asyncio.to_thread(Redis, port=servers.proxy.port)
        store = store_from_url(servers.proxy.url) if client is None else RedisSessionStore(client)
        await grow(store)
        before = {name: await seen(store, name) for name in NAMES}
        await servers.lag()
        talk = await whole(store, "talk")
        await store.append(talk, spending(7, id="lost"))
        await store.commit("kid", SessionChange(retraction=Retraction(last=1), set_state={"k": 2}))
        new_head = await store.create("new_head", parent_id="kid")
        await store.create("root")
        await store.delete("near")

        await servers.fail_over()

        async with store_from_url(servers.proxy.url) as cold:
            await as_it_was(cold, before)
        await as_it_was(store, before)
        with pytest.raises(SessionNotFound):
            await store.append(new_head, said())
        with pytest.raises(SessionConflict):
            await store.append(talk, said(), expected_revision=talk.revision)
        await store.append("talk", said(id="lost"))
        assert ids(await store.events("talk")) == ["e1", "e2", "e3", "lost"]
        await store.create("new_head", parent_id="talk")
        await store.delete("talk", children="cascade")
        assert await store.list_sessions() == ["near"]
        await store.aclose()
        if client is not None:
            await client.aclose()


@pytest.mark.parametrize("victim", ["talk", "kid", "below"])
async def test_a_deletion_that_was_lost_while_it_went_on_takes_no_part_of_what_is_back(
    victim: str, server_with: StartServer
) -> None:
    async with lagging(server_with) as servers, store_from_url(servers.proxy.url) as store:
        await grow(store)
        before = {name: await seen(store, name) for name in NAMES}
        await servers.lag()
        when_run(store, scripts.DELETE, servers.fail_over)

        await store.delete(victim, children="cascade")

        async with store_from_url(servers.proxy.url) as cold:
            await as_it_was(cold, before)
            await cold.delete(victim, children="cascade")
            assert "below" not in await cold.list_sessions()


def when_run(store: BaseSessionStore, script: Script, then: Callable[[], Awaitable[None]]) -> None:
    """Do something once, right after a script of this kind was answered."""
    connections: Any = connections_of(store)
    original = connections.run_many

    async def run_many(calls: Any, *some: Any, **options: Any) -> list[Any]:
        answers: list[Any] = await original(calls, *some, **options)
        if any(call.script is script for call in calls):
            connections.run_many = original
            await then()
        return answers

    connections.run_many = run_many
