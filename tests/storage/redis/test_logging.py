"""What the Redis store logs: its faults and what it does about them, nothing while all is well, and no secret ever."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import backend, clients, retry_policy
from a2a_session_manager.testing.contract.making import said
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.scripts import connected, push
from tests.redis_servers.server import RedisServer
from tests.storage.logged import told
from tests.storage.redis.looks import connections_of, keys_of
from tests.storage.redis.test_refusals import RIGHTS

LOGGER = "a2a_session_manager.storage.redis"


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG, LOGGER):
        yield


async def until_told(caplog: pytest.LogCaptureFixture, level: str, text: str) -> None:
    """Wait until something was logged at this level that holds `text`."""
    for _ in range(2_000):
        if any(at == level and text in message for at, message in told(LOGGER, caplog)):
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"nobody said {text!r}: {told(LOGGER, caplog)}")


async def kill_clients(server: RedisServer, kind: str) -> None:
    await asyncio.to_thread(server.call, "CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")


async def follower_of(store: BaseSessionStore) -> asyncio.Task[object]:
    """Return a task that waits for news of a session that is made here."""
    await store.create("talk")
    stream = store.follow("talk")

    async def news() -> object:
        try:
            return await anext(stream)
        finally:
            await stream.aclose()

    return asyncio.create_task(news())


async def test_nothing_is_logged_above_debug_while_all_is_well(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with store_from_url(f"{own_redis.url}?expiration_seconds=60") as store:
        news = await follower_of(store)
        await asyncio.sleep(0.1)
        await store.create("kid", parent_id="talk")
        await asyncio.gather(*[store.append("talk", said("s3cret")) for _ in range(20)])
        await news
        await store.get("talk", last=5)
        await store.list_sessions()
        await store.delete("talk", children="cascade")

    assert told(LOGGER, caplog) == []
    batches = [message for _, message in told(LOGGER, caplog, logging.DEBUG)]
    assert "a batch: 1 commits to 1 sessions" in batches
    assert not any("s3cret" in message for message in batches)


async def test_a_restart_is_told_by_the_tries_it_took_and_by_the_connection_made_again(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with store_from_url(own_redis.url) as store:
        await store.create("talk")
        await asyncio.to_thread(own_redis.kill)
        late = asyncio.create_task(store.append("talk", said()))
        await until_told(caplog, "WARNING", "1 commands are sent again after 0.02 s, try 3 of 8: ConnectionError")
        await asyncio.to_thread(own_redis.start)
        await late

    assert ("INFO", "1 commands are sent again after 0.01 s, try 2 of 8: ConnectionError") in told(LOGGER, caplog)
    assert ("INFO", f"connected again to 127.0.0.1:{own_redis.port}") in told(LOGGER, caplog)


async def test_one_connection_that_is_lost_is_told_below_warning(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with store_from_url(own_redis.url) as store:
        await store.create("talk")
        await kill_clients(own_redis, "normal")
        await asyncio.sleep(0.1)
        await store.append("talk", said())

    assert ("INFO", f"connected again to 127.0.0.1:{own_redis.port}") in told(LOGGER, caplog)
    assert told(LOGGER, caplog, logging.WARNING) == []


async def test_a_follower_that_looks_by_the_clock_is_told_once_and_so_is_the_end_of_it(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with store_from_url(own_redis.url) as store:
        news = await follower_of(store)
        await asyncio.sleep(0.2)
        await kill_clients(own_redis, "pubsub")
        await until_told(caplog, "INFO", "pub/sub brings news again")
        await store.append("talk", said())
        await news

    assert told(LOGGER, caplog, logging.WARNING) == [
        ("WARNING", "pub/sub brings no news (ConnectionError): followers look every two seconds")
    ]


async def test_who_may_not_subscribe_is_told_once_that_it_looks_by_the_clock(
    server_with: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = await server_with(("user", "ann", "on", ">s3cret", "~session:*", *RIGHTS))
    async with store_from_url(server.url.replace("//", "//ann:s3cret@")) as store:
        news = await follower_of(store)
        await until_told(caplog, "WARNING", "pub/sub brings no news (NoPermissionError)")
        await store.append("talk", said())
        await asyncio.wait_for(news, 15)

    assert len([message for _, message in told(LOGGER, caplog) if "pub/sub" in message]) == 1


async def test_a_follower_on_a_full_server_is_told_once(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with store_from_url(own_redis.url) as store:
        await store.create("talk")
        await asyncio.to_thread(own_redis.call, "CONFIG SET", "maxmemory", 1)
        stream = store.follow("talk")
        news = asyncio.ensure_future(anext(stream))
        await until_told(caplog, "WARNING", "redis is full")
        await asyncio.to_thread(own_redis.call, "CONFIG SET", "maxmemory", 0)
        await store.append("talk", said())
        await asyncio.wait_for(news, 15)
        await stream.aclose()

    assert len(told(LOGGER, caplog, logging.WARNING)) == 1


async def test_a_primary_that_was_demoted_is_told(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retry_policy, "_LONGEST_PAUSE", 0.01)
    async with store_from_url(own_redis.url) as store:
        await store.create("talk")
        await asyncio.to_thread(own_redis.call, "REPLICAOF", "127.0.0.1", 1)
        with pytest.raises(StoreUnavailable, match="read-only replica"):
            await store.append("talk", said())

    replica = "a replica answered: idle connections are closed, to look for the primary anew"
    assert ("WARNING", replica) in told(LOGGER, caplog)
    assert any("try 3 of 8: " in text for level, text in told(LOGGER, caplog) if level == "WARNING")


async def test_a_server_that_hangs_when_the_store_is_closed_is_told(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_CLOSE_SECONDS", 0.1)
    store = store_from_url(own_redis.url)
    await store.create("talk")
    own_redis.pause()
    late = asyncio.create_task(store.append("talk", said()))
    await asyncio.sleep(0)
    await store.aclose()
    own_redis.resume()

    assert isinstance((await asyncio.gather(late, return_exceptions=True))[0], StoreUnavailable)
    assert ("WARNING", "redis did not answer within 0.1 s of closing: what is under way fails") in told(LOGGER, caplog)


async def test_a_user_without_multi_is_told_once_what_it_costs(
    server_with: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    server = await server_with(("user", "ann", "on", ">s3cret", "~session:*", *RIGHTS))
    async with store_from_url(server.url.replace("//", "//ann:s3cret@")) as store:
        await store.create("talk")
        await store.append("talk", said())
        for _ in range(2):
            await store.get("talk", last=1)

    assert told(LOGGER, caplog) == [
        ("INFO", "the user may not run MULTI: reading the newest events takes two round trips")
    ]


async def test_damage_that_is_mended_is_told_with_the_id_escaped(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with store_from_url(own_redis.url) as store, store_from_url(own_redis.url) as cold:
        await store.create("talk")
        await store.create("kid\nWARNING all is lost", parent_id="talk")
        keys = await keys_of(store, "kid\nWARNING all is lost")
        await connections_of(store).read_many([("UNLINK", keys.locator)])
        await cold.append("kid\nWARNING all is lost", said())

    assert told(LOGGER, caplog) == [
        ("WARNING", "the locator of session 'kid\\nWARNING all is lost' was lost: it is made anew")
    ]


async def test_a_lost_part_of_the_index_that_is_made_anew_is_told(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with store_from_url(own_redis.url) as store, store_from_url(own_redis.url) as cold:
        await store.create("talk")
        await store.create("kid", parent_id="talk")
        shard, _ = (await keys_of(store, "kid")).index_entry
        await connections_of(store).read_many([("UNLINK", shard)])
        assert sorted(await cold.list_sessions()) == ["kid", "talk"]

    assert told(LOGGER, caplog) == [("WARNING", "a part of the index of namespace '' was lost: it is made anew")]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_was_closed_without_closing_the_store_is_told(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    connections = connected(own_redis.url)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(connections.run(push("loops", "1")))
    loop.close()

    asyncio.run(connections.run(push("loops", "2")))

    assert told(LOGGER, caplog) == [
        ("WARNING", "an event loop was closed without `aclose` of the store: its connections are dropped")
    ]
    gc.collect()  # while what asyncio says of it is expected


def texts(caplog: pytest.LogCaptureFixture) -> str:
    """Return all that anybody has logged, as a handler would write it."""
    return "\n".join(map(logging.Formatter("%(message)s").format, caplog.records))


async def test_neither_a_password_nor_a_payload_is_in_any_record_of_an_outage(
    server_with: StartServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(retry_policy, "_LONGEST_PAUSE", 0.01)
    server = await server_with(("user", "ann", "on", ">s3cret", "~session:*", "allchannels", *RIGHTS))
    async with store_from_url(server.url.replace("//", "//ann:s3cret@")) as store:
        news = await follower_of(store)
        await kill_clients(server, "pubsub")
        await kill_clients(server, "normal")
        await store.append("talk", said("payl0ad"))
        await news
        await asyncio.to_thread(server.kill)
        with pytest.raises(StoreUnavailable):
            await store.append("talk", said("payl0ad", metadata={"of": "payl0ad"}))

    assert "try 8 of 8: ConnectionError" in texts(caplog)
    assert "s3cret" not in texts(caplog)
    assert "payl0ad" not in texts(caplog)


@pytest.mark.parametrize(
    "url",
    [
        "redis://wrong:s3cret@127.0.0.1:{port}",
        "redis+cluster://ann:s3cret@127.0.0.1:{port}",
        "redis+sentinel://:s3cret@127.0.0.1:{port}/main?sentinel_password=s3cret",
        "redis+sentinel://ann:s3cret@127.0.0.1:1/main?sentinel_password=s3cret",
    ],
)
async def test_no_password_is_in_any_record_of_a_server_that_refuses(
    redis_server: RedisServer, url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(clients, "FAILOVER_TRIES", 3)
    async with store_from_url(url.format(port=redis_server.port)) as store:
        with pytest.raises(StoreUnavailable):
            await store.create("talk")

    assert "s3cret" not in texts(caplog)
