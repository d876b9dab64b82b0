"""What a delete, a crash or an expiry leaves behind goes by itself: keys, locators, lines of the index."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from a2a_session_manager import CorruptSession, InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis import due_lines, scripts
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import Script, ScriptCall
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.redis.indexed import OpenStore, open_store, prefix
from tests.storage.redis.looks import backend_of, connections_of, keys_of

__all__ = ["open_store", "prefix"]


async def left(store: BaseSessionStore, prefix: str) -> list[str]:
    """Return the keys that are there, but for those that only tell of what may not come back, and expire."""
    [names] = await connections_of(store).read_many([("KEYS", f"{prefix}*")])
    ends = await connections_of(store).read_many([("PTTL", name) for name in names])
    mortal = (b":refused", b":followers")
    return [name.decode() for name, end in zip(names, ends, strict=True) if end < 0 or not name.endswith(mortal)]


async def grown(store: BaseSessionStore, children: int = 5) -> Any:
    """Make a root with children, each of which has one below it."""
    change = SessionChange(events=[spending(1)], set_state={"k": 1})
    root = await store.create("talk", change=change)
    for number in range(children):
        await store.create(f"kid{number}", parent_id="talk", change=change)
        await store.create(f"below{number}", parent_id=f"kid{number}", change=change)
    return root


class Died(Exception):
    """Stands for the end of a process."""


class Breaking:
    """A store's scripts, of which the first of one kind is run and its answer lost; then it may all end."""

    def __init__(self, store: BaseSessionStore, script: Script, *, is_end: bool) -> None:
        connections: Any = connections_of(store)
        self._original = connections.run_many
        self._script, self._is_end = script, is_end
        self.is_lost = False
        connections.run_many = self._run_many

    async def _run_many(self, calls: Sequence[ScriptCall], *sent: Any, **options: Any) -> list[Any]:
        if self.is_lost and self._is_end:
            raise Died
        answers: list[Any] = await self._original(calls, *sent, **options)
        if not self.is_lost and any(call.script is self._script for call in calls):
            self.is_lost = True
            if self._is_end:
                raise Died
            return await self._run_many(calls)  # as the asker does when a connection ends
        return answers


@pytest.mark.parametrize("victim", ["talk", "kid0"])
async def test_a_cascade_whose_answer_was_lost_leaves_nothing_behind(
    open_store: OpenStore, prefix: str, victim: str
) -> None:
    store = open_store()
    await grown(store)
    Breaking(store, scripts.DELETE, is_end=False)

    await store.delete(victim, children="cascade")

    remaining = await left(store, prefix)
    assert not [name for name in remaining if victim == "talk" or "kid0" in name or "below0" in name or "gone" in name]


@pytest.mark.parametrize("victim", ["talk", "kid0"])
async def test_a_listing_removes_what_a_process_that_died_in_a_cascade_has_left(
    open_store: OpenStore, prefix: str, victim: str
) -> None:
    await died_deleting(open_store(), victim)
    cold = open_store()

    listed = await cold.list_sessions()

    remaining = await left(cold, prefix)
    assert not [name for name in remaining if victim == "talk" or "kid0" in name or "below0" in name or "gone" in name]
    assert len(listed) == (0 if victim == "talk" else 9)


async def test_a_delete_sent_again_by_another_process_finishes_what_the_first_began(
    open_store: OpenStore, prefix: str
) -> None:
    root = await died_deleting(open_store(), "talk")
    cold = open_store()
    # Not told by a listing, and by none of the keys of the session.
    await cold.delete(root, children="cascade")

    assert await left(cold, prefix) == []


async def test_what_died_in_a_cascade_harms_no_later_session_of_the_same_ids(open_store: OpenStore) -> None:
    await died_deleting(open_store(), "talk")
    store = open_store()
    await store.create("kid0", change=SessionChange(events=[said("mine")]))
    await store.create("talk")
    await store.create("below0", parent_id="talk", change=SessionChange(events=[said("mine")]))

    assert sorted(await store.list_sessions()) == ["below0", "kid0", "talk"]
    for name in ("kid0", "below0"):
        assert [event.message for event in await open_store().events(name)] == ["mine"]
    assert await open_store().children("talk") == ["below0"]


@pytest.mark.parametrize("parts", [["children"], ["head"], ["head", "children"]])
async def test_a_session_that_lost_the_list_of_its_children_is_not_deleted_without_them(
    open_store: OpenStore, parts: list[str]
) -> None:
    store = open_store()
    root = await grown(store)
    keys = await keys_of(store, "talk")
    await connections_of(store).read_many([("UNLINK", getattr(keys, part)) for part in parts])

    with pytest.raises(InvalidSessionOperation, match="delete them first"):
        await store.delete(root)
    await store.delete(root, children="cascade")

    assert await store.list_sessions() == []


async def test_the_next_creation_finishes_what_a_process_that_died_in_a_cascade_has_left(
    open_store: OpenStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_lines, "_DELETE_SECONDS", 0)
    await died_deleting(open_store(), "talk")
    store = open_store()

    await store.create("other")
    await store.aclose()

    cold = open_store()
    await cold.delete("other")
    assert await left(cold, prefix) == []


async def test_where_all_sessions_expire_no_key_is_for_ever(open_store: OpenStore, prefix: str) -> None:
    store = open_store(expiration_seconds=600).namespace("guest")
    await store.create("talk", change=SessionChange(events=[spending(1)]))
    await store.create("kid", parent_id="talk", change=SessionChange(events=[spending(1)]))

    [names] = await connections_of(store).read_many([("KEYS", f"{prefix}*")])
    ends = await connections_of(store).read_many([("PTTL", name) for name in names])

    assert [name for name, end in zip(names, ends, strict=True) if end < 0] == []
    # A line of the index does not end before its session.
    assert min(end for name, end in zip(names, ends, strict=True) if b"index:" in name) > 600_000


async def creation(store: BaseSessionStore) -> None:
    await store.create("another")


async def refreshing(store: BaseSessionStore) -> None:
    await store.append("long", said())


async def listing(store: BaseSessionStore) -> None:
    await store.list_sessions()


@pytest.mark.parametrize("then", [creation, refreshing, listing])
async def test_expired_sessions_are_taken_out_of_the_index(
    open_store: OpenStore, prefix: str, then: Callable[[BaseSessionStore], Any]
) -> None:
    store, writer = open_store(), open_store(expiration_seconds=600)
    await store.create("for ever")
    await open_store(expiration_seconds=30).create("long")
    for number in range(3):
        await writer.create(f"talk{number}")
        await writer.create(f"kid{number}", parent_id=f"talk{number}")
    connections = connections_of(store)
    [keys] = await connections.read_many([("KEYS", f"{prefix}{{:talk*")])
    await connections.read_many([("UNLINK", *keys)])  # as their end does
    await let_all_be_due(store, prefix)

    await then(writer)
    await writer.aclose()

    indexes = await connections.read_many([("KEYS", f"{prefix}index:*")])
    lines = await connections.read_many([("ZRANGE", key, 0, -1) for key in indexes[0]])
    assert not [member for some in lines for member in some if b"kid" in member or b"talk" in member]
    assert {"for ever", "long"} <= set(await store.list_sessions())


async def test_a_session_that_lives_longer_than_was_thought_stays_listed(open_store: OpenStore, prefix: str) -> None:
    store = open_store(expiration_seconds=600)
    await store.create("talk")
    await let_all_be_due(store, prefix)

    await store.create("another")
    await store.aclose()

    cold = open_store()
    assert sorted(await cold.list_sessions()) == ["another", "talk"]
    [due] = await connections_of(cold).read_many([("ZRANGE", f"{prefix}index::due", 0, 0, "WITHSCORES")])
    assert float(due[1]) > 1


async def let_all_be_due(store: BaseSessionStore, prefix: str) -> None:
    """Let the time come to look after every session that expires, as if the clock had gone on."""
    key = f"{prefix}index::due"
    [members] = await connections_of(store).read_many([("ZRANGE", key, 0, -1)])
    await connections_of(store).read_many([("ZADD", key, 1, member) for member in members])


async def test_a_listing_that_is_cancelled_while_it_prunes_unlists_nobody(open_store: OpenStore) -> None:
    lister, writer = open_store(), open_store()
    keys = backend_of(writer)._locator.keys_of(writer._key("talk"))
    await backend_of(writer)._deleter._reaper._index.add([(keys, True)])
    index_of_lister: Any = backend_of(lister)._listing._reaper._index
    reached, go, removed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    remove = index_of_lister.remove

    async def stalling(sessions: Any) -> None:
        reached.set()
        await go.wait()
        await remove(sessions)
        removed.set()

    index_of_lister.remove = stalling
    under_way = asyncio.ensure_future(lister.list_sessions())
    await asyncio.wait_for(reached.wait(), 10)
    await writer.create("talk")
    under_way.cancel()
    await asyncio.wait({under_way})
    go.set()
    await asyncio.wait_for(removed.wait(), 10)
    await lister.aclose()

    assert under_way.cancelled()
    assert await open_store().list_sessions() == ["talk"]


async def test_a_lost_part_of_the_index_is_told_whatever_was_made_since(open_store: OpenStore, prefix: str) -> None:
    store = open_store()
    names = [f"talk{number}" for number in range(24)]
    await asyncio.gather(*(store.create(name) for name in names))
    [shards] = await connections_of(store).read_many([("KEYS", f"{prefix}index::roots:*")])
    await connections_of(store).read_many([("UNLINK", shards[0])])
    cold = open_store()
    with pytest.raises(CorruptSession, match="listing would be short"):
        await cold.list_sessions()
    await asyncio.gather(*(cold.create(f"new{number}") for number in range(24)))

    with pytest.raises(CorruptSession, match="listing would be short"):
        await open_store().list_sessions()


@pytest.mark.parametrize("deleted", [0, 1, 2])
@pytest.mark.parametrize("mark", [b"0", b"1", b"lost"])
@pytest.mark.parametrize("family", ["roots", "children"])
async def test_a_part_of_the_index_and_a_mark_of_it_are_lost_one_after_the_other(
    open_store: OpenStore, prefix: str, family: str, mark: bytes, deleted: int
) -> None:
    store, parent = open_store(), None if family == "roots" else "root"
    await store.create("root")
    shard = f"{prefix}index::{family}:00".encode()
    sessions = [SessionKeys(prefix, store._key(name), parent or name) for name in map(str, range(99))]
    names = [keys.key.id for keys in sessions if keys.index_entry[0] == shard]
    assert len(names) > 2
    await asyncio.gather(*(store.create(name, parent_id=parent) for name in names[2:]))
    read_many = connections_of(store).read_many
    await read_many([("UNLINK", shard)])
    await asyncio.gather(*(store.create(name, parent_id=parent) for name in names[:2]))
    await read_many([("UNLINK", b"%b{%b}:mark:%b" % (prefix.encode(), shard, mark))])
    for name in names[:deleted]:
        await store.delete(name)

    if parent is None:
        with pytest.raises(CorruptSession, match="listing would be short"):
            await open_store().list_sessions()
    else:
        assert sorted(await open_store().list_sessions()) == sorted(["root", *names[deleted:]])


async def test_deleting_a_session_does_not_hide_that_its_part_of_the_index_is_lost(
    open_store: OpenStore, prefix: str
) -> None:
    store = open_store()
    names = [f"talk{number}" for number in range(24)]
    await asyncio.gather(*(store.create(name) for name in names))
    read_many = connections_of(store).read_many
    [shards] = await read_many([("KEYS", f"{prefix}index::roots:*")])
    lines = await read_many([("ZRANGE", shard, 0, -1) for shard in shards])
    shard, [victim, *_] = next((shard, some) for shard, some in zip(shards, lines, strict=True) if len(some) > 1)
    await read_many([("UNLINK", shard)])
    await store.delete(victim.decode())

    with pytest.raises(CorruptSession, match="listing would be short"):
        await open_store().list_sessions()


async def test_a_lost_part_of_the_index_of_children_is_made_anew(open_store: OpenStore, prefix: str) -> None:
    store = open_store()
    for root in ("one", "two"):
        await store.create(root)
    names = [f"kid{number}" for number in range(24)]
    await asyncio.gather(
        *(store.create(name, parent_id=("one", "two")[number % 2]) for number, name in enumerate(names))
    )
    [shards] = await connections_of(store).read_many([("KEYS", f"{prefix}index::children:*")])
    await connections_of(store).read_many([("UNLINK", *shards[::2])])
    cold = open_store()
    await asyncio.gather(*(cold.create(f"new{number}", parent_id="one") for number in range(24)))

    listed = await open_store().list_sessions()

    assert sorted(listed) == sorted(["one", "two", *names, *(f"new{number}" for number in range(24))])


async def test_shards_that_empty_leave_no_mark_and_are_not_taken_for_lost(open_store: OpenStore, prefix: str) -> None:
    stores = [open_store(), open_store()]
    for _ in range(3):
        await asyncio.gather(*(stores[number % 2].create(f"talk{number}") for number in range(40)))
        await asyncio.gather(*(stores[number % 2].delete(f"talk{number}") for number in range(40)))

        assert await open_store().list_sessions() == []
    assert await left(stores[0], prefix) == []


async def died_deleting(store: BaseSessionStore, victim: str) -> Any:
    """Let a process die right after the step that ends the sessions; return the root's handle."""
    root = await grown(store)
    backend, key = backend_of(store), store._key(victim)
    [loaded] = await backend.load([key], last=0, whole_head=False)
    assert loaded is not None
    Breaking(store, scripts.DELETE, is_end=True)
    with pytest.raises(Died):
        await backend._deleter.delete(key, loaded.head.creation_id, cascade=True, guard=None)
    return root
