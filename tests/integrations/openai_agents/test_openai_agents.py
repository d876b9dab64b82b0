"""AgentsSession keeps the protocol of the framework's sessions on every store: items, limits, pops, lost replies."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from agents import Runner, Session, SessionSettings

from a2a_session_manager import (
    BaseSessionStore,
    EventSource,
    EventType,
    InMemorySessionStore,
    InvalidEvent,
    InvalidSessionOperation,
    SessionManager,
    StoreUnavailable,
)
from a2a_session_manager.integrations.openai_agents import AgentsSession
from tests.integrations.openai_agents.scripted_runs import (
    ANSWER,
    CALL,
    RESULT,
    SEARCH,
    USER,
    no_blocking_calls,
    session,
    sessions,
)
from tests.integrations.scripted import agent, says

__all__ = ["no_blocking_calls", "session", "sessions"]


REASONING: Any = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Ask the airline."}]}


def numbered(count: int) -> list[Any]:
    return [{"role": "user", "content": str(number)} for number in range(count)]


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
