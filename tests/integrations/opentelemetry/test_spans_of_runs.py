"""Spans of runs: each block has one, which says how it ended."""

from __future__ import annotations

import asyncio

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from a2a_session_manager import SessionManager, SessionRun
from a2a_session_manager.exceptions import LeaseLost, SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import InMemorySessionStore
from tests.integrations.opentelemetry.recorded import USAGE, Recorded, children, recorded
from tests.stores import OpenStore, open_store

__all__ = ["open_store", "recorded"]


async def test_a_run_is_a_span_and_what_it_reads_and_writes_are_its_children(
    open_store: OpenStore, recorded: Recorded
) -> None:
    async with open_store() as store:
        sessions = SessionManager(recorded.instrument(store))
        async with sessions.open("oslo-trip") as chat:
            recorded.forget()
            async with chat.run(agent="planner", id="run-1") as run:
                await chat.messages()
                await run.assistant("Take a coat.", usage=USAGE)
            await chat.user("Thanks")

    [span] = recorded.named("invoke_agent planner")
    assert span.kind is SpanKind.INTERNAL
    assert span.status.status_code is StatusCode.UNSET
    cost = span.attributes["a2a_session_manager.run.cost_usd"]
    assert cost == pytest.approx(0.0000207)
    assert dict(span.attributes) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "planner",
        "gen_ai.conversation.id": "oslo-trip",
        "a2a_session_manager.run.id": "run-1",
        "a2a_session_manager.run.status": "completed",
        "gen_ai.usage.input_tokens": 90,
        "gen_ai.usage.output_tokens": 12,
        "a2a_session_manager.run.cost_usd": cost,
    }
    inside = children(recorded.spans, span)
    # The last is that the run has ended; that it begins is written before.
    assert [each.name for each in inside] == ["read_compacted sessions", "commit sessions", "commit sessions"]
    assert {each.attributes["gen_ai.conversation.id"] for each in inside} == {"oslo-trip"}
    assert span.parent is None
    assert recorded.spans[-1].parent is None  # what comes after the block
    async with open_store() as cold:
        assert [event.seq for event in await cold.events("oslo-trip")] == [1, 2]


async def test_a_run_that_fails_is_an_error_of_its_type(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store, SessionManager(recorded.instrument(store)).open("talk") as chat:
        with pytest.raises(ConnectionError):
            async with chat.run():
                raise ConnectionError("secret")

    [span] = recorded.named("invoke_agent")
    assert span.status.status_code is StatusCode.ERROR
    assert (span.status.description, span.events) == (None, ())
    assert span.attributes["error.type"] == "ConnectionError"
    assert span.attributes["a2a_session_manager.run.status"] == "failed"


async def test_a_run_that_is_cancelled_ends_its_span(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store, SessionManager(recorded.instrument(store)).open("talk") as chat:
        begun = asyncio.Event()

        async def long() -> None:
            async with chat.run(agent="slow"):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(long())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    [span] = recorded.named("invoke_agent slow")
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes["a2a_session_manager.run.status"] == "cancelled"
    assert span.attributes["error.type"] == "CancelledError"


async def test_a_run_that_waits_has_a_span_for_each_block(recorded: Recorded) -> None:
    async with SessionManager(recorded.instrument(InMemorySessionStore())).open("talk") as chat:
        async with chat.run(agent="asker", id="ask") as run:
            await run.mark_waiting()
        async with chat.run(id="ask"):
            pass

    spans = recorded.named("invoke_agent asker")  # the agent of the second was read
    assert [span.attributes["a2a_session_manager.run.status"] for span in spans] == ["waiting", "completed"]


async def test_a_run_that_does_not_begin_has_no_span(recorded: Recorded) -> None:
    store = recorded.instrument(InMemorySessionStore())
    async with SessionManager(store).open("talk") as chat:
        await store.delete("talk")
        with pytest.raises(SessionNotFound):
            await chat.run(agent="late").__aenter__()
        await store.create("next")

    assert recorded.named("invoke_agent late") == []
    assert recorded.spans[-1].parent is None


async def test_a_run_whose_end_cannot_be_written_is_an_error(recorded: Recorded) -> None:
    store = recorded.instrument(InMemorySessionStore())
    async with SessionManager(store).open("talk") as chat:
        with pytest.raises(SessionNotFound):
            async with chat.run(agent="late"):
                await store.delete("talk")

    [span] = recorded.named("invoke_agent late")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "SessionNotFound"


async def test_a_run_that_was_taken_over_is_an_error(recorded: Recorded) -> None:
    async with SessionManager(recorded.instrument(InMemorySessionStore())).open("talk") as chat:
        with pytest.raises(LeaseLost):
            async with chat.run(agent="slow", id="run-1") as run, chat.run(id="run-1", busy="take_over"):
                await run.user("Too late")

    assert [span.attributes.get("error.type") for span in recorded.named("invoke_agent slow")] == ["LeaseLost"] * 2


async def test_a_run_marked_as_failed_by_hand_is_an_error_of_no_known_type(recorded: Recorded) -> None:
    async with SessionManager(recorded.instrument(InMemorySessionStore())).open("talk") as chat, chat.run() as run:
        run.record.mark_failed("secret")

    [span] = recorded.named("invoke_agent")
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "_OTHER"


async def test_a_block_left_in_another_task_ends_its_span_without_a_complaint(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    async with SessionManager(recorded.instrument(InMemorySessionStore())).open("talk") as chat:
        run = chat.run()
        await run.__aenter__()
        await asyncio.create_task(run.__aexit__(None, None, None))

    assert len(recorded.named("invoke_agent")) == 1
    assert caplog.records == []


async def test_a_run_committed_by_hand_names_its_run(recorded: Recorded) -> None:
    store = recorded.instrument(InMemorySessionStore())
    await store.create("talk")
    run = SessionRun(id="run-1")
    run.mark_running()
    await store.commit("talk", SessionChange(runs=[run]))

    assert recorded.spans[-1].attributes["a2a_session_manager.run.id"] == "run-1"
