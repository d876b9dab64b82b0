"""Reading: reads can be bounded at both ends, and a partly loaded session says that it is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_type

import pytest
from pydantic import BaseModel

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, listening, messages, said, several, whole


class Fare(BaseModel):
    to: str
    eur: float


class ReadingContract(ContractBase):
    @pytest.mark.parametrize(("last", "expected"), [(0, 0), (1, 1), (5, 5), (6, 6), (7, 6), (10_000, 6), (None, 6)])
    async def test_get_loads_the_last_n_events_and_no_more(
        self, store: BaseSessionStore, reopen: Reopen, last: int | None, expected: int
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(6)))

        again = await reopen()
        session = await again.get("talk", last=last)
        [many] = await again.get_many(["talk"], last=last)

        assert session is not None
        assert ids(session.events) == [f"e{number}" for number in range(7 - expected, 7)]
        assert session.is_partial is (last is not None)
        assert many == session

    @pytest.mark.parametrize(("last", "expected"), [(0, 4), (1, 3), (4, 0), (5, 0), (None, 0)])
    async def test_a_bounded_read_tells_how_many_visible_events_came_earlier(
        self, store: BaseSessionStore, reopen: Reopen, last: int | None, expected: int
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(7)))
        await store.retract("talk", "e2", "e3", "e6")

        session = await (await reopen()).get("talk", last=last)

        assert session is not None
        assert session.earlier_events == expected

    @pytest.mark.parametrize("after", [0, 1, 5, 6, 7])
    @pytest.mark.parametrize("limit", [0, 1, 5, 6, 7, None])
    async def test_events_keep_to_after_and_limit(
        self, store: BaseSessionStore, reopen: Reopen, after: int, limit: int | None
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(6)))

        found = await (await reopen()).events("talk", after=after, limit=limit)

        assert [event.seq for event in found] == list(range(1, 7))[after:][:limit]

    async def test_a_limit_of_0_returns_nothing_from_a_session_with_retractions(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        await store.retract("talk", "e2")

        again = await reopen()

        assert await again.events("talk", limit=0) == await again.events("talk", limit=0, include_retracted=True) == []

    async def test_negative_limits_are_refused(self, store: BaseSessionStore) -> None:
        await store.create("talk", change=SessionChange(events=several(2)))

        for reading in (
            store.get("talk", last=-1),
            store.get_many(["talk"], last=-1),
            store.events("talk", after=-1),
            store.events("talk", limit=-1),
            store.list_page(limit=-1),
            store.children_page("talk", limit=-1),
        ):
            with pytest.raises(InvalidSessionOperation, match="-1"):
                await reading
        for slip in ("2", 1.5):
            no_number: Any = slip
            with pytest.raises(InvalidSessionOperation, match="no whole number"):
                await store.get("talk", last=no_number)
        with pytest.raises(InvalidSessionOperation):
            store.follow("talk", after=-1)
        with pytest.raises(InvalidSessionOperation):
            store.iter_sessions(page_size=0)

    async def test_pages_of_events_join_without_gap_or_double(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk")
        for batch in range(3):
            await store.append("talk", *several(400, f"b{batch}-"))
        again = await reopen()

        found: list[int] = []
        while page := await again.events("talk", after=len(found), limit=7 * 37):
            found += [event.seq or 0 for event in page]

        assert found == list(range(1, 1201))
        assert len(await again.events("talk")) == 1200

    @pytest.mark.parametrize("page_events", [1, 3, 500])
    async def test_hidden_events_come_when_they_are_asked_for_wherever_a_page_ends(
        self, store: BaseSessionStore, reopen: Reopen, page_events: int
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(10)))
        await store.retract("talk", "e2", "e4", "e5", "e6", "e10")
        again = await reopen()
        again._limits = replace(again._limits, page_events=page_events)

        everything = await again.events("talk", include_retracted=True)
        some = await again.events("talk", include_retracted=True, after=3, limit=4)
        visible = await again.events("talk", limit=4)

        assert [event.seq for event in everything] == list(range(1, 11))
        assert [event.seq for event in everything if event.retracted] == [2, 4, 5, 6, 10]
        assert ([event.seq for event in some], [event.seq for event in visible]) == ([4, 5, 6, 7], [1, 3, 7, 8])

    @pytest.mark.parametrize("page_bytes", [0, 5_000])
    async def test_large_events_all_come_in_pages_of_few(
        self, store: BaseSessionStore, reopen: Reopen, page_bytes: int
    ) -> None:
        await store.create("talk")
        await store.append("talk", *(said("x" * 2_000, id=f"e{number}") for number in range(1, 8)), said(id="e8"))
        await store.retract("talk", "e3", "e5", "e6")
        again = await reopen()
        again._limits = replace(again._limits, page_bytes=page_bytes)

        visible, everything = await again.events("talk"), await again.events("talk", include_retracted=True)
        with pytest.raises(SessionConflict) as late:
            await again.append("talk", said(), expected_revision=1)
        async with listening(again, "talk") as take:
            heard = await take(11)

        paged: list[str] = []
        next_after: int | None = 0
        while next_after is not None:
            page = await again.events_page("talk", after=next_after, limit=3)
            assert len(page.events) in range(page.next_after is not None, 4)
            paged += ids(page.events)
            next_after = page.next_after

        assert ids(visible) == ["e1", "e2", "e4", "e7", "e8"]
        assert paged == ids(visible)
        assert await again.events_page("talk", after=3, limit=0) == ([], 3)
        assert ids(everything) == [f"e{number}" for number in range(1, 9)]
        assert ids(heard) == [*ids(everything), "e3", "e5", "e6"]
        missed = late.value
        assert ids(missed.missed_events) == ["e1", "e2"] if page_bytes else ["e1"]
        assert (missed.first_missed_seq, missed.last_missed_seq) == (1, 8)

    async def test_a_bounded_read_brings_the_unfinished_runs_and_the_last_twenty(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        runs = [SessionRun(id=f"r{number}") for number in range(40)]
        for run in runs:
            if run.id not in ("r3", "r5", "r7", "r30"):
                run.mark_cancelled()
        await store.create("talk", change=SessionChange(runs=runs))
        runs[5].mark_cancelled()
        await store.commit("talk", SessionChange(runs=[runs[5]]))
        await store.create("child", parent_id="talk")
        again = await reopen()

        view, full = await again.get("talk", last=0), await whole(again, "talk")

        assert view is not None
        assert [run.id for run in view.runs] == ["r3", "r7", *(f"r{number}" for number in range(20, 40))]
        assert [run.id for run in full.runs] == [run.id for run in await again.runs("talk")] == [run.id for run in runs]
        assert (view.child_ids, full.child_ids) == ([], ["child"])

    async def test_a_bounded_read_has_the_whole_head_beside_its_few_events(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        change = SessionChange(events=several(9), set_state={"k": 1}, set_properties={"p": 2})
        await store.create("talk", change=change)

        view = await (await reopen()).get("talk", last=1)

        assert view is not None
        assert (view.state, view.metadata.properties) == ({"k": 1}, {"p": 2})
        assert (view.revision, view.last_seq) == (1, 9)

    async def test_several_sessions_come_in_the_order_asked(self, store: BaseSessionStore, reopen: Reopen) -> None:
        for name in ("a", "b", "c"):
            await store.create(name, change=SessionChange(events=several(2, name)))
        again = await reopen()

        found = await again.get_many(["c", "nowhere", "a", "c"], last=1)

        assert [each and ids(each.events) for each in found] == [["c2"], None, ["a2"], ["c2"]]
        assert await again.get_many([]) == []

    async def test_an_absent_session_is_none_to_get_and_an_error_to_the_rest(self, store: BaseSessionStore) -> None:
        assert await store.get("nowhere") is None
        assert await store.get("nowhere", last=0) is None
        for verb in (store.events, store.runs, store.children, store.tree, store.usage):
            with pytest.raises(SessionNotFound) as failure:
                await verb("nowhere")
            assert failure.value.session_id == "nowhere"

    async def test_typed_payloads_come_back_as_their_models(self, store: BaseSessionStore, reopen: Reopen) -> None:
        fare = Fare(to="OSL", eur=120.5)
        await store.create("talk", change=SessionChange(events=[said(fare)]))
        again = await reopen()

        session = await again.get("talk", message_type=Fare)
        [event] = await again.events("talk", message_type=Fare)

        assert session is not None
        assert assert_type(session.events[0].message, Fare) == assert_type(event.message, Fare) == fare
        assert (await whole(again, "talk")).events[0].message == {"to": "OSL", "eur": 120.5}

    async def test_a_payload_of_another_type_comes_back_as_plain_json_with_the_reason(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        fare = Fare(to="OSL", eur=120.5)
        old: list[Any] = ["not a fare", {"to": "OSL"}, None]
        await store.create("talk", change=SessionChange(events=[said(fare), *map(said, old)]))
        again = await reopen()

        session = await again.get("talk", message_type=Fare)
        tail = await again.get("talk", last=2, message_type=Fare)
        events = await again.events("talk", message_type=Fare)

        assert session is not None
        assert tail is not None
        assert session.events == events
        assert tail.events == events[-2:]
        assert messages(events) == [fare, *old]
        assert [event.message_error is None for event in events] == [True, False, False, False]
        assert "eur" in str(events[2].message_error)
        session.add_event(said(fare))
        await again.save(session)
        assert [event.message_error for event in (await whole(again, "talk")).events] == [None] * 5

    async def test_a_message_type_that_is_no_type_is_refused(self, store: BaseSessionStore) -> None:
        await store.create("talk")
        bad: list[Any] = [5, "Fare", {}, [Fare]]
        for message_type in bad:
            with pytest.raises(InvalidSessionOperation, match="message_type"):
                await store.get("talk", message_type=message_type)
            with pytest.raises(InvalidSessionOperation, match="message_type"):
                await store.events("talk", message_type=message_type)
