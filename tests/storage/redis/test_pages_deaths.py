"""Deaths, refusals and expiry while the index of pages is written: no page is wrong, and no entry is left."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager import SessionConflict
from a2a_session_manager.models import clock
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis import entries, scripts
from a2a_session_manager.storage.redis.keys import entry_keys
from a2a_session_manager.storage.redis.shards import FOR_EVER
from a2a_session_manager.testing.contract.making import said, whole
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
