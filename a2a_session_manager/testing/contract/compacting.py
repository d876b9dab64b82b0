"""A summary takes the place of what was said, in views alone; what it stands for stays, and comes back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from a2a_session_manager.context.compaction_policy import CompactionPolicy
from a2a_session_manager.context.findings import INTERRUPTED
from a2a_session_manager.context.summaries import Summarizer, Summary
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

SYSTEM = {"role": "system", "content": "You plan trips."}
# Of the newest turns, one fits, and two do not.
ONE_TURN = 90


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": f"{text}? " * 10}


def _answer(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": f"{text}. " * 10}


def _call(call_id: str) -> dict[str, Any]:
    function = {"name": "weather", "arguments": "{}"}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def _result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": f"sun at {call_id}"}


def _turns(first: int, last: int) -> list[dict[str, Any]]:
    return [each for turn in range(first, last + 1) for each in (_user(f"q{turn}"), _answer(f"a{turn}"))]


def _summary(view: MessageView) -> str:
    return f"summary of {len(view)}"


def _answering(answer: object) -> Summarizer:
    return lambda _: answer


def _of(count: int) -> dict[str, Any]:
    return {"role": "user", "content": f"summary of {count}"}


def _bytes(view: MessageView) -> str:
    return json.dumps([view.system, *view])


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
            await chat.append(SYSTEM, *_turns(1, 4))
            before = await chat.messages()
            event = await chat.compact(summarize, keep=ONE_TURN)
            after = await chat.messages()
            await chat.append(*_turns(5, 5))

        short = {"role": "user", "content": "They spoke of Oslo."}
        assert [list(each) for each in given] == [_turns(1, 3)]
        assert list(after) == [SYSTEM, short, *_turns(4, 4)]
        assert (after.seqs, after.compaction, event.seq) == ((1, 10, 8, 9), 10, 10)
        assert after.extends(before).change == "compaction"
        async with SessionManager(await reopen()).open("talk") as cold:
            now = await cold.messages()
            assert list(now) == [SYSTEM, short, *_turns(4, 5)]
            assert now.extends(after)
            assert list(await cold.messages(compacted=False)) == [SYSTEM, *_turns(1, 5)]
            assert list(await cold.messages(repair=False)) == [SYSTEM, *_turns(1, 5)]
            assert list(await cold.expand(2, 3)) == _turns(1, 1)
            assert seqs(await cold.events()) == list(range(1, 13))
            assert (await cold.usage()).total_tokens == 55
            for budget in (120, 10_000):
                window = await cold.window(max_tokens=budget)
                kept = len(window.messages) - 2
                assert list(window.messages) == [SYSTEM, short, *_turns(4, 5)[4 - kept :]]
                assert window.left_out_events == 4 - kept

    async def test_what_is_not_over_and_what_the_system_says_stay_as_they_are(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        note = {"role": "system", "content": "They pay in kroner."}
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, _user("q1"), _call("c1"), note, *_turns(2, 3))
            await chat.compact(_summary)
            waiting = await chat.messages()
            await chat.append(_result("c1"), _answer("a1"))

        closed = {"role": "tool", "tool_call_id": "c1", "name": "weather", "content": INTERRUPTED}
        assert list(waiting) == [SYSTEM, note, _of(5), _call("c1"), closed]
        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, note, _of(5), _call("c1"), _result("c1"), _answer("a1")]
            await cold.compact(_summary)
            assert list(await cold.messages()) == [SYSTEM, note, _of(8)]

    async def test_what_lands_meanwhile_is_shown_after_it(self, store: BaseSessionStore, reopen: Reopen) -> None:
        other = await reopen()

        async def summarize(view: MessageView) -> str:
            await other.append("talk", *map(said, _turns(4, 4)))
            return _summary(view)

        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *_turns(1, 3))
            event = await chat.compact(summarize)
            await chat.append(_user("q5"))

        assert event.seq == 10
        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, _of(6), *_turns(4, 4), _user("q5")]

    async def test_a_retraction_in_its_range_ends_it_for_good_and_the_one_before_counts_again(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *_turns(1, 3))
            first = await chat.compact(_summary)
            await chat.append(*_turns(4, 5))
            second = await chat.compact(_summary)
            covered = await whole(store, "talk")
            assert list(await chat.messages()) == [SYSTEM, _of(10)]

            await chat.retract(covered.events[9].id)
            await chat.restore(covered.events[9].id)
            assert list(await chat.messages()) == [SYSTEM, _of(6), *_turns(4, 5)]
            await chat.retract(covered.events[9].id)
        async with SessionManager(await reopen()).open("talk") as cold:
            assert (await cold.messages()).compaction == first.seq
            assert list(await cold.messages()) == [SYSTEM, _of(6), _user("q4"), *_turns(5, 5)]
            await cold.retract(covered.events[1].id)
            assert list(await cold.messages()) == [SYSTEM, _answer("a1"), *_turns(2, 3), _user("q4"), *_turns(5, 5)]
            assert (await cold.messages()).compaction is None
            await cold.restore(covered.events[1].id)
            await cold.retract(second.id)
            assert (await cold.messages()).compaction is None

    async def test_a_restoration_in_its_range_ends_it_for_good(self, store: BaseSessionStore, reopen: Reopen) -> None:
        async with SessionManager(store).open("talk") as chat:
            events = await chat.append(SYSTEM, *_turns(1, 3))
            await chat.retract(events[3].id)
            await chat.compact(_summary)
            assert list(await chat.messages()) == [SYSTEM, _of(5)]
            await chat.restore(events[3].id)
            await chat.retract(events[3].id)

        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, *_turns(1, 1), *_turns(2, 3)[1:]]
            assert (await cold.messages()).compaction is None

    async def test_retracting_its_event_undoes_it_to_the_byte(self, store: BaseSessionStore, reopen: Reopen) -> None:
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *_turns(1, 3))
            first = await chat.compact(_summary, keep=ONE_TURN)
            before = await chat.messages()
            second = await chat.compact(_summary)
            assert list(await chat.messages()) == [SYSTEM, _of(6)]
            assert ids(await chat.retract(second.id)) == [second.id]

        async with SessionManager(await reopen()).open("talk") as cold:
            assert _bytes(await cold.messages()) == _bytes(before)
            await cold.retract(first.id)
            assert _bytes(await cold.messages()) == _bytes(await cold.messages(compacted=False))
            assert len(await cold.messages()) == 7
            await cold.restore(second.id)
            assert list(await cold.messages()) == [SYSTEM, _of(6)]

    async def test_what_is_retracted_while_it_is_summarised_makes_it_summarise_again(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        other, given = await reopen(), list[int]()

        async def summarize(view: MessageView) -> Summary:
            given.append(len(view))
            if len(given) == 1:
                await other.append("talk", said(_user("q4")))
                await other.retract("talk", "secret")
            return Summary(_summary(view), usage=TokenUsage(prompt_tokens=10, cost_pico_usd=7))

        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *_turns(1, 3), said(_user("my password"), id="secret"), said(_answer("ok")))
            await chat.compact(summarize)

        assert given == [8, 7]
        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, _of(7), _user("q4")]
            assert (await cold.usage()).total_tokens == 20

    @pytest.mark.parametrize("is_longer_first", [True, False])
    async def test_of_two_at_once_the_one_that_reaches_further_counts(
        self, store: BaseSessionStore, reopen: Reopen, is_longer_first: bool
    ) -> None:
        begun, done = asyncio.Event(), asyncio.Event()

        async def wait(view: MessageView) -> str:
            begun.set()
            await done.wait()
            return _summary(view)

        other = await reopen()
        async with SessionManager(store).open("talk") as chat, SessionManager(other).open("talk") as elsewhere:
            await chat.append(SYSTEM, *_turns(1, 3))
            later = asyncio.ensure_future(chat.compact(wait, keep=ONE_TURN if is_longer_first else 0))
            await begun.wait()
            earlier = await elsewhere.compact(_summary, keep=0 if is_longer_first else ONE_TURN)
            done.set()
            longer = earlier if is_longer_first else await later
            await later

        async with SessionManager(await reopen()).open("talk") as cold:
            assert list(await cold.messages()) == [SYSTEM, _of(6)]
            await cold.retract(longer.id)
            assert list(await cold.messages()) == [SYSTEM, _of(4), *_turns(3, 3)]

    async def test_a_summary_that_is_none_and_one_that_spares_nothing_write_nothing(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        async def fail(_: MessageView) -> str:
            raise TimeoutError("no answer")

        async def hang(_: MessageView) -> str:
            await asyncio.Event().wait()
            return ""

        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *_turns(1, 1))
            answers: list[Any] = ["", None, " ", "long " * 5_000, _call("c"), [], 5]
            for answer in answers:
                with pytest.raises(InvalidSessionOperation, match="nothing was written"):
                    await chat.compact(_answering(answer))
            with pytest.raises(TimeoutError, match="no answer"):
                await chat.compact(fail)
            hanging = asyncio.ensure_future(chat.compact(hang))
            await asyncio.sleep(0.05)
            hanging.cancel()
            with pytest.raises(asyncio.CancelledError):
                await hanging
            with pytest.raises(InvalidSessionOperation, match="minimum_gain"):
                await chat.compact(_summary, minimum_gain=10_000)
            with pytest.raises(InvalidSessionOperation, match="max_tokens=2"):
                await chat.compact(_summary, max_tokens=2)
            with pytest.raises(InvalidSessionOperation, match="nothing left to gain"):
                await chat.compact(_summary, keep=10_000)
            assert (await whole(await reopen(), "talk")).revision == chat.session.revision

            event = await chat.compact(_summary, id="once")
            again = await chat.compact(fail, id="once")
            with pytest.raises(InvalidSessionOperation, match="nothing left to gain"):
                await chat.compact(_summary)

        assert (again.seq, again.message, again.is_repeat) == (event.seq, event.message, True)
        assert seqs((await whole(await reopen(), "talk")).events) == [1, 2, 3, 4]

    async def test_a_policy_goes_by_what_requests_have_reported_since_the_last_one(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        policy = CompactionPolicy(start_at=1_000, keep=ONE_TURN, minimum_gain=1)
        full = TokenUsage(prompt_tokens=1_990, completion_tokens=10, cost_pico_usd=7)
        async with SessionManager(store).open("talk") as chat:
            await chat.append(SYSTEM, *_turns(1, 3))
            assert await chat.maybe_compact(policy, _summary) is None
            await chat.append(said(_user("q4")), said(_answer("a4"), source=EventSource.LLM, token_usage=full))
            assert await chat.context_size() == 2_000
            event = await chat.maybe_compact(policy, _summary)
            assert event is not None
            assert list(await chat.messages()) == [SYSTEM, _of(6), *_turns(4, 4)]

        async with SessionManager(await reopen()).open("talk") as cold:
            assert await cold.context_size() is None
            assert await cold.maybe_compact(policy, _summary) is None
            await cold.append(said(_user("q5")), said(_answer("a5"), source=EventSource.LLM, token_usage=full))
            with pytest.raises(InvalidSessionOperation):
                await cold.maybe_compact(policy, lambda _: "")
            assert await cold.maybe_compact(policy, _summary) is None  # it rests

    async def test_a_summary_without_a_range_stands_where_its_commit_has_hidden(
        self, store: BaseSessionStore, reopen: Reopen
    ) -> None:
        summary = said("They asked 1 to 3.", type=EventType.SUMMARY, source=EventSource.SYSTEM)
        stays = said("They are two.", type=EventType.SUMMARY, source=EventSource.SYSTEM)
        async with SessionManager(store).open("talk") as chat:
            events = await chat.append(SYSTEM, *_turns(1, 4))
            hidden = Retraction(ids(events[1:7]))
            await store.commit(chat.session, SessionChange(events=[summary], retraction=hidden))
            await chat.append(*_turns(5, 5), stays)

        async with SessionManager(await reopen()).open("talk") as cold:
            short = {"role": "system", "content": "They asked 1 to 3."}
            last = {"role": "system", "content": "They are two."}
            for view in (await cold.messages(), await cold.messages(compacted=False)):
                assert list(view) == [SYSTEM, short, *_turns(4, 5), last]
            window = await cold.window(max_tokens=150)
            assert list(window.messages)[:2] == [SYSTEM, short]
