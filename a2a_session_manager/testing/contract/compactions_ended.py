"""Compactions that are over: what is hidden, shown or undone in their range leaves none that says otherwise."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager.context.summaries import Summary
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, whole
from a2a_session_manager.testing.contract.turns import (
    ONE_TURN,
    SYSTEM,
    answered,
    asked,
    bytes_of,
    summarise,
    summary_of,
    turns,
)


class CompactionsEndedContract(ContractBase):
    async def test_a_retraction_in_its_range_ends_it_for_good_and_the_one_before_counts_again(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *turns(1, 3))
            first = await chat.compact(summarise)
            await chat.append(*turns(4, 5))
            second = await chat.compact(summarise)
            covered = await whole(store, "talk")
            assert list(await chat.messages()) == [SYSTEM, summary_of(10)]

            await chat.retract(covered.events[9].id)
            await chat.restore(covered.events[9].id)
            assert list(await chat.messages()) == [SYSTEM, summary_of(6), *turns(4, 5)]
            await chat.retract(covered.events[9].id)
        async with SessionManager(await reopen()).open("talk") as cold:
            assert (await cold.messages()).compaction == first.seq
            assert list(await cold.messages()) == [SYSTEM, summary_of(6), asked("q4"), *turns(5, 5)]
            await cold.retract(covered.events[1].id)
            assert list(await cold.messages()) == [SYSTEM, answered("a1"), *turns(2, 3), asked("q4"), *turns(5, 5)]
            assert (await cold.messages()).compaction is None
            await cold.restore(covered.events[1].id)
            await cold.retract(second.id)
            assert (await cold.messages()).compaction is None

    async def test_a_restoration_in_its_range_ends_it_for_good(self, store: BaseSessionStore, reopen: Reopen) -> None:
        async with SessionManager(store).open("talk") as chat:
            events = await chat.append(SYSTEM, *turns(1, 3))
            await chat.retract(events[3].id)
            await chat.compact(summarise)
            assert list(await chat.messages()) == [SYSTEM, summary_of(5)]
            await chat.restore(events[3].id)
            await chat.retract(events[3].id)

        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, *turns(1, 1), *turns(2, 3)[1:]]
            assert (await cold.messages()).compaction is None

    async def test_retracting_its_event_undoes_it_to_the_byte(self, store: BaseSessionStore, reopen: Reopen) -> None:
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *turns(1, 3))
            first = await chat.compact(summarise, keep=ONE_TURN)
            before = await chat.messages()
            second = await chat.compact(summarise)
            assert list(await chat.messages()) == [SYSTEM, summary_of(6)]
            assert ids(await chat.retract(second.id)) == [second.id]

        async with SessionManager(await reopen()).open("talk") as cold:
            assert bytes_of(await cold.messages()) == bytes_of(before)
            await cold.retract(first.id)
            assert bytes_of(await cold.messages()) == bytes_of(await cold.messages(compacted=False))
            assert len(await cold.messages()) == 7
            await cold.restore(second.id)
            assert list(await cold.messages()) == [SYSTEM, summary_of(6)]

    async def test_what_is_retracted_while_it_is_summarised_makes_it_summarise_again(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        other, given = await reopen(), list[int]()

        async def summarize(view: MessageView) -> Summary:
            given.append(len(view))
            if len(given) == 1:
                await other.append("talk", said(asked("q4")))
                await other.retract("talk", "secret")
            return Summary(summarise(view), usage=TokenUsage(prompt_tokens=10, cost_pico_usd=7))

        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *turns(1, 3), said(asked("my password"), id="secret"), said(answered("ok")))
            await chat.compact(summarize)

        assert given == [8, 7]
        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, summary_of(7), asked("q4")]
            assert (await cold.usage()).total_tokens == 20

    @pytest.mark.parametrize("is_longer_first", [True, False])
    async def test_of_two_at_once_the_one_that_reaches_further_counts(
        self, store: BaseSessionStore, reopen: Reopen, is_longer_first: bool
    ) -> None:
        begun, done = asyncio.Event(), asyncio.Event()

        async def wait(view: MessageView) -> str:
            begun.set()
            await done.wait()
            return summarise(view)

        other = await reopen()
        async with SessionManager(store).open("talk") as chat, SessionManager(other).open("talk") as elsewhere:
            await chat.append(SYSTEM, *turns(1, 3))
            later = asyncio.ensure_future(chat.compact(wait, keep=ONE_TURN if is_longer_first else 0))
            await begun.wait()
            earlier = await elsewhere.compact(summarise, keep=0 if is_longer_first else ONE_TURN)
            done.set()
            longer = earlier if is_longer_first else await later
            await later

        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, summary_of(6)]
            await cold.retract(longer.id)
            assert list(await cold.messages()) == [SYSTEM, summary_of(4), *turns(3, 3)]
