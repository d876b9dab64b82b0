"""Ids that two want at once, and listings beside creations: each race taken step by step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import SessionAlreadyExists, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.script import Script, ScriptCall
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import said
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of, keys_of

OpenStore = Callable[..., BaseSessionStore]


@pytest.fixture
def prefix() -> str:
    return f"{uuid4().hex[:12]}:"


@pytest.fixture
async def open_store(redis_server: RedisServer, prefix: str) -> AsyncIterator[OpenStore]:
    """Open stores over the same data, as so many processes would; they create step by step, as on a cluster."""
    opened: list[BaseSessionStore] = []

    def open_one(*, at_once: bool = False) -> BaseSessionStore:
        opened.append(store_from_url(f"{redis_server.url}?key_prefix={prefix}"))
        creator: Any = backend_of(opened[-1])._creator
        creator._is_at_once = at_once
        return opened[-1]

    yield open_one
    for store in opened:
        await store.aclose()


class Stall:
    """Holds up the next calls of one script in one store, until `go` is set."""

    def __init__(self, store: BaseSessionStore, script: Script) -> None:
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self._script = script
        connections: Any = connections_of(store)
        self._original = connections.run_many
        connections.run_many = self._run_many
        connections.send_now = lambda calls: None  # nothing gets past the stall

    async def _run_many(self, calls: Sequence[ScriptCall], _: None = None, **options: Any) -> list[Any]:
        if any(call.script is self._script for call in calls):
            self.reached.set()
            await self.go.wait()
        answers: list[Any] = await self._original(calls, **options)
        return answers


@asynccontextmanager
async def stalled(store: BaseSessionStore, script: Script, work: Any) -> AsyncIterator[asyncio.Task[Any]]:
    """Begin `work`, which stalls before `script`; it goes on after the block."""
    stall = Stall(store, script)
    task = asyncio.ensure_future(work)
    await asyncio.wait_for(stall.reached.wait(), 10)
    yield task
    stall.go.set()
    await asyncio.wait({task}, timeout=10)


async def homes(store: BaseSessionStore, *roots: str) -> list[str]:
    """Return the roots whose trees hold a session `kid`."""
    return [root for root in roots if "kid" in [name for name, _ in await store.tree(root)]]


async def test_a_stalled_claimant_whose_claim_was_taken_over_finds_the_id_taken(open_store: OpenStore) -> None:
    slow, quick = open_store(), open_store()
    for root in ("one", "two"):
        await quick.create(root)

    async with stalled(slow, scripts.CREATE_CHILD, slow.create("kid", parent_id="one")) as late:
        await quick.create("kid", parent_id="two", change=SessionChange(events=[said("mine")]))

    assert isinstance(late.exception(), SessionAlreadyExists)
    cold = open_store()
    assert await homes(cold, "one", "two") == ["two"]
    assert [event.message for event in await cold.events("kid")] == ["mine"]
    assert sorted(await cold.list_sessions()) == ["kid", "one", "two"]


async def test_a_stalled_claimant_finds_the_id_taken_by_a_root(open_store: OpenStore) -> None:
    slow, quick = open_store(), open_store()
    await quick.create("one")

    async with stalled(slow, scripts.CREATE_CHILD, slow.create("kid", parent_id="one")) as late:
        await quick.create("kid", change=SessionChange(events=[said("mine")]))

    assert isinstance(late.exception(), SessionAlreadyExists)
    cold = open_store()
    assert await homes(cold, "one") == []
    assert [event.message for event in await cold.events("kid")] == ["mine"]


async def test_a_claimant_that_comes_between_the_forbidding_and_the_swap_wins_with_a_new_claim(
    open_store: OpenStore,
) -> None:
    slow, taker = open_store(), open_store()
    for root in ("one", "two"):
        await taker.create(root)

    async with stalled(slow, scripts.CREATE_CHILD, slow.create("kid", parent_id="one")) as first:
        taker_stall = Stall(taker, scripts.FORBID)
        second = asyncio.ensure_future(taker.create("kid", parent_id="two"))
        await asyncio.wait_for(taker_stall.reached.wait(), 10)
        forbidden, go_on = asyncio.Event(), asyncio.Event()
        _stop_after_forbidding(taker_stall, forbidden, go_on)
        taker_stall.go.set()
        await asyncio.wait_for(forbidden.wait(), 10)
    assert first.exception() is None
    go_on.set()

    with pytest.raises(SessionAlreadyExists):
        await second
    assert await homes(open_store(), "one", "two") == ["one"]


async def test_a_claimant_that_was_in_time_keeps_the_id(open_store: OpenStore) -> None:
    first, taker = open_store(), open_store()
    for root in ("one", "two"):
        await first.create(root)

    async with stalled(taker, scripts.CLAIM, taker.create("kid", parent_id="two")) as late:
        await first.create("kid", parent_id="one")

    assert isinstance(late.exception(), SessionAlreadyExists)
    assert await homes(open_store(), "one", "two") == ["one"]


async def test_many_that_make_one_id_below_many_roots_make_one_session(open_store: OpenStore) -> None:
    stores = [open_store(at_once=number % 2 == 0) for number in range(8)]
    roots = [f"root{number}" for number in range(8)]
    for root in roots:
        await stores[0].create(root)

    for _ in range(5):
        outcomes = await asyncio.gather(
            *(store.create("kid", parent_id=root) for store, root in zip(stores, roots, strict=True)),
            *(store.create("kid") for store in stores[:2]),
            return_exceptions=True,
        )
        made = [each for each in outcomes if not isinstance(each, BaseException)]
        cold = open_store()
        kid = await cold.get("kid")

        assert {type(each) for each in outcomes if isinstance(each, BaseException)} == {SessionAlreadyExists}
        assert len(made) == 1
        assert kid is not None
        assert await homes(cold, *roots) == ([kid.parent_id] if kid.parent_id else [])
        await cold.delete("kid")


async def test_a_create_that_comes_after_the_delete_of_what_it_made_brings_nothing_back(
    open_store: OpenStore,
) -> None:
    """Its first answer was lost: the same call comes a second time."""
    store = open_store()
    await store.create("one")
    calls: list[ScriptCall] = []
    with recorded(store, calls):
        await store.create("kid", parent_id="one")
        await store.create("root")
    for name in ("kid", "root"):
        await store.delete(name)

    again = [call for call in calls if call.script in (scripts.CREATE_CHILD, scripts.CREATE_ROOT)]
    answers = await connections_of(store).run_many(again)

    assert [answer[0] for answer in answers] == [b"DELETED", b"DELETED"]
    assert await open_store().get_many(["kid", "root"]) == [None, None]
    assert await open_store().tree("one") == [("one", None)]


async def test_a_creation_whose_line_was_pruned_before_it_was_there_is_listed(open_store: OpenStore) -> None:
    slow, lister = open_store(), open_store()

    async with stalled(slow, scripts.CREATE_ROOT, slow.create("talk")):
        assert await lister.list_sessions() == []

    assert await open_store().list_sessions() == ["talk"]


async def test_a_pruner_that_stalls_before_it_removes_puts_back_what_was_made_meanwhile(open_store: OpenStore) -> None:
    lister, writer = open_store(), open_store()
    keys = backend_of(writer)._locator.keys_of(writer._key("talk"))
    await backend_of(writer)._deleter._reaper._index.add([(keys, True)])
    index: Any = backend_of(lister)._listing._reaper._index
    reached, go = asyncio.Event(), asyncio.Event()
    remove = index.remove

    async def stalling(sessions: Any) -> None:
        reached.set()
        await go.wait()
        await remove(sessions)

    index.remove = stalling
    listing = asyncio.ensure_future(lister.list_sessions())
    await asyncio.wait_for(reached.wait(), 10)
    await writer.create("talk")
    go.set()
    await listing

    assert await open_store().list_sessions() == ["talk"]


async def test_a_line_of_the_index_that_leads_nowhere_is_passed_over_and_removed(open_store: OpenStore) -> None:
    store = open_store()
    await store.create("talk")
    backend = backend_of(store)
    for ghost in (backend._locator.keys_of(store._key("ghost")), (await keys_of(store, "talk")).of("kid")):
        await backend._deleter._reaper._index.add([(ghost, True)])
        shard, member = ghost.index_entry

        assert await store.list_sessions() == ["talk"]
        assert await connections_of(store).read_many([("ZSCORE", shard, member)]) == [None]


async def test_a_child_whose_parent_goes_while_it_is_made_leaves_its_id_free(open_store: OpenStore) -> None:
    slow, other = open_store(), open_store()
    await other.create("one")

    async with stalled(slow, scripts.CREATE_CHILD, slow.create("kid", parent_id="one")) as late:
        await other.delete("one")

    assert isinstance(late.exception(), SessionNotFound)
    await other.create("kid")
    assert await open_store().list_sessions() == ["kid"]


async def test_a_session_that_moved_to_another_root_is_found_by_who_knew_the_old_one(open_store: OpenStore) -> None:
    knows, other = open_store(), open_store()
    for root in ("one", "two"):
        await other.create(root)
    await knows.create("kid", parent_id="one")
    for parent_id in ("two", None, "one"):
        await other.delete("kid")
        await other.create("kid", parent_id=parent_id)

        await knows.append("kid", said("found"))

        assert [event.message for event in await open_store().events("kid")] == ["found"]


class recorded:  # noqa: N801  reads as a verb in `with`
    """Keeps the script calls of a store."""

    def __init__(self, store: BaseSessionStore, calls: list[ScriptCall]) -> None:
        self._connections: Any = connections_of(store)
        self._calls = calls

    def __enter__(self) -> None:
        original = self._original = self._connections.run_many

        async def run_many(calls: Sequence[ScriptCall], *sent: Any, **options: Any) -> list[Any]:
            self._calls += calls
            answers: list[Any] = await original(calls, *sent, **options)
            return answers

        self._connections.run_many = run_many

    def __exit__(self, *_: object) -> None:
        self._connections.run_many = self._original


def _stop_after_forbidding(stall: Stall, forbidden: asyncio.Event, go_on: asyncio.Event) -> None:
    """Let a store that stalls before FORBID stop again when its first one was answered."""
    original = stall._original

    async def then_stop(calls: Sequence[ScriptCall], **options: Any) -> list[Any]:
        answers: list[Any] = await original(calls, **options)
        if calls[0].script is scripts.FORBID and not forbidden.is_set():
            forbidden.set()
            await go_on.wait()
        return answers

    stall._original = then_stop
