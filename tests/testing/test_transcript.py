"""Sessions made for tests, and the comparison that shows what differs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    SessionAlreadyExists,
    SessionEvent,
    SessionManager,
    SessionNotFound,
    SessionStore,
)
from a2a_session_manager.testing import Said, SessionClock, assert_transcript, ids_numbered, make_session

CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "call-1"}]}


@pytest.fixture
def store() -> SessionStore:
    return InMemorySessionStore()


async def test_a_session_is_made_with_all_it_holds_in_one_commit(store: SessionStore) -> None:
    parent = await make_session(store, id="trip")
    event = SessionEvent(message="Day 1")

    made = await make_session(
        store, ("user", "Hello"), CALL, event, id="day", parent_id="trip", state={"n": 1}, properties={"owner": "ines"}
    )
    stored = await store.get("day")

    assert stored is not None
    assert (stored.revision, stored.last_seq, stored.parent_id) == (1, 3, parent.id)
    assert (stored.state, stored.metadata.properties) == ({"n": 1}, {"owner": "ines"})
    assert [each.message for each in made.events] == [each.message for each in stored.events]
    assert stored.events[2].id == event.id
    with pytest.raises(SessionAlreadyExists):
        await make_session(store, id="day")


async def test_a_transcript_is_compared_with_what_is_stored(store: SessionStore) -> None:
    session = await make_session(store, ("user", "Hello"), CALL, id="trip")
    session.add_event(SessionEvent(message="never saved"))
    expected: list[Said] = [("user", "Hello"), CALL]

    await assert_transcript(store, "trip", expected)
    await assert_transcript(store, session, expected)
    async with SessionManager(store).open("trip") as chat:
        await assert_transcript(store, chat, expected)


async def test_an_active_session_is_read_from_its_own_namespace(store: SessionStore) -> None:
    async with SessionManager(store).namespace("acme").open("trip") as chat:
        await chat.user("Hello")

        await assert_transcript(store, chat, [("user", "Hello")])
    with pytest.raises(SessionNotFound):
        await assert_transcript(store, "trip", [])


@pytest.mark.parametrize(
    "expected",
    [
        [("user", "Hello")],
        [("user", "Hello"), CALL, ("user", "More")],
        [("assistant", "Hello"), CALL],
        [("user", "Hallo"), CALL],
        [("user", "Hello"), {**CALL, "name": "planner"}],
        [CALL, ("user", "Hello")],
        [],
    ],
)
async def test_a_failing_comparison_shows_what_differs(store: SessionStore, expected: list[Said]) -> None:
    await make_session(store, ("user", "Hello"), CALL, id="trip")

    with pytest.raises(AssertionError, match="session 'trip' says something else") as failure:
        await assert_transcript(store, "trip", expected)

    lines = str(failure.value).splitlines()[1:]
    assert [line for line in lines if line[0] in "+-"] != []


async def test_messages_that_match_are_shown_without_a_mark(store: SessionStore) -> None:
    await make_session(store, {"role": "user", "content": "Hello", "name": "ines"}, ("assistant", "Hi"), id="trip")

    with pytest.raises(AssertionError) as failure:
        await assert_transcript(store, "trip", [("user", "Hello"), ("assistant", "Bye")])

    assert str(failure.value).splitlines()[1:] == [
        "  user: 'Hello' {'name': 'ines'}",
        "- assistant: 'Bye'",
        "+ assistant: 'Hi'",
    ]


def test_ids_are_numbered_only_inside_the_block() -> None:
    with ids_numbered("x") as made:
        first = SessionEvent(message="a").id
        with ids_numbered() as inner:
            assert SessionEvent(message="b").id == "id-1"
        second = SessionEvent(message="c").id

    assert (first, second, made, inner) == ("x-1", "x-2", ["x-1", "x-2"], ["id-1"])
    assert len(SessionEvent(message="d").id) == 32


def test_the_clock_stands_only_inside_the_block() -> None:
    clock = SessionClock(datetime(2001, 2, 3, 4, 5, 6, 789_012, tzinfo=UTC))
    with clock.in_use():
        assert SessionEvent(message="a").timestamp == clock.now
        assert clock.advance(days=1, seconds=1) == datetime(2001, 2, 4, 4, 5, 7, 789_012, tzinfo=UTC)
        assert SessionEvent(message="b").timestamp == clock.now

    assert SessionEvent(message="c").timestamp.year > 2001
