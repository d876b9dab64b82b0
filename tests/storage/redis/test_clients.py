"""Clients of several loops, listeners on their channels, and what closing does to both."""

from __future__ import annotations

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from redis.asyncio import Redis

from a2a_session_manager.exceptions import InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore, backend, clients, command_executor
from a2a_session_manager.storage.redis.address import RedisAddress
from a2a_session_manager.storage.redis.clients import AnyClient
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.pubsub_listener import PubSubListener
from a2a_session_manager.testing.contract.making import said
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.scripts import IMPATIENT, connected, handed, push, pushed
from tests.redis_servers.server import RedisServer
from tests.storage.redis.connecting import connections, name, proxy, users_client

__all__ = ["connections", "name", "proxy"]


def test_one_store_serves_one_loop_after_another(redis_server: RedisServer, name: str) -> None:
    connections = connected(redis_server.url)

    async def work(item: str) -> None:
        await asyncio.gather(*(connections.run(push(name, f"{item} {number}")) for number in range(20)))
        await connections.wait(b"channel", 0, 0.01)

    for item in ("one", "two", "three"):
        asyncio.run(work(item))
    gc.collect()  # a connection left open would warn, and warnings are errors

    assert len(asyncio.run(pushed(connections, name))) == 60


def test_one_store_serves_two_loops_at_the_same_time(redis_server: RedisServer, name: str) -> None:
    connections = connected(redis_server.url)

    async def work(item: str) -> None:
        for number in range(100):
            answers = await connections.read_many([("ECHO", f"{item} {number}"), ("ECHO", item)])
            assert answers == [f"{item} {number}".encode(), item.encode()]

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(asyncio.run, work(item)) for item in ("one", "two")]:
            done.result()
    gc.collect()  # a connection left open would warn, and warnings are errors


def test_a_client_handed_in_serves_one_loop_after_another(redis_server: RedisServer, name: str) -> None:
    client = Redis(host="127.0.0.1", port=redis_server.port)
    connections = handed(client)

    async def work(item: str) -> None:
        await connections.run(push(name, item))
        await client.aclose()  # as its owner has to, whatever the store does

    for item in ("one", "two", "three"):
        asyncio.run(work(item))

    async def read() -> list[bytes]:
        try:
            return await pushed(connections, name)
        finally:
            await client.aclose()

    assert asyncio.run(read()) == [b"one", b"two", b"three"]


def test_a_server_that_hangs_keeps_no_connection_open(own_redis: RedisServer, name: str) -> None:
    async def write_much_and_leave() -> None:
        connections = connected(own_redis.url, retry_policy=IMPATIENT)
        await connections.run(push(name, "one"))
        own_redis.pause()
        with pytest.raises(StoreUnavailable):
            await connections.run(push(name, "much" * 4_000_000))
        await asyncio.wait_for(connections.aclose(), timeout=1)

    asyncio.run(write_much_and_leave())
    gc.collect()  # a connection left open would warn, and warnings are errors


class TestPubSubListener:
    """A published number wakes; a hint that is lost costs time and nothing else."""

    async def test_who_waits_is_woken_by_a_higher_number(self, connections: Connections, name: str) -> None:
        channel = name.encode()
        await connections.wait(channel, 3, 5)  # the subscription begins
        waiting = asyncio.create_task(connections.wait(channel, 3, 60))
        await asyncio.sleep(0.02)
        assert not waiting.done()

        await connections.read_many([("PUBLISH", channel, 4)])

        await asyncio.wait_for(waiting, timeout=5)

    async def test_what_was_heard_before_the_wait_ends_it_at_once(self, connections: Connections, name: str) -> None:
        channel = name.encode()
        await connections.wait(channel, 3, 5)
        other = asyncio.create_task(connections.wait(channel, 3, 60))
        await asyncio.sleep(0)
        await connections.read_many([("PUBLISH", channel, 4)])
        await asyncio.wait_for(other, timeout=5)

        await asyncio.wait_for(connections.wait(channel, 3, 60), timeout=5)

    async def test_silence_ends_by_its_time(self, connections: Connections, name: str) -> None:
        await connections.wait(name.encode(), 3, 5)

        await asyncio.wait_for(connections.wait(name.encode(), 3, 0.05), timeout=5)

    async def test_a_lost_connection_wakes_everybody_and_is_made_anew(
        self, connections: Connections, redis_server: RedisServer, name: str
    ) -> None:
        channel = name.encode()
        await connections.wait(channel, 3, 5)
        waiting = asyncio.create_task(connections.wait(channel, 3, 60))
        await asyncio.sleep(0.02)

        await asyncio.to_thread(redis_server.call, "CLIENT", "KILL", "TYPE", "pubsub")
        await asyncio.wait_for(waiting, timeout=5)

        await asyncio.wait_for(connections.wait(channel, 3, 60), timeout=5)  # subscribed again
        waiting = asyncio.create_task(connections.wait(channel, 3, 60))
        await asyncio.sleep(0.02)
        await connections.read_many([("PUBLISH", channel, 4)])
        await asyncio.wait_for(waiting, timeout=5)

    async def test_a_cancellation_that_is_swallowed_while_a_message_is_awaited_does_not_keep_the_listener(
        self, redis_server: RedisServer, name: str
    ) -> None:
        client = await users_client(redis_server)
        listener = PubSubListener(client)
        await listener.wait(name.encode(), 3, 5)
        assert listener._pubsub is not None
        get_message = listener._pubsub.get_message

        async def swallowing(**options: Any) -> Any:
            try:
                return await get_message(**options)
            except asyncio.CancelledError:  # as `asyncio.wait_for` may do before Python 3.12
                return None

        listener._pubsub.get_message = swallowing
        waiting = asyncio.create_task(listener.wait(name.encode(), 3, 60))
        await listener.wait(name.encode(), 3, 0.05)
        reader = listener._reader
        # The message that the listener waits for now is awaited by the original; the next one is not.
        await asyncio.to_thread(redis_server.call, "PUBLISH", name, 3)
        await asyncio.sleep(0.05)

        await listener.aclose()

        assert reader is not None
        assert reader.done()
        await asyncio.wait_for(waiting, timeout=5)
        await client.aclose()

    async def test_many_channels_share_a_connection(
        self, connections: Connections, redis_server: RedisServer, name: str
    ) -> None:
        channels = [f"{name} {number}".encode() for number in range(200)]
        await asyncio.gather(*(connections.wait(channel, 0, 5) for channel in channels))
        waiting = [asyncio.create_task(connections.wait(channel, 0, 60)) for channel in channels]
        await asyncio.sleep(0.02)

        listeners = await asyncio.to_thread(redis_server.call, "CLIENT LIST", "TYPE", "PUBSUB")
        await connections.read_many([("PUBLISH", channel, 1) for channel in channels])

        await asyncio.wait_for(asyncio.gather(*waiting), timeout=5)
        assert len(listeners) == 1

    async def test_a_cancelled_listener_leaves_the_others_alone(self, connections: Connections, name: str) -> None:
        channel = name.encode()
        await connections.wait(channel, 0, 5)
        leaving, staying = (asyncio.create_task(connections.wait(channel, 0, 60)) for _ in range(2))
        await asyncio.sleep(0.02)

        leaving.cancel()
        await connections.read_many([("PUBLISH", channel, 1)])

        await asyncio.wait_for(staying, timeout=5)
        with pytest.raises(asyncio.CancelledError):
            await leaving

    async def test_closing_is_bounded_and_leaves_no_task(self, proxy: FaultyProxy, name: str) -> None:
        connections = connected(proxy.url)
        await connections.wait(name.encode(), 0, 5)
        waiting = asyncio.create_task(connections.wait(name.encode(), 0, 60))
        await asyncio.sleep(0.02)
        proxy.is_black_hole = True

        await asyncio.wait_for(connections.aclose(), timeout=5)

        await asyncio.wait_for(waiting, timeout=5)
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "a2a-session-wakeups"]


@pytest.mark.parametrize("client", ["redis://127.0.0.1", redis.Redis(), b"redis"])
def test_what_cannot_be_awaited_is_no_client(client: Any) -> None:
    with pytest.raises(InvalidSessionOperation, match=r"cannot be awaited: hand in a client of redis\.asyncio"):
        RedisSessionStore(client)


class TestClients:
    """One client a loop, closed with its loop or its store, whatever the server does."""

    async def test_many_first_users_share_one_client_though_the_first_of_them_leaves(
        self, redis_server: RedisServer, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made: list[AnyClient] = []
        really_built = clients.built

        def built(address: RedisAddress) -> AnyClient:
            made.append(really_built(address))
            return made[-1]

        monkeypatch.setattr(clients, "built", built)
        connections = connected(redis_server.url)
        first, *others = (asyncio.create_task(connections.run(push(name, f"{number}"))) for number in range(50))
        await asyncio.sleep(0)
        first.cancel()

        answers = await asyncio.gather(*others)
        assert len(answers) == 49
        assert len(made) == 1
        with pytest.raises(asyncio.CancelledError):
            await first
        await connections.aclose()

    async def test_who_comes_while_the_client_is_made_for_a_store_that_is_closed_is_told(
        self, redis_server: RedisServer, name: str
    ) -> None:
        connections = connected(redis_server.url)
        asked = [asyncio.create_task(connections.run(push(name, f"{number}"))) for number in range(3)]
        await asyncio.sleep(0)

        await connections.aclose()

        for answer in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(answer, StoreUnavailable)
        assert not connections._loop_clients.open_now

    # A loop that is closed with open transports is a mistake of its owner's, and Python says so.
    @pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    def test_the_clients_of_closed_loops_are_closed_and_dropped(self, own_redis: RedisServer) -> None:
        connections = connected(own_redis.url)
        for number in range(5):
            loop = asyncio.new_event_loop()
            assert loop.run_until_complete(connections.run(push("loops", f"{number}")))[1] == b"new"
            loop.close()

        async def look() -> tuple[int, int]:
            await connections.read_many([("PING",)])
            lines: list[object] = await asyncio.to_thread(own_redis.call, "CLIENT LIST", "TYPE", "normal")
            return len(lines), len(connections._loop_clients.open_now)

        assert asyncio.run(look()) == (2, 1)  # ours, and the one that asks
        assert not connections._loop_clients.open_now
        gc.collect()  # while what asyncio says of it is expected

    @pytest.mark.parametrize("is_handed_in", [False, True])
    async def test_a_store_is_closed_though_its_server_hangs(
        self, is_handed_in: bool, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (command_executor, backend):
            monkeypatch.setattr(module, "_CLOSE_SECONDS", 0.1)  # 2.5 s: less than a server is given for an answer
        client = await users_client(own_redis) if is_handed_in else None
        store = store_from_url(own_redis.url) if client is None else RedisSessionStore(client)
        await store.create("talk")
        stream = store.follow("talk")
        following = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)
        own_redis.pause()
        asked = [asyncio.create_task(store.append("talk", said("x" * 100_000))) for _ in range(50)]
        asked += [asyncio.create_task(store.events("talk")) for _ in range(50)]
        await asyncio.sleep(0.05)

        await asyncio.wait_for(store.aclose(), timeout=5)

        answers = await asyncio.wait_for(asyncio.gather(*asked, following, return_exceptions=True), timeout=5)
        assert {type(answer) for answer in answers} == {StoreUnavailable}
        own_redis.resume()
        if client is not None:
            await client.aclose()

    async def test_a_client_of_one_connection_follows_by_looking(self, redis_server: RedisServer, name: str) -> None:
        client = await users_client(redis_server, max_connections=1)
        store = RedisSessionStore(client, key_prefix=f"{name}:")
        await store.create("talk")
        stream = store.follow("talk")
        following = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)

        await asyncio.gather(*(store.append("talk", said()) for _ in range(5)))

        assert (await asyncio.wait_for(following, timeout=10)).seq == 1
        await stream.aclose()
        await store.aclose()
        await client.aclose()
