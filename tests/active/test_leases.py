"""A run and its lease, as its block sees them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from a2a_session_manager import (
    ActiveSession,
    InvalidSessionOperation,
    LeaseLost,
    RunBusy,
    RunStatus,
    SessionManager,
    TokenUsage,
)
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore

USAGE = TokenUsage(prompt_tokens=3, completion_tokens=2, model="m", cost_pico_usd=21)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
async def chat(backend: MemoryBackend) -> AsyncIterator[ActiveSession]:
    async with SessionManager(BaseSessionStore(backend)).open("talk") as chat:
        yield chat


def lapse(backend: MemoryBackend) -> None:
    """Let all leases of the session expire."""
    leases = backend._sessions[SessionKey((), "talk")].head.leases
    for run_id, lease in leases.items():
        leases[run_id] = lease._replace(until=0)


async def test_a_block_that_has_lost_its_run_leaves_how_it_ends_to_the_new_owner(chat: ActiveSession) -> None:
    async def lose() -> None:
        async with chat.run(id="r") as run:
            async with chat.run(id="r", busy="take_over") as other:
                await other.user("theirs")
            await run.user("mine")

    with pytest.raises(LeaseLost) as lost:
        await lose()

    assert not hasattr(lost.value, "__notes__")
    assert [each.status for each in await chat._store.runs("talk")] == [RunStatus.COMPLETED]


async def test_an_error_of_a_block_that_has_lost_its_run_says_that_its_end_was_not_recorded(
    chat: ActiveSession, backend: MemoryBackend
) -> None:
    async def fail() -> None:
        async with chat.run(id="r"):
            lapse(backend)
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as failed:
        await fail()

    assert "could not be recorded as failed" in failed.value.__notes__[0]
    assert [each.status for each in await chat._store.runs("talk")] == [RunStatus.RUNNING]


async def test_what_was_refused_says_nothing_of_how_full_the_context_is(
    chat: ActiveSession, backend: MemoryBackend
) -> None:
    async with chat.run() as run:
        await run.assistant("first", usage=USAGE)
        lapse(backend)
        with pytest.raises(LeaseLost):
            await run.assistant("late", usage={"prompt_tokens": 900, "completion_tokens": 1, "model": "m", "cost": 1})
        assert await chat.context_size() == 5
        run._keeper.lease.drop()


async def test_a_run_that_is_known_to_be_lost_opens_no_children(chat: ActiveSession) -> None:
    run = await chat.run(id="r").__aenter__()
    kept_alive = run._keeper.lease._kept_alive
    assert kept_alive is not None
    kept_alive.is_lost = True  # as after a heartbeat

    with pytest.raises(LeaseLost, match="'r'"):
        async with run.child("talk/child"):
            pass
    with pytest.raises(LeaseLost, match="'r'"):
        run.run()

    assert await chat._store.children("talk") == []


async def test_waiting_for_a_run_can_be_cancelled_and_writes_nothing(chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        revision = chat.session.revision
        waiting = asyncio.create_task(chat.run(id="r", busy="wait").__aenter__())
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert (await chat._store.get("talk")).revision == revision  # type: ignore[union-attr]  # it is there
        await run.user("mine")


async def test_a_run_whose_write_was_refused_opens_no_children_and_no_runs(chat: ActiveSession) -> None:
    run = await chat.run(id="r").__aenter__()
    await chat.run(id="r", busy="take_over").__aenter__()
    with pytest.raises(LeaseLost, match="taken over"):
        await run.user("late")

    with pytest.raises(LeaseLost, match="a write has found"):
        run.run()
    with pytest.raises(LeaseLost, match="a write has found"):
        await run.child("talk/child").__aenter__()
    assert await chat._store.children("talk") == []


async def test_a_run_that_waits_while_another_one_ends_it_is_left_as_it_was_ended(chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.mark_waiting()
        async with chat.run(id="r"):
            pass
        with pytest.raises(InvalidSessionOperation, match="has ended as completed"):
            await run.mark_running()
        assert run.status is RunStatus.WAITING

    assert [each.status for each in await chat._store.runs("talk")] == [RunStatus.COMPLETED]


async def test_a_run_that_goes_on_after_waiting_is_held_by_whoever_came_first(chat: ActiveSession) -> None:
    async with chat.run(id="r") as run:
        await run.mark_waiting()
        await run.user("nobody else has it")
        async with chat.run(id="r") as other:
            with pytest.raises(RunBusy):
                await run.mark_running()
            assert run.status is RunStatus.WAITING
            with pytest.raises(LeaseLost):
                await run.user("somebody else has it")
            await other.mark_waiting()
        await run.mark_running()
        await run.user("mine again")

    assert [each.status for each in await chat._store.runs("talk")] == [RunStatus.COMPLETED]
