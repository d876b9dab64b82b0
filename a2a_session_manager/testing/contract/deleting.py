"""Deleting: a session is gone in one step, and nothing that comes late brings it back."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.lossy import LossyBackend
from a2a_session_manager.testing.contract.making import ids, said, several, spending, whole
from a2a_session_manager.testing.contract.trees import plant


class DeletingContract(ContractBase):
    async def test_a_deleted_session_is_absent_to_every_verb(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.delete("talk")
        again = await reopen()

        assert await again.get("talk") is None
        assert await again.get_many(["talk"]) == [None]
        assert await again.list_sessions() == []
        for verb in (again.events, again.runs, again.children, again.tree, again.usage):
            with pytest.raises(SessionNotFound):
                await verb("talk")

    async def test_deleting_what_is_absent_is_fine(self, store: BaseSessionStore, reopen: Reopen) -> None:
        session = await store.create("talk")
        for target in (session, session, "talk", "nowhere"):
            await store.delete(target)

        assert await (await reopen()).list_sessions() == []

    async def test_a_session_with_children_is_deleted_only_when_told_to_cascade(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await plant(store)

        with pytest.raises(InvalidSessionOperation, match="cascade"):
            await store.delete("a")
        with pytest.raises(InvalidSessionOperation, match="maybe"):
            await store.delete("a", children="maybe")  # type: ignore[arg-type]  # a bad argument is what is tested

        assert len(await (await reopen()).tree("root")) == 6

    async def test_a_cascade_takes_all_below_and_nothing_else(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await plant(store)
        await store.delete("a", children="cascade")

        again = await reopen()

        assert await again.tree("root") == [("root", None), ("b", "root"), ("b1", "b")]
        assert await again.children("root") == ["b"]
        assert sorted(await again.list_sessions()) == ["b", "b1", "root"]
        assert await again.get_many(["a", "a1", "a2"]) == [None, None, None]

    async def test_a_leaf_that_is_deleted_leaves_its_parent(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await plant(store)
        await store.delete("a1")

        again = await reopen()

        assert await again.children("a") == ["a2"]
        assert (await whole(again, "a")).child_ids == ["a2"]

    @pytest.mark.parametrize("by", ["id", "handle"])
    @pytest.mark.parametrize("gone", ["root", "leaf"])
    async def test_a_late_append_brings_no_deleted_session_back(
        self, store: BaseSessionStore, reopen: Reopen, gone: str, by: str
    ) -> None:
        handles = {"root": await store.create("root"), "leaf": await store.create("leaf", parent_id="root")}
        await store.delete("root", children="cascade")

        with pytest.raises(SessionNotFound):
            await store.append(gone if by == "id" else handles[gone], said("late"))

        again = await reopen()
        assert await again.get(gone) is None
        assert await again.list_sessions() == []

    @pytest.mark.parametrize("gone", ["root", "leaf"])
    async def test_a_late_save_brings_no_deleted_session_back(
        self, store: BaseSessionStore, reopen: Reopen, gone: str
    ) -> None:
        handles = {"root": await store.create("root"), "leaf": await store.create("leaf", parent_id="root")}
        await store.delete("root", children="cascade")
        handles[gone].state["late"] = True

        with pytest.raises(SessionNotFound):
            await store.save(handles[gone])

        again = await reopen()
        assert await again.get(gone) is None
        assert await again.list_sessions() == []

    async def test_a_late_child_of_a_deleted_parent_is_refused_and_brings_neither_back(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("parent")
        late = Session(id="late", parent_id="parent")
        await store.delete("parent")

        with pytest.raises(SessionNotFound):
            await store.save(late)

        assert await (await reopen()).list_sessions() == []

    async def test_a_child_under_creation_does_not_land_under_a_later_session_of_its_parents_id(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        backend = LossyBackend(store._open_backend)
        held = BaseSessionStore(backend)
        await store.create("parent")
        backend.hold()
        late = asyncio.ensure_future(held.create("late", parent_id="parent"))
        await backend.begun.wait()
        await store.delete("parent")
        await store.create("parent")
        backend.go.set()

        with pytest.raises(SessionNotFound):
            await late

        again = await reopen()
        assert await again.children("parent") == []
        assert await again.list_sessions() == ["parent"]

    async def test_an_old_handle_never_hits_a_later_session_of_the_same_id(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        old = await store.create("talk", change=SessionChange(events=several(2)))
        await store.delete("talk")
        await store.create("talk", change=SessionChange(events=[said(id="later")]))
        old.add_event(said("unsaved"))

        with pytest.raises(SessionNotFound):
            await store.save(old)
        with pytest.raises(SessionNotFound):
            await store.append(old, said())
        with pytest.raises(SessionNotFound):
            await store.retract(old, last=1)
        with pytest.raises(SessionNotFound):
            await store.commit(old, SessionChange(set_state={"k": 1}), expected_revision=old.revision)
        await store.delete(old)

        again = await whole(await reopen(), "talk")
        assert (ids(again.events), again.state, again.revision) == (["later"], {}, 1)

    async def test_a_later_session_of_the_same_id_starts_from_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("root")
        await store.create("talk", parent_id="root", change=SessionChange(events=[spending(5, id="e1")]))
        await store.commit("talk", SessionChange(set_state={"k": 1}), write_id="w")
        await store.delete("talk")
        await store.create("talk")
        await store.append("talk", said("new", id="e1"))
        await store.commit("talk", SessionChange(set_state={"k": 2}), write_id="w")

        again = await reopen()

        session = await whole(again, "talk")
        assert (session.parent_id, session.state, session.revision) == (None, {"k": 2}, 3)
        assert [(event.message, event.seq) for event in session.events] == [("new", 1)]
        assert (await again.usage("talk")).total.requests == 0
        assert await again.children("root") == []

    async def test_a_child_of_a_deleted_session_does_not_appear_under_a_later_session_of_the_same_id(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await plant(store)
        await store.delete("root", children="cascade")
        await store.create("root")

        again = await reopen()

        assert await again.children("root") == []
        assert await again.tree("root") == [("root", None)]
        assert await again.get("a") is None

    async def test_writes_racing_with_a_delete_bring_nothing_back(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk")
        writes = [store.append("talk" if number % 2 else handle, said()) for number in range(20)]
        children = [store.create(f"child{number}", parent_id="talk") for number in range(5)]

        outcomes = await asyncio.gather(
            *writes[:10], *children, store.delete("talk", children="cascade"), *writes[10:], return_exceptions=True
        )
        failed = [each for each in outcomes if isinstance(each, BaseException)]
        await store.delete("talk", children="cascade")

        assert [each for each in failed if not isinstance(each, SessionNotFound)] == []
        again = await reopen()
        assert await again.list_sessions() == []
        assert await again.get_many(["talk", *(f"child{number}" for number in range(5))]) == [None] * 6

    @pytest.mark.parametrize("by_handle", [True, False], ids=["by handle", "by id"])
    async def test_a_guarded_delete_of_what_was_written_to_since_conflicts_and_deletes_nothing(
        self, store: BaseSessionStore, reopen: Reopen, by_handle: bool
    ) -> None:
        await store.create("parent")
        await store.create("talk", parent_id="parent", change=SessionChange(events=[said(id="old")]))
        await store.create("child", parent_id="talk")
        seen = await whole(store, "talk")
        await (await reopen()).append("talk", said(id="back"))

        with pytest.raises(SessionConflict) as caught:
            await store.delete(seen if by_handle else "talk", children="cascade", expected_revision=seen.revision)

        assert (caught.value.expected_revision, caught.value.revision) == (1, 2)
        assert ids(caught.value.missed_events) == ["back"]
        again = await reopen()
        assert ids((await whole(again, "talk")).events) == ["old", "back"]
        assert await again.children("talk") == ["child"]

    async def test_a_guarded_delete_at_the_current_revision_deletes_and_is_fine_when_repeated(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("parent")
        handle = await store.create("talk", parent_id="parent")
        child = await store.create("child", parent_id="talk")
        # Commits to its children do not change its own revision.
        await store.append(child, said())

        with pytest.raises(InvalidSessionOperation, match="children"):
            await store.delete(handle, expected_revision=1)
        for _ in range(2):
            await store.delete(handle, children="cascade", expected_revision=1)
        await store.delete("talk", expected_revision=7)

        again = await reopen()
        assert await again.get_many(["talk", "child"]) == [None, None]
        assert await again.children("parent") == []

    async def test_a_guarded_delete_deletes_no_commit_that_comes_at_the_same_time(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        for number in range(6):
            name = f"talk {number}"
            handle = await store.create(name)

            deleted, written = await asyncio.gather(
                store.delete(handle, expected_revision=1), store.append(name, said()), return_exceptions=True
            )

            is_there = await (await reopen()).get(name) is not None
            assert isinstance(deleted, SessionConflict) is is_there
            assert isinstance(written, SessionNotFound) is not is_there
