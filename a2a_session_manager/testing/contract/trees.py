"""Trees: a parent is given at creation, exists in the same namespace, and never changes."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import said, several, whole

DEEPEST = 256


async def plant(store: BaseSessionStore) -> None:
    """Make root → (a → (a1, a2), b → b1), with b before a2."""
    for session_id, parent_id in (("root", None), ("a", "root"), ("a1", "a"), ("b", "root"), ("a2", "a"), ("b1", "b")):
        await store.create(session_id, parent_id=parent_id)


class TreesContract(ContractBase):
    async def test_children_stand_in_creation_order(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("root")
        for name in ("z", "m", "a"):
            await store.create(name, parent_id="root")
        await store.save(Session(id="b", parent_id="root"))

        again = await reopen()

        assert await again.children("root") == ["z", "m", "a", "b"]
        assert (await whole(again, "root")).child_ids == ["z", "m", "a", "b"]

    async def test_every_session_knows_its_parent_and_its_root(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await plant(store)

        found = await (await reopen()).get_many(["root", "a", "b1"])

        assert [(each.parent_id, each.root_id) for each in found if each] == [
            (None, "root"),
            ("root", "root"),
            ("b", "root"),
        ]

    async def test_the_tree_lists_all_of_it_in_creation_order_from_any_of_its_sessions(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await plant(store)
        await store.create("stranger")
        again = await reopen()

        trees = [await again.tree(name) for name in ("root", "a", "b1")]

        expected = [("root", None), ("a", "root"), ("a1", "a"), ("b", "root"), ("a2", "a"), ("b1", "b")]
        assert trees == [expected] * 3

    async def test_ancestors_are_nearest_first_and_bring_no_events(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await plant(store)
        await store.append("b", *several(2))
        leaf = await whole(await reopen(), "b1")

        assert [(each.id, len(each.events)) for each in await leaf.ancestors()] == [("b", 0), ("root", 0)]
        assert [len(each.events) for each in await leaf.ancestors(last=1)] == [1, 0]
        assert await (await whole(await reopen(), "root")).ancestors() == []

    async def test_descendants_are_depth_first_with_siblings_in_creation_order(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await plant(store)
        again = await reopen()

        below = {name: await (await whole(again, name)).descendants() for name in ("root", "a", "a1")}

        assert {name: [each.id for each in found] for name, found in below.items()} == {
            "root": ["a", "a1", "a2", "b", "b1"],
            "a": ["a1", "a2"],
            "a1": [],
        }

    async def test_a_parent_that_does_not_exist_is_refused_and_no_child_is_made(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        with pytest.raises(SessionNotFound, match="nobody"):
            await store.create("child", parent_id="nobody")
        with pytest.raises(SessionNotFound, match="nobody"):
            await store.save(Session(id="child", parent_id="nobody"))

        assert await (await reopen()).list_sessions() == []

    async def test_a_parent_of_another_namespace_is_refused(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.namespace("theirs").create("parent")

        with pytest.raises(SessionNotFound):
            await store.namespace("mine").create("child", parent_id="parent")

        again = await reopen()
        assert await again.namespace("mine").get("child") is None
        assert await again.namespace("theirs").children("parent") == []

    async def test_a_session_cannot_be_its_own_parent(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("taken")

        with pytest.raises(SessionNotFound):
            await store.create("self", parent_id="self")
        with pytest.raises(SessionNotFound):
            await store.save(Session(id="self", parent_id="self"))
        with pytest.raises(SessionAlreadyExists):
            await store.create("taken", parent_id="taken")

        again = await reopen()
        assert await again.list_sessions() == ["taken"]
        assert await again.children("taken") == []

    async def test_a_child_that_was_refused_leaves_no_trace_in_its_parent(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("root")
        await store.create("taken")
        with pytest.raises(SessionAlreadyExists):
            await store.create("taken", parent_id="root")

        again = await reopen()
        assert await again.children("root") == []
        assert await again.tree("root") == [("root", None)]
        assert (await whole(again, "taken")).parent_id is None

    async def test_a_tree_may_be_256_levels_deep_and_no_deeper(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("level 1")
        for level in range(2, DEEPEST + 1):
            await store.create(f"level {level}", parent_id=f"level {level - 1}")

        with pytest.raises(InvalidSessionOperation, match="256"):
            await store.create("too deep", parent_id=f"level {DEEPEST}")
        with pytest.raises(InvalidSessionOperation, match="256"):
            await store.save(Session(id="too deep", parent_id=f"level {DEEPEST}"))
        for level in (DEEPEST - 1, DEEPEST):
            await store.append(f"level {level}", said())
        assert (await store.fork(f"level {DEEPEST - 1}")).parent_id == f"level {DEEPEST - 1}"
        with pytest.raises(InvalidSessionOperation, match=r"257.*256.*detached"):
            await store.fork(f"level {DEEPEST}", new_id="too deep")

        again = await reopen()
        leaf = await whole(again, f"level {DEEPEST}")
        assert len(await leaf.ancestors()) == DEEPEST - 1
        assert await again.get("too deep") is None
        await again.delete("level 1", children="cascade")
        assert await again.list_sessions() == []

    async def test_walks_over_a_missing_session_say_so(self, store: BaseSessionStore) -> None:
        await store.create("root")
        leaf = await store.create("leaf", parent_id="root")
        await store.delete("root", children="cascade")

        with pytest.raises(SessionNotFound, match="root"):
            await leaf.ancestors()
        with pytest.raises(SessionNotFound, match="leaf"):
            await leaf.descendants()
        for verb in (store.tree, store.children, store.children_page):
            with pytest.raises(SessionNotFound):
                await verb("root")
