"""Expiry: a session goes whole or not at all, never before its children, and never loses a part unnoticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import CorruptSession, InvalidSessionOperation, SessionNotFound
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage.redis import RedisSessionStore, create_redis_session_store, scripts
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import listening, said, several, spending, whole
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of, keys_of

OpenStore = Callable[[float | None], BaseSessionStore]
Look = Callable[[], Awaitable[dict[str, str]]]
LetAllExpire = Callable[[], Awaitable[None]]

# Where a key was lost, the slots of the others do not matter.
ON_A_SINGLE_SERVER = pytest.mark.parametrize("server", ["redis_server"], indirect=True)

LONG = 1_000.0
SHORT = 0.4


@pytest.fixture(params=["redis_server", "redis_cluster"], ids=["single", "cluster"])
def server(request: pytest.FixtureRequest) -> RedisServer | RedisCluster:
    """Where the sessions lie."""
    started: RedisServer | RedisCluster = request.getfixturevalue(request.param)
    return started


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:12]}:"


@pytest.fixture
async def open_store(server: RedisServer | RedisCluster, prefix: str) -> AsyncIterator[OpenStore]:
    """Open stores over the same data, each with its own time to live."""
    opened: list[BaseSessionStore] = []

    def open_one(expiration_seconds: float | None) -> BaseSessionStore:
        option = "" if expiration_seconds is None else f"&expiration_seconds={expiration_seconds}"
        opened.append(store_from_url(f"{server.url}?key_prefix={prefix}{option}"))
        return opened[-1]

    yield open_one
    for store in opened:
        await store.aclose()


@pytest.fixture
def look(server: RedisServer | RedisCluster, prefix: str) -> Look:
    """Return all that a test has stored, whichever node holds it: each key with its value as a text."""
    readers = {"hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "zset": ("ZRANGE", 0, -1, "WITHSCORES")}

    def all_of_nodes() -> dict[str, str]:
        found: dict[str, Any] = {}
        for node in server.nodes if isinstance(server, RedisCluster) else [server]:
            with node.admin() as client:
                send: Callable[..., Any] = client.execute_command
                for name in send("KEYS", f"{prefix}*"):
                    reader, *bounds = readers.get(send("TYPE", name).decode(), ("GET",))
                    found[name.decode().removeprefix(prefix)] = send(reader, name, *bounds)
        return {name: str(value) for name, value in found.items() if value}  # one that ends meanwhile reads as empty

    return lambda: asyncio.to_thread(all_of_nodes)


@pytest.fixture
def let_all_expire(server: RedisServer | RedisCluster, prefix: str) -> LetAllExpire:
    """Let so long a time pass that all that expires is gone."""

    def pass_time() -> None:
        for node in server.nodes if isinstance(server, RedisCluster) else [server]:
            with node.admin() as client:
                send: Callable[..., Any] = client.execute_command
                for name in send("KEYS", f"{prefix}*"):
                    if name == f"{prefix}index::due".encode():
                        for line in send("ZRANGE", name, 0, -1):
                            send("ZADD", name, 1, line)
                    if name.endswith(b":tree"):
                        for field in send("HKEYS", name):
                            if field.startswith(b"d:"):
                                send("HSET", name, field, 1)
                    if client.pttl(name) >= 0:
                        send("PEXPIRE", name, 1)
        time.sleep(0.02)

    return lambda: asyncio.to_thread(pass_time)


def keys_below(store: BaseSessionStore, session_id: str, root_id: str) -> SessionKeys:
    return backend_of(store)._locator.keys_in(store._key(session_id), root_id)


def everything() -> SessionChange:
    """Return a change that makes use of every key a session can have."""
    return SessionChange(
        events=[spending(3, id="e1", task_id="r"), said(id="e2"), said(id="e3")],
        set_state={"k": 1},
        runs=[SessionRun(id="r")],
    )


async def deadlines(store: BaseSessionStore, *session_ids: str) -> dict[str, int]:
    """Return when each key expires that is there, in ms from now, -1 for never."""
    keys: dict[str, bytes] = {}
    for session_id in session_ids:
        place = await keys_of(store, session_id)
        of_tree = (place.tree, place.totals, place.budgets, place.refused)
        keys |= {key.decode(): key for key in (*place.all_of_session, *of_tree)}
    answers = await connections_of(store).read_many([("PTTL", key) for key in keys.values()])
    return {name: ttl for name, ttl in zip(keys, answers, strict=True) if ttl != -2}


async def shorten(store: BaseSessionStore, session_id: str, remaining: int) -> None:
    """Let a session and its tree's keys expire in `remaining` ms, as if nobody had written for long."""
    place = await keys_of(store, session_id)
    seconds, micros = (await connections_of(store).read_many([("TIME",)]))[0]
    deadline = int(seconds) * 1_000 + int(micros) // 1_000 + remaining
    touched = [
        *place.all_of_session,
        *((place.tree, place.totals, place.budgets, place.refused) if place.is_root else ()),
    ]
    commands: list[Any] = [("HSET", place.head, "deadline", deadline)]
    commands.append(("HSET", place.tree, "deadline" if place.is_root else f"d:{session_id}", deadline))
    await connections_of(store).read_many([*commands, *(("PEXPIREAT", key, deadline) for key in touched)])


def spread(found: dict[str, int]) -> int:
    return max(found.values()) - min(found.values())


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


async def expiring(open_store: OpenStore, *names: str) -> BaseSessionStore:
    """Create each session below the one before it, in a store where they expire soon: so late that all are there."""
    seconds = SHORT
    while True:
        store = open_store(seconds)
        try:
            for name, parent_id in zip(names, (None, *names), strict=False):
                await store.create(name, parent_id=parent_id, change=everything())
            return store
        except SessionNotFound:  # this machine is slow just now
            seconds *= 4
            with suppress(SessionNotFound):
                await store.delete(names[0], children="cascade")


async def test_following_ends_when_the_session_expires(open_store: OpenStore) -> None:
    store = await expiring(open_store, "talk", "kid")

    async with listening(store, "talk") as take, listening(store, "kid") as take_of_kid:
        for take_next in (take, take_of_kid):
            with pytest.raises(SessionNotFound):
                await take_next(1_000)  # as many as there are


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


def assert_only_root_is_left(found: dict[str, str]) -> None:
    assert {name: value for name, value in found.items() if "kid" in name + value or "below" in name + value} == {}
    assert {name.rpartition(":")[2] for name in found if "{:root}" in name} == {
        "head", "log", "ids", "runs", "unfinished", "tree", "totals", "refused",
    }  # fmt: skip


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


async def loaded_children(store: BaseSessionStore) -> list[str]:
    return (await whole(store, "root")).child_ids


async def tree_without_root(store: BaseSessionStore) -> list[str]:
    return [name for name, parent_id in await store.tree("root") if parent_id is not None]


async def children(store: BaseSessionStore) -> list[str]:
    return await store.children("root")


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


async def test_a_child_that_lives_on_does_not_shorten_the_life_of_its_parent(open_store: OpenStore) -> None:
    await open_store(LONG).create("root")
    store = open_store(10.0)
    await store.create("kid", parent_id="root")
    await shorten(store, "kid", 1_000)

    await store.append("kid", said())

    assert min((await deadlines(store, "kid")).values()) > 9_000
    assert min((await deadlines(store, "root")).values()) > 900_000


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
