"""The store on a redis-py that has renamed what is private: slower, and otherwise the same."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Connection, ConnectionPool, Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from a2a_session_manager.exceptions import InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore, private
from a2a_session_manager.storage.redis.errors import outage
from a2a_session_manager.testing.contract.making import ids, said
from tests.redis_servers.absent import PARTS, take_away
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer


async def use(url: str) -> None:
    """Use a store as an application does, alone and with many tasks, and read it back through another."""
    async with store_from_url(f"{url}?key_prefix={uuid4().hex}:") as store:
        await store.create("talk")
        for number in range(5):
            await store.append("talk", said(id=f"one {number}"))
        await asyncio.gather(*(store.append("talk", said(id=f"many {number}")) for number in range(20)))
        assert len(await store.events("talk")) == 25
        session = await store.get("talk", last=3)
        assert session is not None
        assert len(session.events) == 3
        stream = store.follow("talk", after=24)
        heard = [await anext(stream)]
        news = asyncio.ensure_future(anext(stream))
        await store.append("talk", said(id="news"))
        heard.append(await asyncio.wait_for(news, timeout=15))
        await stream.aclose()
        assert ids(heard)[-1] == "news"
        await store.delete("talk")


@pytest.mark.parametrize("part", PARTS)
async def test_the_store_works_without(part: str, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, part)

    await use(redis_server.url)


@pytest.mark.parametrize("part", ["Connection._writer", "Connection._connect", "Connection.disconnect"])
async def test_a_cluster_works_without(part: str, redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    take_away(monkeypatch, part)

    await use(redis_cluster.url)


async def test_each_part_that_is_used_is_looked_for(redis_server: RedisServer) -> None:
    client = await asyncio.to_thread(Redis, port=redis_server.port)
    ways = await asyncio.to_thread(private.ways_of, client)

    # What is there in the redis-py that the tests run with: otherwise those above would show nothing.
    has_all = hasattr(Connection, "can_read")  # since redis-py 8
    is_easy = inspect.signature(ConnectionPool.get_connection).parameters["command_name"].default is None  # since 5.3
    assert ways == private.Ways(is_easy, is_easy and has_all, is_easy)
    assert await asyncio.to_thread(private.takes_our_connections, client)
    await client.aclose()


async def test_without_its_option_a_client_that_decodes_is_refused(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away(monkeypatch, "NEVER_DECODE")

    await use(redis_server.url)
    client = await asyncio.to_thread(Redis, port=redis_server.port, decode_responses=True)
    with pytest.raises(InvalidSessionOperation, match="decode_responses=False"):
        RedisSessionStore(client)


@pytest.mark.parametrize("mistake", [TypeError, AttributeError, RuntimeError, KeyError])
@pytest.mark.parametrize("is_handed_in", [False, True])
async def test_a_mistake_in_code_is_told_as_it_is_and_tried_once(
    mistake: type[Exception], is_handed_in: bool, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await asyncio.to_thread(Redis, port=redis_server.port) if is_handed_in else None
    prefix = f"{uuid4().hex}:"
    url = f"{redis_server.url}?key_prefix={prefix}"
    store = store_from_url(url) if client is None else RedisSessionStore(client, key_prefix=prefix)
    await store.create("talk")
    tries: list[object] = []

    async def mistaken(*args: Any, **options: Any) -> Any:
        tries.append(args)
        raise mistake("planted")

    with monkeypatch.context() as planted:
        for name in ("send_packed_command", "send_command", "read_response"):
            planted.setattr(Connection, name, mistaken)
        with pytest.raises(mistake, match="planted"):
            await store.get("talk")
        assert len(tries) == 1
        with pytest.raises(mistake, match="planted"):
            await store.append("talk", said())

    assert await store.append("talk", said()) is not None
    await store.aclose()
    if client is not None:
        await client.aclose()


def test_what_redis_py_stumbles_over_on_a_closed_connection_is_an_outage() -> None:
    connection: Any = Connection()
    sending = connection.send_packed_command(b"PING")
    connection.connect_check_health = connection.connect = lambda *_args, **_options: asyncio.sleep(0)
    connection.check_health = connection.connect

    async def send() -> Exception:
        with pytest.raises(AttributeError) as stumbled:
            await sending  # `None.writelines`
        return stumbled.value

    assert isinstance(outage(asyncio.run(send())), RedisConnectionError)


@pytest.mark.parametrize("error", [RedisConnectionError("away"), OSError("away"), StoreUnavailable("closed")])
def test_what_a_connection_reports_is_an_outage(error: Exception) -> None:
    assert outage(error) is error
