"""The Redis store when replies are lost, servers die and callers leave: nothing lost, nothing doubled."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from redis.asyncio import ConnectionPool, Redis

from a2a_session_manager.exceptions import SessionManagerError, StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore, scripts
from a2a_session_manager.testing.contract.making import ids, said, spending, whole
from a2a_session_manager.testing.contract.writes import DELETE, WRITES, Write, seen
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer

# Lost replies are those of the scripts that write.
WRITING = [
    script.sha.encode() for script in (scripts.COMMIT, scripts.CREATE_ROOT, scripts.CREATE_CHILD, scripts.DELETE)
]


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid4().hex}:"


@pytest_asyncio.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(redis_server.port) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def store(proxy: FaultyProxy, prefix: str) -> AsyncIterator[BaseSessionStore]:
    async with store_from_url(f"{proxy.url}?key_prefix={prefix}") as store:
        yield store


@pytest_asyncio.fixture
async def cold(redis_server: RedisServer, prefix: str) -> AsyncIterator[BaseSessionStore]:
    """Another store over the same keys, that nothing disturbs."""
    async with store_from_url(f"{redis_server.url}?key_prefix={prefix}") as cold:
        yield cold


def once(work: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    """Return a function that does `work` the first time it is called."""
    left = [work]

    async def do() -> None:
        if left:
            await left.pop()()

    return do


async def test_what_this_very_call_wrote_is_no_repeat_when_its_reply_is_dropped_and_what_others_wrote_is(
    store: BaseSessionStore, proxy: FaultyProxy
) -> None:
    await store.create("talk", change=SessionChange(events=[said("old", id="old")]))
    events = [said("mine", id="mine"), said("old", id="old")]
    proxy.drop_replies(1, *WRITING)
    appended = await store.append("talk", said("first", id="first"))
    proxy.drop_replies(1, *WRITING)
    committed = await store.commit("talk", SessionChange(events=events, set_state={"k": 1}), write_id="w")
    again = await store.commit("talk", SessionChange(events=events, set_state={"k": 1}), write_id="w")

    assert proxy.dropped == 2
    assert [(event.seq, event.is_repeat) for event in appended] == [(2, False)]
    assert [(event.seq, event.is_repeat) for event in committed.events] == [(3, False), (1, True)]
    assert [(event.seq, event.is_repeat) for event in again.events] == [(3, True), (1, True)]
    assert (committed.revision, again.revision) == (3, 3)


@pytest.mark.parametrize("drops", [1, 3])
@pytest.mark.parametrize("write", WRITES, ids=str)
async def test_a_reply_dropped_after_execution_and_another_writer_in_between_change_nothing(
    store: BaseSessionStore, cold: BaseSessionStore, proxy: FaultyProxy, write: Write, drops: int
) -> None:
    session, twin = await write.prepare(store, "talk"), await write.prepare(store, "twin")

    async def other(session_id: str) -> None:
        change = SessionChange(events=[spending(9, id="other")], set_state={"plan": "newer"})
        await cold.commit(session_id, change)

    await write.send(store, twin)
    await other("twin")
    proxy.drop_replies(drops, *WRITING, between=once(lambda: other("talk")))

    await write.send(store, session)

    assert proxy.dropped == drops
    talk = await seen(cold, "talk")
    assert talk == await seen(cold, "twin")
    assert talk is not None
    assert talk["state"]["plan"] == "newer"


@pytest.mark.parametrize("drops", [1, 3])
async def test_a_delete_whose_reply_is_dropped_leaves_a_later_session_of_the_same_id_alone(
    store: BaseSessionStore, cold: BaseSessionStore, proxy: FaultyProxy, drops: int
) -> None:
    session = await DELETE.prepare(store, "talk")
    await store.delete(await DELETE.prepare(store, "other"))

    async def made_again() -> None:
        await cold.create("talk", change=SessionChange(events=[said(id="later")]))

    proxy.drop_replies(drops, *WRITING, between=once(made_again))
    await store.delete(session)

    assert proxy.dropped == drops
    assert ids((await whole(cold, "talk")).events) == ["later"]


async def crowd(store: BaseSessionStore, session_id: str, *, tasks: int, events: int, name: str = "w") -> None:
    """Append from many tasks, each in its own order; a write that could not be made is made again, as it was."""

    async def write(task: int) -> None:
        for number in range(events):
            event = spending(1, id=f"{name} {task} {number}")
            while True:
                try:
                    await store.append(session_id, event)
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.05)

    await asyncio.gather(*map(write, range(tasks)))


async def assert_whole(cold: BaseSessionStore, session_id: str, *, tasks: int, events: int, name: str = "w") -> None:
    """Every event of a crowd is there once, in its writer's order, and the totals are exact."""
    log = await cold.events(session_id)
    for task in range(tasks):
        mine = [event.id for event in log if event.id.startswith(f"{name} {task} ")]
        assert mine == [f"{name} {task} {number}" for number in range(events)]
    assert [event.seq for event in log] == list(range(1, tasks * events + 1))
    for spent in (await cold.usage(session_id), await cold.usage(session_id, tree=True)):
        assert spent.total.requests == tasks * events
        assert spent.total.prompt_tokens == tasks * events


async def test_a_crowd_whose_replies_are_dropped_loses_and_doubles_nothing(
    store: BaseSessionStore, cold: BaseSessionStore, proxy: FaultyProxy
) -> None:
    await store.create("talk")
    proxy.drop_replies(10, *WRITING)

    await crowd(store, "talk", tasks=32, events=10)

    assert proxy.dropped == 10
    await assert_whole(cold, "talk", tasks=32, events=10)


async def test_a_crowd_whose_connections_and_scripts_are_taken_away_loses_and_doubles_nothing(
    store: BaseSessionStore, cold: BaseSessionStore, redis_server: RedisServer
) -> None:
    await store.create("talk")
    writers = asyncio.create_task(crowd(store, "talk", tasks=16, events=30))

    while not writers.done():
        await asyncio.to_thread(redis_server.call, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.01)
        await asyncio.to_thread(redis_server.call, "SCRIPT", "FLUSH")
        await asyncio.sleep(0.01)

    await writers
    await assert_whole(cold, "talk", tasks=16, events=30)


async def test_a_black_hole_ends_in_time_and_the_same_write_is_made_once_afterwards(
    proxy: FaultyProxy, cold: BaseSessionStore, prefix: str
) -> None:
    async with store_from_url(
        f"{proxy.url}?key_prefix={prefix}&socket_timeout=0.1&socket_connect_timeout=0.1"
    ) as store:
        await store.create("talk")
        change = SessionChange(events=[spending(1, id="e")], set_state={"plan": "mine"})
        proxy.is_black_hole = True

        attempts = asyncio.gather(store.commit("talk", change, write_id="w"), store.get("talk"), return_exceptions=True)
        written, read = await asyncio.wait_for(attempts, timeout=15)
        proxy.is_black_hole = False
        await store.commit("talk", change, write_id="w")

    assert isinstance(written, StoreUnavailable)
    assert isinstance(read, StoreUnavailable)
    talk = await whole(cold, "talk")
    assert (ids(talk.events), talk.state, talk.revision) == (["e"], {"plan": "mine"}, 2)


async def test_a_server_killed_among_writes_has_kept_what_it_acknowledged(own_redis: RedisServer, prefix: str) -> None:
    url = f"{own_redis.url}?key_prefix={prefix}"
    async with store_from_url(url) as store:
        await store.create("talk")
        writers = asyncio.create_task(crowd(store, "talk", tasks=16, events=60))
        for _ in range(4):
            await asyncio.sleep(0.1)
            await asyncio.to_thread(own_redis.restart)
        await writers

    async with store_from_url(url) as cold:
        await assert_whole(cold, "talk", tasks=16, events=60)


async def test_a_server_that_is_away_for_a_while_makes_callers_wait_and_no_more(
    own_redis: RedisServer, prefix: str
) -> None:
    async with store_from_url(f"{own_redis.url}?key_prefix={prefix}") as store:
        await store.create("talk")
        await asyncio.to_thread(own_redis.kill)

        writing = asyncio.create_task(store.append("talk", said(id="e")))
        reading = asyncio.create_task(store.get("talk"))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(own_redis.start)

        assert ids(await asyncio.wait_for(writing, timeout=15)) == ["e"]
        assert await asyncio.wait_for(reading, timeout=15) is not None


async def test_a_thousand_tasks_share_a_small_pool(
    redis_server: RedisServer, cold: BaseSessionStore, prefix: str
) -> None:
    client = await asyncio.to_thread(Redis, host="127.0.0.1", port=redis_server.port, max_connections=3)
    async with RedisSessionStore(client=client, key_prefix=prefix) as store:
        await store.create("talk")

        async def write_and_read(task: int) -> None:
            await store.append("talk", spending(1, id=f"w {task} 0"))
            assert await store.get("talk", last=1) is not None

        await asyncio.gather(*map(write_and_read, range(1_000)))

    await assert_whole(cold, "talk", tasks=1_000, events=1)
    assert await client.ping()
    await client.aclose()


async def test_callers_that_leave_take_nothing_with_them(store: BaseSessionStore, cold: BaseSessionStore) -> None:
    chance = random.Random(3)
    acknowledged: list[str] = []
    await store.create("talk")

    async def write(number: int) -> None:
        event = spending(1, id=f"w 0 {number}")
        async with asyncio.timeout(chance.random() * 0.01):
            await store.append("talk", event)
            acknowledged.append(event.id)

    tasks = [asyncio.create_task(write(number)) for number in range(400)]
    for task in chance.sample(tasks, 100):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.append("talk", said(id="last"))

    log = ids(await cold.events("talk"))
    assert len(log) == len(set(log))
    assert set(acknowledged) <= set(log)
    assert log[-1] == "last"
    assert (await cold.usage("talk")).total.requests == len(log) - 1


async def test_a_batch_whose_task_never_begins_costs_no_connection_and_leaves_no_reply(
    store: BaseSessionStore, cold: BaseSessionStore
) -> None:
    await store.create("talk")
    await store.append("talk", said(id="first"))
    for number in range(40):  # more often than there are connections
        before = asyncio.all_tasks()
        leaving = asyncio.ensure_future(store.append("talk", said(id=f"cut off {number}")))
        await asyncio.sleep(0)  # it is sent now, and the task that would hear the answer has not begun
        for task in asyncio.all_tasks() - before - {leaving}:
            task.cancel()
        with pytest.raises(StoreUnavailable):
            await leaving
        [event] = await store.append("talk", said(id=f"kept {number}"))
        assert event.id == f"kept {number}"

    log = ids(await cold.events("talk"))
    assert [event_id for event_id in log if event_id.startswith("kept")] == [f"kept {number}" for number in range(40)]
    assert len(log) == len(set(log))


@pytest.mark.parametrize("connections", [2, 3, 6, 8])
async def test_what_is_sent_at_once_never_asks_a_pool_for_more_than_it_has(
    redis_server: RedisServer, prefix: str, connections: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[Exception] = []
    give: Any = ConnectionPool.get_available_connection

    def giving(pool: Any) -> Any:
        try:
            return give(pool)
        except Exception as error:
            refused.append(error)
            raise

    monkeypatch.setattr(ConnectionPool, "get_available_connection", giving)
    async with store_from_url(f"{redis_server.url}?key_prefix={prefix}&max_connections={connections}") as store:
        await asyncio.gather(*(store.create(f"talk {number}") for number in range(30)))
        following = asyncio.ensure_future(anext(store.follow("talk 0")))  # one connection is the listener's

        async def write_and_read(number: int) -> None:
            for _ in range(5):
                await store.append(f"talk {number}", said())
                await asyncio.gather(store.get(f"talk {number}", last=20), store.usage(f"talk {number}"))

        await asyncio.gather(*map(write_and_read, range(30)))
        await asyncio.wait_for(following, 10)

    assert refused == []


def test_one_store_serves_one_loop_after_another(redis_server: RedisServer, prefix: str) -> None:
    store = store_from_url(f"{redis_server.url}?key_prefix={prefix}")

    async def work(number: int) -> int:
        await asyncio.gather(*(store.append("talk", said()) for _ in range(10)))
        stream = store.follow("talk")
        await anext(stream)
        await stream.aclose()
        return len(await store.events("talk"))

    async def begin() -> None:
        await store.create("talk")

    asyncio.run(begin())
    counts = [asyncio.run(work(number)) for number in range(3)]
    gc.collect()  # a connection left open would warn, and warnings are errors

    assert counts == [10, 20, 30]


@pytest.mark.parametrize(
    "settings",
    [{}, {"decode_responses": True}, {"protocol": 3}, {"protocol": 3, "decode_responses": True}],
    ids=repr,
)
async def test_a_client_of_the_users_own_keeps_the_same_promises_with_its_own_retries(
    proxy: FaultyProxy, cold: BaseSessionStore, prefix: str, settings: dict[str, Any]
) -> None:
    client = await asyncio.to_thread(Redis, host="127.0.0.1", port=proxy.port, **settings)
    async with RedisSessionStore(client=client, key_prefix=prefix) as store:
        for write in WRITES:
            session, twin = await write.prepare(store, f"{write}"), await write.prepare(store, f"{write} twin")
            await write.send(store, twin)
            proxy.drop_replies(1, *WRITING)
            await write.send(store, session)

    assert proxy.dropped == len(WRITES)
    for write in WRITES:
        assert await seen(cold, f"{write}") == await seen(cold, f"{write} twin") is not None
    assert await client.ping()
    await client.aclose()


async def test_who_follows_misses_nothing_when_messages_are_lost(
    store: BaseSessionStore, cold: BaseSessionStore, redis_server: RedisServer
) -> None:
    await store.create("talk")
    heard: list[str] = []

    async def follow() -> None:
        async for event in store.follow("talk"):
            heard.append(event.id)
            if len(heard) == 60:
                return

    follower = asyncio.create_task(follow())
    for number in range(60):
        await cold.append("talk", said(id=f"e{number}"))
        if number % 15 == 7:
            await asyncio.to_thread(redis_server.call, "CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.sleep(0.05)

    await asyncio.wait_for(follower, timeout=20)
    assert heard == [f"e{number}" for number in range(60)]


async def test_an_error_leaves_nothing_half_written(own_redis: RedisServer, prefix: str) -> None:
    url = f"{own_redis.url}?key_prefix={prefix}"
    async with store_from_url(url) as store:
        twin = {write.name: await write.prepare(store, write.name) for write in [*WRITES, DELETE]}
        before = {name: await seen(store, name) for name in twin}
        await asyncio.to_thread(own_redis.call, "CONFIG SET", "maxmemory", 1)

        for write in WRITES:
            with pytest.raises(SessionManagerError, match="nothing of the commit was written"):
                await write.send(store, twin[write.name])
            assert await seen(store, write.name) == before[write.name]

        await asyncio.to_thread(own_redis.call, "CONFIG SET", "maxmemory", 0)
        for write in [*WRITES, DELETE]:
            await write.send(store, twin[write.name])


async def test_who_follows_goes_on_while_the_server_is_full(own_redis: RedisServer) -> None:
    async with store_from_url(own_redis.url) as store:
        await store.create("talk")
        await asyncio.to_thread(own_redis.call, "CONFIG SET", "maxmemory", 1)
        following = asyncio.ensure_future(anext(store.follow("talk")))
        done, _ = await asyncio.wait({following}, timeout=0.3)  # meanwhile the server refuses to take note of it
        assert not done

        await asyncio.to_thread(own_redis.call, "CONFIG SET", "maxmemory", 0)
        await store.append("talk", said(id="e1"))

        assert (await asyncio.wait_for(following, timeout=10)).id == "e1"
