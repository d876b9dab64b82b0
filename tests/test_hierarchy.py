"""Walks over a tree: nearest first upwards, depth first downwards, and a hole is an error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InMemorySessionStore, Session, SessionChange, SessionEvent, SessionNotFound
from a2a_session_manager.hierarchy import ancestors, depth_first, descendants

# (id, parent), in creation order: siblings were made between other branches on purpose.
FAMILY = [("root", None), ("a", "root"), ("b", "root"), ("a1", "a"), ("b1", "b"), ("a2", "a"), ("a11", "a1")]


@pytest.fixture
async def store() -> InMemorySessionStore:
    store = InMemorySessionStore()
    for session_id, parent_id in FAMILY:
        change = SessionChange(events=[SessionEvent(message=f"{session_id} {n}") for n in (1, 2)])
        await store.create(session_id, parent_id=parent_id, change=change)
    return store


async def read(store: InMemorySessionStore, session_id: str) -> Session[Any]:
    session = await store.get(session_id)
    assert session is not None
    return session


def ids(sessions: list[Session[Any]]) -> list[str]:
    return [session.id for session in sessions]


async def test_ancestors_come_nearest_first(store: InMemorySessionStore) -> None:
    session = await read(store, "a11")

    assert ids(await session.ancestors()) == ["a1", "a", "root"]
    assert ids(await ancestors(session, store)) == ["a1", "a", "root"]


async def test_a_root_has_no_ancestors(store: InMemorySessionStore) -> None:
    assert await (await read(store, "root")).ancestors() == []


async def test_descendants_come_depth_first_siblings_in_creation_order(store: InMemorySessionStore) -> None:
    session = await read(store, "root")

    assert ids(await session.descendants()) == ["a", "a1", "a11", "a2", "b", "b1"]
    assert ids(await descendants(session, store)) == ["a", "a1", "a11", "a2", "b", "b1"]


async def test_descendants_of_a_branch_stay_inside_it(store: InMemorySessionStore) -> None:
    assert ids(await (await read(store, "a")).descendants()) == ["a1", "a11", "a2"]
    assert await (await read(store, "a11")).descendants() == []


async def test_relatives_come_without_events_unless_asked(store: InMemorySessionStore) -> None:
    session = await read(store, "a1")

    bare = [*await session.ancestors(), *await session.descendants()]
    newest = [*await session.ancestors(last=1), *await session.descendants(last=1)]
    whole = [*await session.ancestors(last=None), *await session.descendants(last=None)]

    assert [len(each.events) for each in bare] == [0, 0, 0]
    assert [[event.message for event in each.events] for each in newest] == [["a 2"], ["root 2"], ["a11 2"]]
    assert [len(each.events) for each in whole] == [2, 2, 2]


async def test_a_parent_that_is_missing_raises_and_names_both() -> None:
    orphan = Session(id="child", parent_id="nobody")

    with pytest.raises(SessionNotFound, match=r"'child' names 'nobody' above it.*save the parent first") as caught:
        await orphan.ancestors(store=InMemorySessionStore())

    assert caught.value.session_id == "nobody"


async def test_a_parent_in_another_store_is_found_when_that_store_is_passed(store: InMemorySessionStore) -> None:
    child = Session(parent_id="a1")

    assert ids(await child.ancestors(store=store)) == ["a1", "a", "root"]


async def test_descendants_of_a_session_that_is_not_stored_raise(store: InMemorySessionStore) -> None:
    with pytest.raises(SessionNotFound):
        await Session(id="nobody").descendants(store=store)


async def test_a_descendant_that_was_deleted_is_left_out(store: InMemorySessionStore) -> None:
    session = await read(store, "root")

    await store.delete("a1", children="cascade")

    assert ids(await session.descendants()) == ["a", "a2", "b", "b1"]


@st.composite
def forests(draw: st.DrawFn) -> list[tuple[str, str | None]]:
    size = draw(st.integers(1, 30))
    return [(str(n), None if n == 0 else str(draw(st.integers(0, n - 1)))) for n in range(size)]


def recursive(session_id: str, nodes: list[tuple[str, str | None]]) -> list[str]:
    found = []
    for child_id, parent_id in nodes:
        if parent_id == session_id:
            found += [child_id, *recursive(child_id, nodes)]
    return found


@given(forests(), st.data())
@settings(deadline=None)
def test_depth_first_gives_what_a_recursive_walk_gives(
    nodes: list[tuple[str, str | None]], data: st.DataObject
) -> None:
    start, _ = data.draw(st.sampled_from(nodes))

    assert depth_first(start, nodes) == recursive(start, nodes)


def test_a_deep_tree_needs_no_recursion() -> None:
    nodes = [(str(n), None if n == 0 else str(n - 1)) for n in range(5_000)]

    assert len(depth_first("0", nodes)) == 4_999
