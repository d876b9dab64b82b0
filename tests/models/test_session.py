"""A session is plain data: it sums up its tokens, can be copied, and uses no store by itself."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from a2a_session_manager import (
    EventSource,
    InMemorySessionStore,
    InvalidSessionOperation,
    RunStatus,
    Session,
    SessionEvent,
    SessionMetadata,
    SessionRun,
    SessionStore,
    SessionStoreProvider,
    TokenSummary,
    TokenUsage,
)
from tests.models.kept_sessions import COPIES, Plan, said, store, stored

__all__ = ["store", "stored"]


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
