"""Guarded commits: a late one raises a conflict that says what was missed; a plain one never conflicts."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import SessionConflict
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import AnySession, ids, said, several, whole


class GuardingContract(ContractBase):
    async def test_a_guarded_commit_at_the_current_revision_is_written(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk")
        await store.append(handle, said(id="mine"), expected_revision=handle.revision)
        await store.commit(handle, SessionChange(set_state={"k": 1}), expected_revision=handle.revision)

        again = await whole(await reopen(), "talk")

        assert (ids(again.events), again.state, again.revision) == (["mine"], {"k": 1}, 3)

    async def test_a_late_guarded_commit_conflicts_and_tells_what_it_missed(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(2)))
        await store.append("talk", said(id="x"))
        await store.commit("talk", SessionChange(events=[said(id="y")], set_state={"k": 1}))

        with pytest.raises(SessionConflict) as failure:
            await store.append(handle, said(id="mine"), expected_revision=handle.revision)

        conflict = failure.value
        assert (conflict.session_id, conflict.expected_revision, conflict.revision) == ("talk", 1, 3)
        assert (conflict.first_missed_seq, conflict.last_missed_seq) == (3, 4)
        assert [(event.id, event.seq) for event in conflict.missed_events] == [("x", 3), ("y", 4)]
        assert ids((await whole(await reopen(), "talk")).events) == ["e1", "e2", "x", "y"]

    async def test_a_conflict_brings_at_most_a_hundred_of_the_missed_events(self, store: BaseSessionStore) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(5)))
        for batch in range(10):
            await store.append("talk", *several(25, f"b{batch}-"))

        with pytest.raises(SessionConflict) as failure:
            await store.commit(handle, SessionChange(), expected_revision=handle.revision)

        conflict = failure.value
        assert (conflict.first_missed_seq, conflict.last_missed_seq) == (6, 255)
        assert [event.seq for event in conflict.missed_events] == list(range(6, 106))

    @pytest.mark.parametrize("missed", [1, 99, 100, 101, 201])
    async def test_the_first_missed_event_is_found_whatever_the_distance(
        self, store: BaseSessionStore, missed: int
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(3)))
        await store.append("talk", *several(missed, "x"))

        with pytest.raises(SessionConflict) as failure:
            await store.append(handle, said(), expected_revision=handle.revision)

        assert (failure.value.first_missed_seq, failure.value.last_missed_seq) == (4, 3 + missed)
        assert len(failure.value.missed_events) == min(missed, 100)

    async def test_a_conflict_over_the_head_alone_names_no_missed_event(self, store: BaseSessionStore) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(3)))
        await store.commit("talk", SessionChange(set_state={"k": 1}))

        with pytest.raises(SessionConflict) as failure:
            await store.append(handle, said(), expected_revision=handle.revision)

        assert (failure.value.revision, failure.value.first_missed_seq, failure.value.last_missed_seq) == (
            2,
            None,
            None,
        )
        assert failure.value.missed_events == []

    async def test_a_missed_event_that_is_hidden_by_now_says_so(self, store: BaseSessionStore) -> None:
        handle = await store.create("talk")
        await store.append("talk", *several(2))
        await store.retract("talk", "e1")

        with pytest.raises(SessionConflict) as failure:
            await store.append(handle, said(), expected_revision=handle.revision)

        assert [(event.id, event.retracted) for event in failure.value.missed_events] == [("e1", True), ("e2", False)]

    async def test_a_guard_ahead_of_the_store_conflicts_too(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk")

        with pytest.raises(SessionConflict) as failure:
            await store.append("talk", said(), expected_revision=7)

        assert (failure.value.revision, failure.value.missed_events) == (1, [])
        assert (await whole(await reopen(), "talk")).events == []

    async def test_a_guarded_save_of_nothing_still_looks_at_the_revision(self, store: BaseSessionStore) -> None:
        handle = await store.create("talk")
        await store.save(handle, expected_revision=1)
        await store.append("talk", said())

        with pytest.raises(SessionConflict):
            await store.save(handle, expected_revision=1)

    async def test_linking_a_child_moves_no_revision_of_its_parent(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        parent = await store.create("parent")
        await store.create("child", parent_id="parent")
        await store.delete("child")
        await store.append(parent, said(id="mine"), expected_revision=parent.revision)

        assert (await whole(await reopen(), "parent")).revision == 2

    async def test_writing_through_a_handle_does_not_make_an_unseen_commit_count_as_seen(
        self, store: BaseSessionStore
    ) -> None:
        handle = await store.create("talk")
        await store.append("talk", said("unseen"))
        await store.append(handle, said("mine"))

        await self._assert_still_out_of_step(store, handle)

    async def test_repeating_a_known_append_does_not_make_an_unseen_commit_count_as_seen(
        self, store: BaseSessionStore
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(1)))
        await store.append("talk", said("unseen"))
        await store.append(handle, *several(1))

        await self._assert_still_out_of_step(store, handle)

    async def test_a_change_of_nothing_does_not_make_an_unseen_commit_count_as_seen(
        self, store: BaseSessionStore
    ) -> None:
        handle = await store.create("talk")
        await store.append("talk", said("unseen"))
        await store.commit(handle, SessionChange())

        await self._assert_still_out_of_step(store, handle)

    async def test_retracting_what_is_hidden_does_not_make_an_unseen_commit_count_as_seen(
        self, store: BaseSessionStore
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(2)))
        await store.retract(handle, "e1")
        await store.append("talk", said("unseen"))
        await store.commit(handle, SessionChange(retraction=Retraction(["e1"])))

        await self._assert_still_out_of_step(store, handle)

    async def _assert_still_out_of_step(self, store: BaseSessionStore, handle: AnySession) -> None:
        with pytest.raises(SessionConflict) as failure:
            await store.commit(handle, SessionChange(set_state={"k": 1}), expected_revision=handle.revision)
        assert "unseen" in [event.message for event in failure.value.missed_events]

    async def test_a_guard_does_not_pass_when_its_revision_has_come_again_after_a_restore(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        seen_by_handle = await store.create("talk")
        lost = await whole(store, "talk")
        # As after a restore, the store is at the revision that was read, but by another commit.
        assert lost._sync is not None
        lost._sync.tag = "lost"
        lost.state["k"] = 1

        again = await reopen()
        for write in (
            again.append(lost, said("late"), expected_revision=1),
            again.commit(lost, SessionChange(set_state={"k": 1}), expected_revision=1),
            again.save(lost, expected_revision=1),
            again.delete(lost, expected_revision=1),
        ):
            with pytest.raises(SessionConflict, match="not at the one that was read") as caught:
                await write
            assert (caught.value.expected_revision, caught.value.revision) == (1, 1)
        assert (await whole(await reopen(), "talk")).revision == 1
        # With an id, only the number is compared; the handle of the current commit passes.
        await again.commit("talk", SessionChange(set_state={"n": 1}), expected_revision=1)
        await again.commit("talk", SessionChange(set_state={"n": 2}), expected_revision=2)
        assert seen_by_handle.revision == 1

    async def test_a_handle_that_writes_takes_over_the_tag_of_each_commit(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=[said(id="e1")]))
        for number, change in enumerate(
            [
                SessionChange(events=[said(id="e2")]),
                SessionChange(set_state={"k": 1}),
                SessionChange(set_properties={"p": 1}),
                SessionChange(retraction=Retraction(["e1"])),
                SessionChange(),
            ]
        ):
            again = await reopen()
            await again.commit(handle, change, expected_revision=handle.revision)
            await again.append(handle, said(id=f"plain {number}"))
            fresh = await whole(await reopen(), "talk")
            assert handle._sync is not None
            assert fresh._sync is not None
            assert handle._sync.tag == fresh._sync.tag != ""
            assert handle.revision == fresh.revision
