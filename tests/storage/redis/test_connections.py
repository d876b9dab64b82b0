"""Connections to Redis: answers, errors, retries and wake-ups, against real servers."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from a2a_session_manager.exceptions import CorruptSession, StoreUnavailable
from a2a_session_manager.storage.redis import command_executor
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.retry_policy import RetryPolicy
from a2a_session_manager.storage.redis.script import PlainCall, ScriptCall
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.scripts import FAILING, IMPATIENT, connected, handed, list_of, push, pushed
from tests.redis_servers.server import RedisServer
from tests.storage.redis.connecting import connections, name, proxy, users_client

__all__ = ["connections", "name", "proxy"]


async def wait_until_none_is_open(proxy: FaultyProxy) -> None:
    for _ in range(100):
        if proxy.open_lines == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{proxy.open_lines} connections stay open")


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
