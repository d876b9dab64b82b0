"""Commands over a connection that is kept between batches: whatever breaks one off, the next gets its own answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.credentials import UsernamePasswordCredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError

from a2a_session_manager.storage.redis.address import RedisAddress
from a2a_session_manager.storage.redis.clients import built, close
from a2a_session_manager.storage.redis.private import ways_of
from a2a_session_manager.storage.redis.script import Command, packed
from a2a_session_manager.storage.redis.wire import Sent, Wire
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer

BROKEN_OFF = 5
WAYS = ways_of(Redis())
pytestmark = pytest.mark.skipif(not WAYS.sends_directly, reason="this redis-py lacks the parts")
at_once = pytest.mark.skipif(not WAYS.sends_at_once, reason="this redis-py lacks the parts")


class OpenWire:
    """A wire with all that is under it; two connections are all it has."""

    def __init__(self, port: int, **options: Any) -> None:
        client: Any = built(RedisAddress.server("127.0.0.1", port, max_connections=2, **options))
        self.pool = client.connection_pool
        self._wire = Wire(client, sends_at_once=WAYS.sends_at_once, hears_directly=WAYS.hears_directly)
        self._client = client

    async def echo(self, *words: str) -> list[Any]:
        return await self.send(*(("ECHO", word) for word in words))

    async def send(self, *commands: Command) -> list[Any]:
        return await self._wire.send(packed(commands))

    def send_now(self, *commands: Command) -> Sent | None:
        return self._wire.send_now(packed(commands))

    async def echo_at_last(self, word: str) -> list[Any]:
        """Ask again, as the store does, where the loop had not heard yet that the connection is gone."""
        try:
            return await self.echo(word)
        except RedisConnectionError:
            return await self.echo(word)

    async def aclose(self) -> None:
        await close(self._client)


@pytest_asyncio.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(redis_server.port) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def opened(proxy: FaultyProxy) -> AsyncIterator[OpenWire]:
    opened = await asyncio.to_thread(OpenWire, proxy.port)
    yield opened
    await opened.aclose()


async def test_one_connection_serves_one_batch_after_another(opened: OpenWire, proxy: FaultyProxy) -> None:
    for number in range(10):
        assert await opened.echo(f"{number}", "same") == [f"{number}".encode(), b"same"]

    assert proxy.open_lines == 1


# What redis-py takes for an error of the connection, wherever in a batch the server says so.
@pytest.mark.parametrize("error", ["LOADING data", "NOAUTH first", "ERR max number of clients reached"])
async def test_an_error_that_breaks_a_batch_off_leaves_no_reply_for_the_next(opened: OpenWire, error: str) -> None:
    failing = ("EVAL", f"return redis.error_reply('{error}')", 0)

    for number in range(BROKEN_OFF):
        with pytest.raises(RedisConnectionError):
            await opened.send(("ECHO", "before"), failing, ("ECHO", "after"), ("ECHO", "last"))

        assert await opened.echo(f"next {number}") == [f"next {number}".encode()]


async def test_an_error_of_one_command_is_its_answer_and_breaks_nothing_off(
    opened: OpenWire, proxy: FaultyProxy
) -> None:
    answers = await opened.send(("ECHO", "before"), ("GET",), ("ECHO", "after"))

    assert (answers[0], answers[2]) == (b"before", b"after")
    assert "wrong number of arguments" in str(answers[1])
    assert await opened.echo("next") == [b"next"]
    assert proxy.open_lines == 1


async def test_what_cannot_be_sent_leaves_the_connection_as_it_was(opened: OpenWire) -> None:
    for _ in range(BROKEN_OFF):
        with pytest.raises(UnicodeEncodeError):
            await opened.echo("fine", "\ud800")

        assert await opened.echo("next") == [b"next"]


async def test_a_batch_cancelled_at_any_time_leaves_no_reply_for_the_next(opened: OpenWire, proxy: FaultyProxy) -> None:
    await opened.echo("first")
    proxy.delay = 0.005  # each way

    for number in range(30):
        leaving = asyncio.create_task(opened.echo("lost", "lost too"))
        await asyncio.sleep(number / 1_500)
        leaving.cancel()
        await asyncio.wait({leaving})

        assert await opened.echo(f"next {number}") == [f"next {number}".encode()]


async def test_a_batch_cancelled_between_two_replies_leaves_none_for_the_next(opened: OpenWire) -> None:
    for number in range(BROKEN_OFF):
        leaving = asyncio.create_task(opened.send(("ECHO", "before"), ("BLPOP", uuid4().hex, 1), ("ECHO", "last")))
        await asyncio.sleep(0.02)  # the first reply is here, the others come much later
        leaving.cancel()
        await asyncio.wait({leaving})

        assert await opened.echo(f"next {number}") == [f"next {number}".encode()]


async def test_a_batch_whose_reply_is_cut_in_the_middle_leaves_nothing_for_the_next(
    opened: OpenWire, proxy: FaultyProxy
) -> None:
    await opened.echo("first")
    for number in range(BROKEN_OFF):
        asked = asyncio.create_task(opened.send(("ECHO", "before"), ("BLPOP", uuid4().hex, 60), ("ECHO", "last")))
        await asyncio.sleep(0.02)  # the first reply is here, the second never comes
        proxy.cut()
        with pytest.raises(RedisConnectionError):
            await asked

        assert await opened.echo(f"next {number}") == [f"next {number}".encode()]


async def test_a_server_that_was_restarted_between_two_batches_is_found_again(own_redis: RedisServer) -> None:
    opened = await asyncio.to_thread(OpenWire, own_redis.port)
    for number in range(2):
        assert await opened.echo(f"{number}") == [f"{number}".encode()]
        await asyncio.to_thread(own_redis.restart)

    assert await opened.echo("last") == [b"last"]
    await opened.aclose()


async def test_a_connection_killed_in_a_batch_or_between_two_is_replaced(
    opened: OpenWire, redis_server: RedisServer
) -> None:
    kill = ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    for number in range(BROKEN_OFF):
        await opened.echo("first")
        await asyncio.to_thread(redis_server.call, *kill)
        assert await opened.echo_at_last(f"between {number}") == [f"between {number}".encode()]

        asked = asyncio.create_task(opened.send(("BLPOP", uuid4().hex, 60), ("ECHO", "last")))
        await asyncio.sleep(0.02)
        await asyncio.to_thread(redis_server.call, *kill)
        with pytest.raises(RedisConnectionError):
            await asked
        assert await opened.echo(f"within {number}") == [f"within {number}".encode()]


@at_once
async def test_what_is_sent_at_once_is_heard_later_on_the_same_connection(opened: OpenWire, proxy: FaultyProxy) -> None:
    assert opened.send_now(("ECHO", "early")) is None  # nothing is connected yet
    await opened.echo("first")

    for number in range(3):
        sent = opened.send_now(("ECHO", f"{number}"), ("ECHO", "same"))
        assert sent is not None
        assert await sent.answers() == [f"{number}".encode(), b"same"]
        sent.drop()

    assert await opened.echo("next") == [b"next"]
    assert proxy.open_lines == 1


@at_once
async def test_two_batches_are_under_way_at_once_each_with_its_own_answers(opened: OpenWire) -> None:
    await asyncio.gather(opened.echo("one"), opened.echo("two"))

    first, second = opened.send_now(("ECHO", "first")), opened.send_now(("ECHO", "second"))
    assert first is not None
    assert second is not None
    assert opened.send_now(("ECHO", "third")) is None

    assert list(await asyncio.gather(second.answers(), first.answers())) == [[b"second"], [b"first"]]


@at_once
async def test_what_was_sent_and_dropped_leaves_no_reply_for_the_next(opened: OpenWire, proxy: FaultyProxy) -> None:
    await opened.echo("first")
    for number in range(BROKEN_OFF):
        proxy.delay = 0.005 * (number % 2)  # the reply comes before the drop, or after it
        sent = opened.send_now(("ECHO", "lost"))
        assert sent is not None
        await asyncio.sleep(0.002)
        sent.drop()
        assert opened.send_now(("ECHO", "on a closed connection")) is None

        assert await opened.echo_at_last(f"next {number}") == [f"next {number}".encode()]
        assert await opened.echo(f"then {number}") == [f"then {number}".encode()]


@at_once
async def test_hearing_that_is_cancelled_at_any_time_leaves_no_reply_for_the_next(
    opened: OpenWire, proxy: FaultyProxy
) -> None:
    await opened.echo("first")
    proxy.delay = 0.005
    for number in range(20):
        sent = opened.send_now(("ECHO", "lost"), ("ECHO", "lost too"))
        assert sent is not None
        leaving = asyncio.create_task(sent.answers())
        await asyncio.sleep(number / 1_000)
        leaving.cancel()
        await asyncio.wait({leaving})
        sent.drop()

        assert await opened.echo_at_last(f"next {number}") == [f"next {number}".encode()]


@at_once
async def test_nothing_is_sent_at_once_where_the_connection_is_to_be_looked_at_first(opened: OpenWire) -> None:
    await opened.echo("first")
    connection: Any = next(iter(opened.pool._in_use_connections))

    connection.next_health_check = 0.0
    assert opened.send_now(("ECHO", "unchecked")) is None
    assert await opened.echo("checked") == [b"checked"]
    assert opened.send_now() is None

    connection._reader.feed_data(b"+stray\r\n")
    assert opened.send_now(("ECHO", "after stray data")) is None
    assert await opened.echo("anew") == [b"anew"]


@at_once
async def test_what_cannot_be_sent_at_once_leaves_the_connection_as_it_was(opened: OpenWire) -> None:
    await opened.echo("first")
    for _ in range(BROKEN_OFF):
        with pytest.raises(UnicodeEncodeError):
            opened.send_now(("ECHO", "fine"), ("ECHO", "\ud800"))

        sent = opened.send_now(("ECHO", "next"))
        assert sent is not None
        assert await sent.answers() == [b"next"]


async def test_a_connection_goes_back_to_its_pool_where_credentials_may_change(server_with: StartServer) -> None:
    server = await server_with(("user", "ines", "on", ">secret", "~*", "&*", "+@all"))
    provider = UsernamePasswordCredentialProvider("ines", "secret")
    opened = await asyncio.to_thread(OpenWire, server.port, credential_provider=provider)

    assert await opened.echo("word") == [b"word"]

    assert not opened.pool._in_use_connections  # redis-py tells new ones when a connection is released
    await opened.aclose()
