"""Reads by plain commands: heads, events and messages as the script tells them, as of one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from a2a_session_manager.exceptions import CorruptSession, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.redis import fast_load, read_calls
from a2a_session_manager.storage.redis.clients import MAX_CONNECTIONS
from a2a_session_manager.storage.redis.script import Command, PackedCommands
from a2a_session_manager.storage.redis.wire import MAX_IDLE_CONNECTIONS, Sent
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.server import RedisServer
from tests.storage.redis.both_ways import both_ways, directly, plain, spent
from tests.storage.redis.looks import connections_of, keys_of


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
