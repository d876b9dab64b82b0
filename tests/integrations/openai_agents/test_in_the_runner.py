"""AgentsSession in the real runner, with scripted models: what is kept of runs, and what is left after a failure."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, MaxTurnsExceeded, Runner, TResponseInputItem, function_tool
from agents.models.fake_id import FAKE_RESPONSES_ID

from a2a_session_manager import (
    SessionManager,
)
from a2a_session_manager.integrations.openai_agents import AgentsSession, UsageHooks
from tests.integrations.openai_agents.scripted_runs import (
    ANSWER,
    CALL,
    RESULT,
    SEARCH,
    USER,
    no_blocking_calls,
    price,
    session,
    sessions,
)
from tests.integrations.scripted import ScriptedModel, agent, calls, says
from tests.stores import OpenStore, open_store

__all__ = ["no_blocking_calls", "open_store", "session", "sessions"]


APPROVAL: Any = {"type": "mcp_approval_request", "id": "a", "server_label": "s", "name": "f", "arguments": "{}"}
APPROVED: Any = {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}


def model_of(one: Agent[Any]) -> ScriptedModel:
    assert isinstance(one.model, ScriptedModel)
    return one.model


async def run_to_its_end(planner: Agent[Any], session: AgentsSession, *, streamed: bool, **options: Any) -> Any:
    if not streamed:
        return await Runner.run(planner, "How much?", session=session, **options)
    streaming = Runner.run_streamed(planner, "How much?", session=session, **options)
    async for _ in streaming.stream_events():
        pass
    return streaming


class TestInTheRunner:
    async def test_several_turns_find_what_was_said(self, session: AgentsSession) -> None:
        planner = agent([says("Hi Ines")], [says("Ines", "msg_2")])
        await Runner.run(planner, "I am Ines", session=session)
        result = await Runner.run(planner, "Who am I?", session=session)

        assert result.final_output == "Ines"
        assert [item.get("content") for item in model_of(planner).inputs[1] if item["role"] == "user"] == [
            "I am Ines",
            "Who am I?",
        ]
        assert [item.get("role") for item in await session.get_items()] == ["user", "assistant"] * 2

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_tools_and_their_results_are_kept_as_given(self, session: AgentsSession, streamed: bool) -> None:
        planner = agent([calls("price", '{"to": "OSL"}')], [says("120 EUR")], tools=[price])
        result = await run_to_its_end(planner, session, streamed=streamed)

        assert result.final_output == "120 EUR"
        items = await session.get_items()
        assert items == result.to_input_list()
        assert [item.get("type", item.get("role")) for item in items] == [
            "user",
            "function_call",
            "function_call_output",
            "message",
        ]

    async def test_a_handoff_goes_on_in_the_same_session(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        flights = agent([says("OSL at 9")], name="flights", model=ScriptedModel([[says("OSL at 9")]]))
        planner = agent([calls("transfer_to_flights")], handoffs=[flights])
        result = await Runner.run(planner, "Fly me to Oslo", session=session)
        events = await session.record_usage(result)

        assert (result.final_output, result.last_agent.name) == ("OSL at 9", "flights")
        assert await session.get_items() == result.to_input_list()
        assert [event.metadata["agent"] for event in events] == ["planner", "flights"]

    async def test_usage_is_recorded_by_response_and_priced(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        planner = agent([calls("price", '{"to": "OSL"}')], [says("120 EUR")], tools=[price])
        result = await Runner.run(planner, "How much?", session=session)
        for _ in range(2):  # the second time is a retry
            await session.record_usage(result, id="turn-1")
        summary = await sessions.usage("trip")

        assert (summary.total.requests, summary.total_tokens, summary.total.unpriced_requests) == (2, 220, 0)
        assert list(summary.usage_by_model) == ["gpt-4o"]
        assert len(await session.get_items()) == 4
        events = (await sessions.get("trip")).events
        kept = [event.token_usage.response_id for event in events if event.token_usage is not None]
        assert kept == [response.response_id for response in result.raw_responses]
        assert None not in kept

    async def test_each_streamed_answer_of_a_model_without_ids_is_counted(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        # The framework writes one id into all that it streams from chat completions, and from LiteLLM.
        model = ScriptedModel([[calls("price", '{"to": "OSL"}')], [says("120 EUR")]], FAKE_RESPONSES_ID)
        planner = agent(model=model, tools=[price])
        streaming = Runner.run_streamed(planner, "How much?", session=session, hooks=UsageHooks(session))
        _ = [event async for event in streaming.stream_events()]
        total = (await sessions.usage("trip")).total

        assert [response.response_id for response in streaming.raw_responses] == [FAKE_RESPONSES_ID] * 2
        assert (total.requests, total.repeated_requests, total.total_tokens) == (2, 0, 220)

    async def test_a_response_that_is_recorded_by_hooks_and_by_hand_counts_once(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        result = await Runner.run(agent([says("Hi")]), "Hello", session=session, hooks=UsageHooks(session))
        await session.record_usage(result)
        total = (await sessions.usage("trip")).total

        assert (total.requests, total.total_tokens, total.repeated_requests) == (1, 110, 1)

    async def test_usage_without_a_model_name_has_no_price(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        model = ScriptedModel([[says("Hi")]])
        model.model = None  # type: ignore[assignment]  # a model without a name
        result = await Runner.run(agent(model=model), "Hello", session=session)
        await session.record_usage(result)
        await session.record_usage(result, model="gpt-4o")

        assert (await sessions.usage("trip")).total.unpriced_requests == 1

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_hooks_record_the_usage_of_a_run_that_fails(
        self, session: AgentsSession, sessions: SessionManager, streamed: bool
    ) -> None:
        planner = agent([calls("price", '{"to": "OSL"}')], ConnectionError("provider is down"), tools=[price])
        with pytest.raises(ConnectionError):
            await run_to_its_end(planner, session, streamed=streamed, hooks=UsageHooks(session))
        summary = await sessions.usage("trip")

        assert (summary.total.requests, summary.total_tokens, list(summary.usage_by_model)) == (1, 110, ["gpt-4o"])

    async def test_the_usage_of_a_failed_run_is_in_its_error(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        planner = agent([calls("price", '{"to": "OSL"}')], [calls("price", '{"to": "BGO"}', "call_2")], tools=[price])
        with pytest.raises(MaxTurnsExceeded) as failed:
            await Runner.run(planner, "How much?", session=session, max_turns=1)
        assert failed.value.run_data is not None
        await session.record_usage(failed.value.run_data)

        assert (await sessions.usage("trip")).total_tokens == 110


class TestAfterAFailure:
    async def test_a_provider_error_leaves_a_message_that_can_be_taken_back_and_sent_again(
        self, session: AgentsSession
    ) -> None:
        planner = agent([says("Hi")], ConnectionError("provider is down"), [says("Oslo", "msg_2")])
        await Runner.run(planner, "Hello", session=session)
        with pytest.raises(ConnectionError):
            await Runner.run(planner, "Where to?", session=session)
        assert len(await session.get_items()) == 3  # the orphan

        unanswered = await session.retract_unanswered()
        assert [item["content"] for item in unanswered] == ["Where to?"]  # type: ignore[typeddict-item]
        assert len(await session.get_items()) == 2
        await Runner.run(planner, unanswered, session=session)

        assert [item["role"] for item in await session.get_items()] == ["user", "assistant"] * 2  # type: ignore[typeddict-item]

    async def test_a_failed_run_is_known_as_failed(self, sessions: SessionManager) -> None:
        planner = agent(ConnectionError("provider is down"))
        async with sessions.open("trip") as chat:
            with pytest.raises(ConnectionError):
                async with chat.run(agent="planner") as run:
                    await Runner.run(planner, "Hello", session=AgentsSession("trip", sessions, run_id=run.id))
            [orphan] = await chat.events()

        assert (run.status, run.record.error_type, orphan.task_id) == ("failed", "ConnectionError", run.id)

    async def test_a_cancelled_run_leaves_what_was_said_and_no_half_turn(self, session: AgentsSession) -> None:
        started = asyncio.Event()

        @function_tool
        async def wait() -> str:
            """Wait for ever."""
            started.set()
            await asyncio.sleep(60)
            return "never"

        planner = agent([calls("wait")], [says("Hi")], tools=[wait])
        running = asyncio.ensure_future(Runner.run(planner, "Hello", session=session))
        await started.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        kept = await session.get_items()

        assert [item.get("role") for item in kept if "role" in item] == ["user"]
        assert await session.retract_unanswered() == kept
        assert await session.get_items() == []

    @pytest.mark.parametrize(
        ("items", "unanswered"),
        [
            ([USER, ANSWER], 0),
            ([USER, ANSWER, USER], 1),
            ([USER], 1),
            ([USER, ANSWER, USER, CALL, RESULT], 3),
            ([USER, ANSWER, CALL, RESULT], 2),  # said and called in one response: the answer stays
            ([USER, CALL, ANSWER, RESULT], 4),  # a result never loses its call
            ([USER, ANSWER, RESULT], 1),  # a result without any call parts nothing
            ([USER, CALL, RESULT, ANSWER], 0),
            ([USER, APPROVAL, ANSWER, APPROVED], 4),
            ([USER, ANSWER, SEARCH], 1),  # what the provider ran has its result with it
        ],
    )
    async def test_retract_unanswered_never_separates_a_call_from_its_result(
        self, session: AgentsSession, items: list[TResponseInputItem], unanswered: int
    ) -> None:
        await session.add_items(items)

        assert await session.retract_unanswered() == items[len(items) - unanswered :]
        assert await session.get_items() == items[: len(items) - unanswered]

    async def test_a_second_process_goes_on_from_the_files(self, tmp_path: Path) -> None:
        code = """
import asyncio, sys
from agents import Runner
from a2a_session_manager.integrations.openai_agents import AgentsSession
from a2a_session_manager.testing import blocking_calls_refused
from tests.integrations.scripted import agent, says

async def main(url, text, answer):
    planner = agent([says(answer)])
    async with AgentsSession.from_url("trip", url) as session:
        await session.record_usage(await Runner.run(planner, text, session=session))
    print(len(planner.model.inputs[0]))

asyncio.run(main(*sys.argv[1:]))
"""
        url = f"file:{tmp_path}/sessions"
        heard = []
        for text, answer in (("I am Ines", "Hi"), ("Who am I?", "Ines")):
            command = [sys.executable, "-c", code, url, text, answer]
            root = Path(__file__).parents[3]
            done = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, text=True, cwd=root, check=True, timeout=60
            )
            heard.append(done.stdout.strip())

        assert heard == ["1", "3"]
        async with SessionManager.from_url(url) as cold:
            session = AgentsSession("trip", cold)
            assert [item["role"] for item in await session.get_items()] == ["user", "assistant"] * 2  # type: ignore[typeddict-item]
            assert (await cold.usage("trip")).total_tokens == 220


async def test_the_framework_goes_on_with_the_summary_of_a_session_that_was_compacted_by_us(
    open_store: OpenStore,
) -> None:
    async with open_store() as store:
        session = AgentsSession("talk", SessionManager(store))
        await Runner.run(agent([says("Sunny. " * 20)]), "Oslo? " * 20, session=session)
        async with SessionManager(store).open("talk") as chat:
            await chat.compact(lambda view: "short")
        travel = agent([says("Fine.", "msg_2")])
        await Runner.run(travel, "Voss?", session=session)

        assert [each.get("content") for each in travel.model.inputs[-1]] == ["short", "Voss?"]  # type: ignore[union-attr]  # it is the scripted one
    async with open_store() as cold:
        items = await AgentsSession("talk", SessionManager(cold)).get_items()
        assert [each.get("content") for each in items[:2]] == ["short", "Voss?"]
        assert len(items) == 3
