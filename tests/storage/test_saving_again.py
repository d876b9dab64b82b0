"""Saves that are sent again: after outages, lost replies, cancellations and races they are one commit."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidSessionOperation,
    Session,
    SessionAlreadyExists,
    SessionChange,
    SessionConflict,
    StoreUnavailable,
)
from a2a_session_manager.storage.store import BaseSessionStore
from tests.storage.unsure_backend import UnsureBackend, backend, read, said, session, store, texts

__all__ = ["backend", "session", "store"]


# Retries


KINDS: dict[str, Callable[[Session[Any]], None]] = {
    "an event": lambda session: session.add_event(said("d", 4)),
    "state": lambda session: session.state.update(n=2),
    "an unset key": lambda session: session.state.pop("n"),
    "a property": lambda session: session.metadata.set_property("owner", "Bob"),
    "a run": lambda session: session.runs[0].mark_completed(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", ["refuse", "lose"])
async def test_a_save_repeated_after_an_outage_is_one_commit(
    backend: UnsureBackend, store: BaseSessionStore, session: Session[Any], kind: str, fault: str
) -> None:
    KINDS[kind](session)
    backend.write_ids.clear()
    setattr(backend, fault, 1)
    with pytest.raises(StoreUnavailable):
        await store.save(session)

    await store.save(session)

    assert len(backend.write_ids) == 2
    assert len(set(backend.write_ids)) == 1, "the same write id both times"
    again = await read(store)
    assert again == session
    assert again.revision == session.revision == 2


@pytest.mark.parametrize("fault", ["refuse", "lose"])
async def test_what_was_changed_after_a_failed_save_goes_into_a_second_commit(
    backend: UnsureBackend, store: BaseSessionStore, session: Session[Any], fault: str
) -> None:
    session.add_event(said("d", 1))
    session.state["n"] = 2
    setattr(backend, fault, 1)
    with pytest.raises(StoreUnavailable):
        await store.save(session)
    session.add_event(said("e", 2))
    session.state["n"] = 3

    await store.save(session)

    again = await read(store)
    assert again == session
    assert texts(again) == ["a", "b", "c", "d", "e"]
    assert (again.state["n"], again.revision, session.revision) == (3, 3, 3)
    assert again.total_tokens == session.total_tokens == 3


async def test_a_save_that_landed_is_not_repeated_over_a_newer_value(
    backend: UnsureBackend, store: BaseSessionStore, session: Session[Any]
) -> None:
    session.state["n"] = 2
    backend.lose = 1
    with pytest.raises(StoreUnavailable):
        await store.save(session)
    await store.commit("s", SessionChange(set_state={"n": 99}))

    await store.save(session)

    again = await read(store)
    assert (again.state["n"], again.revision) == (99, 3)


@pytest.mark.parametrize("fault", ["refuse", "lose"])
async def test_a_creation_repeated_after_an_outage_creates_one_session(
    backend: UnsureBackend, store: BaseSessionStore, fault: str
) -> None:
    session: Session[Any] = Session(id="new", events=[said("a", 1)])
    setattr(backend, fault, 1)
    with pytest.raises(StoreUnavailable):
        await store.save(session)

    session.add_event(said("b", 2))
    await store.save(session)

    again = await read(store, "new")
    assert again == session
    assert (texts(again), again.total_tokens, session.total_tokens) == (["a", "b"], 3, 3)


@pytest.mark.parametrize("fault", ["refuse", "lose"])
async def test_a_guarded_save_repeated_after_an_outage_is_no_conflict(
    backend: UnsureBackend, store: BaseSessionStore, session: Session[Any], fault: str
) -> None:
    session.state["n"] = 2
    expected = session.revision
    setattr(backend, fault, 1)
    with pytest.raises(StoreUnavailable):
        await store.save(session, expected_revision=expected)

    await store.save(session, expected_revision=expected)

    assert (await read(store)).revision == session.revision == 2


async def test_a_guarded_save_changed_and_repeated_after_a_lost_reply_is_no_conflict(
    backend: UnsureBackend, store: BaseSessionStore, session: Session[Any]
) -> None:
    session.state["n"] = 2
    backend.lose = 1
    with pytest.raises(StoreUnavailable):
        await store.save(session, expected_revision=session.revision)
    session.state["n"] = 3

    await store.save(session, expected_revision=session.revision)

    assert (await read(store)).state["n"] == 3


async def test_a_guarded_save_still_conflicts_with_somebody_else(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    await store.append("s", said("theirs"))
    session.state["n"] = 2

    with pytest.raises(SessionConflict) as caught:
        await store.save(session, expected_revision=session.revision)

    assert [event.message for event in caught.value.missed_events] == ["theirs"]
    assert (await read(store)).state["n"] == 1


async def test_a_save_that_was_refused_is_forgotten_and_the_next_one_is_fresh(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    await store.append("s", said("theirs"))
    session.state["n"] = 2
    with pytest.raises(SessionConflict):
        await store.save(session, expected_revision=1)

    await store.save(session)

    assert (await read(store)).state["n"] == 2


async def test_a_cancelled_save_is_settled_by_the_next_one(store: BaseSessionStore, session: Session[Any]) -> None:
    session.add_event(said("d", 1))
    saving = asyncio.ensure_future(store.save(session))
    await asyncio.sleep(0)
    saving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await saving

    await store.save(session)

    again = await read(store)
    assert again == session
    assert (texts(again), again.revision, session.total_tokens) == (["a", "b", "c", "d"], 2, 1)


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
async def test_a_copy_of_a_session_with_an_unsettled_save_repeats_the_same_write(
    backend: UnsureBackend,
    store: BaseSessionStore,
    session: Session[Any],
    duplicate: Callable[[Session[Any]], Session[Any]],
) -> None:
    session.add_event(said("d", 1))
    backend.lose = 1
    with pytest.raises(StoreUnavailable):
        await store.save(session)
    twin = duplicate(session)

    await store.save(twin)
    await store.save(session)

    assert texts(await read(store)) == ["a", "b", "c", "d"]
    assert (await read(store)).revision == 2


async def test_a_pickled_session_with_an_unsettled_save_arrives_as_plain_data(
    backend: UnsureBackend, store: BaseSessionStore, session: Session[Any]
) -> None:
    session.add_event(said("d"))
    backend.refuse = 1
    with pytest.raises(StoreUnavailable):
        await store.save(session)

    again = pickle.loads(pickle.dumps(session))

    with pytest.raises(SessionAlreadyExists):
        await store.save(again)


# One object in several hands


async def test_two_tasks_that_save_one_object_save_it_once(store: BaseSessionStore, session: Session[Any]) -> None:
    session.add_event(said("d", 1))
    session.state["n"] = 2

    await asyncio.gather(store.save(session), store.save(session), store.save(session))

    again = await read(store)
    assert again == session
    assert (again.revision, session.revision, session.total_tokens) == (2, 2, 1)


@pytest.mark.parametrize("weight", [1, 400_000], ids=["light", "encoded in a thread"])
@pytest.mark.parametrize("parent_id", [None, "s"], ids=["root", "child"])
@pytest.mark.usefixtures("session")
async def test_two_tasks_that_save_one_hand_made_object_create_it_once(
    store: BaseSessionStore, parent_id: str | None, weight: int
) -> None:
    made: Session[Any] = Session(id="new", parent_id=parent_id, state={"text": "x" * weight})

    await asyncio.gather(store.save(made), store.save(made))
    await store.save(made)

    assert (await read(store, "new")).revision == made.revision == 1


async def test_two_tasks_that_save_one_heavy_change_commit_it_once(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    session.add_event(said("x" * 400_000, 1))

    await asyncio.gather(store.save(session), store.save(session))

    again = await read(store)
    assert again == session
    assert (again.revision, session.revision, session.total_tokens) == (2, 2, 1)


async def test_an_event_added_while_a_save_is_under_way_waits_for_the_next_one(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    session.add_event(said("d"))
    saving = asyncio.ensure_future(store.save(session))
    await asyncio.sleep(0)
    session.add_event(said("e"))
    await saving
    assert texts(await read(store)) == ["a", "b", "c", "d"]

    await store.save(session)

    assert texts(await read(store)) == ["a", "b", "c", "d", "e"]
    assert [event.seq for event in session.events] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("turns", range(6))
async def test_a_save_and_an_append_through_one_object_leave_its_events_in_order(
    store: BaseSessionStore, session: Session[Any], turns: int
) -> None:
    session.add_event(said("saved", 1))

    async def append() -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
        await store.append(session, said("appended", 2))

    await asyncio.gather(store.save(session), append())
    await store.save(session)

    again = await read(store)
    assert session.events == again.events
    assert (session.total_tokens, again.total_tokens) == (3, 3)


# Other stores


async def test_a_session_can_be_saved_to_another_store(store: BaseSessionStore, session: Session[Any]) -> None:
    session.add_event(said("d"))
    other = InMemorySessionStore()

    await other.save(session)
    session.add_event(said("e"))
    await other.save(session)

    assert texts(await read(other)) == ["a", "b", "c", "d", "e"]
    assert texts(await read(store)) == ["a", "b", "c"]
    assert (await read(other)).revision == session.revision == 2


async def test_a_session_can_be_saved_to_another_namespace(store: BaseSessionStore, session: Session[Any]) -> None:
    await store.namespace("copy").save(session)

    assert texts(await read(store.namespace("copy"))) == ["a", "b", "c"]
    assert (await read(store)).revision == 1


async def test_a_partial_session_cannot_be_saved_to_another_store(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    few = await read(store, last=1)
    other = InMemorySessionStore()

    with pytest.raises(InvalidSessionOperation, match=r"read it whole with get\(id\)"):
        await other.save(few)

    assert await other.list_sessions() == []


async def test_after_an_outage_a_session_can_be_saved_to_another_store(
    backend: UnsureBackend, store: BaseSessionStore, session: Session[Any]
) -> None:
    session.add_event(said("d"))
    backend.refuse = 1
    with pytest.raises(StoreUnavailable):
        await store.save(session)
    other = InMemorySessionStore()

    await other.save(session)

    assert texts(await read(other)) == ["a", "b", "c", "d"]


# Ids that are known already


async def test_an_event_that_is_on_the_list_twice_is_stored_and_kept_once(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    event = said("d", 1)
    session.add_event(event)
    await store.save(session)

    session.add_event(event)
    await store.save(session)

    assert session.events == (await read(store)).events
    assert session.total_tokens == 1


async def test_a_hidden_event_that_is_saved_again_does_not_come_back(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    event = said("d", 1)
    await store.append(session, event)
    await store.retract(session, event.id)

    session.add_event(event)
    await store.save(session)

    assert texts(await read(store)) == ["a", "b", "c"]
    assert texts(session) == ["a", "b", "c"]


async def test_a_write_id_used_again_with_fresh_events_is_the_first_commit_again(store: BaseSessionStore) -> None:
    await store.create("w")

    for _ in range(2):  # a retry that builds its events anew
        change = SessionChange(events=[said("x")], set_state={"n": 1})
        result = await store.commit("w", change, write_id="turn-7")
        assert (result.revision, result.last_seq) == (2, 1)

    assert texts(await read(store, "w")) == ["x"]
