"""Connections to Redis: answers, errors, retries and wake-ups, against real servers."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import redis
from redis.asyncio import Redis

from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation, StoreUnavailable
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore, backend, clients, command_executor
from a2a_session_manager.storage.redis.address import RedisAddress
from a2a_session_manager.storage.redis.clients import AnyClient
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.pubsub_listener import PubSubListener
from a2a_session_manager.storage.redis.retry_policy import RetryPolicy
from a2a_session_manager.storage.redis.script import PlainCall, ScriptCall
from a2a_session_manager.testing.contract.making import said
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.scripts import FAILING, IMPATIENT, connected, handed, list_of, push, pushed
from tests.redis_servers.server import RedisServer


@pytest.fixture
def name() -> str:
    return f"list {uuid4().hex}"


async def users_client(server: RedisServer, **settings: Any) -> Redis:
    """Return a client as a user makes it; redis-py reads its own package's files for that."""
    return await asyncio.to_thread(Redis, host="127.0.0.1", port=server.port, **settings)


async def wait_until_none_is_open(proxy: FaultyProxy) -> None:
    for _ in range(100):
        if proxy.open_lines == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{proxy.open_lines} connections stay open")


@pytest_asyncio.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(redis_server.port) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def connections(proxy: FaultyProxy) -> AsyncIterator[Connections]:
    connections = connected(proxy.url)
    yield connections
    await connections.aclose()


async def test_a_script_runs_and_answers_in_bytes(connections: Connections, name: str) -> None:
    assert await connections.run(push(name, "ø")) == [b"1", b"new"]
    assert await pushed(connections, name) == ["ø".encode()]


async def test_many_scripts_travel_in_one_round_trip(connections: Connections, proxy: FaultyProxy, name: str) -> None:
    await connections.run(push(name, "first"))
    before = proxy.round_trips

    answers = await connections.run_many([push(name, str(number)) for number in range(100)])

    assert [answer[0] for answer in answers] == [str(number + 2).encode() for number in range(100)]
    assert proxy.round_trips - before == 1


async def test_a_command_sent_after_a_script_is_run_after_it_even_where_the_script_is_not_known(
    connections: Connections, proxy: FaultyProxy, redis_server: RedisServer, name: str
) -> None:
    length = PlainCall(("LLEN", list_of(name)))
    for number in range(1, 4):
        await asyncio.to_thread(redis_server.call, "SCRIPT", "FLUSH")

        assert await connections.run_many([length, push(name, f"{number}"), length]) == [
            number - 1,
            [f"{number}".encode(), b"new"],
            number,
        ]


async def test_who_asks_nothing_sends_nothing(connections: Connections, proxy: FaultyProxy) -> None:
    assert await connections.run_many([]) == []
    assert await connections.read_many([]) == []

    assert proxy.round_trips == 0


async def test_a_script_that_fails_harms_only_its_caller(connections: Connections, name: str) -> None:
    answers = await connections.run_many([push(name, "one"), ScriptCall(FAILING, [], []), push(name, "two")])

    assert answers[0] == [b"1", b"new"]
    assert isinstance(answers[1], StoreUnavailable)
    assert "no such thing" in str(answers[1])
    assert answers[2] == [b"2", b"new"]


async def test_a_reply_that_is_lost_leads_to_the_same_question_again(
    connections: Connections, proxy: FaultyProxy, name: str
) -> None:
    await connections.run(push(name, "first"))
    proxy.drop_replies(3)

    answer = await connections.run(push(name, "second"))

    assert answer == [b"2", b"known"]
    assert proxy.dropped == 3
    assert await pushed(connections, name) == [b"first", b"second"]


async def test_lost_replies_of_a_pipeline_double_nothing(
    connections: Connections, proxy: FaultyProxy, name: str
) -> None:
    await connections.run(push(name, "0"))
    proxy.drop_replies(2)

    answers = await connections.run_many([push(name, str(number)) for number in range(50)])

    assert [answer[0] for answer in answers] == [str(number + 1).encode() for number in range(50)]
    assert await pushed(connections, name) == [str(number).encode() for number in range(50)]


async def test_a_server_that_forgot_the_scripts_gets_them_again(
    connections: Connections, redis_server: RedisServer, name: str
) -> None:
    await connections.run(push(name, "one"))

    for _ in range(2):
        await asyncio.to_thread(redis_server.call, "SCRIPT", "FLUSH")
        await connections.run(push(name, "two"))
        await asyncio.to_thread(redis_server.call, "SCRIPT", "FLUSH")
        await connections.run_many([push(name, "three"), ScriptCall(FAILING, [], []), push(name, "four")])

    assert await pushed(connections, name) == [b"one", b"two", b"three", b"four"]


async def test_a_source_is_sent_once_for_many_calls(
    connections: Connections, proxy: FaultyProxy, redis_server: RedisServer, name: str
) -> None:
    calls = [push(name, str(number)) for number in range(100)]
    await connections.run_many(calls)
    before = proxy.bytes_sent
    await connections.run_many(calls)
    known = proxy.bytes_sent - before
    await asyncio.to_thread(redis_server.call, "SCRIPT", "FLUSH")

    await connections.run_many(calls)

    assert proxy.bytes_sent - before - known < 2 * known + 2 * len(calls[0].script.source)
    assert len(await pushed(connections, name)) == 100


async def test_connections_that_are_killed_are_made_anew(
    connections: Connections, redis_server: RedisServer, name: str
) -> None:
    for number in range(5):
        await connections.run(push(name, str(number)))
        await asyncio.to_thread(redis_server.call, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    assert await pushed(connections, name) == [b"0", b"1", b"2", b"3", b"4"]


async def test_no_server_is_an_error_with_the_remedy_and_the_cause() -> None:
    connections = connected("redis://127.0.0.1:1", retry_policy=IMPATIENT)

    with pytest.raises(StoreUnavailable, match="check its address") as refused:
        await connections.run(push("nowhere", "one"))

    assert "Connect call failed" in str(refused.value.__cause__)
    await connections.aclose()


async def test_a_black_hole_ends_in_time_and_harms_nothing_afterwards(proxy: FaultyProxy, name: str) -> None:
    connections = connected(proxy.url, retry_policy=RetryPolicy(tries=8, try_seconds=0.5, seconds=1))
    await connections.run(push(name, "one"))
    proxy.is_black_hole = True

    crowd = await asyncio.wait_for(
        asyncio.gather(*(connections.run(push(name, str(number))) for number in range(200)), return_exceptions=True),
        timeout=15,
    )
    proxy.is_black_hole = False

    assert all(isinstance(answer, StoreUnavailable) for answer in crowd)
    assert await connections.run(push(name, "two")) == [b"2", b"new"]
    await connections.aclose()


async def test_a_thousand_tasks_share_a_small_pool(redis_server: RedisServer, name: str) -> None:
    client = await users_client(redis_server, max_connections=4)
    connections = handed(client)

    await asyncio.gather(*(connections.run(push(name, str(number))) for number in range(1_000)))

    assert len(await pushed(connections, name)) == 1_000
    await connections.aclose()
    await client.aclose()


async def test_two_connections_are_enough_for_all_there_is_to_do(redis_server: RedisServer, name: str) -> None:
    connections = connected(f"{redis_server.url}?max_connections=2")
    await connections.run(push(name, "first"))
    waiting = asyncio.create_task(connections.wait(name.encode(), 0, 60))

    asked = [connections.run(push(name, str(number))) for number in range(100)]
    read = [connections.read_many([("LLEN", list_of(name))]) for _ in range(100)]
    await asyncio.gather(*asked, *read)
    await connections.read_many([("PUBLISH", name, 1)])

    await asyncio.wait_for(waiting, timeout=5)
    assert len(await pushed(connections, name)) == 101
    await connections.aclose()


@pytest.mark.parametrize(
    "settings",
    [{"decode_responses": True}, {"protocol": 3}, {"protocol": 3, "decode_responses": True, "encoding": "latin-1"}],
    ids=repr,
)
async def test_a_client_handed_in_is_used_as_it_is_and_stays_open(
    redis_server: RedisServer, name: str, settings: dict[str, Any]
) -> None:
    client = await users_client(redis_server, **settings)
    connections = handed(client)

    assert await connections.run(push(name, "ø")) == [b"1", b"new"]
    assert await connections.run_many([push(name, "ø"), push(name, "é")]) == [[b"1", b"known"], [b"2", b"new"]]
    assert await pushed(connections, name) == ["ø".encode(), "é".encode()]
    assert await connections.read_many([("EXISTS", f"{name} 子"), ("EXISTS", "子")]) == [0, 0]  # no latin-1 letter
    assert await connections.read_many([("EXISTS", "子")]) == [0]
    await connections.aclose()
    assert await client.ping()
    await client.aclose()


async def test_cancelled_callers_get_nobody_elses_answer(connections: Connections, name: str) -> None:
    chance = random.Random(5)

    async def ask(number: int) -> None:
        call = push(name, f"{number}")
        first = asyncio.create_task(connections.run(call))
        await asyncio.sleep(chance.random() * 0.004)
        first.cancel()
        [place, _] = await connections.run(call)
        [item] = await connections.read_many([("LINDEX", list_of(name), int(place) - 1)])
        assert item == str(number).encode()

    await asyncio.gather(*map(ask, range(200)))

    assert sorted(map(int, await pushed(connections, name))) == list(range(200))


async def test_a_key_of_another_type_is_a_damaged_session(connections: Connections, name: str) -> None:
    await connections.read_many([("SET", list_of(name), "mine")])

    with pytest.raises(CorruptSession, match="another program") as damaged:
        await connections.run(push(name, "one"))

    assert damaged.value.session_id == name
    assert damaged.value.__cause__ is not None


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


async def test_closing_lets_those_who_ask_have_their_answers_and_opens_nothing_again(
    proxy: FaultyProxy, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_executor, "_CLOSE_SECONDS", 60.0)  # however slow the machine is now
    connections = connected(proxy.url)
    await connections.run(push(name, "one"))
    proxy.delay = 0.05
    reading = [asyncio.create_task(pushed(connections, name)) for _ in range(100)]  # some wait for a connection
    await asyncio.sleep(0.02)

    await connections.aclose()

    assert [task.result() for task in reading] == [[b"one"]] * len(reading)
    await wait_until_none_is_open(proxy)


async def test_who_asks_again_while_all_is_closed_is_refused(proxy: FaultyProxy, name: str) -> None:
    connections = connected(proxy.url)
    await connections.run(push(name, "one"))
    is_lost = asyncio.Event()

    async def tell() -> None:
        is_lost.set()

    proxy.drop_replies(1, between=tell)
    trying = asyncio.create_task(connections.run(push(name, "two")))
    await is_lost.wait()

    await connections.aclose()

    with pytest.raises(StoreUnavailable, match="closed"):
        await trying
    with pytest.raises(StoreUnavailable, match="closed"):
        await pushed(connections, name)
    await wait_until_none_is_open(proxy)


async def test_who_asks_first_while_all_is_closed_is_refused(proxy: FaultyProxy, name: str) -> None:
    connections = connected(proxy.url)
    asking = asyncio.create_task(connections.run(push(name, "one")))
    await asyncio.sleep(0)

    await connections.aclose()

    with pytest.raises(StoreUnavailable, match="closed"):
        await asking
    await wait_until_none_is_open(proxy)


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
