"""`save`: what changed since the read, as one commit that can be sent again."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from a2a_session_manager import (
    InvalidEvent,
    InvalidSessionOperation,
    RunStatus,
    Session,
    SessionAlreadyExists,
    SessionNotFound,
    SessionRun,
)
from a2a_session_manager.storage.store import BaseSessionStore
from tests.storage.unsure_backend import UnsureBackend, backend, read, said, session, store, texts

__all__ = ["backend", "session", "store"]


# What is seen


async def test_saving_what_did_not_change_sends_nothing(
    backend: UnsureBackend, store: BaseSessionStore, session: Session[Any]
) -> None:
    backend.write_ids.clear()

    await store.save(session)

    assert backend.write_ids == []
    assert (await read(store)).revision == 1


async def test_every_kind_of_change_goes_into_one_commit(store: BaseSessionStore, session: Session[Any]) -> None:
    session.add_event(said("d"))
    session.state["n"] = 2
    session.state["new"] = [1]
    session.metadata.set_property("owner", "Bob")
    session.runs[0].mark_completed()
    session.runs.append(SessionRun(id="r2"))

    await store.save(session)

    again = await read(store)
    assert again.revision == session.revision == 2
    assert again == session
    assert texts(again) == ["a", "b", "c", "d"]
    assert again.state == {"plan": {"days": 2}, "n": 2, "new": [1]}


async def test_a_change_deep_inside_a_state_value_is_seen(store: BaseSessionStore, session: Session[Any]) -> None:
    session.state["plan"]["days"] = 3

    await store.save(session)

    assert (await read(store)).state["plan"] == {"days": 3}


async def test_a_key_that_is_gone_is_unset(store: BaseSessionStore, session: Session[Any]) -> None:
    del session.state["n"]
    session.metadata.properties.clear()

    await store.save(session)

    again = await read(store)
    assert (again.state, again.metadata.properties) == ({"plan": {"days": 2}}, {})


async def test_keys_and_runs_that_were_not_touched_are_left_to_others(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    other = await read(store)
    other.state["n"] = 7
    other.runs[0].mark_waiting()
    await store.save(other)
    session.state["mine"] = 1

    await store.save(session)

    again = await read(store)
    assert again.state == {"plan": {"days": 2}, "n": 7, "mine": 1}
    assert again.runs[0].status is RunStatus.WAITING


async def test_events_put_on_the_list_directly_are_saved(store: BaseSessionStore, session: Session[Any]) -> None:
    session.events += [said("d"), said("e")]

    await store.save(session)

    assert texts(await read(store)) == ["a", "b", "c", "d", "e"]
    assert [event.seq for event in session.events] == [1, 2, 3, 4, 5]


async def test_saving_again_and_again_appends_only_what_is_new(store: BaseSessionStore, session: Session[Any]) -> None:
    for text in "defg":
        session.add_event(said(text, tokens=1))
        await store.save(session)

    again = await read(store)
    assert texts(again) == list("abcdefg")
    assert (again.revision, session.revision, again.total_tokens, session.total_tokens) == (5, 5, 4, 4)


@pytest.mark.parametrize("last", [0, 1, 2])
async def test_a_bounded_read_can_be_changed_and_saved_and_hides_nothing(
    store: BaseSessionStore, session: Session[Any], last: int
) -> None:
    few = await read(store, last=last)
    few.add_event(said("d"))
    few.state["n"] = 2

    await store.save(few)

    assert texts(await read(store)) == ["a", "b", "c", "d"]
    assert len(few.events) == last + 1


# What is refused, before anything is written


def removed(session: Session[Any]) -> None:
    del session.events[1]


def emptied(session: Session[Any]) -> None:
    session.events.clear()


def moved(session: Session[Any]) -> None:
    session.events.reverse()


def put_in_between(session: Session[Any]) -> None:
    session.events.insert(1, said("x"))


def put_in_front(session: Session[Any]) -> None:
    session.events.insert(0, said("x"))


def replaced(session: Session[Any]) -> None:
    session.events[1] = said("x")


def replaced_by_a_changed_copy(session: Session[Any]) -> None:
    session.events[1] = session.events[1].model_copy(update={"message": "x"})


def last_one_removed_and_another_added(session: Session[Any]) -> None:
    session.events[2:] = [said("x"), said("y")]


@pytest.mark.parametrize(
    "spoil",
    [
        removed,
        emptied,
        moved,
        put_in_between,
        put_in_front,
        replaced,
        replaced_by_a_changed_copy,
        last_one_removed_and_another_added,
    ],
)
async def test_touching_stored_events_is_refused_with_the_remedy(
    store: BaseSessionStore, session: Session[Any], spoil: Callable[[Session[Any]], None]
) -> None:
    spoil(session)
    session.state["n"] = 2

    with pytest.raises(InvalidSessionOperation, match="hide events with retract"):
        await store.save(session)

    again = await read(store)
    assert (again.revision, texts(again), again.state["n"]) == (1, ["a", "b", "c"], 1)


async def test_equal_copies_of_stored_events_are_no_change(store: BaseSessionStore, session: Session[Any]) -> None:
    session.events = [copy.deepcopy(event) for event in session.events]
    session.add_event(said("d"))

    await store.save(session)

    assert texts(await read(store)) == ["a", "b", "c", "d"]


async def test_a_stored_run_cannot_be_removed(store: BaseSessionStore, session: Session[Any]) -> None:
    session.runs.clear()

    with pytest.raises(InvalidSessionOperation, match=r"\['r'\]; runs stay, cancel them instead"):
        await store.save(session)


async def test_a_run_that_somebody_else_has_ended_stays_ended(store: BaseSessionStore, session: Session[Any]) -> None:
    other = await read(store)
    other.runs[0].mark_completed()
    await store.save(other)
    session.runs[0].mark_waiting()
    session.add_event(said("d"))

    with pytest.raises(InvalidSessionOperation, match="cannot go from completed to waiting"):
        await store.save(session)

    again = await read(store)
    assert (again.runs[0].status, texts(again)) == (RunStatus.COMPLETED, ["a", "b", "c"])


async def test_a_session_cannot_be_renamed(store: BaseSessionStore, session: Session[Any]) -> None:
    session.id = "t"

    with pytest.raises(InvalidSessionOperation, match="'s' cannot be renamed to 't': create a new Session"):
        await store.save(session)

    assert await store.list_sessions() == ["s"]


async def test_a_session_cannot_go_below_another_parent(store: BaseSessionStore, session: Session[Any]) -> None:
    await store.create("top")
    session.parent_id = "top"

    with pytest.raises(InvalidSessionOperation, match=r"never changes; .*create a new Session with parent_id"):
        await store.save(session)

    assert await store.children("top") == []


async def test_a_value_that_is_not_json_is_refused_and_can_be_put_right(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    session.add_event(said("d"))
    session.state["n"] = {1}
    with pytest.raises(InvalidEvent, match=r"state\.n"):
        await store.save(session)
    assert (await read(store)).revision == 1

    session.state["n"] = [1]
    await store.save(session)

    assert texts(await read(store)) == ["a", "b", "c", "d"]


async def test_a_session_that_was_deleted_is_not_brought_back(store: BaseSessionStore, session: Session[Any]) -> None:
    await store.delete("s")
    session.add_event(said("d"))

    with pytest.raises(SessionNotFound):
        await store.save(session)

    assert await store.list_sessions() == []


async def test_an_old_handle_does_not_write_into_a_new_session_of_the_same_id(
    store: BaseSessionStore, session: Session[Any]
) -> None:
    await store.delete("s")
    await store.create("s")
    session.add_event(said("d"))

    with pytest.raises(SessionNotFound):
        await store.save(session)

    assert texts(await read(store)) == []


# Hand-made sessions


async def test_a_hand_made_session_is_created_with_all_it_holds(store: BaseSessionStore) -> None:
    session: Session[Any] = Session(id="new", state={"n": 1}, runs=[SessionRun(id="r")], events=[said("a", 3)])
    session.metadata.set_property("p", 1)

    await store.save(session)

    again = await read(store, "new")
    assert again == session
    assert (again.revision, session.revision, again.total_tokens) == (1, 1, 3)
    assert again.metadata.created_at == session.metadata.created_at


async def test_a_hand_made_session_whose_id_is_taken_is_refused(store: BaseSessionStore, session: Session[Any]) -> None:
    with pytest.raises(SessionAlreadyExists):
        await store.save(Session(id="s", events=[said("x")]))

    assert texts(await read(store)) == ["a", "b", "c"]


async def test_a_hand_made_session_can_be_saved_again_by_the_object_that_created_it(store: BaseSessionStore) -> None:
    session: Session[Any] = Session(id="new")
    await store.save(session)
    session.add_event(said("a"))

    await store.save(session)

    assert texts(await read(store, "new")) == ["a"]


async def test_a_hand_made_child_needs_its_parent_in_the_store(store: BaseSessionStore) -> None:
    with pytest.raises(SessionNotFound, match="save the parent first, in the same namespace"):
        await store.save(Session(parent_id="nobody"))

    assert await store.list_sessions() == []


async def test_a_hand_made_child_is_linked_by_saving_it(store: BaseSessionStore, session: Session[Any]) -> None:
    child: Session[Any] = Session(id="below", parent_id="s")

    await store.save(child)

    assert await store.children("s") == ["below"]
    assert child.root_id == "s"
    assert (await read(store)).revision == 1, "linking a child moves no revision of its parent"
