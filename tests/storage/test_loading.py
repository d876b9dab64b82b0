"""Sessions that a store has read: made without validation, they are what validation would have made."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from a2a_session_manager import InMemorySessionStore, Session, SessionChange, SessionEvent, SessionRun, TokenUsage
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.storage.loading import summary

USAGE = TokenUsage(prompt_tokens=3, model="m", cost_pico_usd=1)
FULL = SessionChange(
    events=[SessionEvent(message="hi", task_id="run", token_usage=USAGE)],
    set_state={"step": [1]},
    set_properties={"who": {"name": "Ada"}},
    runs=[SessionRun(id="run")],
)


async def loaded(change: SessionChange | None = None, *, last: int | None = 0) -> tuple[Session[Any], Session[Any]]:
    """Return one session, read twice."""
    store = InMemorySessionStore()
    await store.create("root")
    await store.create("talk", parent_id="root", change=change)
    await store.create("child", parent_id="talk")
    one, other = await store.get_many(["talk", "talk"], last=last)
    assert one is not None
    assert other is not None
    return one, other


@pytest.mark.parametrize("change", [None, FULL], ids=["empty", "full"])
@pytest.mark.parametrize("last", [None, 0])
async def test_a_loaded_session_is_what_validation_makes_of_its_fields(
    change: SessionChange | None, last: int | None
) -> None:
    session, _ = await loaded(change, last=last)
    metadata = session.metadata

    assert list(session.__dict__) == list(Session.model_fields) == list(Session(**session.__dict__).__dict__)
    assert list(metadata.__dict__) == list(SessionMetadata.model_fields)
    assert session == Session(**session.__dict__)
    assert session.model_fields_set == set(Session.model_fields)
    assert metadata.model_fields_set == {"created_at", "properties"}
    assert Session.model_validate_json(session.model_dump_json()).model_dump() == session.model_dump()


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
async def test_a_loaded_session_can_be_copied_and_pickled(duplicate: Callable[[Any], Any]) -> None:
    session, _ = await loaded(FULL, last=None)

    assert duplicate(session) == session
    assert duplicate(session.metadata) == session.metadata


@pytest.mark.parametrize("change", [None, FULL], ids=["empty", "full"])
async def test_two_reads_of_a_session_share_nothing_that_can_be_changed(change: SessionChange | None) -> None:
    one, other = await loaded(change, last=None)
    before = other.model_dump()

    one.state["new"] = one.metadata.properties["new"] = 1
    one.runs.append(SessionRun(id="new"))
    one.events.append(SessionEvent(id="new", token_usage=USAGE))
    one.child_ids.append("new")
    one.model_fields_set.clear()
    one.metadata.model_fields_set.clear()
    spent = one.token_summary
    spent.by_run["new"] = spent.total
    spent.by_model.clear()

    assert other.model_dump() == before
    assert other.model_fields_set == set(Session.model_fields)
    assert other.metadata.model_fields_set == {"created_at", "properties"}
    assert other.token_summary.total_tokens == (0 if change is None else 3)
    assert "new" not in other.token_summary.by_run
    assert "new" not in Session().token_summary.by_run


async def test_totals_that_were_stored_before_a_counter_came_read_it_as_0() -> None:
    older = await summary({("gpt-4o", "llm"): {"requests": 2, "prompt_tokens": 5}}, {"r": {"requests": 1}})

    assert (older.total.requests, older.total.prompt_tokens) == (2, 5)
    assert (older.total.partially_priced_requests, older.requests_without_usage) == (0, 0)
    assert not older.total.is_lower_bound
