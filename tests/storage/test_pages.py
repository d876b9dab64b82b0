"""Pages of heads: what stores are told to find by, what the verbs make of any backend, and memory's index."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakeredis import FakeServer

from a2a_session_manager import (
    BaseSessionStore,
    FileSessionStore,
    InMemorySessionStore,
    InvalidSessionOperation,
    PageOrder,
    RedisSessionStore,
    SessionChange,
    SessionEvent,
    SessionManager,
    create_file_session_store,
    create_redis_session_store,
    store_from_url,
)
from a2a_session_manager.concurrency import slices
from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.models import clock
from a2a_session_manager.storage import namespace_following, namespace_looks
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.page_records import HeadPage, PageQuery, TimePosition
from a2a_session_manager.storage.page_rules import folded, position_of, position_text
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey
from tests.storage.redis.looks import fake_client


async def made(store: BaseSessionStore, session_id: str, **properties: Any) -> None:
    await store.create(session_id, change=SessionChange(set_properties=properties))


def memory_of(store: BaseSessionStore) -> MemoryBackend:
    backend = store._open_backend
    assert isinstance(backend, MemoryBackend)
    return backend


async def test_every_way_to_make_a_store_takes_the_properties_to_find_by(tmp_path: Path) -> None:
    names = ("owner", "team")
    for store in (
        InMemorySessionStore(indexed=names),
        FileSessionStore(tmp_path, indexed=iter(names)),  # type: ignore[arg-type]  # an iterator is read once
        create_file_session_store(tmp_path, indexed=["owner", "team", "owner"]),
        RedisSessionStore(fake_client(FakeServer()), indexed=names),
        create_redis_session_store(indexed=names),
        store_from_url("memory:", indexed=names),
        store_from_url(f"file:{tmp_path}", indexed=names),
        store_from_url("redis://nowhere", indexed=names),
        SessionManager.from_url("memory:", indexed=names).store,
    ):
        assert isinstance(store, BaseSessionStore)
        assert tuple(store._open_backend.indexed) == names
        await store.aclose()


@pytest.mark.parametrize("bad", ["owner", 5, None, [5], [""], [None], ["\ud83d"], {"owner": 1}])
def test_what_is_no_property_to_find_by_is_refused(bad: Any, tmp_path: Path) -> None:
    path = tmp_path / "store"
    makers: list[Callable[[], object]] = [
        lambda: InMemorySessionStore(indexed=bad),
        lambda: FileSessionStore(path, indexed=bad),
        lambda: create_redis_session_store(indexed=bad),
        lambda: store_from_url("memory:", indexed=bad),
    ]
    for make in makers:
        with pytest.raises(InvalidSessionOperation, match="indexed"):
            make()
    assert not path.exists()


def test_a_position_comes_back_from_its_cursor() -> None:
    for position in (TimePosition(-5, "a b\x00\ud83d"), TimePosition(2**60, "é", 7)):
        assert position_of(position_text(position)) == position
    assert position_of(None) is None


NO_POSITIONS = ["", "x", "5", "null", "[]", "[1]", '[1,"a"]', '["1","a",null]', "[1,2,null]", '[true,"a",null]', "{}"]


@pytest.mark.parametrize("bad", [*NO_POSITIONS, "[" * 100_000])
def test_what_is_no_position_is_refused(bad: str) -> None:
    with pytest.raises(InvalidSessionOperation, match="cursor"):
        position_of(bad)


def test_titles_are_folded_as_people_read_them() -> None:
    assert folded("STRASSE") == folded("straße")
    assert folded("Cafe\u0301") == folded("CAF\u00c9")
    assert folded("\uff2fslo") == folded("OSLO")
    assert folded("I") != folded("l")


async def test_a_damaged_title_is_damage_and_no_other_title() -> None:
    store = InMemorySessionStore()
    await made(store, "talk", title="Oslo")
    memory_of(store)._sessions[SessionKey((), "talk")].head.properties["title"] = b'"Os'

    for title in (None, "oslo"):
        with pytest.raises(CorruptSession, match="talk"):
            await store.page(title=title)


async def test_a_page_of_a_namespace_without_sessions_is_empty_and_leaves_nothing() -> None:
    store = InMemorySessionStore(indexed=["owner"])
    orders: tuple[PageOrder, ...] = ("updated", "created", "id")
    for order in orders:
        page = await store.namespace("acme").page(order=order, properties={"owner": "ann"})
        assert (list(page), page.cursor) == ([], None)
    await made(store.namespace("acme"), "talk", owner="ann")
    await store.namespace("acme").page(properties={"owner": "ann"})
    await store.namespace("acme").delete("talk")

    assert not memory_of(store)._ids._ids
    assert await store.namespace("acme").count(properties={"owner": "ann"}) == 0


async def test_nothing_is_kept_of_a_value_that_no_session_has_any_more() -> None:
    store = InMemorySessionStore(indexed=["owner"])
    await made(store, "stays", owner="ann")
    for number in range(20):
        await made(store, f"s{number}", owner=f"user {number}")
        for owner in ("ann", f"user {number}"):
            await store.page(properties={"owner": owner})
        await store.commit(f"s{number}", SessionChange(set_properties={"owner": "ann"}))
    for number in range(20):
        await store.delete(f"s{number}")

    index, query = memory_of(store)._indexes[()], PageQuery("updated", properties={"owner": b'"ann"'})
    group = index.group_for(query)
    assert group is not None
    assert list(index._by_value) == [("owner", b'"ann"')]
    assert [session_id for _, session_id in await group.places(query)] == ["stays"]
    assert [head.id for head in await store.page(properties={"owner": "ann"})] == ["stays"]


async def test_a_row_that_is_kept_is_in_order_however_much_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000_000_000_000
    monkeypatch.setattr(clock, "time_ns", lambda: now)
    store = InMemorySessionStore()
    for number in range(300):
        await made(store, f"s{number}")
    before = [head.id for head in await store.page(limit=300)]
    for many in (250, 20):
        for number in range(many):
            now += 1_000_000
            await store.append(f"s{number * 7 % 300}", SessionEvent(message="x"))
            if number % 10 == 0:
                await store.delete(f"s{number * 7 % 300}")
                await made(store, f"s{number * 7 % 300}")
        heads = await store.page(limit=300)
        expected = sorted(heads, key=lambda head: (head.updated_at, head.id), reverse=True)
        assert [head.id for head in heads] == [head.id for head in expected] != before
        assert len(heads) == 300


async def test_the_loop_has_its_turn_while_titles_are_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_SLICE_SECONDS", 0)  # each is over at once, so that the machine's speed does not count
    store = InMemorySessionStore()
    for number in range(600):
        await made(store, f"s{number}", title=f"Talk {number} about a city in Norway")
    orders: tuple[PageOrder, ...] = ("updated", "id")
    for order in orders:
        turns = 0

        async def count_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticker = asyncio.create_task(count_turns())
        assert len(await store.page(order=order, title="sweden")) == 0
        ticker.cancel()

        assert turns > 5


async def test_a_page_is_whole_while_all_it_is_made_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_SLICE_SECONDS", 0)
    store = InMemorySessionStore(indexed=["owner"])
    for number in range(50):
        await made(store, f"s{number}", owner="ann")

    async def write() -> None:
        for number in range(200):
            await store.append(f"s{number % 50}", SessionEvent(message="x"))
            await store.commit("s0", SessionChange(set_properties={"owner": "bob" if number % 2 else "ann"}))
            await asyncio.sleep(0)

    writing = [asyncio.create_task(write()) for _ in range(4)]
    for _ in range(5):
        found = {head.id for head in await store.page(properties={"owner": "ann"}, limit=50)}
        assert found - {"s0"} == {f"s{number}" for number in range(1, 50)}
        await store.page(properties={"owner": "bob"})
    await asyncio.gather(*writing)

    assert [head.id for head in await store.page(properties={"owner": "bob"})] == ["s0"]


class _Counting(MemoryBackend):
    looks_taken = 0

    async def stamps(self, keys: Sequence[SessionKey]) -> list[str | None]:
        self.looks_taken += 1
        await asyncio.sleep(0)
        return await super().stamps(keys)


async def test_all_who_follow_a_namespace_share_its_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 0.0
    ours = SimpleNamespace(monotonic=lambda: seconds)
    for module in (namespace_looks, namespace_following):
        monkeypatch.setattr(module, "time", ours)
    monkeypatch.setattr(namespace_following, "LEAST_PAUSE_SECONDS", 0.01)
    backend = _Counting()
    store = BaseSessionStore(backend)
    await made(store, "talk")
    page = await store.page()
    streams = [store.follow_namespace(since=page) for _ in range(20)]
    await store.append("talk", SessionEvent(message="x"))
    told = await asyncio.gather(*map(anext, streams))
    looks = [backend.looks_taken]
    coming = [asyncio.ensure_future(anext(stream)) for stream in streams]
    await asyncio.sleep(0.05)  # they look, and there is no news
    await store.commit("talk", SessionChange(set_properties={"title": "Oslo"}))
    seconds += 10
    came = await asyncio.gather(*coming)
    looks.append(backend.looks_taken)
    for stream in streams:
        await stream.aclose()

    assert [(change.kind, change.id) for change in (*told, *came)] == [("changed", "talk")] * 40
    assert looks == [1, 2]
    assert not backend.looks


class _Rough(MemoryBackend):
    """Knows the order of activity to a minute, as an index may to some seconds."""

    async def page(self, namespace: Any, query: PageQuery, *, cursor: str | None, limit: int, last: int) -> HeadPage:
        page = await super().page(namespace, query, cursor=cursor, limit=limit, last=last)

        def rough(loaded: LoadedSession) -> tuple[int, str]:
            return loaded.head.updated_at // 60_000_000, loaded.head.key.id

        return page._replace(sessions=sorted(page.sessions, key=rough))


async def test_a_page_is_sorted_exactly_whatever_the_backend_knows() -> None:
    store = BaseSessionStore(_Rough())
    for name in ("b", "a", "c"):
        await made(store, name)

    assert [head.id for head in await store.page()] == ["c", "a", "b"]
    assert [head.id for head in await store.page(newest_first=False)] == ["b", "a", "c"]
