"""Copies of a session, by pydantic, by hand and by pickle: each goes its own way, and can be saved."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from a2a_session_manager import (
    EventSource,
    InMemorySessionStore,
    Session,
    SessionAlreadyExists,
    SessionChange,
    SessionConflict,
    SessionEvent,
    SessionRun,
    SessionStore,
)
from tests.models.kept_sessions import COPIES, Plan, said, store, stored

__all__ = ["store", "stored"]


async def texts(store: SessionStore, session_id: str = "s") -> list[Any]:
    return [event.message for event in await store.events(session_id)]


# The private memory of the store


async def test_a_session_that_was_read_knows_its_place(stored: Session[Any]) -> None:
    assert (stored.revision, stored.last_seq, stored.root_id, stored.is_partial) == (1, 2, "s", False)


async def test_a_dump_holds_the_fields_and_nothing_of_the_store(stored: Session[Any]) -> None:
    assert set(stored.model_dump()) == set(Session.model_fields)
    assert "sync" not in stored.model_dump_json()
    assert "InMemory" not in repr(stored)


async def test_a_session_read_twice_is_equal_to_itself(store: InMemorySessionStore, stored: Session[Any]) -> None:
    assert await store.get("s") == stored


@pytest.mark.parametrize("name", COPIES)
async def test_a_copy_can_be_changed_and_saved(name: str, store: InMemorySessionStore, stored: Session[Any]) -> None:
    twin = COPIES[name](stored)

    twin.add_event(said("c"))
    twin.state["k"] = 1
    twin.runs[0].mark_waiting()
    await store.save(twin)

    again = await store.get("s")
    assert again == twin
    assert [event.message for event in twin.events] == ["a", "b", "c"]
    assert again is not None
    assert (again.revision, twin.revision) == (2, 2)


@pytest.mark.parametrize("name", COPIES)
async def test_saving_a_copy_and_then_the_original_doubles_nothing(
    name: str, store: InMemorySessionStore, stored: Session[Any]
) -> None:
    stored.add_event(said("c", 4))
    twin = COPIES[name](stored)

    await store.save(twin)
    await store.save(stored)

    assert await texts(store) == ["a", "b", "c"]
    assert (await store.usage("s")).total_tokens == 7


@pytest.mark.parametrize("name", ["deep model_copy", "copy.deepcopy"])
async def test_a_deep_copy_goes_its_own_way(name: str, store: InMemorySessionStore, stored: Session[Any]) -> None:
    twin = COPIES[name](stored)

    twin.add_event(said("c"))
    twin.state["plan"]["days"] = 9

    assert [event.message for event in stored.events] == ["a", "b"]
    assert stored.state == {"plan": {"days": 2}}


async def test_two_deep_copies_that_grow_apart_can_both_be_saved(
    store: InMemorySessionStore, stored: Session[Any]
) -> None:
    twin = copy.deepcopy(stored)
    stored.add_event(said("mine"))
    twin.add_event(said("theirs"))

    await store.save(stored)
    await store.save(twin)
    twin.add_event(said("more"))
    await store.save(twin)

    assert await texts(store) == ["a", "b", "mine", "theirs", "more"]


@pytest.mark.parametrize("written", ["original", "copy"])
@pytest.mark.parametrize("name", ["deep model_copy", "copy.deepcopy"])
async def test_what_is_written_through_one_of_two_copies_the_other_neither_sees_nor_takes_for_its_own(
    name: str, written: str, store: InMemorySessionStore, stored: Session[Any]
) -> None:
    twin = COPIES[name](stored)
    writer, other = (stored, twin) if written == "original" else (twin, stored)
    before = other.model_copy(deep=True)

    await store.append(writer, said("c", 4))
    await store.commit(writer, SessionChange(set_state={"k": 1}, unset_state=["plan"], runs=[SessionRun(id="late")]))
    await store.retract(writer, last=2)

    assert other == before
    assert (other.revision, other.last_seq, other.token_summary) == (1, 2, before.token_summary)
    assert (writer.revision, writer.last_seq, writer.total_tokens) == (4, 3, 7)
    with pytest.raises(SessionConflict):
        await store.append(other, said("d"), expected_revision=other.revision)
    other.state["k"] = 2
    await store.save(other)  # commits its own change, and takes back nothing of the writer's
    again = await store.get("s")
    assert again is not None
    assert (again.state, [run.id for run in again.runs]) == ({"k": 2}, ["r", "late"])


@pytest.mark.parametrize("name", COPIES)
async def test_a_copy_goes_on_from_where_the_original_was(
    name: str, store: InMemorySessionStore, stored: Session[Any]
) -> None:
    await store.append(stored, said("c", 4))
    twin = COPIES[name](stored)

    await store.append(twin, said("d", 8), expected_revision=twin.revision)

    assert (twin.revision, twin.last_seq, twin.total_tokens) == (3, 4, 15)
    assert (stored.revision, stored.last_seq) == (2, 3)


async def test_a_copy_of_a_session_still_reads_from_its_store(store: InMemorySessionStore) -> None:
    await store.create("top")
    child = await store.create("below", parent_id="top")

    twin = copy.deepcopy(child)

    assert [session.id for session in await twin.ancestors()] == ["top"]


async def test_a_pickled_session_arrives_as_plain_data(store: InMemorySessionStore, stored: Session[Any]) -> None:
    again = pickle.loads(pickle.dumps(stored))

    assert again.model_dump() == stored.model_dump()
    assert (again.revision, again.last_seq) == (0, 0)
    with pytest.raises(SessionAlreadyExists):
        await store.save(again)


async def test_a_dumped_session_comes_back_as_a_hand_made_one(
    store: InMemorySessionStore, stored: Session[Any]
) -> None:
    again = Session[Any].model_validate(stored.model_dump())

    with pytest.raises(SessionAlreadyExists):
        await store.save(again)
    assert await texts(store) == ["a", "b"]


async def test_typed_payloads_come_back_as_their_model(store: InMemorySessionStore) -> None:
    await store.create("t", change=SessionChange(events=[SessionEvent(message=Plan(days=3))]))

    typed = await store.get("t", message_type=Plan)
    plain = await store.get("t")

    assert typed is not None
    assert plain is not None
    assert typed.events[0].message == Plan(days=3)
    assert plain.events[0].message == {"days": 3}


async def test_the_source_of_an_event_survives_the_store(store: InMemorySessionStore) -> None:
    await store.create("t", change=SessionChange(events=[SessionEvent(source=source) for source in EventSource]))

    assert [event.source for event in await store.events("t")] == list(EventSource)
