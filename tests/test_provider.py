"""Which store is current: the innermost scope, else the one set, else a default that is made once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidSessionOperation,
    Session,
    SessionManager,
    SessionStoreProvider,
)


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    yield
    SessionStoreProvider.set_store(None)


def test_the_default_is_a_memory_store_made_once() -> None:
    first, second = SessionStoreProvider.get_store(), SessionStoreProvider.get_store()

    assert isinstance(first, InMemorySessionStore)
    assert first is second


def test_a_store_that_was_set_is_current() -> None:
    store = InMemorySessionStore()

    SessionStoreProvider.set_store(store)

    assert SessionStoreProvider.get_store() is store


def test_setting_none_goes_back_to_a_fresh_default() -> None:
    before = SessionStoreProvider.get_store()

    SessionStoreProvider.set_store(None)

    assert SessionStoreProvider.get_store() is not before


def test_without_a_default_the_error_says_what_to_call(monkeypatch: pytest.MonkeyPatch) -> None:
    SessionStoreProvider.set_store(None)
    monkeypatch.setattr(SessionStoreProvider, "default_factory", None)

    with pytest.raises(InvalidSessionOperation, match=r"SessionStoreProvider\.set_store\(store\)"):
        SessionStoreProvider.get_store()


def test_a_scope_wins_over_the_store_that_was_set_and_ends_with_its_block() -> None:
    outer, inner, innermost = InMemorySessionStore(), InMemorySessionStore(), InMemorySessionStore()
    SessionStoreProvider.set_store(outer)

    with SessionStoreProvider.use(inner) as used:
        assert used is inner
        assert SessionStoreProvider.get_store() is inner
        with SessionStoreProvider.use(innermost):
            assert SessionStoreProvider.get_store() is innermost
        assert SessionStoreProvider.get_store() is inner

    assert SessionStoreProvider.get_store() is outer


def test_a_scope_ends_with_its_block_also_on_an_error() -> None:
    outer = InMemorySessionStore()
    SessionStoreProvider.set_store(outer)

    with pytest.raises(ZeroDivisionError), SessionStoreProvider.use(InMemorySessionStore()):
        raise ZeroDivisionError

    assert SessionStoreProvider.get_store() is outer


async def test_two_tasks_do_not_see_each_others_scope() -> None:
    stores = {name: InMemorySessionStore() for name in "ab"}
    both_inside = asyncio.Barrier(2)

    async def tenant(name: str) -> object:
        with SessionStoreProvider.use(stores[name]):
            await both_inside.wait()
            return SessionStoreProvider.get_store()

    seen = await asyncio.gather(tenant("a"), tenant("b"))

    assert list(seen) == [stores["a"], stores["b"]]


async def test_a_task_started_in_a_scope_has_its_store() -> None:
    store = InMemorySessionStore()

    async def current() -> object:
        return SessionStoreProvider.get_store()

    with SessionStoreProvider.use(store):
        task = asyncio.create_task(current())

    assert await task is store


async def test_a_hand_made_child_walks_up_the_current_store() -> None:
    store = InMemorySessionStore()
    await store.create("top")

    with SessionStoreProvider.use(store):
        above = await Session(parent_id="top").ancestors()

    assert [session.id for session in above] == ["top"]


async def test_a_session_that_was_read_keeps_to_its_own_store() -> None:
    store = InMemorySessionStore()
    await store.create("top")
    child = await store.create("below", parent_id="top")

    with SessionStoreProvider.use(InMemorySessionStore()):
        above = await child.ancestors()

    assert [session.id for session in above] == ["top"]


def test_a_manager_without_a_store_takes_the_current_one() -> None:
    store = InMemorySessionStore()

    with SessionStoreProvider.use(store):
        manager = SessionManager()

    assert manager.store is store
