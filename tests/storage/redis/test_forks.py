"""Forks on Redis: what they have inherited is read where it lies, in few round trips, and never taken for less."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import Phase, given, settings

from a2a_session_manager import (
    CorruptSession,
    EventSource,
    EventType,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    TokenUsage,
)
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.compaction import Compaction, digest
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.commit_records import EncodedCommit, Fork
from a2a_session_manager.storage.records import EncodedEvent, Segment, StoredRun
from a2a_session_manager.storage.redis import fast_load, read_calls, scripts
from a2a_session_manager.storage.redis.commit_calls import commit_args
from a2a_session_manager.storage.redis.script import ScriptCall
from a2a_session_manager.storage.redis.segments import fork_args
from a2a_session_manager.testing.contract.making import ids, said, several, whole
from tests.draws import few
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer
from tests.storage.redis.both_ways import both_ways, directly, plain
from tests.storage.redis.looks import connections_of, keys_of
from tests.storage.redis.twin_scripts import CREATION, GENERAL, KEY, RUN, SHORT, Batch, Sessions, batches

CHAIN = 50


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[BaseSessionStore]:
    async with store_from_url(f"{redis_server.url}?key_prefix={uuid4().hex[:12]}:") as opened:
        yield opened


async def chained(store: BaseSessionStore, length: int) -> str:
    """Make a chain of forks, each with an event of its own, and return the last one."""
    name = "talk"
    await store.create(name, change=SessionChange(events=several(3)))
    for number in range(length):
        await store.fork(name, new_id=f"fork {number}")
        name = f"fork {number}"
        await store.append(name, said(f"of {number}", id=f"of {number}"))
    return name


Work = Callable[[BaseSessionStore, str], Awaitable[object]]
READS: dict[str, Work] = {
    "get": lambda store, name: store.get(name),
    "events": lambda store, name: store.events(name),
    "by id": lambda store, name: store.events_by_id(name, "e1", "of 0", "of 49"),
    "messages": lambda store, name: store.read_messages(name),
    "few messages": lambda store, name: store.read_messages(name, last=20),
}


@pytest.mark.parametrize("read", READS)
async def test_a_chain_of_forks_is_read_in_two_round_trips_at_most(redis_server: RedisServer, read: str) -> None:
    async with FaultyProxy(redis_server.port) as proxy:
        prefix = uuid4().hex[:12]
        async with store_from_url(f"{redis_server.url}?key_prefix={prefix}:") as maker:
            name = await chained(maker, CHAIN)
            await READS[read](maker, name)  # now the server knows the script
        async with store_from_url(f"{proxy.url}?key_prefix={prefix}:") as store:
            await store.get(name, last=0)  # it opens the connection, and finds the session below its root
            for _ in range(3):
                before = proxy.round_trips
                await READS[read](store, name)

                assert proxy.round_trips - before <= 2


async def test_a_fork_and_a_child_are_made_in_one_round_trip(redis_server: RedisServer) -> None:
    async with (
        FaultyProxy(redis_server.port) as proxy,
        store_from_url(f"{proxy.url}?key_prefix={uuid4().hex[:12]}:") as store,
    ):
        await store.create("talk", change=SessionChange(events=several(3)))
        await store.fork("talk", at=2, new_id="first")
        await store.create("younger", parent_id="talk")
        before = proxy.round_trips
        await store.create("child", parent_id="talk")
        made = proxy.round_trips - before
        await store.fork("talk", at=2, new_id="second")
        forked = proxy.round_trips - before - made
        await store.fork("second", at=1, new_id="third")

        # The parent is read before; of a source only what asks for a closer look, such as a point before its own log.
        assert (made, forked, proxy.round_trips - before - made - forked) == (2, 1, 2)


@pytest.mark.parametrize("part", ["log", "ids"])
@pytest.mark.parametrize(("lost", "named"), [("talk", "the root of its tree"), ("fork 0", "session 'fork 0'")])
async def test_a_fork_whose_source_has_lost_a_key_is_told_so_and_never_read_short(
    store: BaseSessionStore, part: str, lost: str, named: str
) -> None:
    name = await chained(store, 3)
    for _ in range(2):  # the second time, it is known what the fork is made of
        await store.read_messages(name)
    damaged = getattr(await keys_of(store, lost), part)
    await connections_of(store).read_many([("UNLINK", damaged)])
    own = await keys_of(store, name)
    before = await connections_of(store).read_many([("HGETALL", own.head), ("HGETALL", own.ids)])

    # One that loads no more than the head, or its own events, does without.
    reads: list[Work] = [*READS.values(), lambda store, name: store.append(name, said())]
    refused = [await _refused(read(store, name)) for read in reads]

    assert all(f"'{name}': redis has lost its event" in text and named in text for text in refused)
    assert await connections_of(store).read_many([("HGETALL", own.head), ("HGETALL", own.ids)]) == before
    with pytest.raises(CorruptSession, match="redis has lost"):
        await store.fork(name, new_id="another")


async def _refused(work: Awaitable[object]) -> str:
    with pytest.raises(CorruptSession) as caught:
        await work
    return str(caught.value)


@pytest.mark.parametrize(("protocol", "events_a_page"), [(2, 1), (3, 7), (2, 256)])
async def test_messages_of_forks_read_by_plain_commands_are_those_that_the_script_tells(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, protocol: int, events_a_page: int
) -> None:
    monkeypatch.setattr(fast_load, "_EVENTS_A_PAGE", events_a_page)
    async with both_ways(redis_server, protocol) as stores:
        names = await _forks_of_all_kinds(stores[0])
        for name in names:
            for last in (None, 0, 1, 3, 9, fast_load.FEW, fast_load.FEW + 1, 100):
                for _ in range(2):
                    read = [await each.read_messages(name, last=last) for each in stores]
                    assert read[0] == read[1]
                loaded = [await each.get(name, last=last) for each in stores]
                assert loaded[0] == loaded[1]
                for _ in range(2):
                    views = [await each.read_messages(name, last=last, compacted=True) for each in stores]
                    assert views[0] == views[1]


async def _forks_of_all_kinds(store: BaseSessionStore) -> list[str]:
    """Fork before, at and after a compaction, with and without events of their own, hidden ones and many."""
    await store.create("talk", change=SessionChange(events=[plain(number) for number in range(1, 41)]))
    await store.fork("talk", at=20, new_id="before")
    await _compact(store, "talk", 5, 30)
    await store.fork("talk", new_id="after")
    await store.fork("talk", new_id="longer")
    await store.append("longer", *[plain(number) for number in range(100, 170)])
    await store.fork("longer", at=60, new_id="deeper")
    await _compact(store, "deeper", 10, 45)
    await store.append("deeper", plain(200))
    await store.fork("deeper", new_id="deepest")
    await store.fork("deepest", at=50, new_id="shallow again")
    await store.fork("talk", at=30, new_id="with hidden ones")
    await store.retract("with hidden ones", last=3)
    await store.fork("with hidden ones", at=20, new_id="of hidden ones")
    return [node.id for node in await store.tree("talk")]


async def _compact(store: BaseSessionStore, name: str, first: int, last: int) -> None:
    session = await whole(store, name)
    told = Compaction(first, last, (), session.creation_id or "", digest([]), last - first + 1)
    await store.append(
        session, said("short", type=EventType.SUMMARY, source=EventSource.LLM, metadata=told.as_metadata())
    )


@directly
async def test_messages_of_a_fork_that_was_read_before_are_really_read_without_the_script(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_script(*_: object, **__: object) -> None:
        raise AssertionError("asked the script")

    async with both_ways(redis_server) as [store, _]:
        name = await chained(store, 5)
        await _compact(store, "talk", 1, 2)
        await store.fork("talk", new_id="compacted")
        for each in (name, "compacted"):
            await store.read_messages(each)
            await store.read_messages(each, compacted=True)
        for script in ("tail", "compacted"):
            monkeypatch.setattr(read_calls, script, no_script)

        assert list((await store.read_messages(name)).messages.ids) == [
            "e1",
            "e2",
            "e3",
            *(f"of {n}" for n in range(5)),
        ]
        assert len((await store.read_messages(name, last=6)).messages) == 6
        for last, count in ((None, 2), (1, 1), (6, 2)):
            assert len((await store.read_messages("compacted", last=last, compacted=True)).messages) == count


async def test_a_fork_that_was_read_and_made_anew_of_another_source_is_read_as_it_is_now(
    store: BaseSessionStore,
) -> None:
    await store.create("talk", change=SessionChange(events=several(6)))
    found = []
    for at in (2, 5, None, 3):
        if at is None:
            await store.create("fork", change=SessionChange(events=several(4, "own")))
        else:
            await store.fork("talk", at=at, new_id="fork")
        for _ in range(3):
            tail = await store.read_messages("fork")
            found.append(len(tail.messages))
            assert ids((await whole(store, "fork")).events) == list(tail.messages.ids)
        await store.delete("fork")

    assert found == [2] * 3 + [5] * 3 + [4] * 3 + [3] * 3


class ForkOf(Sessions):
    """A session of the twin scripts, and a fork of it, which the scripts commit to."""

    def __init__(self, client: Any) -> None:
        super().__init__(client)
        self.commit(GENERAL.source, FIRST)
        source = self.keys
        self.keys = source.of("fork")
        running = {RUN: StoredRun("running", b"{}")}
        first = EncodedCommit(written_at=1, tag="00", write_id="created", runs=running)
        fork = Fork(ForkedFrom(KEY.id, CREATION, 2), (Segment(KEY.id, CREATION, 1, 2),))
        below = [2, KEY.id, CREATION, CREATION, b"", b"", b"", *fork_args(self.keys, fork)]
        arguments = ["fork", 0, CREATION, 1, 1, *below, *commit_args(first)]
        touched = (*self.keys.all_of_creation, source.head, source.children)
        made = self.call(*ScriptCall(scripts.CREATE_CHILD, touched, arguments).by_source())
        assert made[0] == b"OK"


FIRST = [EncodedCommit(events=[EncodedEvent(name, b"{}", None, None) for name in ("a", "d e", "later")], tag="0a")]


@settings(max_examples=few(20, of=300), deadline=None, phases=[Phase.explicit, Phase.generate])
@given(batches=batches)
def test_both_scripts_leave_the_same_keys_of_a_fork_and_tell_the_same(
    redis_server: RedisServer, batches: list[Batch]
) -> None:
    with redis_server.admin() as client:
        by_short, by_general = ForkOf(client), ForkOf(client)

        for batch in batches:
            assert by_short.commit(SHORT.source, batch) == by_general.commit(GENERAL.source, batch)

        assert by_short.dumped() == by_general.dumped()


def test_appends_to_a_fork_go_the_quick_way(redis_server: RedisServer) -> None:
    alone = SHORT.source.replace("if appended then return appended end", "do return appended end")
    with redis_server.admin() as client:
        fork = ForkOf(client)

        for number in range(3):
            fork.commit(alone, [EncodedCommit(events=[EncodedEvent(f"{number}", b"{}", None, None)], tag="0a")])

        assert fork.call("LLEN", fork.keys.log) == 3
        assert fork.call("HGET", fork.keys.head, "last_seq") == b"5"


async def test_of_what_an_earlier_release_has_counted_a_fork_adds_only_the_excess(store: BaseSessionStore) -> None:
    await store.create("talk", change=SessionChange(events=[spent(5), said(id="next")]))
    talk = await keys_of(store, "talk")
    [line] = await connections_of(store).read_many([("HGET", talk.ids, "u:msg_1")])
    counters, _, model = line.partition(b" @ ")[0], b"", line.partition(b"\n")[2]
    await connections_of(store).read_many([("HSET", talk.ids, "u:msg_1", counters + b"\n" + model)])
    await store.fork("talk", new_id="before")
    await store.append("talk", spent(9))  # it is remembered with its seq now, and what was before it
    await store.fork("talk", at=2, new_id="after")

    for name in ("before", "after"):
        await store.append(name, spent(7))
        assert (await store.usage(name)).total.prompt_tokens == 2


def spent(tokens: int) -> Any:
    return said(token_usage=TokenUsage(prompt_tokens=tokens, model="m", cost_pico_usd=1, response_id="msg_1"))


async def test_a_source_outlives_its_forks(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}?key_prefix={uuid4().hex[:12]}:&expiration_seconds="
    async with store_from_url(f"{url}60") as brief, store_from_url(f"{url}1000") as long:
        await brief.create("talk", change=SessionChange(events=several(3)))
        await brief.fork("talk", new_id="fork")
        await brief.append("fork", said(id="own"))
        await brief.fork("fork", new_id="of fork")
        assert await _outlives(brief, "talk", "fork")

        await long.append("of fork", said(id="its own"))

        assert await _outlives(long, "talk", "of fork")
        assert await _outlives(long, "fork", "of fork")
        [left] = await connections_of(long).read_many([("PTTL", (await keys_of(long, "talk")).log)])
        assert left > 900_000


async def _outlives(store: BaseSessionStore, source: str, fork: str) -> bool:
    """Tell whether what a fork reads of its source lives as long as the fork at least."""
    heads = [(await keys_of(store, name)).head for name in (source, fork)]
    deadlines = await connections_of(store).read_many([("HGET", head, "deadline") for head in heads])
    return int(deadlines[0]) >= int(deadlines[1]) > 0


async def test_forks_that_are_refused_leave_few_lines_of_the_index(redis_server: RedisServer) -> None:
    """Nobody may ever list them, which would remove the lines."""
    prefix = uuid4().hex[:12]
    url = f"{redis_server.url}?key_prefix={prefix}:"
    call = {"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]}
    async with store_from_url(url) as store:
        sessions = SessionManager(store)
        await sessions.create("talk")
        await sessions.append("talk", SessionEvent(message=call))
        await sessions.fork("talk", new_id="kept", on_open="interrupt")
        for number in range(200):
            with pytest.raises(InvalidSessionOperation, match="inside an exchange"):
                await sessions.fork("talk", new_id=f"refused {number}")
            with pytest.raises(SessionNotFound):
                await sessions.fork("nobody", new_id=f"of nobody {number}")

    async with store_from_url(url) as cold:
        [names] = await connections_of(cold).read_many([("KEYS", f"{prefix}:index:*")])
        assert names
        lines = await connections_of(cold).read_many([("ZCARD", name) for name in names])
        assert 2 <= sum(lines) < 100
        assert set(await cold.list_sessions()) == {"talk", "kept"}
        assert await cold.count() == 2
        assert await cold.forks("talk") == ["kept"]
