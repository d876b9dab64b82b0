"""Expiry: a session goes whole or not at all, never before its children, and never loses a part unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from a2a_session_manager import CorruptSession, InvalidSessionOperation, SessionNotFound
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.storage.redis import RedisSessionStore, create_redis_session_store, scripts
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.testing.contract.making import listening, said, several, spending, whole
from tests.storage.redis.expiring import (
    LONG,
    SHORT,
    LetAllExpire,
    Look,
    OpenStore,
    assert_only_root_is_left,
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


# Where a key was lost, the slots of the others do not matter.
ON_A_SINGLE_SERVER = pytest.mark.parametrize("server", ["redis_server"], indirect=True)


async def test_all_keys_of_a_session_go_in_the_same_moment_also_those_made_later(open_store: OpenStore) -> None:
    store = open_store(LONG)
    await store.create("talk")
    await asyncio.sleep(0.05)
    await store.commit("talk", everything())
    await store.retract("talk", "e2")
    await store.create("kid", parent_id="talk", change=everything())

    found = await deadlines(store, "talk")

    assert {name.rpartition(":")[2] for name in found} == {
        "head", "log", "ids", "hidden", "retractions", "runs", "unfinished", "children", "tree", "totals",
    }  # fmt: skip
    # PTTL counts from the moment each is asked in.
    assert spread(found) <= 5
    assert 0 < min(found.values()) <= LONG * 1_000


async def test_the_key_of_what_is_hidden_goes_with_the_others_also_when_it_comes_again(open_store: OpenStore) -> None:
    store = open_store(LONG)
    await store.create("talk", change=everything())
    await store.retract("talk", "e1", "e2", write_id="hid")
    await store.restore("talk", write_id="hid")
    assert not [name for name in await deadlines(store, "talk") if name.endswith(":hidden")]
    await asyncio.sleep(0.05)

    # Alone, and among commits that waited together, of which an earlier one has emptied it.
    await store.retract("talk", "e1")
    await asyncio.gather(store.restore("talk", "e1"), store.retract("talk", "e2"), store.restore("talk", "e2"))
    await asyncio.gather(store.retract("talk", "e1"), store.append("talk", said()))

    found = await deadlines(store, "talk")
    assert [name for name in found if name.endswith(":hidden")]
    assert spread(found) <= 5


async def test_a_session_expires_whole_and_its_id_is_free_again(open_store: OpenStore) -> None:
    store = open_store(SHORT)
    handle = await store.create("talk", change=everything())
    await asyncio.sleep(SHORT + 0.1)

    with pytest.raises(SessionNotFound):
        await store.append(handle, said("late"))
    assert await store.get("talk") is None
    assert await store.list_sessions() == []
    await store.create("talk")
    assert (await whole(store, "talk")).events == []


async def test_following_ends_when_the_session_expires(open_store: OpenStore) -> None:
    store = await expiring(open_store, "talk", "kid")

    async with listening(store, "talk") as take, listening(store, "kid") as take_of_kid:
        for take_next in (take, take_of_kid):
            with pytest.raises(SessionNotFound):
                await take_next(1_000)  # as many as there are


@pytest.mark.parametrize("is_cold", [False, True])
async def test_what_expired_long_ago_is_absent_and_not_damaged(
    open_store: OpenStore, let_all_expire: LetAllExpire, *, is_cold: bool
) -> None:
    keeper, store = open_store(None), open_store(LONG)
    await keeper.create("root")
    await store.create("kid", parent_id="root")
    [shard, _] = (await keys_of(store, "kid")).index_entry
    others = [f"other{number}" for number in range(64)]
    listed = [name for name in others if keys_below(store, name, "root").index_entry[0] == shard]
    await keeper.create(listed[0], parent_id="root")  # it keeps the shard, and with it the line of the other
    await let_all_expire()

    reader = open_store(None) if is_cold else store

    assert await reader.get("kid") is None
    with pytest.raises(SessionNotFound):
        await reader.append("kid", said())
    await reader.create("kid", parent_id="root")
    assert await open_store(None).children("root") == [listed[0], "kid"]


async def test_a_listing_leaves_nothing_of_what_expired(open_store: OpenStore, look: Look) -> None:
    store = open_store(LONG)
    await open_store(None).create("root", change=everything())
    await store.create("kid", parent_id="root", change=everything())
    await store.create("below", parent_id="kid", change=everything())
    for name in ("below", "kid"):
        await shorten(store, name, 1)
    await asyncio.sleep(0.02)

    assert await store.list_sessions() == ["root"]

    assert_only_root_is_left(await look())


@pytest.mark.parametrize("is_seen_before", [False, True])
async def test_an_id_that_expires_again_and_again_leaves_nothing_for_ever(
    open_store: OpenStore, look: Look, *, is_seen_before: bool
) -> None:
    store = open_store(LONG)
    await open_store(None).create("root")
    for _ in range(3):
        await store.create("kid", parent_id="root")
        await shorten(store, "kid", 1)
        await asyncio.sleep(0.02)
        if is_seen_before:
            assert await store.children("root") == []

    assert "inf" not in (await look())["{:root}:refused"]


async def test_the_creation_of_what_expired_does_not_come_late(open_store: OpenStore) -> None:
    store = open_store(LONG)
    await open_store(None).create("root")
    backend: Any = backend_of(store)
    key, create = store._key("kid"), backend.create
    sent: list[Any] = []

    def noting(*given: Any) -> Any:
        sent.append(given)
        return create(*given)

    backend.create = noting
    await store.create("kid", parent_id="root")
    await shorten(store, "kid", 1)
    await asyncio.sleep(0.02)
    assert await store.children("root") == []

    with pytest.raises(SessionNotFound, match="deleted"):
        await create(*sent[0])

    assert await open_store(None).tree("root") == [("root", None)]
    assert await backend.load([key], last=0, whole_head=False) == [None]


@pytest.mark.parametrize("name", ["root", "kid"])
async def test_a_write_that_comes_too_late_to_keep_its_session_is_not_acknowledged(
    open_store: OpenStore, name: str
) -> None:
    store = open_store(LONG)
    await store.create("root")
    await store.create("kid", parent_id="root")
    await shorten(store, name, 60_000)
    connections: Any = connections_of(store)
    run = connections.run

    async def expiring_first(call: Any) -> Any:
        if call.script is scripts.LINEAGE:
            await shorten(store, name, 1)
            await asyncio.sleep(0.02)
        return await run(call)

    connections.run = expiring_first

    with pytest.raises(SessionNotFound):
        await store.append(name, said())

    assert await open_store(None).get(name) is None


async def test_a_locator_outlives_its_session(open_store: OpenStore) -> None:
    store = open_store(LONG)
    await store.create("root")
    await store.create("kid", parent_id="root")
    place = await keys_of(store, "kid")

    for _ in range(2):
        locator, head = await connections_of(store).read_many([("PTTL", place.locator), ("PTTL", place.head)])
        assert locator > 1.9 * head
        await shorten(store, "root", 60_000)
        await shorten(store, "kid", 60_000)
        await connections_of(store).read_many([("PEXPIRE", place.locator, 120_000)])
        await store.append("kid", said())


async def test_a_refresh_comes_only_when_less_than_nine_tenths_are_left_and_never_shortens(
    open_store: OpenStore,
) -> None:
    store, brief = open_store(LONG), open_store(10.0)
    await store.create("talk")
    await shorten(store, "talk", 950_000)

    await store.append("talk", said())
    await brief.append("talk", said())

    assert 940_000 < min((await deadlines(store, "talk")).values()) <= 950_000


async def test_a_store_with_a_longer_time_lets_a_session_live_longer(open_store: OpenStore) -> None:
    await open_store(10.0).create("talk")
    store = open_store(LONG)

    await store.append("talk", said())

    assert min((await deadlines(store, "talk")).values()) > 10_000


async def test_a_session_made_without_a_time_never_gets_one(open_store: OpenStore) -> None:
    await open_store(None).create("talk", change=everything())
    store = open_store(LONG)
    await store.append("talk", said())
    await store.create("kid", parent_id="talk", change=everything())
    await shorten(store, "kid", 60_000)
    await store.append("kid", spending(1))

    found = await deadlines(store, "talk")

    assert set(found.values()) == {-1}
    assert min(ttl for name, ttl in (await deadlines(store, "kid")).items() if name.endswith("kid")) > 900_000


async def test_reads_around_the_end_see_all_of_a_session_or_nothing(open_store: OpenStore) -> None:
    store = open_store(LONG)
    for round_ in range(10):
        name = f"talk{round_}"
        await store.create(name, change=SessionChange(events=several(3), set_state={"k": 1}))
        await store.retract(name, "e2")
        await shorten(store, name, 40)
        seen: set[tuple[str, ...] | None] = set()
        while None not in seen:
            session = await store.get(name)
            seen.add(None if session is None else tuple(event.id for event in session.events))

        assert seen <= {None, ("e1", "e3")}


PARTS = ["head", "log", "ids", "hidden", "retractions", "runs", "unfinished", "children", "tree", "totals"]


@ON_A_SINGLE_SERVER
@pytest.mark.parametrize("expiration_seconds", [None, LONG])
@pytest.mark.parametrize("part", PARTS)
async def test_a_session_that_lost_a_key_is_an_error_and_never_shorter(
    open_store: OpenStore, part: str, expiration_seconds: float | None
) -> None:
    store = open_store(expiration_seconds)
    await store.create("talk", change=everything())
    await store.retract("talk", "e1", "e2")
    await store.restore("talk", "e1")
    await store.create("kid", parent_id="talk")
    await connections_of(store).read_many([("UNLINK", getattr(await keys_of(store, "talk"), part))])
    cold = open_store(expiration_seconds)

    for verb in READS[part]:
        with pytest.raises(CorruptSession, match="lost") as caught:
            await verb(cold)
        assert caught.value.session_id in ("talk", "kid")


@ON_A_SINGLE_SERVER
@pytest.mark.parametrize("part", ["head", "log", "ids", "hidden", "runs", "unfinished", "tree"])
async def test_a_write_to_a_session_that_lost_a_key_is_refused(open_store: OpenStore, part: str) -> None:
    store = open_store(None)
    await store.create("talk", change=everything())
    await store.retract("talk", "e1", "e2")
    await store.restore("talk", "e1")
    place = await keys_of(store, "talk")
    await connections_of(store).read_many([("UNLINK", getattr(place, part))])
    before = await connections_of(store).read_many([("LLEN", place.log), ("HLEN", place.ids), ("HLEN", place.totals)])

    for change in (SessionChange(events=[spending(1, task_id="r")]), SessionChange(retraction=Retraction(last=1))):
        with pytest.raises(CorruptSession, match="lost"):
            await store.commit("talk", change)

    after = await connections_of(store).read_many([("LLEN", place.log), ("HLEN", place.ids), ("HLEN", place.totals)])
    assert after == before


@ON_A_SINGLE_SERVER
async def test_a_damaged_session_can_still_be_deleted(open_store: OpenStore) -> None:
    store = open_store(None)
    handle = await store.create("talk", change=everything())
    await connections_of(store).read_many([("UNLINK", (await keys_of(store, "talk")).log)])

    await store.delete(handle)

    assert await store.list_sessions() == []
    await store.create("talk")


@pytest.mark.parametrize("seconds", [0, -1, "soon", True, float("nan"), float("inf")])
def test_what_is_no_time_is_refused(seconds: Any) -> None:
    with pytest.raises(InvalidSessionOperation, match="expiration_seconds"):
        create_redis_session_store(expiration_seconds=seconds)


@pytest.mark.parametrize("prefix", ["{app}:", "a}b", "{"])
def test_a_prefix_with_braces_is_refused(prefix: str) -> None:
    with pytest.raises(InvalidSessionOperation, match="braces"):
        create_redis_session_store(key_prefix=prefix)


def test_a_store_takes_a_client_or_an_address() -> None:
    with pytest.raises(InvalidSessionOperation, match="one of the two"):
        RedisSessionStore()


READS: dict[str, list[Callable[[BaseSessionStore], Any]]] = {
    **{part: [lambda store: store.get("talk"), lambda store: store.get_many(["talk"], last=None)] for part in PARTS},
    "children": [lambda store: store.get("talk"), lambda store: store.children("talk")],
    "tree": [
        lambda store: store.get("talk"),
        lambda store: store.events("talk"),
        lambda store: store.get("kid"),
        lambda store: store.append("kid", said()),
    ],
    "totals": [lambda store: store.usage("talk", tree=True), lambda store: store.append("talk", spending(1))],
}
