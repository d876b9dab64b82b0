"""Runs in a block: its record says how it ended, whoever ends it, and whatever cannot be written."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager import (
    ActiveSession,
    InvalidSessionOperation,
    RunBusy,
    RunStatus,
    SessionEvent,
    SessionManager,
    SessionRun,
    StoreUnavailable,
)
from a2a_session_manager.storage.store import BaseSessionStore
from tests.active.slow_store import SlowBackend, backend, chat, store
from tests.stops import REASON, STOPS, Reached, Stop, task_cancel

__all__ = ["backend", "chat", "store"]


async def stored_run(store: BaseSessionStore, run_id: str, session_id: str = "chat") -> SessionRun:
    return next(run for run in await store.runs(session_id) if run.id == run_id)


async def test_a_child_of_a_run_names_the_run(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run, run.child("below", agent="a") as child:
        await child.user("x")

    session = await store.get("below")
    assert session is not None
    assert session.metadata.properties == {"agent": "a", "parent_run_id": "r"}
    assert session.events[0].task_id is None


# Runs: how the block ends


async def test_a_run_is_stored_as_running_when_the_block_begins(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run("planner", id="r", metadata={"k": 1}) as run:
        record = await stored_run(store, "r")

    assert (run.id, record.status, record.agent, record.metadata) == ("r", RunStatus.RUNNING, "planner", {"k": 1})
    assert record.started_at is not None


async def test_a_block_that_ends_well_completes_the_run(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        pass

    record = await stored_run(store, "r")
    assert (record.status, record.error, record.error_type) == (RunStatus.COMPLETED, None, None)
    assert record.ended_at is not None
    assert run.status is RunStatus.COMPLETED


async def test_an_error_fails_the_run_with_its_type_and_text_and_goes_on(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    with pytest.raises(LookupError, match="no seats"):
        async with chat.run(id="r"):
            raise LookupError("no seats")

    record = await stored_run(store, "r")
    assert (record.status, record.error, record.error_type) == (RunStatus.FAILED, "no seats", "LookupError")


async def test_an_error_whose_text_is_no_valid_unicode_is_recorded_as_it_is(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    with pytest.raises(ValueError, match="bad"):
        async with chat.run(id="r"):
            raise ValueError("bad \ud800 text")

    assert (await stored_run(store, "r")).error == "bad \ud800 text"


async def test_events_of_a_run_carry_its_id(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.user("a")
        await run.tool("f", {}, result=1)
        await run.append({"role": "user", "content": "b"}, SessionEvent(message="c"))
        await run.append(SessionEvent(message="d", task_id="own"))
        await chat.user("e")

    assert [event.task_id for event in await store.events("chat")] == ["r", "r", "r", "r", "r", "own", None]


async def test_the_spend_of_a_run_is_known_by_its_id(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.assistant("x", usage={"prompt_tokens": 5})
    await chat.assistant("y", usage={"prompt_tokens": 2})

    assert (await store.usage("chat")).by_run["r"].total_tokens == 5


@pytest.mark.parametrize("stop", STOPS)
async def test_a_cancelled_block_cancels_the_run_and_the_record_is_written(
    store: BaseSessionStore, chat: ActiveSession, stop: Stop
) -> None:
    async def body(reached: Reached) -> None:
        async with chat.run(id="r") as run:
            await run.user("working")
            reached()
            await asyncio.Event().wait()

    await stop(body)

    record = await stored_run(store, "r")
    assert (record.status, record.error_type) == (RunStatus.CANCELLED, "CancelledError")
    assert record.ended_at is not None
    assert chat.session.runs == [record]


async def test_a_cancelled_run_keeps_the_reason(store: BaseSessionStore, chat: ActiveSession) -> None:
    async def body(reached: Reached) -> None:
        async with chat.run(id="r"):
            reached()
            await asyncio.Event().wait()

    await task_cancel(body)

    assert (await stored_run(store, "r")).error == REASON


async def test_nested_runs_end_each_on_its_own(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="outer") as outer:
        await outer.user("a")
        with pytest.raises(ValueError, match="inner"):  # noqa: PT012  # how the block ends is the test
            async with outer.run(id="inner") as inner:
                await inner.user("b")
                raise ValueError("inner")
        await outer.user("c")

    assert (await stored_run(store, "outer")).status is RunStatus.COMPLETED
    assert (await stored_run(store, "inner")).status is RunStatus.FAILED
    assert [event.task_id for event in await store.events("chat")] == ["outer", "inner", "outer"]


async def test_an_error_goes_up_through_all_nested_runs(store: BaseSessionStore, chat: ActiveSession) -> None:
    with pytest.raises(ValueError, match="deep"):
        async with chat.run(id="outer") as outer, outer.child("below") as child, child.run(id="inner"):
            raise ValueError("deep")

    assert (await stored_run(store, "outer")).status is RunStatus.FAILED
    assert (await stored_run(store, "inner", "below")).status is RunStatus.FAILED


async def test_a_run_ended_by_hand_inside_its_block_is_stored_as_ended(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    async with chat.run(id="r") as run:
        run.record.mark_failed("the tool gave up")

    record = await stored_run(store, "r")
    assert (record.status, record.error) == (RunStatus.FAILED, "the tool gave up")


# Runs: waiting and resuming


async def test_a_block_left_while_waiting_leaves_the_run_waiting(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.mark_waiting()
        assert (await stored_run(store, "r")).status is RunStatus.WAITING

    record = await stored_run(store, "r")
    assert (record.status, record.ended_at) == (RunStatus.WAITING, None)


async def test_a_waiting_run_is_resumed_by_its_id_elsewhere(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run("planner", id="r") as run:
        await run.mark_waiting()
    started = (await stored_run(store, "r")).started_at

    async with SessionManager(store).open("chat") as again, again.run(id="r") as resumed:
        assert resumed.status is RunStatus.RUNNING
        assert (await stored_run(store, "r")).status is RunStatus.RUNNING

    record = await stored_run(store, "r")
    assert (record.status, record.agent, record.started_at) == (RunStatus.COMPLETED, "planner", started)
    assert len(await store.runs("chat")) == 1


async def test_a_run_can_wait_and_go_on_inside_one_block(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.mark_waiting()
        await run.mark_running()

    assert (await stored_run(store, "r")).status is RunStatus.COMPLETED


async def test_an_error_while_waiting_fails_the_run(store: BaseSessionStore, chat: ActiveSession) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # how the block ends is the test
        async with chat.run(id="r") as run:
            await run.mark_waiting()
            raise ZeroDivisionError

    assert (await stored_run(store, "r")).status is RunStatus.FAILED


async def test_a_run_that_was_interrupted_without_a_word_is_resumed(
    store: BaseSessionStore, chat: ActiveSession
) -> None:
    entered = chat.run(id="r")
    await entered.__aenter__()  # and the process dies here

    with pytest.raises(RunBusy):
        await chat.run(id="r").__aenter__()
    async with chat.run(id="r", busy="take_over"):
        pass

    assert [run.status for run in await store.runs("chat")] == [RunStatus.COMPLETED]


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_the_id_of_a_finished_run_is_refused_and_its_record_stays(
    store: BaseSessionStore, chat: ActiveSession, end: str
) -> None:
    session = await store.get("chat")
    assert session is not None
    session.runs.append(SessionRun(id="r", status=RunStatus(end)))
    await store.save(session)

    with pytest.raises(InvalidSessionOperation, match=f"'r' has ended as {end}: start a new run"):
        async with chat.run(id="r"):
            raise AssertionError("it was entered")

    assert (await stored_run(store, "r")).status.value == end


async def test_a_finished_run_is_refused_however_old_it_is(store: BaseSessionStore, chat: ActiveSession) -> None:
    for n in range(30):
        async with chat.run(id=f"r{n}"):
            pass

    with pytest.raises(InvalidSessionOperation):
        async with SessionManager(store).open("chat") as again, again.run(id="r0"):
            raise AssertionError("it was entered")

    assert (await stored_run(store, "r0")).status is RunStatus.COMPLETED


async def test_an_unfinished_run_is_found_however_old_it_is(store: BaseSessionStore, chat: ActiveSession) -> None:
    async with chat.run("first", id="r") as run:
        await run.mark_waiting()
    for _ in range(30):
        async with chat.run():
            pass

    async with SessionManager(store).open("chat") as again, again.run(id="r") as resumed:
        assert resumed.record.agent == "first"


# Runs: when the last write fails


async def test_an_ending_that_cannot_be_written_is_noted_on_the_error_of_the_body(
    backend: SlowBackend, store: BaseSessionStore, chat: ActiveSession
) -> None:
    with pytest.raises(ValueError, match="own error") as caught:  # noqa: PT012  # how the block ends is the test
        async with chat.run(id="r"):
            backend.is_down = True
            raise ValueError("own error")

    assert caught.value.__notes__ == ["run 'r' could not be recorded as failed: the line is dead"]
    assert (await stored_run(store, "r")).status is RunStatus.RUNNING


async def test_an_ending_that_cannot_be_written_after_a_good_block_raises(
    backend: SlowBackend, store: BaseSessionStore, chat: ActiveSession
) -> None:
    with pytest.raises(StoreUnavailable, match="the line is dead"):
        async with chat.run(id="r"):
            backend.is_down = True

    backend.is_down = False
    async with chat.run(id="r", busy="take_over"):  # the lease could not be given up either
        pass
    assert (await stored_run(store, "r")).status is RunStatus.COMPLETED


async def test_a_start_that_cannot_be_written_enters_no_block(backend: SlowBackend, chat: ActiveSession) -> None:
    backend.is_down = True

    with pytest.raises(StoreUnavailable):
        async with chat.run(id="r"):
            raise AssertionError("it was entered")

    assert chat.session.runs == []
