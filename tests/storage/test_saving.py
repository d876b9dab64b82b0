"""`save`: what changed since the read, as one commit that can be sent again."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    RunStatus,
    Session,
    SessionAlreadyExists,
    SessionChange,
    SessionConflict,
    SessionEvent,
    SessionNotFound,
    SessionRun,
    StoreUnavailable,
    TokenUsage,
)
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore


class UnsureBackend(MemoryBackend):
    """Memory that gives way at every step; a write fails before it lands, or its reply is lost, when told so."""

    def __init__(self) -> None:
        super().__init__()
        self.refuse = 0
        self.lose = 0
        self.write_ids: list[str | None] = []

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        return await self._unsure(commit, lambda: super(UnsureBackend, self).create(key, creation, commit))

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        return await self._unsure(commit, lambda: super(UnsureBackend, self).commit(key, commit))

    async def load(self, *args: Any, **kwargs: Any) -> list[LoadedSession | None]:
        await asyncio.sleep(0)
        return await super().load(*args, **kwargs)

    async def _unsure(self, commit: EncodedCommit, write: Callable[[], Awaitable[Receipt]]) -> Receipt:
        self.write_ids.append(commit.write_id)
        await asyncio.sleep(0)
        if self.refuse:
            self.refuse -= 1
            raise StoreUnavailable("nobody answers")
        receipt = await write()
        await asyncio.sleep(0)
        if self.lose:
            self.lose -= 1
            raise StoreUnavailable("the reply was lost")
        return receipt


@pytest.fixture
def backend() -> UnsureBackend:
    return UnsureBackend()


@pytest.fixture
def store(backend: UnsureBackend) -> BaseSessionStore:
    return BaseSessionStore(backend)


@pytest.fixture
async def session(store: BaseSessionStore) -> Session[Any]:
    """A session of three events, a run, state and properties, just read."""
    change = SessionChange(
        events=[said(text) for text in "abc"],
        set_state={"plan": {"days": 2}, "n": 1},
        set_properties={"owner": "Ann"},
        runs=[SessionRun(id="r", status=RunStatus.RUNNING)],
    )
    await store.create("s", change=change)
    return await read(store)


def said(text: str, tokens: int = 0) -> SessionEvent[Any]:
    return SessionEvent(message=text, token_usage=TokenUsage(prompt_tokens=tokens, model="m"))


async def read(store: BaseSessionStore, session_id: str = "s", last: int | None = None) -> Session[Any]:
    session = await store.get(session_id, last=last)
    assert session is not None
    return session


def texts(session: Session[Any]) -> list[Any]:
    return [event.message for event in session.events]


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
