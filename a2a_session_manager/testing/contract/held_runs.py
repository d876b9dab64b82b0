"""Held runs: a run has one owner at a time, whose messages alone land, and the usage of all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.exceptions import InvalidSessionOperation, LeaseLost, RunBusy
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_run import RunStatus
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import LeaseRenewal
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import messages, spending, whole

USAGE = TokenUsage(prompt_tokens=3, completion_tokens=2, model="m", cost_pico_usd=21)


@asynccontextmanager
async def _two(store: BaseSessionStore, reopen: Reopen) -> AsyncIterator[tuple[ActiveSession, ActiveSession]]:
    """Yield the session as two processes have it."""
    async with AsyncExitStack() as stack:
        mine = await stack.enter_async_context(SessionManager(store).open("talk"))
        yield mine, await stack.enter_async_context(SessionManager(await reopen()).open("talk"))


async def _until_taken(run: Any) -> None:
    while True:
        await asyncio.sleep(0.02)
        await run.set_state(k=1)


class HeldRunsContract(ContractBase):
    async def test_a_run_that_is_held_is_entered_by_nobody_else(self, store: BaseSessionStore, reopen: Reopen) -> None:
        async with _two(store, reopen) as (mine, other), mine.run(id="r") as run:
            before = await whole(store, "talk")

            for lease in (30.0, None):
                with pytest.raises(RunBusy, match="'r' is held by") as busy:
                    await other.run(id="r", lease=lease).__aenter__()

            after = await whole(store, "talk")
            assert (busy.value.session_id, busy.value.run_id) == ("talk", "r")
            assert busy.value.holder
            assert 0 < busy.value.seconds_left <= 30
            assert (after.revision, after.runs) == (before.revision, before.runs)
            await run.user("still mine")
        assert [run.status for run in await (await reopen()).runs("talk")] == [RunStatus.COMPLETED]

    async def test_after_a_takeover_one_owners_messages_land_and_the_usage_of_both(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with _two(store, reopen) as (mine, other):
            run = await mine.run(id="r").__aenter__()
            await run.assistant("before", usage=USAGE)
            async with other.run(id="r", busy="take_over") as taken:
                for _ in range(2):  # a retry changes nothing more
                    with pytest.raises(LeaseLost, match="'r' was taken over by") as lost:
                        await run.assistant("mine", usage=USAGE, id="late")
                    assert lost.value.is_usage_stored
                revision = (await whole(store, "talk")).revision
                for refused in (run.user("mine"), run.set_state(k=1), run.tool("t", result=1), run.mark_waiting()):
                    with pytest.raises(LeaseLost):
                        await refused
                assert (await whole(store, "talk")).revision == revision
                await taken.assistant("theirs", usage=USAGE)
                await mine.user("who writes for no run is not held up")
            with pytest.raises(LeaseLost):
                await run.__aexit__(None, None, None)

            cold = await whole(await reopen(), "talk")
            said_by_them = ["before", "theirs", "who writes for no run is not held up"]
            assert [message for message in messages(cold.events) if message is not None] == said_by_them
            assert [message["content"] for message in await other.messages()] == said_by_them
            assert (cold.state, cold.runs[0].status) == ({}, RunStatus.COMPLETED)
            usage = await (await reopen()).usage("talk")
            assert usage.total.prompt_tokens == 9
            assert usage.by_run["r"].prompt_tokens == 9
            assert (await (await reopen()).usage("talk", tree=True)).total.prompt_tokens == 9
            [paid] = [event for event in cold.events if event.type == EventType.USAGE]
            assert (paid.task_id, paid.metadata) == ("r", {"usage_of": "late"})

            await run.append_late(spending(3, id="late", task_id="r"))
            assert (await (await reopen()).usage("talk")).total.prompt_tokens == 9

    async def test_what_comes_after_the_end_of_its_run_is_refused_and_was_paid_for(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with SessionManager(store).open("talk") as chat:
            async with chat.run(id="r") as run:
                await run.assistant("in time", usage=USAGE)
            for _ in range(2):
                with pytest.raises(InvalidSessionOperation, match="'r' has ended as completed"):
                    await run.assistant("late", usage=USAGE, id="late")

            assert [message["content"] for message in await chat.messages()] == ["in time"]
            assert (await (await reopen()).usage("talk")).by_run["r"].prompt_tokens == 6

    async def test_a_run_of_a_session_below_a_root_is_held_as_well(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with SessionManager(store).open("root") as root, root.child("talk") as chat, chat.run(id="r") as run:
            cold, key = await reopen(), SessionKey((), "talk")
            claim = run._keeper.lease._claim
            assert claim is not None
            renewal = LeaseRenewal(key, chat.session.creation_id or "", "r", claim.token)

            assert await cold._open_backend.renew_leases([renewal]) == [True]
            assert [each is not None for each in await cold._open_backend.held_leases([(key, "r")])] == [True]
            async with SessionManager(await reopen()).open("talk") as other:
                with pytest.raises(RunBusy):
                    await other.run(id="r").__aenter__()
                async with other.run(id="r", busy="take_over") as theirs:
                    await theirs.user("theirs")
            with pytest.raises(LeaseLost):
                await run.assistant("mine", usage=USAGE)
            run._keeper.lease.drop()

        assert (await (await reopen()).usage("root", tree=True)).total.prompt_tokens == 3

    async def test_a_run_that_waits_is_resumed_by_one_of_many(self, store: BaseSessionStore, reopen: Reopen) -> None:
        async with SessionManager(store).open("talk") as chat, chat.run(id="r") as run:
            await run.tool("pay", call_id="c")
            await run.mark_waiting()

        async def approve(number: int, open_store: BaseSessionStore) -> bool:
            async with SessionManager(open_store).open("talk") as other:
                try:
                    resumed = await other.run(id="r").__aenter__()
                except RunBusy:
                    return False
                await resumed.tool("pay", result=number, call_id="c")
                return True  # and it dies here

        stores = [store, await reopen()]
        won = await asyncio.gather(*(approve(number, stores[number % 2]) for number in range(6)))

        assert sum(won) == 1
        async with SessionManager(await reopen()).open("talk") as chat:
            results = [message for message in await chat.messages() if message["role"] == "tool"]
            assert [message["content"] for message in results] == [str(won.index(True))]

    async def test_who_waits_for_a_run_gets_it_when_it_is_free(self, store: BaseSessionStore, reopen: Reopen) -> None:
        order = []
        async with _two(store, reopen) as (mine, other):

            async def wait() -> None:
                async with other.run(id="r", busy="wait"):
                    order.append("theirs")

            async with mine.run(id="r") as run:
                waiting = asyncio.create_task(wait())
                await asyncio.sleep(0.05)
                order.append("mine")
                await run.mark_waiting()
                with pytest.raises(LeaseLost, match="'r'"):
                    await asyncio.wait_for(_until_taken(run), 20)
            await waiting

        assert order == ["mine", "theirs"]
        assert [run.status for run in await (await reopen()).runs("talk")] == [RunStatus.COMPLETED]

    async def test_a_run_without_a_lease_is_free(self, store: BaseSessionStore, reopen: Reopen) -> None:
        async with _two(store, reopen) as (mine, other), mine.run(id="r", lease=None) as run:
            async with other.run(id="r") as theirs:
                await theirs.user("theirs")
                await run.user("mine")
            assert (await whole(await reopen(), "talk")).runs[0].status is RunStatus.COMPLETED

    async def test_open_runs_are_kept_alive_and_end_with_their_blocks(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with _two(store, reopen) as (mine, other), mine.run(id="r", lease=1) as run:
            await asyncio.sleep(1.3)
            with pytest.raises(RunBusy):
                await other.run(id="r").__aenter__()
            await run.user("mine")
