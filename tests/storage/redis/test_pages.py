"""The index of pages of heads: what is lost, damaged, left over or declared later never shortens a page."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from a2a_session_manager import CorruptSession
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis import activity_entries, entries, scripts
from a2a_session_manager.storage.redis.index import Announced
from a2a_session_manager.storage.redis.keys import entry_keys
from a2a_session_manager.storage.redis.shards import FOR_EVER, listing, unlisting
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import said, whole
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer
from tests.storage.redis.indexed import (
    NAMES,
    Died,
    OpenStore,
    all_entry_keys,
    dying_after,
    entry_of,
    filled,
    found,
    open_store,
    prefix,
)
from tests.storage.redis.looks import backend_of, connections_of, keys_of

__all__ = ["open_store", "prefix"]


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
