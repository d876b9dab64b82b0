"""A run's verbs write inside its block alone: before and after it, each is refused by name, and nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveRun,
    ActiveSession,
    BaseSessionStore,
    InvalidSessionOperation,
    RunStatus,
    SessionChange,
    SessionEvent,
    SessionManager,
    SessionRun,
    StoreUnavailable,
)
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.lossy import LossyBackend


class Unreachable(LossyBackend):
    is_down = False

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        if self.is_down:
            raise StoreUnavailable("the line is dead")
        return await super().commit(key, commit)


@pytest.fixture
async def chat() -> AsyncIterator[ActiveSession]:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("talk") as chat:
        yield chat


async def in_child(run: ActiveRun) -> None:
    async with run.child("talk/below"):
        pass


async def in_run(run: ActiveRun) -> None:
    async with run.run(id="below"):
        pass


WRITES: dict[str, Callable[[ActiveRun], Awaitable[Any]]] = {
    "user": lambda run: run.user("?"),
    "system": lambda run: run.system("Be brief."),
    "assistant": lambda run: run.assistant("!"),
    "tool": lambda run: run.tool("search", {}, result=1),
    "append": lambda run: run.append(SessionEvent(message="…")),
    "append of nothing": lambda run: run.append(),
    "retract": lambda run: run.retract(last=1),
    "set_state": lambda run: run.set_state(step=2),
    "unset_state": lambda run: run.unset_state("step"),
    "mark_waiting": lambda run: run.mark_waiting(),
    "mark_running": lambda run: run.mark_running(),
    "child": in_child,
    "run": in_run,
}
of_every_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


async def stored(chat: ActiveSession) -> tuple[Any, ...]:
    """Return all that a write through a run could have changed."""
    session = await chat._store.get("talk")
    assert session is not None
    return session.revision, session.state, await chat._store.list_sessions(), await chat._store.runs("talk")


async def never_entered(chat: ActiveSession) -> ActiveRun:
    return chat.run(id="r")


async def completed(chat: ActiveSession) -> ActiveRun:
    async with chat.run(id="r") as run:
        pass
    return run


async def failed(chat: ActiveSession) -> ActiveRun:
    with suppress(ValueError):
        async with chat.run(id="r") as run:
            raise ValueError
    return run


async def left_waiting(chat: ActiveSession) -> ActiveRun:
    async with chat.run(id="r") as run:
        await run.mark_waiting()
    return run


@of_every_write
@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (never_entered, r"run 'r' has not begun: enter the run first: async with chat\.run\(…\)"),
        (completed, "run 'r' has ended as completed: start another one"),
        (failed, "run 'r' has ended as failed: start another one"),
        (left_waiting, r"run 'r' waits: enter the run first: async with chat\.run\(id='r'\)"),
    ],
)
async def test_outside_its_block_a_run_takes_no_write(
    write: Callable[[ActiveRun], Awaitable[Any]],
    make: Callable[[ActiveSession], Awaitable[ActiveRun]],
    complaint: str,
    chat: ActiveSession,
) -> None:
    await chat.user("Hello")
    await chat.set_state(step=1)
    run = await make(chat)
    before = await stored(chat)

    with pytest.raises(InvalidSessionOperation, match=complaint) as refused:
        await write(run)

    assert refused.value.session_id == "talk"
    assert await stored(chat) == before


async def test_outside_its_block_a_run_still_reads(chat: ActiveSession) -> None:
    run = await completed(chat)
    await chat.user("Hello")

    assert [event.message for event in await run.events()] == ["Hello"]
    assert await run.messages() == []


async def end_for_it(chat: ActiveSession, run: ActiveRun) -> None:
    """End a run as another process would: in the store alone."""
    ended = run.record.model_copy(deep=True)
    ended.mark_completed()
    await chat._store.commit("talk", SessionChange(runs=[ended]))


async def test_a_run_that_somebody_else_has_ended_takes_writes_inside_its_block(chat: ActiveSession) -> None:
    run = chat.run(id="r")
    await run.__aenter__()
    await end_for_it(chat, run)

    await run.assistant("What a model has said is kept.")
    await run.__aexit__(None, None, None)

    assert [event.task_id for event in await chat.events()] == ["r"]


async def test_what_a_model_said_meanwhile_is_kept_when_the_block_has_ended(chat: ActiveSession) -> None:
    run = await completed(chat)

    [event] = await run.append_late({"role": "assistant", "content": "Late."}, id="late")

    assert (event.id, event.task_id, event.seq) == ("late", "r", 1)


async def test_nothing_is_late_before_the_block_has_begun(chat: ActiveSession) -> None:
    with pytest.raises(InvalidSessionOperation, match="has not begun"):
        await chat.run().append_late(SessionEvent(message="early"))

    assert await chat.events() == []


async def test_an_open_run_is_not_entered_twice(chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        with pytest.raises(InvalidSessionOperation, match="'r' is entered already: take another one"):
            await run.__aenter__()
        await run.user("still open")

    assert run.status is RunStatus.COMPLETED


async def test_of_two_tasks_one_enters_a_run(chat: ActiveSession) -> None:
    run = chat.run(id="r")

    outcomes = await asyncio.gather(run.__aenter__(), run.__aenter__(), return_exceptions=True)
    await run.__aexit__(None, None, None)

    assert [type(outcome) for outcome in outcomes] == [ActiveRun, InvalidSessionOperation]


async def test_an_ended_run_is_not_entered_again(chat: ActiveSession) -> None:
    run = await completed(chat)

    with pytest.raises(InvalidSessionOperation, match="'r' has ended as completed: start a new run"):
        await run.__aenter__()

    with pytest.raises(InvalidSessionOperation, match="has ended as completed"):
        await run.user("?")


async def test_a_run_left_waiting_goes_on_when_it_is_entered_again(chat: ActiveSession) -> None:
    run = await left_waiting(chat)

    async with run:
        assert [each.status for each in await chat._store.runs("talk")] == [RunStatus.RUNNING]
        await run.user("Go on.")

    assert [each.status for each in await chat._store.runs("talk")] == [RunStatus.COMPLETED]


async def test_a_run_left_waiting_that_somebody_else_has_ended_is_not_entered_again(chat: ActiveSession) -> None:
    run = await left_waiting(chat)
    async with chat.run(id="r"):
        pass

    with pytest.raises(InvalidSessionOperation, match="'r' has ended as completed"):
        await run.__aenter__()


async def test_a_run_whose_start_was_not_written_can_be_entered_again() -> None:
    backend = Unreachable(MemoryBackend())
    async with SessionManager(BaseSessionStore(backend)).open("talk") as chat:
        run: ActiveRun = chat.run()
        backend.is_down = True
        with pytest.raises(StoreUnavailable):
            await run.__aenter__()
        with pytest.raises(InvalidSessionOperation, match="has not begun"):
            await run.user("?")
        backend.is_down = False

        async with run:
            during: list[SessionRun] = await chat._store.runs("talk")

    assert [each.status for each in during] == [RunStatus.RUNNING]


@pytest.mark.parametrize("text", ["\ud83d" + "\ude00", "x" * 20_000_000], ids=["two halves", "20 MB"])
async def test_an_error_that_no_store_takes_as_it_is_ends_its_run(chat: ActiveSession, text: str) -> None:
    with pytest.raises(ValueError, match=r".") as failure:
        async with chat.run(id="r"):
            raise ValueError(text)

    [run] = await chat._store.runs("talk")
    assert (run.status, run.error_type) == (RunStatus.FAILED, "ValueError")
    assert not hasattr(failure.value, "__notes__")
