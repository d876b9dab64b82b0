"""AgentsSession in the real framework, with scripted models: what the runner keeps, and what it finds again."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from agents import Agent, MaxTurnsExceeded, Runner, Session, SessionSettings, TResponseInputItem, function_tool
from agents.models.fake_id import FAKE_RESPONSES_ID

from a2a_session_manager import (
    BaseSessionStore,
    EventSource,
    EventType,
    FileSessionStore,
    InMemorySessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    SessionManager,
    StoreUnavailable,
)
from a2a_session_manager.integrations.openai_agents import AgentsSession, UsageHooks
from a2a_session_manager.testing import blocking_calls_refused
from tests.integrations.scripted import ScriptedModel, agent, calls, says
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]  # a fixture

USER: Any = {"role": "user", "content": "Hello"}
ANSWER: Any = {
    "id": "msg_1",
    "content": [{"annotations": [], "text": "Hi", "type": "output_text", "logprobs": []}],
    "role": "assistant",
    "status": "completed",
    "type": "message",
}
CALL: Any = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "search", "arguments": "{}"}
RESULT: Any = {"type": "function_call_output", "call_id": "call_1", "output": "120"}
REASONING: Any = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Ask the airline."}]}
APPROVAL: Any = {"type": "mcp_approval_request", "id": "a", "server_label": "s", "name": "f", "arguments": "{}"}
APPROVED: Any = {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}
SEARCH: Any = {
    "type": "web_search_call",
    "id": "ws_1",
    "status": "completed",
    "action": {"type": "search", "query": "x"},
}


@function_tool
def price(to: str) -> str:
    """Return what a flight costs."""
    return f"{to}: 120 EUR"


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    with blocking_calls_refused() as guard:
        # It looks up redis-py's version, as no real client does.
        for function in guard.functions.values():
            function.can_block_in("fakeredis/_clients/_setup.py", {"_client_lib_version"})
        yield


@pytest.fixture(params=["memory", "file", "redis"])
async def sessions(
    request: pytest.FixtureRequest, tmp_path: Path, redis_session_store: BaseSessionStore
) -> AsyncIterator[SessionManager]:
    makers: dict[str, Callable[[], BaseSessionStore]] = {
        "memory": InMemorySessionStore,
        "file": lambda: FileSessionStore(tmp_path / "sessions"),
        "redis": lambda: redis_session_store,
    }
    async with makers[request.param]() as store:
        yield SessionManager(store)


@pytest.fixture
def session(sessions: SessionManager) -> AgentsSession:
    return AgentsSession("trip", sessions)


def numbered(count: int) -> list[Any]:
    return [{"role": "user", "content": str(number)} for number in range(count)]


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


class TestTheProtocol:
    def test_it_is_a_session_of_the_framework(self) -> None:
        session: Session = AgentsSession("trip", SessionManager(InMemorySessionStore()))

        assert isinstance(session, Session)
        assert session.session_id == "trip"

    async def test_items_come_back_equal_and_detached(self, session: AgentsSession) -> None:
        item: Any = {"type": "reasoning", "id": "rs_1", "summary": [], "x": {"deep": [None, 1.5, "\ud800", ""]}}
        await session.add_items([USER, item])
        item["x"]["deep"].append("later")
        [_, first] = await session.get_items()
        first["x"]["deep"].clear()  # type: ignore[typeddict-item]  # an item of no known shape

        assert (await session.get_items())[1]["x"] == {"deep": [None, 1.5, "\ud800", ""]}  # type: ignore[typeddict-item]

    async def test_a_session_that_is_not_there_is_empty_and_stays_so(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        assert await session.get_items() == []
        assert await session.pop_item() is None
        await session.clear_session()
        await session.add_items([])
        assert await session.retract_unanswered() == []

        assert await sessions.list_sessions() == []

    @pytest.mark.parametrize(
        ("limit", "expected"), [(None, "01234"), (0, ""), (1, "4"), (3, "234"), (5, "01234"), (9, "01234")]
    )
    async def test_a_limit_takes_the_newest_in_order(
        self, session: AgentsSession, limit: int | None, expected: str
    ) -> None:
        await session.add_items(numbered(5))

        assert "".join(str(item["content"]) for item in await session.get_items(limit)) == expected  # type: ignore[typeddict-item]

    async def test_an_explicit_limit_comes_before_that_of_the_settings(self, sessions: SessionManager) -> None:
        session = AgentsSession("trip", sessions, session_settings=SessionSettings(limit=2))
        await session.add_items(numbered(5))

        assert await session.get_items() == numbered(5)[3:]
        assert await session.get_items(4) == numbered(5)[1:]
        assert await session.get_items(0) == []

    async def test_a_negative_limit_is_refused(self, session: AgentsSession) -> None:
        with pytest.raises(InvalidSessionOperation, match="limit=-1"):
            await session.get_items(-1)

    async def test_events_that_are_no_items_are_passed_over(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        await session.add_items(numbered(3))
        async with sessions.open("trip") as chat:
            for _ in range(5):
                await chat.system("a note")
            await session.add_items([USER])

            assert await session.get_items(3) == [*numbered(3)[1:], USER]
            assert await session.pop_item() == USER
            assert await session.pop_item() == numbered(3)[2]
            assert len(await chat.events()) == 7

    async def test_a_batch_is_kept_whole_or_not_at_all(self, session: AgentsSession, sessions: SessionManager) -> None:
        await session.add_items([USER])
        bad: Any = {"role": "user", "content": float("nan")}
        with pytest.raises(InvalidEvent, match="content"):
            await session.add_items([ANSWER, bad])
        with pytest.raises(InvalidEvent, match="a JSON object"):
            await session.add_items([ANSWER, "text"])  # type: ignore[list-item]  # what is refused
        await session.add_items([CALL, RESULT])

        assert await session.get_items() == [USER, CALL, RESULT]
        assert (await sessions.get("trip")).revision == 2

    async def test_two_first_writers_both_land(self, sessions: SessionManager) -> None:
        one, other = AgentsSession("trip", sessions), AgentsSession("trip", sessions)
        await asyncio.gather(one.add_items(numbered(2)), other.add_items([USER, ANSWER]))

        items = await one.get_items()
        assert sorted(json.dumps(item) for item in items) == sorted(map(json.dumps, [*numbered(2), USER, ANSWER]))

    async def test_many_who_pop_get_every_item_once(self, session: AgentsSession) -> None:
        await session.add_items(numbered(10))
        popped = await asyncio.gather(*(session.pop_item() for _ in range(14)))

        taken = [item for item in popped if item is not None]
        assert sorted(str(item["content"]) for item in taken) == list("0123456789")  # type: ignore[typeddict-item]
        assert await session.get_items() == []

    async def test_a_popped_item_may_come_again_with_its_provider_s_id(self, session: AgentsSession) -> None:
        await session.add_items([USER, ANSWER])
        assert await session.pop_item() == ANSWER
        await session.add_items([ANSWER])
        await session.add_items([ANSWER])

        assert await session.get_items() == [USER, ANSWER, ANSWER]

    async def test_clearing_hides_all_and_keeps_the_usage(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        result = await Runner.run(agent([says("Hi")]), "Hello", session=session)
        await session.record_usage(result)
        await session.clear_session()

        assert await session.get_items() == []
        assert (await sessions.usage("trip")).total_tokens == 110
        await session.add_items([USER])
        assert await session.get_items() == [USER]

    async def test_what_was_cleared_or_popped_comes_back_where_it_stood(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        await session.add_items(numbered(3))
        popped = await session.pop_item()
        await session.clear_session()
        log = await sessions.store.events("trip", include_retracted=True)

        await sessions.restore("trip", *(event.id for event in log))

        assert await session.get_items() == numbered(3)
        assert await session.get_items(limit=2) == numbered(3)[1:]
        assert await session.pop_item() == popped

    async def test_kinds_and_sources_are_told_apart(self, sessions: SessionManager) -> None:
        session = AgentsSession("trip", sessions, run_id="run-1")
        await session.add_items([USER, ANSWER, CALL, RESULT, {"role": "developer", "content": "Be brief."}])
        events = (await sessions.get("trip")).events

        assert [(event.source, event.type) for event in events] == [
            (EventSource.USER, EventType.MESSAGE),
            (EventSource.LLM, EventType.MESSAGE),
            (EventSource.LLM, EventType.TOOL_CALL),
            (EventSource.SYSTEM, EventType.TOOL_RESULT),
            (EventSource.SYSTEM, EventType.MESSAGE),
        ]
        assert {event.task_id for event in events} == {"run-1"}
        assert {"msg_1", "fc_1"}.isdisjoint(event.id for event in events)

    @pytest.mark.parametrize(
        ("item", "source", "kind"),
        [
            (REASONING, EventSource.LLM, EventType.MESSAGE),
            (SEARCH, EventSource.LLM, EventType.TOOL_CALL),
            ({"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"}, "llm", EventType.TOOL_CALL),
            ({"type": "shell_call_output", "call_id": "c", "output": []}, "system", EventType.TOOL_RESULT),
            ({"type": "mcp_approval_response", "approval_request_id": "a", "approve": True}, "system", "tool_result"),
            ({"type": "what_comes_next_year", "x": 1}, EventSource.LLM, "what_comes_next_year"),
        ],
    )
    async def test_an_item_without_a_role_is_of_who_makes_it(
        self, session: AgentsSession, sessions: SessionManager, item: Any, source: str, kind: str
    ) -> None:
        await session.add_items([item])

        [event] = (await sessions.get("trip")).events
        assert (event.source, event.type) == (source, kind)
        assert await session.get_items() == [item]

    async def test_items_are_read_as_messages_that_a_model_takes(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        items = [USER, REASONING, CALL, RESULT, SEARCH, ANSWER]
        await session.add_items(items)

        async with sessions.open("trip") as chat:
            as_stored, chat_messages = await chat.messages(), await chat.messages(format="openai")

        assert as_stored == items
        assert [message["role"] for message in chat_messages] == ["user", "assistant", "tool", "assistant"]
        assert chat_messages[1]["tool_calls"][0]["function"] == {"name": "search", "arguments": "{}"}
        assert chat_messages[2] == {"role": "tool", "tool_call_id": "call_1", "content": "120"}
        assert chat_messages[3]["content"] == "Hi"
        assert {finding.code for finding in chat_messages.report} == {"not_converted"}

    async def test_a_call_without_a_result_is_closed_in_what_a_model_is_given(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        await session.add_items([USER, REASONING, CALL, USER])

        async with sessions.open("trip") as chat:
            given = await chat.messages(format="responses")

        assert [item["type"] for item in given] == [
            "message",
            "reasoning",
            "function_call",
            "function_call_output",
            "message",
        ]


class TestClosing:
    async def test_a_store_of_its_own_is_closed_with_the_session(self, tmp_path: Path) -> None:
        async with AgentsSession.from_url("trip", f"file:{tmp_path}/sessions") as session:
            await session.add_items([USER])
        await session.aclose()

        for verb in (
            lambda: session.get_items(),
            lambda: session.add_items([]),
            lambda: session.pop_item(),
            lambda: session.clear_session(),
            lambda: session.retract_unanswered(),
        ):
            with pytest.raises(RuntimeError, match="AgentsSession is closed"):
                await verb()
        async with AgentsSession.from_url("trip", f"file:{tmp_path}/sessions") as cold:
            assert await cold.get_items() == [USER]

    async def test_a_manager_that_was_handed_in_stays_open(
        self, session: AgentsSession, sessions: SessionManager
    ) -> None:
        await session.aclose()
        await session.add_items([USER])

        assert (await sessions.get("trip")).last_seq == 1


class TestLostReplies:
    @pytest.mark.parametrize("verb", ["append", "create", "retract"])
    async def test_a_write_whose_reply_is_lost_is_made_once(self, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
        store = InMemorySessionStore()
        session = AgentsSession("trip", SessionManager(store))
        if verb != "create":
            await session.add_items([USER, ANSWER])
        real = getattr(BaseSessionStore, verb)
        lost: list[str] = []

        async def loses_one_reply(self: BaseSessionStore, *args: Any, **named: Any) -> Any:
            answer = await real(self, *args, **named)
            if not lost:
                lost.append(verb)
                raise StoreUnavailable("the reply was lost")
            return answer

        monkeypatch.setattr(BaseSessionStore, verb, loses_one_reply)
        if verb == "retract":
            assert await session.pop_item() == ANSWER
            assert await session.get_items() == [USER]
        else:
            await session.add_items([CALL, RESULT])
            assert (await session.get_items())[-2:] == [CALL, RESULT]
            assert len(await session.get_items()) == (2 if verb == "create" else 4)
        assert lost == [verb]

    async def test_a_cancelled_batch_is_whole_or_not_there(self, session: AgentsSession) -> None:
        await session.add_items([USER])
        for steps in range(6):
            writing = asyncio.ensure_future(session.add_items([CALL, RESULT]))
            for _ in range(steps):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.wait({writing})
        items = await session.get_items()

        assert items == [USER, *[CALL, RESULT] * ((len(items) - 1) // 2)]


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


def test_without_the_framework_the_pip_line_is_the_error() -> None:
    code = """
import sys
sys.modules["agents"] = None
from a2a_session_manager import MissingDependency
try:
    import a2a_session_manager.integrations.openai_agents
except MissingDependency as missing:
    print(missing)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "openai-agents is not installed: pip install 'a2a_session_manager[openai-agents]'\n"


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
