"""Finding events: by what they are, and by their ids."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import product
from typing import Any, Final

import pytest

from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation, SessionNotFound
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import Event, ids, said, several

NOON: Final = datetime(2026, 5, 1, 12, tzinfo=UTC)
TYPES: Final = (EventType.MESSAGE, EventType.TOOL_CALL, "plan.made")
RUNS: Final = (None, "a", "b")

FILTERS: Final[list[EventFilters]] = [
    {},
    {"type": EventType.TOOL_CALL},
    {"type": "message"},
    {"type": "plan.made", "run": "b"},
    {"type": "nobody's"},
    {"source": EventSource.LLM},
    {"source": "user", "run": "a"},
    {"run": "nobody's"},
    {"since": NOON + timedelta(minutes=3)},
    {"until": NOON + timedelta(minutes=3)},
    {"since": NOON + timedelta(minutes=2), "until": NOON + timedelta(minutes=9), "source": "llm"},
    {"since": (NOON + timedelta(minutes=2)).astimezone(timezone(timedelta(hours=5, minutes=30)))},
    {"type": None, "source": None, "run": None, "since": None, "until": None},
]


def _all_kinds() -> list[Event]:
    """Return events of every type, source and run, whose times do not follow their order."""
    kinds = product(TYPES, (EventSource.USER, EventSource.LLM), RUNS)
    return [
        said(number, id=f"e{number}", type=kind, source=source, task_id=run, timestamp=NOON + _minutes(number * 7 % 18))
        for number, (kind, source, run) in enumerate(kinds, 1)
    ]


def _minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def _fits(event: Event, which: EventFilters) -> bool:
    since, until = which.get("since"), which.get("until")
    return (
        which.get("type") in (None, event.type)
        and which.get("source") in (None, event.source)
        and which.get("run") in (None, event.task_id)
        and (since is None or since <= event.timestamp)
        and (until is None or event.timestamp < until)
    )


class FindingContract(ContractBase):
    @pytest.mark.parametrize("page_events", [1, 4, 500])
    async def test_filters_bring_the_events_that_fit_and_limits_count_those(
        self, store: BaseSessionStore, reopen: Reopen, page_events: int
    ) -> None:
        kinds = _all_kinds()
        await store.create("talk", change=SessionChange(events=kinds))
        await store.retract("talk", "e3", "e8", "e9")
        again = await reopen()
        again._limits = replace(again._limits, page_events=page_events)

        for which, include in product(FILTERS, (False, True)):
            fitting = [event.id for event in kinds if _fits(event, which)]
            wanted = [each for each in fitting if include or each not in ("e3", "e8", "e9")]
            for limit in (None, 2):
                found = await again.events("talk", limit=limit, include_retracted=include, **which)
                assert ids(found) == wanted[:limit], which
                assert [each.id for each in found if each.retracted] == [
                    each for each in wanted[:limit] if each in ("e3", "e8", "e9")
                ]
            later = await again.events("talk", after=9, include_retracted=include, **which)
            assert ids(later) == [each for each in wanted if int(each[1:]) > 9]
            assert await _all_pages(again, limit=2, include_retracted=include, **which) == wanted

    async def test_pages_of_filtered_events_keep_to_their_bytes(self, store: BaseSessionStore, reopen: Reopen) -> None:
        events = [said("x" * 400, id=f"e{number}", task_id=RUNS[number % 3]) for number in range(1, 13)]
        await store.create("talk", change=SessionChange(events=events))
        again = await reopen()
        again._limits = replace(again._limits, page_bytes=1_200)

        pages = [len(page) for page in await _pages(again, limit=100, run="a")]

        assert sum(pages) == 4
        assert set(pages[:-1]) == {2}

    async def test_a_handle_and_a_manager_filter_as_their_store_does(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with SessionManager(store).open("talk") as chat:
            await chat.user("Oslo?")
            async with chat.run(id="plan") as run:
                await run.tool("search", {"q": "oslo"}, result="rain", call_id="c1")
                await run.assistant("Rain.")
        sessions = SessionManager(await reopen())

        assert [event.message for event in await chat.events(source="llm", type="message")] == ["Rain."]
        assert [event.seq for event in await sessions.events("talk", run="plan", limit=2)] == [2, 3]
        page = await sessions.events_page("talk", limit=1, source=EventSource.USER)
        assert [event.message for event in page.events] == ["Oslo?"]

    @pytest.mark.parametrize(
        "which",
        [
            {"type": 7},
            {"source": "boss"},
            {"source": ["user"]},
            {"run": ""},
            {"run": 7},
            {"since": datetime(2026, 5, 1)},
            {"until": "yesterday"},
            {"until": NOON.date()},
        ],
        ids=repr,
    )
    async def test_what_no_event_can_be_is_refused(self, store: BaseSessionStore, which: Any) -> None:
        await store.create("talk")

        with pytest.raises(InvalidSessionOperation, match=next(iter(which))):
            await store.events("talk", **which)
        with pytest.raises(InvalidSessionOperation):
            await store.events_page("talk", **which)

    async def test_a_filter_that_does_not_exist_is_an_error_and_no_filter_finds_a_session(
        self, store: BaseSessionStore
    ) -> None:
        with pytest.raises(TypeError, match="agent"):
            await store.events("talk", agent="a")  # type: ignore[call-overload]  # the caller's mistake
        with pytest.raises(SessionNotFound):
            await store.events("talk", run="a")

    @pytest.mark.parametrize("page_bytes", [1, 2_000, 1_000_000])
    async def test_events_come_by_their_ids_in_the_order_asked(
        self, store: BaseSessionStore, reopen: Reopen, page_bytes: int
    ) -> None:
        await store.create("talk", change=SessionChange(events=several(3)))
        for number in range(4, 30):
            await store.append("talk", said("x" * number * 40, id=f"e{number}", task_id=RUNS[number % 3]))
        await store.create("other", change=SessionChange(events=several(3, "o")))
        hidden = await store.retract("talk", "e2", "e9", "e11")
        await store.retract("talk", "e12")
        await store.restore("talk", "e12")
        again = await reopen()
        again._limits = replace(again._limits, page_bytes=page_bytes)
        wanted = ["e29", "nobody", "e1", "e9", "o1", "e12", "e2", "e1", *(f"e{number}" for number in range(28, 2, -2))]

        found = await again.events_by_id("talk", *wanted)

        events = {event.id: event for event in await again.events("talk", include_retracted=True)}
        assert found == [events.get(each) for each in wanted]
        assert {event.id for event in found if event and event.retracted} == {event.id for event in hidden} - {"e11"}
        assert [event and event.seq for event in found[:5]] == [29, None, 1, 9, None]

    async def test_events_by_id_are_of_the_session_that_is_meant(self, store: BaseSessionStore, reopen: Reopen) -> None:
        sessions = SessionManager(store)
        async with sessions.open("talk") as chat:
            async with chat.run() as run:
                await run.user("Oslo?", id="é\x00 {1}")
            assert [event and event.message for event in await chat.events_by_id("é\x00 {1}", "x")] == ["Oslo?", None]
            assert await chat.events_by_id() == []
        assert [event and event.seq for event in await sessions.events_by_id("talk", "é\x00 {1}")] == [1]
        await store.delete("talk")
        await store.create("talk", change=SessionChange(events=several(1)))
        cold = await reopen()

        assert [event and event.message for event in await cold.events_by_id("talk", "e1", "é\x00 {1}")] == ["e1", None]
        for event_ids in ((), ("e1",), ("never there",)):
            with pytest.raises(SessionNotFound):
                await chat.events_by_id(*event_ids)
            with pytest.raises(SessionNotFound):
                await store.events_by_id("nowhere", *event_ids)

    async def test_many_events_come_by_their_ids(self, store: BaseSessionStore, reopen: Reopen) -> None:
        await store.create("talk", change=SessionChange(events=several(1_100)))
        await store.append("talk", *several(40, "late "))
        wanted = [f"e{number}" for number in range(1_100, 0, -1)] + [f"late {number}" for number in (3, 40)]

        found = await (await reopen()).events_by_id("talk", *wanted)

        assert [event and event.id for event in found] == wanted

    async def test_messages_of_events_by_id_are_read_as_the_type_asked_for(self, store: BaseSessionStore) -> None:
        await store.create("talk", change=SessionChange(events=[said([1, "2"], id="e1"), said("two", id="e2")]))

        fits, misfit = await store.events_by_id("talk", "e1", "e2", message_type=list[int])

        assert fits is not None
        assert misfit is not None
        assert fits.message == [1, 2]
        assert misfit.model_dump()["message"] == "two"
        assert misfit.message_error is not None

    async def test_a_damaged_event_that_is_asked_for_by_its_id_is_corruption(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        await store.create("talk")
        for event in several(3):
            await store.append("talk", event)
        await self.damage(store, "talk")

        with pytest.raises(CorruptSession):
            await (await reopen()).events_by_id("talk", "e2", "e1")

    @pytest.mark.parametrize("event_id", ["", "x" * 513, None, 7], ids=["empty", "long", "None", "int"])
    async def test_what_can_be_no_id_of_an_event_is_refused(self, store: BaseSessionStore, event_id: str) -> None:
        await store.create("talk", change=SessionChange(events=several(1)))

        with pytest.raises(InvalidSessionOperation):
            await store.events_by_id("talk", "e1", event_id)


async def _pages(store: BaseSessionStore, *, limit: int, **options: Any) -> list[list[Event]]:
    pages: list[list[Event]] = []
    after: int | None = 0
    while after is not None:
        page = await store.events_page("talk", after=after, limit=limit, **options)
        assert len(page.events) <= limit
        assert page.events or page.next_after is None
        pages.append(page.events)
        after = page.next_after
    return pages


async def _all_pages(store: BaseSessionStore, *, limit: int, **options: Any) -> list[str]:
    return [event.id for page in await _pages(store, limit=limit, **options) for event in page]
