"""Restoring: what was retracted is visible again where it stood; seqs, usage and first results stay."""

from __future__ import annotations

import pytest

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.models.change import Restoration, Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import (
    ids,
    messages,
    said,
    seqs,
    several,
    whole,
)

# Hidden and restored so often that no range of seqs is left as it was made.
STEPS = (
    (["e2", "e3", "e4", "e7"], ["e3"]),
    (["e3", "e8"], ["e2", "e3", "e4"]),
    (["e1", "e3", "e5"], ["e1", "e3", "e5", "e7", "e8"]),
)


class RestoringContract(ContractBase):
    async def test_a_restored_event_is_visible_again_where_it_stood(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(5)))
        await store.retract("talk", "e2", "e3", "e4")
        restored = await store.restore("talk", "e4", "e2")

        again = await reopen()

        assert [(event.id, event.seq, event.restored, event.retracted) for event in restored] == [
            ("e2", 2, True, False),
            ("e4", 4, True, False),
        ]
        visible = ["e1", "e2", "e4", "e5"]
        assert ids((await whole(again, "talk")).events) == ids(await again.events("talk")) == visible
        log = await again.events("talk", include_retracted=True)
        assert [(event.seq, event.retracted, event.restored) for event in log] == [
            (seq, seq == 3, False) for seq in range(1, 6)
        ]

    async def test_a_restoration_takes_a_revision_and_no_seq_and_is_activity(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.retract("talk", "e1")
        before = await whole(await reopen(), "talk")
        await store.restore("talk", "e1")
        [placed] = await store.append("talk", said())

        again = await whole(await reopen(), "talk")

        assert placed.seq == 3
        assert (again.revision, again.last_seq) == (4, 3)
        assert again.metadata.updated_at > before.metadata.updated_at

    async def test_retractions_and_restorations_alternate_any_number_of_times(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(9)))
        hidden: set[str] = set()
        for retracted, restored in STEPS:
            assert set(ids(await store.retract("talk", *retracted))) == set(retracted) - hidden
            hidden |= set(retracted)
            assert set(ids(await store.restore("talk", *restored))) == set(restored) & hidden
            hidden -= set(restored)
            visible = [f"e{number}" for number in range(1, 10) if f"e{number}" not in hidden]

            again = await reopen()

            assert ids((await whole(again, "talk")).events) == visible
            assert (
                messages(await again.events("talk", after=2, limit=3))
                == [event_id for event_id in visible if event_id > "e2"][:3]
            )
            tail = await again.read_messages("talk", last=4)
            assert ([message.message for message in tail.messages], tail.earlier_events) == (
                visible[-4:],
                len(visible) - 4,
            )
            partial = await again.get("talk", last=3)
            assert partial is not None
            assert (ids(partial.events), partial.earlier_events) == (visible[-3:], len(visible) - 3)

    async def test_the_write_id_of_a_retraction_restores_all_that_it_hid(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(6)))
        await store.retract("talk", "e2")
        await store.retract("talk", after=0, write_id="clear")

        assert ids(await store.restore("talk", write_id="clear")) == ["e1", "e3", "e4", "e5", "e6"]
        assert ids((await whole(await reopen(), "talk")).events) == ["e1", "e3", "e4", "e5", "e6"]

    async def test_what_was_restored_since_and_hidden_by_another_is_not_the_first_ones_to_undo(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(6)))
        await store.retract("talk", "e1", "e2", "e4", "e5", "e6", write_id="mine")
        await store.restore("talk", "e1", "e5", "e6")
        await store.retract("talk", last=1)
        await store.retract("talk", "e1")

        restored = await (await reopen()).restore("talk", write_id="mine")

        assert ids(restored) == ["e2", "e4"]
        assert ids((await whole(await reopen(), "talk")).events) == ["e2", "e3", "e4", "e5"]

    async def test_events_that_a_pop_claimed_come_back_by_their_ids_alone(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        await store.retract("talk", last=2, write_id="pop")
        later = await reopen()

        with pytest.raises(InvalidSessionOperation, match=r"'pop'.*by their ids"):
            await later.restore("talk", write_id="pop")
        assert ids((await whole(later, "talk")).events) == ["e1"]

        assert ids(await later.restore("talk", "e2")) == ["e2"]
        assert ids((await whole(await reopen(), "talk")).events) == ["e1", "e2"]

    async def test_a_restored_event_may_be_popped_again_by_one(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        popped = [ids(await store.retract("talk", last=1))]
        await store.restore("talk", "e2")
        popped += [ids(await store.retract("talk", last=1)) for _ in range(3)]

        assert popped == [["e2"], ["e2"], ["e1"], []]
        assert (await whole(await reopen(), "talk")).events == []

    @pytest.mark.parametrize(
        ("event_ids", "write_id", "named"),
        [
            (["nobody"], None, "nobody"),
            (["e2", "nobody"], None, "nobody"),
            (["e1"], None, "e1"),
            (["e2", "e1"], None, "e1"),
            ([], "nothing", "nothing"),
            ([], "said", "said"),
            ([], "idle", "idle"),
        ],
    )
    async def test_what_cannot_be_restored_is_refused_by_name_and_nothing_is_written(
        self, store: BaseSessionStore, reopen: Reopen, event_ids: list[str], write_id: str | None, named: str
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.retract("talk", "e2")
        await store.retract("talk", "e2", write_id="idle")
        await store.commit("talk", SessionChange(set_state={"k": 1}), write_id="said")

        change = SessionChange(events=[said(id="new")], restoration=Restoration(event_ids, write_id))
        with pytest.raises(InvalidSessionOperation, match=f"'{named}'"):
            await store.commit("talk", change, write_id="refused")

        again = await whole(await reopen(), "talk")
        assert (ids(again.events), again.revision, again.last_seq) == (["e1"], 3, 2)
        await store.append("talk", said())
        assert ids(await store.restore("talk", "e2", id="refused")) == ["e2"]

    async def test_what_to_restore_is_said_in_exactly_one_way(self, store: BaseSessionStore) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))
        await store.retract("talk", "e1", write_id="w")

        for event_ids, write_id in (((), None), (("e1",), "w"), (("",), None), ((), "")):
            with pytest.raises(InvalidSessionOperation):
                await store.restore("talk", *event_ids, write_id=write_id)
        with pytest.raises(InvalidSessionOperation, match="e1"):
            SessionChange(retraction=Retraction(["e1", "e2"]), restoration=Restoration(["e1"]))
        with pytest.raises(SessionNotFound):
            await store.restore("nowhere", "e1")

        assert ids((await whole(store, "talk")).events) == ["e2"]

    async def test_what_is_visible_again_already_stays_so_and_is_not_returned(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(4)))
        await store.retract("talk", "e1", "e2", "e3", write_id="w")
        first = await store.restore("talk", "e2")
        second = await store.restore("talk", "e2", "e1")
        third = await store.restore("talk", write_id="w")
        fourth = [*await store.restore("talk", write_id="w"), *await store.restore("talk", "e1", "e2", "e3")]

        assert [ids(first), ids(second), ids(third), fourth] == [["e2"], ["e1"], ["e3"], []]
        again = await whole(await reopen(), "talk")
        assert (ids(again.events), again.revision) == (["e1", "e2", "e3", "e4"], 5)

    async def test_one_change_puts_one_answer_in_the_place_of_another(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        handle = await store.create("talk", change=SessionChange(events=several(3)))
        await store.retract(handle, "e2", write_id="w")
        change = SessionChange(
            events=[said(id="new")], retraction=Retraction(last=1), restoration=Restoration(write_id="w")
        )
        result = await store.commit(handle, change)

        again = await whole(await reopen(), "talk")

        assert (ids(result.retracted), ids(result.restored), seqs(result.events)) == (["e3"], ["e2"], [4])
        assert handle.events == again.events
        assert (ids(again.events), again.revision) == (["e1", "e2", "new"], 3)
