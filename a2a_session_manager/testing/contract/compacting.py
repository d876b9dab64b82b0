"""A summary takes the place of what was said, in views alone; what it stands for stays, and comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from a2a_session_manager.context.compaction_policy import CompactionPolicy
from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.context.summaries import Summary
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.testing.contract.base import ContractBase, Reopen
from a2a_session_manager.testing.contract.making import ids, said, seqs, whole
from a2a_session_manager.testing.contract.turns import (
    ONE_TURN,
    SYSTEM,
    answered,
    asked,
    saying,
    summarise,
    summary_of,
    turns,
)


def _call(call_id: str) -> dict[str, Any]:
    function = {"name": "weather", "arguments": "{}"}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": f"sun at {call_id}"}


class CompactingContract(ContractBase):
    async def test_a_summary_takes_the_place_of_what_it_stands_for_and_the_log_stays(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        given: list[MessageView] = []

        def summarize(view: MessageView) -> Summary:
            given.append(view)
            return Summary(
                "They spoke of Oslo.", usage=TokenUsage(prompt_tokens=50, completion_tokens=5, cost_pico_usd=7)
            )

        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *turns(1, 4))
            before = await chat.messages()
            event = await chat.compact(summarize, keep=ONE_TURN)
            after = await chat.messages()
            await chat.append(*turns(5, 5))

        short = {"role": "user", "content": "They spoke of Oslo."}
        assert [list(each) for each in given] == [turns(1, 3)]
        assert list(after) == [SYSTEM, short, *turns(4, 4)]
        assert (after.seqs, after.compaction, event.seq) == ((1, 10, 8, 9), 10, 10)
        assert after.extends(before).change == "compaction"
        async with SessionManager(await reopen()).open("talk") as cold:
            now = await cold.messages()
            assert list(now) == [SYSTEM, short, *turns(4, 5)]
            assert now.extends(after)
            assert list(await cold.messages(compacted=False)) == [SYSTEM, *turns(1, 5)]
            assert list(await cold.messages(repair=False)) == [SYSTEM, *turns(1, 5)]
            assert list(await cold.expand(2, 3)) == turns(1, 1)
            assert seqs(await cold.events()) == list(range(1, 13))
            assert (await cold.usage()).total_tokens == 55
            for budget in (120, 10_000):
                window = await cold.window(max_tokens=budget)
                kept = len(window.messages) - 2
                assert list(window.messages) == [SYSTEM, short, *turns(4, 5)[4 - kept :]]
                assert window.left_out_events == 4 - kept

    async def test_what_is_not_over_and_what_the_system_says_stay_as_they_are(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        note = {"role": "system", "content": "They pay in kroner."}
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, asked("q1"), _call("c1"), note, *turns(2, 3))
            await chat.compact(summarise)
            waiting = await chat.messages()
            await chat.append(_result("c1"), answered("a1"))

        closed = {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": INTERRUPTED}
        assert list(waiting) == [SYSTEM, note, summary_of(5), _call("c1"), closed]
        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [
                SYSTEM,
                note,
                summary_of(5),
                _call("c1"),
                _result("c1"),
                answered("a1"),
            ]
            await cold.compact(summarise)
            assert list(await cold.messages()) == [SYSTEM, note, summary_of(8)]

    async def test_what_lands_meanwhile_is_shown_after_it(self, store: BaseSessionStore, reopen: Reopen) -> None:
        other = await reopen()

        async def summarize(view: MessageView) -> str:
            await other.append("talk", *map(said, turns(4, 4)))
            return summarise(view)

        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *turns(1, 3))
            event = await chat.compact(summarize)
            await chat.append(asked("q5"))

        assert event.seq == 10
        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, summary_of(6), *turns(4, 4), asked("q5")]

    async def test_a_summary_that_is_none_and_one_that_spares_nothing_write_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async def fail(_: MessageView) -> str:
            raise TimeoutError("no answer")

        async def hang(_: MessageView) -> str:
            await asyncio.Event().wait()
            return ""

        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *turns(1, 1))
            answers: list[Any] = ["", None, " ", "long " * 5_000, _call("c"), [], 5]
            for answer in answers:
                with pytest.raises(InvalidSessionOperation, match="nothing was written"):
                    await chat.compact(saying(answer))
            with pytest.raises(TimeoutError, match="no answer"):
                await chat.compact(fail)
            hanging = asyncio.ensure_future(chat.compact(hang))
            await asyncio.sleep(0.05)
            hanging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging
            with pytest.raises(InvalidSessionOperation, match="minimum_gain"):
                await chat.compact(summarise, minimum_gain=10_000)
            with pytest.raises(InvalidSessionOperation, match="max_tokens=2"):
                await chat.compact(summarise, max_tokens=2)
            with pytest.raises(InvalidSessionOperation, match="nothing left to gain"):
                await chat.compact(summarise, keep=10_000)
            assert (await whole(await reopen(), "talk")).revision == chat.session.revision

            event = await chat.compact(summarise, id="once")
            again = await chat.compact(fail, id="once")
            with pytest.raises(InvalidSessionOperation, match="nothing left to gain"):
                await chat.compact(summarise)

        assert (again.seq, again.message, again.is_repeat) == (event.seq, event.message, True)
        assert seqs((await whole(await reopen(), "talk")).events) == [1, 2, 3, 4]

    async def test_a_policy_goes_by_what_requests_have_reported_since_the_last_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        policy = CompactionPolicy(start_at=1_000, keep=ONE_TURN, minimum_gain=1)
        full = TokenUsage(prompt_tokens=1_990, completion_tokens=10, cost_pico_usd=7)
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *turns(1, 3))
            assert await chat.maybe_compact(policy, summarise) is None
            await chat.append(said(asked("q4")), said(answered("a4"), source=EventSource.LLM, token_usage=full))
            assert await chat.context_size() == 2_000
            event = await chat.maybe_compact(policy, summarise)
            assert event is not None
            assert list(await chat.messages()) == [SYSTEM, summary_of(6), *turns(4, 4)]

        async with SessionManager(await reopen()).open("talk") as cold:
            assert await cold.context_size() is None
            assert await cold.maybe_compact(policy, summarise) is None
            await cold.append(said(asked("q5")), said(answered("a5"), source=EventSource.LLM, token_usage=full))
            with pytest.raises(InvalidSessionOperation):
                await cold.maybe_compact(policy, lambda _: "")
            assert await cold.maybe_compact(policy, summarise) is None  # it rests

    async def test_a_summary_without_a_range_stands_where_its_commit_has_hidden(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        summary = said("They asked 1 to 3.", type=EventType.SUMMARY, source=EventSource.SYSTEM)
        stays = said("They are two.", type=EventType.SUMMARY, source=EventSource.SYSTEM)
        async with SessionManager(store).open("talk") as chat:
            events = await chat.append(SYSTEM, *turns(1, 4))
            hidden = Retraction(ids(events[1:7]))
            await store.commit(chat.session, SessionChange(events=[summary], retraction=hidden))
            await chat.append(*turns(5, 5), stays)

        async with SessionManager(await reopen()).open("talk") as cold:
            short = {"role": "system", "content": "They asked 1 to 3."}
            last = {"role": "system", "content": "They are two."}
            for view in (await cold.messages(), await cold.messages(compacted=False)):
                assert list(view) == [SYSTEM, short, *turns(4, 5), last]
            window = await cold.window(max_tokens=150)
            assert list(window.messages)[:2] == [SYSTEM, short]
