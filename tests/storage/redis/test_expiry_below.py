"""Expiry in trees: what is above lives as long as what is below, and nothing of either is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.testing.contract.making import said, whole
from tests.storage.redis.expiring import (
    LONG,
    LetAllExpire,
    Look,
    OpenStore,
    assert_only_root_is_left,
    children,
    deadlines,
    everything,
    expiring,
    keys_below,
    let_all_expire,
    look,
    open_store,
    prefix,
    server,
    shorten,
    spread,
)
from tests.storage.redis.looks import backend_of, connections_of, keys_of

__all__ = ["let_all_expire", "look", "open_store", "prefix", "server"]


async def test_a_tree_ends_from_below_and_leaves_nothing_though_nobody_looks(open_store: OpenStore, look: Look) -> None:
    store = await expiring(open_store, "root", "kid", "below")

    seen: set[tuple[bool, ...]] = set()
    while (False, False, False) not in seen:
        # One after the other: what is read later may only be gone if it is below.
        seen.add(tuple([await store.get(name) is not None for name in ("root", "kid", "below")]))
    async with asyncio.timeout(20):
        while await look():  # noqa: ASYNC110  nobody tells when Redis removes keys
            await asyncio.sleep(0.05)

    assert seen <= {(True, True, True), (True, True, False), (True, False, False), (False, False, False)}


async def creation(store: BaseSessionStore) -> None:
    await store.create("another")


async def refresh(store: BaseSessionStore) -> None:
    await store.create("mortal")
    await shorten(store, "mortal", 60_000)
    await store.append("mortal", said())


@pytest.mark.parametrize("then", [creation, refresh])
async def test_nothing_stays_of_what_expired_below_a_root_that_lives_on_however_late_it_is_looked_after(
    open_store: OpenStore, look: Look, let_all_expire: LetAllExpire, then: Callable[[BaseSessionStore], Awaitable[None]]
) -> None:
    store = open_store(LONG)
    await open_store(None).create("root", change=everything())
    await store.create("kid", parent_id="root", change=everything())
    await store.create("below", parent_id="kid", change=everything())
    await let_all_expire()

    await then(store)
    await store.aclose()  # it waits for what looks after others

    assert_only_root_is_left(await look())
    cold = open_store(None)
    assert await cold.tree("root") == [("root", None)]
    assert len((await whole(cold, "root")).events) == 3


@pytest.mark.parametrize("is_for_ever_listed_first", [False, True])
async def test_no_line_of_the_index_stays_of_a_root_that_expired_beside_one_that_does_not(
    open_store: OpenStore, look: Look, let_all_expire: LetAllExpire, *, is_for_ever_listed_first: bool
) -> None:
    keeper, store = open_store(None), open_store(LONG)
    shard, _ = keys_below(store, "gone", "gone").index_entry
    beside = next(name for name in map(str, range(99)) if keys_below(store, name, name).index_entry[0] == shard)
    for name in (beside, "gone") if is_for_ever_listed_first else ("gone", beside):
        await (keeper if name == beside else store).create(name)
    await let_all_expire()
    assert "gone" in str(await look())

    await store.create("another")
    await store.aclose()

    assert "gone" not in str(await look())
    assert beside in await open_store(None).list_sessions()


async def test_a_child_whose_creation_was_answered_at_the_second_try_leaves_nothing_either(
    open_store: OpenStore, look: Look, let_all_expire: LetAllExpire
) -> None:
    store = open_store(LONG)
    await open_store(None).create("root")
    connections: Any = connections_of(store)
    run_many = connections.run_many

    async def sent_twice(calls: Any, *how: Any, **options: Any) -> Any:
        if any(call.script is scripts.CREATE_CHILD for call in calls):
            await run_many(calls, *how, **options)
        return await run_many(calls, *how, **options)

    connections.run_many = sent_twice
    await store.create("kid", parent_id="root")
    await let_all_expire()

    await store.create("another")
    await store.aclose()

    assert "kid" not in str(await look())


async def test_a_root_that_lives_on_keeps_its_children(open_store: OpenStore) -> None:
    store = open_store(LONG)
    for name, parent_id in (("root", None), ("kid", "root"), ("below", "kid")):
        await store.create(name, parent_id=parent_id, change=everything())
    for name in ("root", "kid", "below"):
        await shorten(store, name, 60_000)

    await store.append("root", said())

    assert min((await deadlines(store, "root")).values()) > 0.9 * LONG * 1_000
    cold = open_store(None)
    assert sorted(await cold.list_sessions()) == ["below", "kid", "root"]
    assert await cold.tree("root") == [("root", None), ("kid", "root"), ("below", "kid")]
    for name in ("kid", "below"):
        assert len((await whole(cold, name)).events) == 3
        assert await cold.get(name) is not None


async def test_a_write_lets_a_session_and_its_ancestors_live_on_and_idle_siblings_expire(open_store: OpenStore) -> None:
    store = open_store(LONG)
    await store.create("root", change=everything())
    for name in ("busy", "idle"):
        await store.create(name, parent_id="root", change=everything())
    await store.create("below", parent_id="busy")
    for name in ("root", "busy", "idle", "below"):
        await shorten(store, name, 60_000)

    await store.append("below", said("on"))

    assert min((await deadlines(store, "root", "busy", "below")).values()) > 0.9 * LONG * 1_000
    idle = {name: ttl for name, ttl in (await deadlines(store, "idle")).items() if name.endswith(":idle")}
    assert max(idle.values()) <= 60_000
    root, busy, below = [min((await deadlines(store, name)).values()) for name in ("root", "busy", "below")]
    assert root + 5 >= busy
    assert busy + 5 >= below


async def loaded_children(store: BaseSessionStore) -> list[str]:
    return (await whole(store, "root")).child_ids


async def tree_without_root(store: BaseSessionStore) -> list[str]:
    return [name for name, parent_id in await store.tree("root") if parent_id is not None]


@pytest.mark.parametrize("look", [loaded_children, tree_without_root, children])
async def test_an_idle_sibling_that_expired_is_gone_from_its_tree(
    open_store: OpenStore, look: Callable[[BaseSessionStore], Awaitable[list[str]]]
) -> None:
    store = open_store(LONG)
    await store.create("root")
    for name in ("busy", "idle"):
        await store.create(name, parent_id="root")
    await shorten(store, "idle", 1)
    await asyncio.sleep(0.02)

    # Whoever looks first removes it from the tree.
    assert (await look(store)) == ["busy"]
    assert await store.get("idle") is None
    assert sorted(await store.list_sessions()) == ["busy", "root"]


async def test_a_parent_of_expired_children_is_deleted_without_cascade(open_store: OpenStore) -> None:
    store = open_store(LONG)
    await store.create("root")
    await store.create("idle", parent_id="root")
    await shorten(store, "idle", 1)
    await asyncio.sleep(0.02)

    await store.delete("root")

    assert await store.list_sessions() == []


@pytest.mark.parametrize("parent_id", ["root", "other", None])
async def test_the_id_of_an_expired_child_is_free(open_store: OpenStore, parent_id: str | None) -> None:
    store = open_store(LONG)
    for name in ("root", "other"):
        await store.create(name)
    await store.create("kid", parent_id="root", change=everything())
    await shorten(store, "kid", 1)
    await asyncio.sleep(0.02)

    await store.create("kid", parent_id=parent_id, change=SessionChange(events=[said("anew")]))

    assert [event.message for event in (await whole(open_store(LONG), "kid")).events] == ["anew"]
    assert await store.children("root") == (["kid"] if parent_id == "root" else [])


async def test_a_child_that_lives_on_does_not_shorten_the_life_of_its_parent(open_store: OpenStore) -> None:
    await open_store(LONG).create("root")
    store = open_store(10.0)
    await store.create("kid", parent_id="root")
    await shorten(store, "kid", 1_000)

    await store.append("kid", said())

    assert min((await deadlines(store, "kid")).values()) > 9_000
    assert min((await deadlines(store, "root")).values()) > 900_000


async def test_nothing_stays_for_ever_below_a_parent_that_expires(open_store: OpenStore) -> None:
    await open_store(LONG).create("root")
    store = open_store(None)
    await store.create("kid", parent_id="root", change=everything())

    found = await deadlines(store, "kid", "root")

    assert min(found.values()) > 0
    assert spread(found) <= 5


async def test_a_child_is_not_born_older_than_its_parent_can_get(open_store: OpenStore) -> None:
    await open_store(10.0).create("root")
    store = open_store(LONG)
    await store.create("kid", parent_id="root")

    root, kid = [min((await deadlines(store, name)).values()) for name in ("root", "kid")]

    assert kid > 900_000
    assert root + 5 >= kid


async def test_what_was_made_to_stay_is_there_listed_and_found_when_all_else_is_gone(
    open_store: OpenStore, let_all_expire: LetAllExpire
) -> None:
    store = open_store(LONG)
    await store.create("stays", change=everything(), expires=False)
    await store.create("kid", parent_id="stays", change=everything(), expires=False)
    await store.create("goes")
    await store.create("goes, too", parent_id="kid")
    await store.append("goes, too", said())

    await let_all_expire()

    for looked in (store, open_store(LONG), open_store(None)):
        assert sorted(await looked.list_sessions()) == ["kid", "stays"]
        assert {head.id for head in await looked.page()} == {"kid", "stays"}
        assert len((await whole(looked, "kid")).events) == 3
        assert await looked.get("goes, too") is None
    assert set((await deadlines(store, "stays", "kid")).values()) == {-1}


async def test_a_line_of_what_stays_that_is_put_back_stays(open_store: OpenStore, let_all_expire: LetAllExpire) -> None:
    store = open_store(LONG)
    await store.create("stays", expires=False)
    keys = await keys_of(store, "stays")
    index = backend_of(store)._expiry._index

    await index.remove([keys])
    await index.add([(keys, False)])
    await let_all_expire()

    assert await store.list_sessions() == ["stays"]


async def test_nothing_is_made_to_stay_below_what_expires_and_its_id_stays_free(
    open_store: OpenStore, look: Look
) -> None:
    store = open_store(LONG)
    await store.create("goes")
    before = await look()

    with pytest.raises(InvalidSessionOperation, match="expires=False"):
        await store.create("kid", parent_id="goes", expires=False)

    after = await look()
    assert {name: value for name, value in after.items() if "index" not in name} == {
        name: value for name, value in before.items() if "index" not in name
    }
    assert await store.list_sessions() == ["goes"]
