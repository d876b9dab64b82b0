"""Keys of another type, records of another release, sums that are none: refused before anything is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import combinations
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import (
    CorruptSession,
    Session,
    SessionAlreadyExists,
    SessionNotFound,
    SessionRun,
    TokenSummary,
    TokenUsage,
)
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import said, several, spending, whole
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of, keys_of

PARTS = ["head", "log", "ids", "hidden", "retractions", "runs", "unfinished", "tree", "totals"]


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[BaseSessionStore]:
    async with store_from_url(f"{redis_server.url}?key_prefix={uuid4().hex[:12]}:") as opened:
        yield opened


async def grown(store: BaseSessionStore) -> dict[str, bytes]:
    """Make a session that makes use of every key, and return the keys by their parts."""
    change = SessionChange(events=[spending(3, id="e1", task_id="r"), said(id="e2")], runs=[SessionRun(id="r")])
    await store.create("talk", change=change)
    await store.retract("talk", "e2")
    keys = await keys_of(store, "talk")
    return {part: getattr(keys, part) for part in PARTS}


async def dumped(store: BaseSessionStore, keys: dict[str, bytes]) -> list[Any]:
    """Return all that the keys hold, each as its type is read."""
    readers = {"hash": "HGETALL", "list": "LRANGE", "zset": "ZRANGE", "string": "GET"}
    types = await connections_of(store).read_many([("TYPE", key) for key in keys.values()])
    names = [kind.decode() if isinstance(kind, bytes) else kind for kind in types]
    commands: list[Any] = [
        (readers[kind], key, *((0, -1) if kind in ("list", "zset") else ()))
        for kind, key in zip(names, keys.values(), strict=True)
        if kind != "none"
    ]
    return await connections_of(store).read_many(commands)


def everything() -> SessionChange:
    """Return a change that touches every key."""
    ended = SessionRun(id="r")
    ended.mark_cancelled()
    return SessionChange(
        events=[spending(1, task_id="r")], runs=[ended], set_state={"k": 1}, retraction=Retraction(last=1)
    )


@pytest.mark.parametrize("part", PARTS)
async def test_a_key_of_another_type_is_refused_and_nothing_is_half_written(store: BaseSessionStore, part: str) -> None:
    keys = await grown(store)
    await connections_of(store).read_many([("DEL", keys[part]), ("SET", keys[part], "somebody else's")])
    before = await dumped(store, keys)

    with pytest.raises(CorruptSession) as caught:
        await store.commit("talk", everything())

    assert await dumped(store, keys) == before
    assert caught.value.__cause__ is not None or "lost" in str(caught.value)


@pytest.mark.parametrize("part", ["log", "ids", "hidden", "head"])
async def test_an_append_meets_a_key_of_another_type_before_it_writes(store: BaseSessionStore, part: str) -> None:
    keys = await grown(store)
    await connections_of(store).read_many([("DEL", keys[part]), ("SET", keys[part], "somebody else's")])
    before = await dumped(store, keys)

    with pytest.raises(CorruptSession):
        await store.append("talk", said())

    assert await dumped(store, keys) == before


async def test_a_session_of_a_newer_release_is_refused_by_reads_and_writes(store: BaseSessionStore) -> None:
    await store.create("talk")
    keys = await keys_of(store, "talk")
    await connections_of(store).read_many([("HSET", keys.head, "v", "2")])

    for refused in (store.get("talk"), store.append("talk", said()), store.events("talk")):
        with pytest.raises(CorruptSession, match="newer release"):
            await refused


async def test_a_sum_that_is_damaged_refuses_its_commit_whole(store: BaseSessionStore) -> None:
    spending = TokenUsage(prompt_tokens=9)
    await store.create("talk", change=SessionChange(events=[said(token_usage=spending)]))
    keys = await keys_of(store, "talk")
    await connections_of(store).read_many([("HSET", keys.totals, 't:prompt_tokens:["","llm"]', "many")])
    await connections_of(store).read_many([("HSET", keys.totals, 't:prompt_tokens:["","user"]', "many")])
    before = await dumped(store, {part: getattr(await keys_of(store, "talk"), part) for part in PARTS})

    with pytest.raises(CorruptSession, match="totals"):
        await store.append("talk", said(), said(token_usage=spending))

    assert await dumped(store, {part: getattr(await keys_of(store, "talk"), part) for part in PARTS}) == before


@pytest.mark.parametrize("line", ["", "none", "requests one\nm", "requests 1  \nm"])
async def test_what_was_counted_of_a_response_and_is_damaged_refuses_its_commit_whole(
    store: BaseSessionStore, line: str
) -> None:
    spending = TokenUsage(prompt_tokens=9, response_id="msg_1")
    await store.create("talk", change=SessionChange(events=[said(token_usage=spending)]))
    keys = await keys_of(store, "talk")
    await connections_of(store).read_many([("HSET", keys.ids, "u:msg_1", line)])
    before = await dumped(store, {part: getattr(await keys_of(store, "talk"), part) for part in PARTS})

    with pytest.raises(CorruptSession, match="count of a response"):
        await store.append("talk", said(token_usage=spending))

    assert await dumped(store, {part: getattr(await keys_of(store, "talk"), part) for part in PARTS}) == before


async def test_a_commit_refused_in_a_batch_harms_none_of_those_beside_it(store: BaseSessionStore) -> None:
    await store.create("talk")
    good = [said(id=f"g{number}") for number in range(6)]

    outcomes = await asyncio.gather(
        store.append("talk", good[0], good[1]),
        store.commit("talk", SessionChange(events=[said()], retraction=Retraction(["nowhere"]))),
        store.append("talk", good[2], good[3]),
        store.commit("talk", SessionChange(events=[said()]), expected_revision=77),
        store.append("talk", good[4], good[5]),
        return_exceptions=True,
    )

    assert [isinstance(each, BaseException) for each in outcomes] == [False, True, False, True, False]
    assert [event.id for event in (await whole(store, "talk")).events] == [event.id for event in good]


@pytest.mark.parametrize("verb", ["get", "read_messages"])
async def test_a_session_replaced_between_two_pages_of_a_read_is_read_anew(store: BaseSessionStore, verb: str) -> None:
    large = "x" * 1_000_000  # a page holds four, and as many as these are not read in one command
    await store.create("talk", change=SessionChange(events=[said(large) for _ in range(10)]))
    connections: Any = connections_of(store)
    original, calls = connections.run_many, 0

    async def replacing(*some: Any, **options: Any) -> list[Any]:
        nonlocal calls
        calls += 1
        if calls == 2:
            connections.run_many = original
            await store.delete("talk")
            await store.create("talk", change=SessionChange(events=several(3, "later")))
        answers: list[Any] = await original(*some, **options)
        return answers

    connections.run_many = replacing
    read = whole(store, "talk") if verb == "get" else store.read_messages("talk")
    found: Any = await read

    events = found.events if verb == "get" else found.messages
    assert [event.id for event in events] == ["later1", "later2", "later3"]


# The keys of a tree of two, lost


Verb = Callable[[BaseSessionStore, str], Any]


async def roots(store: BaseSessionStore, _: str) -> list[str]:
    return [session_id async for session_id in store.iter_sessions(roots_only=True)]


SESSIONS = ("talk", "kid")
# Of one key that is lost, every verb must know; of two, those that tell whether there is a session at all.
EXISTENCE: list[Verb] = [
    lambda store, name: store.get(name),
    lambda store, name: store.create(name),
    lambda store, name: store.list_sessions(name),
]
WRITES: list[Verb] = [lambda store, name: store.append(name, said(id="e2"))]
VERBS: list[Verb] = [
    *EXISTENCE,
    lambda store, name: store.get(name, last=2),
    lambda store, name: store.events(name),
    lambda store, name: store.children(name),
    lambda store, name: store.tree(name),
    lambda store, name: store.usage(name, tree=True),
    lambda store, name: store.create(name, parent_id="other"),
    roots,
    *WRITES,
]


async def shown(store: BaseSessionStore, verb: Verb, name: str) -> Any:
    """Return what a verb says of a session to a process that has not seen it, so that it can be compared."""
    backend_of(store)._locator.forget(store._key(name))
    try:
        found = await verb(store, name)
    except (CorruptSession, SessionAlreadyExists, SessionNotFound) as error:
        return type(error)
    if isinstance(found, list):
        return [getattr(each, "id", each) for each in found]
    return found.model_dump() if isinstance(found, Session | TokenSummary) else found


async def full(store: BaseSessionStore) -> None:
    await grown(store)
    await store.create("kid", parent_id="talk", change=SessionChange(events=[spending(1, id="e1"), said(id="e2")]))
    await store.retract("kid", "e2")


async def bare(store: BaseSessionStore) -> None:
    await store.create("talk")
    await store.create("kid", parent_id="talk")


@pytest.mark.parametrize(("make", "life"), [(full, 0), (bare, 600)])
async def test_a_tree_that_lost_one_or_two_keys_is_an_error_or_mended_and_never_less(
    redis_server: RedisServer, make: Callable[[BaseSessionStore], Any], life: int
) -> None:
    prefix = f"{uuid4().hex[:12]}:"
    option = f"&expiration_seconds={life}" if life else ""
    async with store_from_url(f"{redis_server.url}?key_prefix={prefix}{option}") as store:
        read_many = connections_of(store).read_many
        await make(store)
        [names] = await read_many([("KEYS", f"{prefix}*")])
        await store.create("other")
        dumps = await read_many([("DUMP", name) for name in names])
        verbs = [verb for verb in VERBS if make is full or verb not in WRITES]
        expected = {(verb, name): await shown(store, verb, name) for verb in verbs for name in SESSIONS}
        wrong: list[Any] = []
        for lost in [*((name,) for name in names), *combinations(names, 2)]:
            restored: list[Any] = [
                ("RESTORE", name, 1_000 * life, dump, "REPLACE") for name, dump in zip(names, dumps, strict=True)
            ]
            await read_many([*restored, ("UNLINK", *lost)])
            for verb in verbs if len(lost) == 1 else EXISTENCE:
                seen = await asyncio.gather(*(shown(store, verb, name) for name in SESSIONS))
                # Told once that a key is lost, which has been put back, the next reader sees the whole.
                wrong += [
                    (*lost, name, each)
                    for name, each in zip(SESSIONS, seen, strict=True)
                    if each not in (expected[verb, name], CorruptSession)
                ]

    assert wrong == []


@pytest.mark.parametrize("verb", [*VERBS[:9], *WRITES])
async def test_a_session_below_a_root_of_which_nothing_tells_is_an_error_while_it_is_there_itself(
    store: BaseSessionStore, verb: Verb
) -> None:
    await full(store)
    await store.create("other")
    keys = await keys_of(store, "kid")
    read_many = connections_of(store).read_many
    before = await shown(store, verb, "kid")
    await read_many([("UNLINK", keys.tree, *keys.of_root)])

    seen = await shown(store, verb, "kid")

    assert seen in (before, CorruptSession)
    assert await read_many([("EXISTS", keys.head, keys.log, keys.ids)]) == [3]


async def test_what_a_cascade_took_along_is_absent_and_not_damaged_until_it_is_removed(store: BaseSessionStore) -> None:
    await full(store)
    keys = await keys_of(store, "kid")
    backend: Any = backend_of(store)
    forgotten: list[Any] = []

    async def dies(taken: Any) -> None:
        forgotten.extend(taken)

    reaper = backend._deleter._reaper
    reaper.remove_below, remove_below = dies, reaper.remove_below
    reaper.finish_cascades, finish_cascades = dies, reaper.finish_cascades
    await store.delete("talk", children="cascade")
    reaper.remove_below, reaper.finish_cascades = remove_below, finish_cascades
    assert forgotten
    assert await connections_of(store).read_many([("EXISTS", keys.head, keys.log, keys.ids)]) == [3]

    assert await shown(store, VERBS[0], "kid") is None
    assert await store.list_sessions() == []
    assert await connections_of(store).read_many([("EXISTS", *keys.all_of_session, keys.gone)]) == [0]
    await store.create("kid")


@pytest.mark.parametrize("part", ["head", "log", "ids", "hidden", "runs"])
async def test_a_session_that_lost_a_part_is_deleted_by_its_id_as_the_error_says(
    store: BaseSessionStore, part: str
) -> None:
    keys = await grown(store)
    await connections_of(store).read_many([("DEL", keys[part])])
    with pytest.raises(CorruptSession, match="or delete it"):
        await store.get("talk")

    await store.delete("talk")

    assert await store.get("talk") is None
    assert (await store.create("talk")).events == []


async def test_a_session_of_a_newer_release_is_not_deleted_by_its_id(store: BaseSessionStore) -> None:
    keys = await grown(store)
    await connections_of(store).read_many([("HSET", keys["head"], "v", "99")])

    with pytest.raises(CorruptSession, match="upgrade"):
        await store.delete("talk")
