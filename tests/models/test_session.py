"""A session is plain data: it sums up its tokens, can be copied, and uses no store by itself."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from a2a_session_manager import (
    EventSource,
    InMemorySessionStore,
    InvalidSessionOperation,
    RunStatus,
    Session,
    SessionAlreadyExists,
    SessionChange,
    SessionConflict,
    SessionEvent,
    SessionMetadata,
    SessionRun,
    SessionStore,
    SessionStoreProvider,
    TokenSummary,
    TokenUsage,
)

Copying = Callable[[Session[Any]], Session[Any]]
COPIES: dict[str, Copying] = {
    "model_copy": lambda session: session.model_copy(),
    "deep model_copy": lambda session: session.model_copy(deep=True),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
}


class Plan(BaseModel):
    days: int


def said(text: str, tokens: int = 0, *, run_id: str | None = None) -> SessionEvent[Any]:
    usage = TokenUsage(prompt_tokens=tokens, model="m", cost_pico_usd=tokens * 10**12)
    return SessionEvent(message=text, token_usage=usage, task_id=run_id)


@pytest.fixture
def store() -> InMemorySessionStore:
    return InMemorySessionStore()


@pytest.fixture
async def stored(store: InMemorySessionStore) -> Session[Any]:
    """A session of two events, a run, state and a property, read from its store."""
    change = SessionChange(
        events=[said("a", 1), said("b", 2)],
        set_state={"plan": {"days": 2}},
        set_properties={"owner": "Ann"},
        runs=[SessionRun(id="r", status=RunStatus.RUNNING)],
    )
    await store.create("s", change=change)
    session = await store.get("s")
    assert session is not None
    return session


async def texts(store: SessionStore, session_id: str = "s") -> list[Any]:
    return [event.message for event in await store.events(session_id)]


# Nothing is read or written


@pytest.fixture
def no_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> SessionStore:
        raise AssertionError("a model asked for a store")

    monkeypatch.setattr(SessionStoreProvider, "default_factory", refuse)
    monkeypatch.setattr(SessionStoreProvider, "_store", None)


@pytest.mark.usefixtures("no_store")
def test_making_validating_and_copying_a_child_uses_no_store() -> None:
    child = Session(parent_id="nobody")
    child.add_event(said("a", 1))

    again = Session.model_validate_json(child.model_dump_json())
    twins = [duplicate(child) for duplicate in COPIES.values()]

    assert again.parent_id == "nobody"
    assert all(twin == child for twin in twins)


async def test_making_a_child_leaves_the_store_as_it_was(store: InMemorySessionStore) -> None:
    await store.create("parent")

    with SessionStoreProvider.use(store):
        child = Session(parent_id="parent")

    assert await store.get(child.id) is None
    assert await store.children("parent") == []


@pytest.mark.parametrize("bad", ["", "x" * 600, "\ud800"])
@pytest.mark.parametrize("field", ["id", "parent_id"])
def test_a_session_refuses_a_bad_id(field: str, bad: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=r"cannot be used|lone surrogate"):
        Session.model_validate({field: bad})


# Spend


def test_the_summary_counts_every_event_that_was_added_or_put_on_the_list() -> None:
    session: Session[Any] = Session()

    session.add_event(said("a", 1))
    session.events.append(said("b", 2, run_id="r"))
    session.events += [said("c", 4), SessionEvent(message="free")]

    assert session.token_summary.total_tokens == 7
    assert session.total_tokens == 7
    assert session.total_cost == Decimal(7)
    assert session.usage_by_model["m"].requests == 3
    assert session.get_token_usage_by_source()["llm"].total_tokens == 7
    assert session.get_token_usage_by_run()["r"].total_tokens == 2


def test_spend_by_source_and_by_run_reads_as_in_0_1() -> None:
    session: Session[Any] = Session()
    session.add_event(said("a", 1))
    session.add_event(said("b", 2, run_id="r"))
    session.add_event(SessionEvent(message="c", source=EventSource.USER, token_usage=TokenUsage(prompt_tokens=4)))

    by_source, by_run = session.get_token_usage_by_source(), session.get_token_usage_by_run()

    assert {source: summary.total_tokens for source, summary in by_source.items()} == {"llm": 3, "user": 4}
    assert by_source["llm"].usage_by_model["m"].total_tokens == 3
    assert by_source["llm"].total_estimated_cost_usd == Decimal(3)
    assert by_source["user"].unpriced_requests == 1
    assert {run_id: tally.total_tokens for run_id, tally in by_run.items()} == {"no_run": 5, "r": 2}
    assert by_run["r"].total_estimated_cost_usd == Decimal(2)
    assert (by_run["r"].total_prompt_tokens, by_run["r"].total_completion_tokens) == (
        by_run["r"].prompt_tokens,
        by_run["r"].completion_tokens,
    )
    assert Session().get_token_usage_by_run()["no_run"].total_tokens == 0


def test_the_context_size_is_the_newest_request_and_not_the_sum() -> None:
    session: Session[Any] = Session()
    session.add_event(SessionEvent(message="a", token_usage=TokenUsage(prompt_tokens=900, completion_tokens=80)))
    session.add_event(SessionEvent(message="b", token_usage=TokenUsage(prompt_tokens=1_000, completion_tokens=30)))
    session.add_event(SessionEvent(message="c"))

    assert session.context_size == 1_030
    assert session.total_tokens == 2_010


def test_a_session_without_a_request_has_no_context_size() -> None:
    assert Session(events=[SessionEvent(message="a")]).context_size is None


def test_a_usage_that_sums_several_requests_gives_no_context_size() -> None:
    session: Session[Any] = Session()
    session.add_event(SessionEvent(message="a", token_usage=TokenUsage(prompt_tokens=900)))
    session.add_event(SessionEvent(message="b", token_usage=TokenUsage(prompt_tokens=2_000, requests=2)))

    assert session.context_size is None


def test_an_empty_usage_does_not_reset_the_context_size() -> None:
    session: Session[Any] = Session()
    session.add_event(SessionEvent(message="a", token_usage=TokenUsage(prompt_tokens=900, completion_tokens=80)))
    session.add_event(SessionEvent(message="b", token_usage=TokenUsage(model="<synthetic>")))

    assert session.context_size == 980


def test_the_context_size_of_a_request_of_several_calls_is_that_of_the_last_call() -> None:
    session: Session[Any] = Session()
    session.add_event(SessionEvent(message="a", token_usage=TokenUsage(prompt_tokens=900, context_tokens=40)))

    assert session.context_size == 40


def test_the_summary_follows_an_unsaved_event_that_is_taken_off_again() -> None:
    session: Session[Any] = Session()
    session.add_event(said("a", 1))

    session.events.clear()

    assert session.token_summary == TokenSummary()


async def test_the_summary_is_what_was_read_plus_what_is_not_saved_yet(stored: Session[Any]) -> None:
    stored.add_event(said("c", 4))
    stored.events.append(said("d", 8))

    assert stored.token_summary.total_tokens == 15


async def test_saving_does_not_change_the_summary(store: InMemorySessionStore, stored: Session[Any]) -> None:
    stored.add_event(said("c", 4, run_id="r"))
    before = stored.token_summary

    await store.save(stored)

    assert stored.token_summary == before
    assert await store.usage("s") == before


async def test_the_summary_of_a_bounded_read_counts_the_events_that_were_left_out(
    store: InMemorySessionStore, stored: Session[Any]
) -> None:
    session = await store.get("s", last=1)

    assert session is not None
    assert len(session.events) == 1
    assert session.token_summary == stored.token_summary


async def test_the_summary_counts_hidden_events(store: InMemorySessionStore, stored: Session[Any]) -> None:
    await store.retract(stored, last=1)

    assert [event.message for event in stored.events] == ["a"]
    assert stored.token_summary.total_tokens == 3


# Names of 0.1


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("add_child", "create them with parent_id"),
        ("remove_child", "delete the child"),
        ("update_token_usage", "put token_usage on the event"),
    ],
)
def test_a_name_that_was_removed_is_refused_with_the_remedy(name: str, remedy: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=f"Session.{name} is gone since 0.2: .*{remedy}"):
        getattr(Session(), name)


def test_a_name_that_never_was_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError):
        Session().add_kid  # type: ignore[attr-defined]  # noqa: B018  # the access is the test


def test_the_active_run_is_the_newest_that_is_running() -> None:
    runs = [SessionRun(status=status) for status in (RunStatus.RUNNING, RunStatus.RUNNING, RunStatus.WAITING)]

    assert Session(runs=runs).active_run is runs[1]
    assert Session(runs=runs[2:]).active_run is None


def test_the_last_update_is_that_of_the_newest_event() -> None:
    session: Session[Any] = Session()
    later = session.metadata.updated_at + timedelta(hours=1)

    session.add_event(SessionEvent(message="a", timestamp=later))

    assert session.last_update_time == later


def test_the_last_update_of_an_empty_session_is_its_own() -> None:
    session: Session[Any] = Session()

    assert session.last_update_time == session.metadata.updated_at


def test_properties_are_set_and_read_by_name() -> None:
    metadata = SessionMetadata()

    metadata.set_property("owner", "Ann")

    assert metadata.get_property("owner") == "Ann"
    assert metadata.get_property("other") is None
    assert metadata.get_property("other", 0) == 0


def test_two_sessions_share_no_list_or_dict() -> None:
    first, second = Session[Any](), Session[Any]()

    first.add_event(said("a"))
    first.state["k"] = 1
    first.runs.append(SessionRun())
    first.metadata.set_property("k", 1)

    assert (second.events, second.state, second.runs, second.metadata.properties) == ([], {}, [], {})


def test_a_hand_made_session_knows_its_root_only_when_it_is_one() -> None:
    assert Session(id="a").root_id == "a"
    assert Session(parent_id="a").root_id is None
    assert (Session().revision, Session().last_seq, Session().is_partial) == (0, 0, False)


def test_a_typed_session_refuses_another_payload() -> None:
    with pytest.raises(ValidationError):
        Session[Plan].model_validate({"events": [{"message": {"nights": 1}}]})


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
