"""Retracting: events are hidden from the default view; the log, the seqs and the usage stay."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, seqs, several, spending, whole


class RetractingContract(ContractBase):
    async def test_a_retracted_event_leaves_the_view_and_stays_in_the_log(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(4)))
        hidden = await store.retract("talk", "e2", "e4")

        again = await reopen()

        assert [(event.id, event.retracted) for event in hidden] == [("e2", True), ("e4", True)]
        assert ids((await whole(again, "talk")).events) == ids(await again.events("talk")) == ["e1", "e3"]
        log = await again.events("talk", include_retracted=True)
        assert [(event.seq, event.retracted) for event in log] == [(1, False), (2, True), (3, False), (4, True)]

    async def test_a_retraction_takes_a_revision_and_no_seq(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.retract("talk", last=1)
        [placed] = await store.append("talk", said())

        again = await whole(await reopen(), "talk")

        assert placed.seq == 3
        assert (again.revision, again.last_seq) == (3, 3)

    async def test_retract_last_pops_the_newest_visible_events(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(6)))
        popped = [ids(await store.retract("talk", last=count)) for count in (1, 2, 0, 9, 1)]

        assert popped == [["e6"], ["e4", "e5"], [], ["e1", "e2", "e3"], []]
        assert (await whole(await reopen(), "talk")).events == []

    async def test_retract_after_hides_all_with_a_higher_seq(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(5)))
        await store.retract("talk", "e4")

        assert ids(await store.retract("talk", after=9)) == []
        assert ids(await store.retract("talk", after=3)) == ["e5"]
        assert ids(await store.retract("talk", after=0)) == ["e1", "e2", "e3"]
        assert (await whole(await reopen(), "talk")).events == []

    async def test_one_event_is_hidden_only_once(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        first = await store.retract("talk", "e2")
        second = await store.retract("talk", "e2")
        third = await store.retract("talk", "e3", "e2")

        assert (ids(first), ids(second), ids(third)) == (["e2"], [], ["e3"])
        assert (await whole(await reopen(), "talk")).revision == 3

    async def test_last_counts_only_what_is_visible(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(10)))
        await store.retract("talk", "e10", "e8", "e7", "e3")
        again = await reopen()

        shown = {last: await again.get("talk", last=last) for last in (0, 1, 2, 4, 6, 7)}

        visible = ["e1", "e2", "e4", "e5", "e6", "e9"]
        assert {last: ids(view.events) for last, view in shown.items() if view is not None} == {
            last: visible[max(len(visible) - last, 0) :] for last in shown
        }

    async def test_a_page_of_visible_events_is_full_although_hidden_ones_are_left_out(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(20)))
        await store.retract("talk", *(f"e{number}" for number in range(3, 15)))

        again = await reopen()

        assert ids(await again.events("talk", limit=4)) == ["e1", "e2", "e15", "e16"]
        assert ids(await again.events("talk", after=5, limit=2)) == ["e15", "e16"]

    async def test_an_append_of_a_hidden_event_returns_its_old_seq_and_leaves_it_hidden(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        await store.retract("talk", "e2")

        placed = await store.append("talk", said("e2", id="e2"), said(id="new"))

        assert [(event.seq, event.retracted) for event in placed] == [(2, True), (4, False)]
        assert ids((await whole(await reopen(), "talk")).events) == ["e1", "e3", "new"]

    async def test_retracting_leaves_tokens_and_cost_counted(self, store: BaseSessionStore, reopen: Reopen) -> None:
        handle = await store.create("talk", change=SessionChange(events=[spending(5), spending(7)]))
        spent = await store.usage("talk")
        await store.retract(handle, last=1)

        again = await reopen()

        assert await again.usage("talk") == await again.usage("talk", tree=True) == spent
        assert (await whole(again, "talk")).token_summary == handle.token_summary == spent

    @pytest.mark.parametrize("event_ids", [["nobody"], ["e1", "nobody"]])
    async def test_an_unknown_event_cannot_be_retracted(
        self, store: BaseSessionStore, reopen: Reopen, event_ids: list[str]
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))

        with pytest.raises(InvalidSessionOperation, match="nobody"):
            await store.retract("talk", *event_ids)

        again = await whole(await reopen(), "talk")
        assert (ids(again.events), again.revision) == (["e1"], 1)

    async def test_what_to_retract_is_said_in_exactly_one_way(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))

        for last, after in ((None, None), (1, 0), (-1, None), (None, -1)):
            with pytest.raises(InvalidSessionOperation):
                await store.retract("talk", last=last, after=after)
        with pytest.raises(InvalidSessionOperation):
            await store.retract("talk", "e1", last=1)

        assert ids((await whole(await reopen(), "talk")).events) == ["e1"]

    async def test_retracting_in_a_session_that_is_not_there_finds_nothing(self, store: BaseSessionStore) -> None:
        with pytest.raises(SessionNotFound):
            await store.retract("nowhere", last=1)

    async def test_the_handle_that_retracts_loses_the_hidden_events_and_can_be_saved(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(4)))
        handle.add_event(said(id="unsaved"))
        await store.retract(handle, "e2", "e4")
        await store.save(handle)

        again = await whole(await reopen(), "talk")

        assert handle.events == again.events
        assert ids(again.events) == ["e1", "e3", "unsaved"]

    async def test_a_change_retracts_first_and_then_appends(self, store: BaseSessionStore, reopen: Reopen) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(2)))
        result = await store.commit(handle, SessionChange(events=[said(id="new")], retraction=Retraction(last=1)))

        again = await whole(await reopen(), "talk")

        assert (ids(result.retracted), seqs(result.events)) == (["e2"], [3])
        assert handle.events == again.events
        assert (ids(again.events), again.revision) == (["e1", "new"], 2)
