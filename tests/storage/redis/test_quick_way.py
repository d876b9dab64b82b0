"""The quick way of an append leaves the same keys behind as the way that every other commit takes.

And the fast load of the newest events tells the same as the script.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore, fast_load, read_calls, scripts
from a2a_session_manager.storage.redis.clients import MAX_CONNECTIONS
from a2a_session_manager.storage.redis.private import ways_of
from a2a_session_manager.storage.redis.script import Command, PackedCommands
from a2a_session_manager.storage.redis.wire import MAX_IDLE_CONNECTIONS, Sent
from a2a_session_manager.testing.contract.making import Event, said
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import connections_of, keys_of

GENERAL = scripts._script(*scripts.COMMIT_RULES, "commit")
LARGE = 2**53 - 2
directly = pytest.mark.skipif(not ways_of(Redis()).sends_directly, reason="this redis-py lacks the parts")


def plain(number: int) -> Event:
    return said(f"text {number}", id=f"plain {number}", timestamp=datetime(2026, 1, 1, tzinfo=UTC))


def spent(number: int, tokens: int, model: str = "m", **fields: Any) -> Event:
    usage = TokenUsage(prompt_tokens=min(tokens, 10**12), model=model, cost_pico_usd=tokens)
    return said(id=f"spent {number}", token_usage=usage, timestamp=datetime(2026, 1, 1, tzinfo=UTC), **fields)


async def work(store: BaseSessionStore) -> list[object]:
    """Make every kind of append, with others in between; return what was answered."""
    answers: list[object] = []

    async def append(session_id: str, *events: Event, **guard: Any) -> None:
        try:
            answers.append([(event.id, event.seq) for event in await store.append(session_id, *events, **guard)])
        except (SessionConflict, InvalidSessionOperation) as error:
            answers.append(str(error))

    await store.create("talk", write_id="c")
    await store.create("child", parent_id="talk", write_id="c")
    for session_id in ("talk", "child"):
        await append(session_id, plain(1))
        await append(session_id, *map(plain, range(2, 9)))
        await append(session_id, plain(3), plain(9))  # one is known
        await append(session_id, plain(10), plain(10))  # the same twice
        await append(session_id, spent(1, 5), plain(11), spent(2, 7), spent(3, 1, model="other"))
        await append(session_id, spent(40, 2, task_id="before there are runs"))
        await append(session_id, plain(12), expected_revision=1)
        run = SessionRun(id="run")
        await store.commit(session_id, SessionChange(runs=[run]), write_id="w")
        await append(session_id, spent(4, 3, task_id="run"), spent(5, 4), spent(41, 2, task_id="run"))
        await append(session_id, spent(42, 6, task_id="run"), spent(43, 1, task_id="not yet made"))
        await append(session_id, spent(44, LARGE, model="third", task_id="run"))
        await store.retract(session_id, last=2, write_id="r")
        await append(session_id, plain(13), spent(6, 2))
        await append(session_id, spent(7, LARGE), spent(8, 1))  # above 2^53: to the last digit
        await append(session_id, spent(9, 3), plain(14))
        await append(session_id, spent(10, 9 * 10**18), spent(45, 9 * 10**18))  # more than Redis counts to
    crowd = [store.append("talk", plain(20 + number)) for number in range(50)]
    await asyncio.gather(*crowd)
    answers.append([(event.id, event.seq) for event in await store.events("talk", include_retracted=True)])
    answers.append((await store.usage("talk", tree=True)).total)
    return answers


def kept(server: RedisServer, prefix: str) -> dict[str, object]:
    """Return all keys under `prefix`, without what differs from one store to the next."""
    found: dict[str, object] = {}
    read = {"hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "zset": ("ZRANGE", 0, -1), "string": ("GET",)}
    for key in sorted(server.call("KEYS", f"{prefix}*")):
        if key.endswith(b":entries"):  # of pages: no commit writes there, and each has marks of its own
            continue
        kind = server.call("TYPE", key).decode()
        name, *arguments = read[kind]
        value = server.call(name, key, *arguments)
        if isinstance(value, dict):
            differing = (b"creation", b"created", b"updated", b"tag", b"claim", b"parent_creation")
            value = {field: text for field, text in value.items() if field not in differing}
            value = {field: b"" if field.startswith((b"n:", b"r:")) else text for field, text in value.items()}
        if kind in ("hash", "list") or key.endswith(b"hidden"):
            found[key.decode().removeprefix(prefix)] = value
    return found


async def test_appends_leave_the_same_behind_whichever_way_they_take(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes = [f"test-{uuid4().hex}:" for _ in range(2)]
    answers = []
    for prefix, script in zip(prefixes, (scripts.COMMIT, GENERAL), strict=True):
        monkeypatch.setattr(scripts, "COMMIT", script)
        async with store_from_url(f"{redis_server.url}?key_prefix={prefix}") as store:
            answers.append(await work(store))

    assert answers[0] == answers[1]
    quick, general = [await asyncio.to_thread(kept, redis_server, prefix) for prefix in prefixes]
    assert quick == general
    assert len(quick) >= 8


def test_the_quick_way_is_really_taken(redis_server: RedisServer) -> None:
    script = scripts.COMMIT.source.replace("return appended end", "return redis.error_reply('ERR quick') end")
    name = f"test-{uuid4().hex}"
    keys = [f"{name}:{kind}" for kind in ("tree", "head", "log", "ids", "hidden", "followers")]
    redis_server.call("HSET", keys[0], "n:s", "1 0 c parent")
    redis_server.call("HSET", keys[1], "v", 1, "creation", "c", "revision", 1, "last_seq", 0, "updated", 1)
    redis_server.call("HSET", keys[3], "w:w", "1")

    with pytest.raises(Exception, match="quick"):
        redis_server.call("EVAL", script, 6, *keys, "s", "1 0 1", "1 0a - 1 0 0 0 0 0 - ", "e1", "{}")

    assert redis_server.call("HGET", keys[1], "last_seq") == b"1"


@asynccontextmanager
async def both_ways(server: RedisServer, protocol: int = 2) -> AsyncIterator[list[BaseSessionStore]]:
    """Open two stores over the same sessions: one that loads fast, one that asks the script."""
    prefix = f"test-{uuid4().hex}:"
    client = await asyncio.to_thread(Redis, host="127.0.0.1", port=server.port)
    async with client, store_from_url(f"{server.url}?key_prefix={prefix}&protocol={protocol}") as fast:
        yield [fast, RedisSessionStore(client, key_prefix=prefix)]


@pytest.mark.parametrize("protocol", [2, 3])
async def test_a_fast_load_tells_what_the_script_tells(redis_server: RedisServer, protocol: int) -> None:
    async with both_ways(redis_server, protocol) as stores:
        store = stores[0]
        await store.create("empty")
        await store.create("plain", change=SessionChange(set_state={"s": 1}, set_properties={"p": "ø"}))
        await store.create("child", parent_id="plain")
        await store.create("with runs")
        await store.commit("with runs", SessionChange(runs=[SessionRun(id="run")]), write_id="w")
        await store.create("retracted")
        for session_id in ("plain", "child", "with runs", "retracted"):
            await store.append(session_id, *map(plain, range(1, 41)))
            await store.append(session_id, spent(1, 5), spent(2, 7, model="other"))
        await store.retract("retracted", last=3)
        await store.create("deleted")
        await store.delete("deleted")
        for session_id in ("empty", "plain", "child", "with runs", "retracted", "deleted", "never"):
            for last in (0, 1, 3, fast_load.FEW, fast_load.FEW + 1, 100):
                loaded, told = [await each.get(session_id, last=last) for each in stores]

                assert (loaded is None) == (told is None) == (session_id in ("deleted", "never"))
                if loaded is not None and told is not None:
                    assert loaded.model_dump() == told.model_dump()
                    assert [event.seq for event in loaded.events] == [event.seq for event in told.events]
                    assert loaded.token_summary == told.token_summary


async def test_many_heads_tell_what_the_script_tells(redis_server: RedisServer) -> None:
    async with both_ways(redis_server) as stores:
        store = stores[0]
        await store.create("plain", change=SessionChange(set_state={"s": 1}, set_properties={"p": "ø"}))
        await store.create("child", parent_id="plain")
        await store.create("with runs")
        await store.commit("with runs", SessionChange(runs=[SessionRun(id="run")]), write_id="w")
        await store.create("retracted")
        for session_id in ("plain", "child", "with runs", "retracted"):
            await store.append(session_id, *map(plain, range(1, 4)), spent(1, 5), spent(2, 7, model="other"))
        await store.retract("retracted", last=3)
        names = ["retracted", "never", "plain", "with runs", "child", "plain"]
        together = await store.get_many(names)
        alone = [await stores[1].get(name, last=0) for name in names]

    assert [session and session.model_dump() for session in together] == [each and each.model_dump() for each in alone]
    assert [session is None for session in together] == [False, True, False, False, False, False]


@pytest.mark.parametrize("part", ["ids", "log", "head"])
async def test_many_heads_are_not_read_past_damage(redis_server: RedisServer, part: str) -> None:
    async with both_ways(redis_server) as [store, _]:
        for name in ("talk", "whole"):
            await store.create(name)
            await store.append(name, plain(1))
        await connections_of(store).read_many([("UNLINK", getattr(await keys_of(store, "talk"), part))])

        with pytest.raises(CorruptSession, match="'talk': redis has lost its"):
            await store.get_many(["whole", "talk"])


@pytest.mark.parametrize("part", ["hidden", "retractions", "runs", "unfinished"])
@pytest.mark.parametrize("has_ids", [True, False])
async def test_many_heads_are_not_read_past_a_key_that_they_do_not_tell_of(
    redis_server: RedisServer, part: str, has_ids: bool
) -> None:
    async with both_ways(redis_server) as [store, _]:
        for name in ("talk", "whole"):
            await store.create(name)
            await store.append(name, plain(1))
        keys = await keys_of(store, "talk")
        stray = ("HSET", keys.runs, "count", 0) if part == "runs" else ("ZADD", getattr(keys, part), 1, "1-1")
        lost = () if has_ids else (("UNLINK", keys.ids),)
        await connections_of(store).read_many([stray, *lost])

        with pytest.raises(CorruptSession, match="'talk': redis has lost its"):
            await store.get_many(["whole", "talk"])


@directly
async def test_a_fast_load_asks_no_script(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_script(*_: object, **__: object) -> None:
        raise AssertionError("asked the script")

    async with both_ways(redis_server) as [store, _]:
        await store.create("talk")
        await store.append("talk", *map(plain, range(5)))
        monkeypatch.setattr(read_calls, "load", no_script)
        found = await store.get("talk", last=3)
        assert [each and each.id for each in await store.get_many(["talk", "talk"])] == ["talk", "talk"]

        with pytest.raises(AssertionError, match="asked the script"):
            await store.get("talk")

    assert found is not None
    assert [event.seq for event in found.events] == [3, 4, 5]


async def test_a_fast_load_is_one_moment(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    commands, parse = fast_load.commands, fast_load.parse
    long = ("EXISTS", b"x" * 1_000_000)  # of which the server reads a piece at a time, and serves others between
    monkeypatch.setattr(fast_load, "commands", lambda *which: [*commands(*which)[:-1], long, commands(*which)[-1]])
    monkeypatch.setattr(fast_load, "parse", lambda keys, last, answers: parse(keys, last, [*answers[:-2], answers[-1]]))
    async with both_ways(redis_server) as [store, other]:
        await store.create("talk")
        await store.append("talk", plain(1))

        async def write() -> None:
            for number in range(2, 200):
                await other.append("talk", plain(number))

        writing = asyncio.create_task(write())
        while not writing.done():
            found = await store.get("talk", last=5)
            assert found is not None
            assert [event.message for event in found.events] == [f"text {event.seq}" for event in found.events]
        await writing


@directly
async def test_who_may_not_use_transactions_reads_all_the_same(server_with: StartServer) -> None:
    server = await server_with(("user", "ines", "on", ">secret", "~*", "&*", "+@all", "-multi"))
    async with store_from_url(f"redis://ines:secret@127.0.0.1:{server.port}/0") as store:
        await store.create("talk")
        await store.append("talk", plain(1))

        found = [await store.get("talk", last=1) for _ in range(3)]

    assert [session and [event.seq for event in session.events] for session in found] == [[1]] * 3
    commands = await asyncio.to_thread(server.call, "INFO", "commandstats")
    assert commands["cmdstat_multi"]["rejected_calls"] == 1


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("events_a_page", [1, 7, 40, 256])
async def test_messages_read_by_plain_commands_are_those_that_the_script_tells(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, protocol: int, events_a_page: int
) -> None:
    monkeypatch.setattr(fast_load, "_EVENTS_A_PAGE", events_a_page)
    async with both_ways(redis_server, protocol) as stores:
        store = stores[0]
        for session_id in ("empty", "plain", "retracted", "deleted", "again"):
            await store.create(session_id)
        await store.create("child", parent_id="plain")
        for session_id in ("plain", "child", "retracted", "deleted", "again"):
            await store.append(session_id, *map(plain, range(1, 41)))
        await store.retract("retracted", last=3)
        for session_id in ("deleted", "again"):
            await store.delete(session_id)
        await store.create("again", change=SessionChange(events=[plain(50)]))
        for session_id in ("empty", "plain", "child", "retracted", "again"):
            for last in (None, 0, 1, 3, fast_load.FEW, fast_load.FEW + 1, 100):
                glanced, told = [await each.read_messages(session_id, last=last) for each in stores]

                assert glanced == told
        for each in stores:
            with pytest.raises(SessionNotFound):
                await each.read_messages("deleted")


@directly
async def test_messages_of_a_plain_session_are_really_read_without_the_script(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_script(*_: object, **__: object) -> None:
        raise AssertionError("asked the script")

    async with both_ways(redis_server) as [store, _]:
        await store.create("talk")
        await store.append("talk", *map(plain, range(50)))
        monkeypatch.setattr(read_calls, "tail", no_script)

        assert [message.seq for message in (await store.read_messages("talk", last=3)).messages] == [48, 49, 50]
        assert len((await store.read_messages("talk")).messages) == 50
        monkeypatch.setattr(fast_load, "_EVENTS_A_PAGE", 20)
        assert len((await store.read_messages("talk")).messages) == 50
        monkeypatch.setattr(fast_load, "_MOST_BYTES", 49)
        with pytest.raises(AssertionError, match="asked the script"):
            await store.read_messages("talk")


@pytest.mark.parametrize("part", ["ids", "log", "head"])
@pytest.mark.parametrize("last", [3, None])
async def test_messages_are_not_read_past_damage(redis_server: RedisServer, part: str, last: int | None) -> None:
    async with both_ways(redis_server) as [store, _]:
        await store.create("talk")
        await store.append("talk", plain(1))
        await connections_of(store).read_many([("UNLINK", getattr(await keys_of(store, "talk"), part))])

        with pytest.raises(CorruptSession, match="'talk': redis has lost its"):
            await store.read_messages("talk", last=last)


@pytest.mark.parametrize("at", [1, 2, 3, 4])
async def test_messages_are_those_of_one_moment_whatever_others_write_between_the_commands(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    asked, told, seen = fast_load.tail_commands, fast_load.segments_told, fast_load.tail_in
    long = ("EXISTS", b"x" * 1_000_000)  # of which the server reads a piece at a time, and serves others between

    def with_long(*which: Any) -> list[Command]:
        commands = asked(*which)
        return [*commands[:at], long, *commands[at:]]

    def without_long(found: Sequence[Any]) -> list[Any]:
        return [*found[:at], *found[at + 1 :]]

    monkeypatch.setattr(fast_load, "tail_commands", with_long)
    monkeypatch.setattr(fast_load, "segments_told", lambda found: told(without_long(found)))
    monkeypatch.setattr(
        fast_load, "tail_in", lambda keys, last, found, fork: seen(keys, last, without_long(found), fork)
    )
    async with both_ways(redis_server) as [store, other]:
        await store.create("talk")
        await store.append("talk", plain(1))

        async def write() -> None:
            for number in range(2, 150):
                await other.append("talk", plain(number))

        writing = asyncio.create_task(write())
        while not writing.done():
            tail = await store.read_messages("talk", last=5)
            assert [each.message for each in tail.messages] == [f"text {each.seq}" for each in tail.messages]
            assert tail.earlier_events + len(tail.messages) == tail.messages[-1].seq
        await writing


@directly
@pytest.mark.parametrize("round_trip", [1, 2])
async def test_a_session_replaced_after_its_size_was_asked_is_read_anew(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, round_trip: int
) -> None:
    monkeypatch.setattr(fast_load, "_EVENTS_A_PAGE", 1)
    async with both_ways(redis_server) as [store, _]:
        await store.create("talk", change=SessionChange(events=[plain(1), plain(2)]))
        connections: Any = connections_of(store)
        original = connections.read_in_order
        trips: list[int] = []

        async def replacing(commands: PackedCommands, *sent: Sent | None) -> Any:
            answers = await original(commands, *sent)
            trips.append(1)
            if len(trips) == round_trip:
                await store.delete("talk")
                await store.create("talk", change=SessionChange(events=[plain(3), plain(4)]))
                await store.retract("talk", last=1)
            return answers

        connections.read_in_order = replacing
        tail = await store.read_messages("talk")

    assert [message.message for message in tail.messages] == ["text 3"]


@directly
async def test_a_log_that_is_lost_after_its_size_was_asked_is_not_taken_for_a_short_one(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_load, "_EVENTS_A_PAGE", 1)
    async with both_ways(redis_server) as [store, _]:
        await store.create("talk", change=SessionChange(events=[plain(1), plain(2)]))
        connections: Any = connections_of(store)
        original = connections.read_in_order
        log = (await keys_of(store, "talk")).log

        async def losing(commands: PackedCommands, *sent: Sent | None) -> Any:
            answers = await original(commands, *sent)
            await connections.read_many([("UNLINK", log)])
            return answers

        connections.read_in_order = losing
        with pytest.raises(CorruptSession, match="'talk': redis has lost its"):
            await store.read_messages("talk")


@directly
async def test_a_page_that_is_damaged_takes_no_connection_along(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fast_load, "_EVENTS_A_PAGE", 2)
    async with both_ways(redis_server) as [store, _]:
        for name in ("damaged", "whole"):
            await store.create(name, change=SessionChange(events=[plain(number) for number in range(1, 6)]))
        await connections_of(store).read_many([("LSET", (await keys_of(store, "damaged")).log, 2, "no event")])

        for _ in range(MAX_CONNECTIONS):
            with pytest.raises(CorruptSession) as damage:
                await store.read_messages("damaged")
            assert damage.value.seq == 3
            assert [message.seq for message in (await store.read_messages("whole")).messages] == [1, 2, 3, 4, 5]
        assert store.statistics().connections <= MAX_IDLE_CONNECTIONS


@directly
async def test_who_may_not_ask_for_sizes_reads_messages_all_the_same(server_with: StartServer) -> None:
    server = await server_with(("user", "ines", "on", ">secret", "~*", "&*", "+@all", "-memory"))
    async with store_from_url(f"redis://ines:secret@127.0.0.1:{server.port}/0") as store:
        await store.create("talk")
        await store.append("talk", plain(1), plain(2))

        found = [await store.read_messages("talk") for _ in range(3)]

    assert [[message.seq for message in tail.messages] for tail in found] == [[1, 2]] * 3
