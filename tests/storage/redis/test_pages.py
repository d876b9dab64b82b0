"""The index of pages of heads: what is lost, damaged, left over or declared later never shortens a page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from a2a_session_manager import CorruptSession, SessionConflict
from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis import activity_entries, entries, scripts
from a2a_session_manager.storage.redis.index import Announced
from a2a_session_manager.storage.redis.keys import entry_keys, index_keys
from a2a_session_manager.storage.redis.script import Script
from a2a_session_manager.storage.redis.shards import FOR_EVER, listing, unlisting
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import said, whole
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of, keys_of

OpenStore = Callable[..., BaseSessionStore]
NAMES = [f"s{number}" for number in range(12)]


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:12]}:"


@pytest_asyncio.fixture
async def open_store(redis_server: RedisServer, prefix: str) -> AsyncIterator[OpenStore]:
    """Open stores over the same data, as so many processes would."""
    opened: list[BaseSessionStore] = []

    def open_one(*indexed: str, url: str = redis_server.url, **options: object) -> BaseSessionStore:
        given = "".join(f"&{name}={value}" for name, value in options.items())
        opened.append(store_from_url(f"{url}?key_prefix={prefix}{given}", indexed=indexed))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.aclose()


async def filled(store: BaseSessionStore) -> None:
    """Make sessions of two owners, one of each below the first."""
    for number, name in enumerate(NAMES):
        parent_id = NAMES[0] if number in (3, 4) else None
        change = SessionChange(set_properties={"owner": "ab"[number % 2], "n": number % 3})
        await store.create(name, parent_id=parent_id, change=change)


async def found(store: BaseSessionStore, **query: Any) -> list[str]:
    """Return the ids on all pages, which are those that are counted."""
    ids: list[str] = []
    cursor = None
    while True:
        page = await store.page(limit=5, cursor=cursor, **query)
        ids += [head.id for head in page]
        if (cursor := page.cursor) is None:
            break
    counted = {name: value for name, value in query.items() if name in ("properties", "roots_only")}
    assert len(ids) == len(set(ids)) == await store.count(**counted)
    return ids


async def all_entry_keys(store: BaseSessionStore, prefix: str) -> list[tuple[bytes, bytes]]:
    """Return the keys of the entries and of the rows of each shard that has some."""
    namespace: Any = store._namespace
    keys = [entry_keys(prefix, shard) for shard in index_keys(prefix, namespace, roots_only=False)]
    there = await connections_of(store).read_many([("EXISTS", *pair) for pair in keys])
    return [pair for pair, count in zip(keys, there, strict=True) if count]


async def entry_of(store: BaseSessionStore, session_id: str, prefix: str) -> entries.Entry:
    shard, line = (await keys_of(store, session_id)).index_entry
    [data] = await connections_of(store).read_many([("HGET", entry_keys(prefix, shard)[0], line)])
    return entries.Entry.read(data)


Damage = Callable[[BaseSessionStore, bytes, bytes], Awaitable[object]]


def sending(*commands: Callable[[bytes, bytes], tuple[Any, ...]]) -> Damage:
    async def send(store: BaseSessionStore, facts: bytes, order: bytes) -> None:
        await connections_of(store).read_many([command(facts, order) for command in commands])

    return send


async def cut_a_line(store: BaseSessionStore, facts: bytes, order: bytes) -> None:
    [names] = await connections_of(store).read_many([("HKEYS", facts)])
    line = next(name for name in names if not name.startswith(b":"))
    await connections_of(store).read_many([("HDEL", facts, line)])


DAMAGES: dict[str, Damage] = {
    "entries": sending(lambda facts, order: ("DEL", facts)),
    "rows": sending(lambda facts, order: ("DEL", order)),
    "both": sending(lambda facts, order: ("DEL", facts, order)),
    "the mark": sending(lambda facts, order: ("HDEL", facts, ":mark")),
    "the count": sending(lambda facts, order: ("HDEL", facts, ":count")),
    "an entry": cut_a_line,
    "a row": sending(lambda facts, order: ("ZPOPMIN", order)),
    "a row too many": sending(lambda facts, order: ("ZADD", order, 0, "u0000000000000001ghost")),
    "entries of another type": sending(
        lambda facts, order: ("DEL", facts), lambda facts, order: ("SET", facts, "somebody's")
    ),
    "rows of another type": sending(
        lambda facts, order: ("DEL", order), lambda facts, order: ("SET", order, "somebody's")
    ),
    "a mark of another format": sending(lambda facts, order: ("HSET", facts, ":mark", "2 something else")),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
async def test_what_is_removed_or_damaged_is_made_anew(open_store: OpenStore, prefix: str, damage: str) -> None:
    store = open_store("owner")
    await filled(store)
    before = await found(store), await found(store, properties={"owner": "a"}), await found(store, order="created")
    for facts, order in await all_entry_keys(store, prefix):
        await DAMAGES[damage](store, facts, order)

    cold = open_store("owner")
    assert [head.id for head in await cold.page(limit=20)] == before[0]
    for facts, order in await all_entry_keys(store, prefix):
        await DAMAGES[damage](store, facts, order)
    # Writers go on over what is damaged, too.
    await store.append(NAMES[0], said("x"))
    await store.commit(NAMES[1], SessionChange(set_properties={"owner": "a"}))
    await store.create("new", change=SessionChange(set_properties={"owner": "a"}))
    await store.delete(NAMES[-1])

    cold = open_store("owner")
    assert set(await found(cold, properties={"owner": "a"})) == {*before[1], NAMES[1], "new"}
    assert await found(cold, order="created") == ["new", *before[2][1:]]
    assert sorted(await found(cold, order="id", properties={"owner": "b"})) == sorted(NAMES[3:-1:2])


async def test_a_listing_that_is_lost_is_an_error_and_no_short_page(open_store: OpenStore, prefix: str) -> None:
    store = open_store()
    await filled(store)
    shard, _ = (await keys_of(store, NAMES[0])).index_entry
    await connections_of(store).read_many([("DEL", shard)])

    with pytest.raises(CorruptSession, match="lost"):
        await store.page()
    with pytest.raises(CorruptSession, match="lost"):
        await store.count()


async def test_a_listing_of_children_that_is_lost_is_made_anew_with_its_entries(
    open_store: OpenStore, prefix: str
) -> None:
    store = open_store("owner")
    await filled(store)
    shard, _ = (await keys_of(store, NAMES[3])).index_entry
    await connections_of(store).read_many([("DEL", shard)])

    assert set(await found(store)) == set(NAMES)
    assert NAMES[3] in await found(store, properties={"owner": "b"})


async def test_a_property_that_is_declared_later_finds_all_there_are(open_store: OpenStore) -> None:
    plain, late = open_store(), open_store("n", "owner")
    await filled(plain)
    assert len(await found(plain)) == len(NAMES)

    assert set(await found(late, properties={"owner": "b", "n": 0})) == {"s3", "s9"}
    # Who has not declared it goes on for those who have.
    await plain.commit("s3", SessionChange(set_properties={"n": 1}))
    await plain.create("new", change=SessionChange(set_properties={"n": 0, "owner": "b"}))
    assert set(await found(late, properties={"owner": "b", "n": 0})) == {"s9", "new"}
    other = open_store("n")
    assert set(await found(other, properties={"n": 1})) == {"s1", "s3", "s4", "s7", "s10"}
    assert set(await found(late, properties={"owner": "b", "n": 0})) == {"s9", "new"}


async def test_what_a_release_without_entries_writes_is_found_and_what_it_deletes_is_not(
    open_store: OpenStore, prefix: str
) -> None:
    store, old = open_store("owner"), open_store("owner")
    await filled(store)
    backend: Any = backend_of(old)

    async def announce(keys: Any, planned: Any, **_: Any) -> Announced:
        shard, line = keys.index_entry
        await connections_of(old).run_many([listing(prefix, shard, line, FOR_EVER)])
        return Announced([], True, b"", b"")

    async def nothing(*_: Any) -> None:
        return None

    backend._deleter._reaper._index.announce = announce
    backend._deleter._reaper._index._entries.unlisting = lambda shard, lines: unlisting(prefix, shard, lines)
    backend._entries.created = backend._entries.announce = nothing
    backend._committer._activity.moves = lambda *_: []

    await old.create("new", change=SessionChange(set_properties={"owner": "a"}))
    await old.delete(NAMES[1])

    assert set(await found(open_store("owner"))) == {*NAMES, "new"} - {NAMES[1]}
    assert "new" in await found(open_store("owner"), properties={"owner": "a"})


class Died(Exception):
    """Stands for the end of a process."""


def dying_after(store: BaseSessionStore, script: Script) -> None:
    """Let the store's process die when a script has run."""
    connections: Any = connections_of(store)
    original = connections.run_many

    async def run_many(calls: Sequence[Any], *sent: Any, **options: Any) -> list[Any]:
        await original(calls, *sent, **options)
        if any(call.script is script for call in calls):
            connections.send_now = lambda calls: None
            raise Died
        return list(await original(calls, *sent, **options))

    connections.run_many = run_many


async def test_a_process_that_dies_before_its_commit_leaves_a_page_as_it_was(
    open_store: OpenStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, other = open_store("owner"), open_store("owner")
    await filled(store)
    dying_after(other, scripts.MOVE)
    change = SessionChange(set_properties={"owner": "b"}, set_state={"a": 1})
    with pytest.raises(Died):
        await other.commit(NAMES[0], change)

    owners = await found(store, properties={"owner": "a"}), await found(store, properties={"owner": "b"})
    assert NAMES[0] in owners[0]
    assert NAMES[0] not in owners[1]
    assert len((await entry_of(store, NAMES[0], prefix)).facets) == 2
    # Much later, nobody is under way any more.
    monkeypatch.setattr(entries, "_UNDER_WAY", 0)
    assert await found(store, properties={"owner": "b"}) == owners[1]
    assert len((await entry_of(store, NAMES[0], prefix)).facets) == 1
    assert await found(store, properties={"owner": "a"}) == owners[0]


async def test_a_process_that_dies_after_its_commit_has_changed_what_is_found(
    open_store: OpenStore, prefix: str
) -> None:
    store, other = open_store("owner"), open_store("owner")
    await filled(store)
    dying_after(other, scripts.COMMIT)
    with pytest.raises(Died):
        await other.commit(NAMES[0], SessionChange(set_properties={"owner": "b"}))

    assert NAMES[0] in await found(store, properties={"owner": "b"})
    assert NAMES[0] not in await found(store, properties={"owner": "a"})


async def test_a_process_that_dies_in_a_creation_leaves_nothing_behind(open_store: OpenStore, prefix: str) -> None:
    store, other = open_store("owner"), open_store("owner")
    dying_after(other, scripts.LIST)
    with pytest.raises(Died):
        await other.create("ghost", change=SessionChange(set_properties={"owner": "a"}))

    assert await found(store) == []
    assert await all_entry_keys(store, prefix) == []


async def test_a_session_in_the_place_of_one_that_left_its_entry_is_found_as_it_is(
    open_store: OpenStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store("owner")
    await filled(store)
    keys = await keys_of(store, NAMES[0])
    monkeypatch.setattr(clock, "time_ns", lambda: 2_000_000_000 * 10**9)
    await store.append("s2", said("later"))
    await store.delete(NAMES[0], children="cascade")
    calls = backend_of(store)._pages._rows._calls
    await connections_of(store).run_many(
        [calls.listing(keys, FOR_EVER, entries.IndexedSession(1, 1, {"owner": b'"a"'}))]
    )
    monkeypatch.undo()

    await store.create(NAMES[0], change=SessionChange(set_properties={"owner": "b"}))

    entry = await entry_of(store, NAMES[0], prefix)
    session = await whole(store, NAMES[0])
    assert entry.created_at == entry.updated_at == round(session.metadata.created_at.timestamp() * 1e6)
    assert list(entry.facets) == [entries.facet("owner", b'"b"')]


async def test_commits_that_were_refused_or_known_leave_a_session_in_its_place(
    open_store: OpenStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_900_000_000
    monkeypatch.setattr(clock, "time_ns", lambda: now * 10**9)
    store, other = open_store("owner"), open_store("owner")
    await filled(store)
    await store.append(NAMES[0], said("x", id="e1"))
    before = await entry_of(store, NAMES[0], prefix)
    now += 60

    await other.append(NAMES[0], said("x", id="e1"))
    with pytest.raises(SessionConflict):
        await other.commit(NAMES[0], SessionChange(set_state={"a": 1}), expected_revision=1)
    change = SessionChange(set_properties={"owner": "z"}, set_state={"a": 1})
    with pytest.raises(SessionConflict):
        await other.commit(NAMES[0], change, expected_revision=1)
    assert await entry_of(store, NAMES[0], prefix) == before

    await other.append(NAMES[0], said("y", id="e2"))
    assert (await entry_of(store, NAMES[0], prefix)).updated_at == now * 10**6


async def test_an_entry_is_moved_once_in_ten_seconds(
    open_store: OpenStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = 1_900_000_000.0
    monkeypatch.setattr(clock, "time_ns", lambda: round(seconds * 10**6) * 1_000)
    store, cold = open_store(), open_store()
    await store.create("talk")
    moved = []
    for step in (4, 4, 4, 4, 4, 4, -100, 111):
        seconds += step
        await store.append("talk", said("x"))
        moved.append(round((await entry_of(store, "talk", prefix)).updated_at / 1e6 - 1_900_000_000))

    assert moved == [0, 0, 12, 12, 12, 24, 24, 35]
    seconds += 1
    await cold.append("talk", said("x"))  # a process that does not know where the entry is
    assert (await entry_of(store, "talk", prefix)).updated_at == round(seconds * 1e6)


async def test_entries_of_what_expires_live_as_long(open_store: OpenStore, prefix: str) -> None:
    store = open_store("owner", expiration_seconds=600)
    await filled(store)
    for _ in range(2):
        pairs = await all_entry_keys(store, prefix)
        remaining = await connections_of(store).read_many([("PTTL", key) for pair in pairs for key in pair])
        assert all(600_000 < left <= 1_200_000 for left in remaining)
        await connections_of(store).read_many([("DEL", pairs[0][0])])
        await found(store)  # those that were made anew, too
    await open_store().create("stays")
    shard, _ = (await keys_of(store, "stays")).index_entry

    assert await connections_of(store).read_many([("PTTL", key) for key in entry_keys(prefix, shard)]) == [-1, -1]


async def test_what_has_expired_is_found_no_more_and_leaves_no_entry(open_store: OpenStore, prefix: str) -> None:
    store = open_store("owner")
    await store.create("stays", change=SessionChange(set_properties={"owner": "a"}))
    await filled(open_store("owner", expiration_seconds=0.2))
    for _ in range(200):
        await asyncio.sleep(0.05)
        if not any(await store.get_many(NAMES)):
            break

    assert await store.count(properties={"owner": "a"}) == 1
    assert await found(store) == ["stays"]
    assert await found(store, properties={"owner": "b"}) == []
    await store.delete("stays")
    assert await store.list_sessions() == []
    assert await all_entry_keys(store, prefix) == []


async def test_an_index_that_is_made_anew_finds_by_what_others_named_too(open_store: OpenStore, prefix: str) -> None:
    store, plain = open_store("owner"), open_store()
    await filled(store)
    keys = [key for pair in await all_entry_keys(store, prefix) for key in pair]
    # Nobody notices that an entry is of another owner.
    shard, line = (await keys_of(store, NAMES[0])).index_entry
    [data] = await connections_of(store).read_many([("HGET", entry_keys(prefix, shard)[0], line)])
    wrong = data.replace(entries.facet("owner", b'"a"').encode(), entries.facet("owner", b'"z"').encode())
    await connections_of(store).read_many([("HSET", entry_keys(prefix, shard)[0], line, wrong)])
    assert await plain.rebuild_index() == len(NAMES)

    assert (await entry_of(store, NAMES[0], prefix)).facets.keys() == {entries.facet("owner", b'"a"')}
    assert len(await found(store, properties={"owner": "a"})) == 6
    assert keys == [key for pair in await all_entry_keys(store, prefix) for key in pair]


async def test_a_stamp_is_another_one_after_each_change_of_a_session(open_store: OpenStore) -> None:
    store, cold = open_store(), open_store()
    await filled(store)
    keys = [store._key(name) for name in [*NAMES, "nobody"]]
    before = await backend_of(cold).stamps(keys)
    await store.append(NAMES[3], said("x"))
    await store.delete(NAMES[5])
    await store.create(NAMES[5])
    after = await backend_of(cold).stamps(keys)

    assert [name for name, *stamps in zip(NAMES, before, after, strict=False) if len(set(stamps)) > 1] == ["s3", "s5"]
    assert (before[-1], after[-1], None in after[:-1]) == (None, None, False)


async def test_a_rebuild_that_is_cut_off_is_gone_on_with(open_store: OpenStore, prefix: str) -> None:
    store = open_store()
    for number in range(40):
        await store.create(f"n{number}")
    for facts, _ in await all_entry_keys(store, prefix):
        await connections_of(store).read_many([("DEL", facts)])
    dying, cold = open_store(), open_store()
    repair = backend_of(dying)._repair
    dying_after(dying, scripts.SETTLE)
    with pytest.raises(Died):
        await repair.complete(store._namespace)

    looked_at = await backend_of(cold)._repair.complete(store._namespace)

    assert looked_at == 0  # the one that died had put all in place, and had only to say so
    assert len(await found(cold)) == 40
    assert await backend_of(cold)._repair.complete(store._namespace) == 0
    assert await backend_of(cold)._repair.complete(store._namespace, anew=True) == 40
    assert await cold.rebuild_index() == 40


async def test_a_page_takes_two_round_trips_and_an_append_one(open_store: OpenStore, redis_server: RedisServer) -> None:
    async with FaultyProxy(redis_server.port) as proxy:
        store = open_store("owner", url=proxy.url)
        await filled(store)
        await store.page()
        queries: list[dict[str, Any]] = [{}, {"order": "created", "last": 1}, {"roots_only": True}]
        for query in [*queries, {"properties": {"owner": "a"}}]:
            before = proxy.round_trips
            assert len(await store.page(limit=5, **query)) == 5
            assert proxy.round_trips - before == 2
        cold = open_store("owner", url=proxy.url)
        await cold.page(limit=1)
        before = proxy.round_trips
        await cold.append(NAMES[0], said("x"))  # it moves the entry, too
        assert proxy.round_trips - before == 1
        await cold.aclose()
        await store.aclose()


async def test_in_a_cluster_a_commit_does_not_wait_for_an_entry_that_hangs(
    redis_cluster: RedisCluster, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_entries, "_WAIT_SECONDS", 0.05)
    async with store_from_url(f"{redis_cluster.url}?key_prefix={prefix}") as store:
        await store.create("talk")
        backend_of(store)._committer._activity._moved.clear()
        connections: Any = connections_of(store)
        original, go = connections.run_many, asyncio.Event()

        async def run_many(calls: Sequence[Any], *sent: Any, **options: Any) -> list[Any]:
            if any(call.script is scripts.MOVE for call in calls):
                await go.wait()
            return list(await original(calls, *sent, **options))

        connections.run_many = run_many
        await asyncio.wait_for(store.append("talk", said("x")), 5)

        assert (await whole(store, "talk")).last_seq == 1
        go.set()
