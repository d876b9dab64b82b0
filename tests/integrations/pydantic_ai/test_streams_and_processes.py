"""AG-UI, the AI SDK, cancelled streams and several processes on a conversation store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models.function import AgentInfo, FunctionModel

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.pydantic_ai import (
    PydanticAIConversationStore,
)
from tests.integrations.bridging import finished, killed_after, sessions
from tests.integrations.pydantic_ai.conversing import agent, answering, shown, store, store_url, talk
from tests.stores import shared_url, url

__all__ = ["sessions", "shared_url", "store", "store_url", "url"]


async def test_ag_ui_runs_on_it(sessions: SessionManager) -> None:
    ag_ui = pytest.importorskip("ag_ui.core", reason="ag-ui-protocol is not installed: .ci/bridges installs it")
    from pydantic_ai.ui.ag_ui import AGUIAdapter

    store = PydanticAIConversationStore(sessions)
    for number, prompt in enumerate(("one", "two")):
        asked = ag_ui.RunAgentInput(
            thread_id="t",
            run_id=f"r{number}",
            state={},
            tools=[],
            context=[],
            forwarded_props={},
            messages=[ag_ui.UserMessage(id=f"m{number}", role="user", content=prompt)],
        )
        adapter: Any = AGUIAdapter(agent=agent, run_input=asked, conversation_store=store, conversation_scope="ann")
        kinds = [event.type async for event in adapter.run_stream()]
        assert str(kinds[-1]).endswith("RUN_FINISHED")

    assert await shown(store, "t") == ["one", "answer 1", "two", "answer 3"]
    assert await store.load("t", scope="bob") is None


async def test_vercel_runs_on_it(sessions: SessionManager) -> None:
    from pydantic_ai.ui.vercel_ai import VercelAIAdapter
    from pydantic_ai.ui.vercel_ai.request_types import SubmitMessage, TextUIPart, UIMessage

    store = PydanticAIConversationStore(sessions)
    for number, prompt in enumerate(("one", "two")):
        message = UIMessage(id=f"m{number}", role="user", parts=[TextUIPart(text=prompt)])
        asked = SubmitMessage(id="t", messages=[message])
        adapter: Any = VercelAIAdapter(agent=agent, run_input=asked, conversation_store=store)
        _ = [event async for event in adapter.run_stream()]

    assert await shown(store, "t") == ["one", "answer 1", "two", "answer 3"]


async def test_a_save_cancelled_in_a_stream_is_whole_or_absent(sessions: SessionManager) -> None:
    store = PydanticAIConversationStore(sessions)
    for turns in range(6):
        result = await agent.run("one", conversation=Conversation(conversation_id=f"c{turns}"))
        saving = asyncio.create_task(store.save(result))
        for _ in range(turns):
            await asyncio.sleep(0)
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)
        assert await shown(store, f"c{turns}") in (None, ["one", "answer 1"])


async def test_a_stream_cancelled_in_the_middle_stores_nothing_and_its_turn_is_made_again(
    sessions: SessionManager,
) -> None:
    store, begun = PydanticAIConversationStore(sessions), asyncio.Event()

    async def stalling(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
        yield "half an "
        begun.set()
        await asyncio.Event().wait()

    async def stream() -> None:
        slow: Any = Agent(FunctionModel(answering, stream_function=stalling, model_name="gpt-4o"))
        async with slow.run_stream("two", conversation=await store.load("c")) as result:
            async for _ in result.stream_text():
                pass
            await store.save(result)

    await talk(store, "c", "one")
    streaming = asyncio.create_task(stream())
    await begun.wait()
    streaming.cancel()
    await asyncio.gather(streaming, return_exceptions=True)
    assert await shown(PydanticAIConversationStore(sessions), "c") == ["one", "answer 1"]

    await talk(PydanticAIConversationStore(sessions), "c", "two")
    assert await shown(store, "c") == ["one", "answer 1", "two", "answer 3"]
    assert (await sessions.usage(store.session_id("c"))).total.requests == 2


WRITER = """
import asyncio, sys
from pydantic_ai.conversation_store import ConversationConflict
from tests.integrations.pydantic_ai.conversing import talk
from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.pydantic_ai import PydanticAIConversationStore

async def main(url, turns):
    async with SessionManager.from_url(url) as sessions:
        store = PydanticAIConversationStore(sessions)
        for turn in range(turns):
            while True:
                try:
                    await talk(store, "c", f"hello {turn}")
                    break
                except ConversationConflict:
                    pass
            print("turn", turn, flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_two_processes_on_one_conversation_keep_all(shared_url: str) -> None:
    await asyncio.gather(*(asyncio.to_thread(finished, WRITER, shared_url, "4") for _ in range(2)))

    async with SessionManager.from_url(shared_url) as sessions:
        store = PydanticAIConversationStore(sessions)
        found = await shown(store, "c") or []
        usage = await sessions.usage(store.session_id("c"))
    assert sorted(found[::2]) == sorted(f"hello {turn}" for turn in range(4) for _ in range(2))
    assert found[1::2] == [f"answer {2 * turn + 1}" for turn in range(8)]
    assert usage.total.requests == 8


async def test_a_process_killed_between_turns_is_gone_on_with_by_another(shared_url: str) -> None:
    await asyncio.to_thread(killed_after, WRITER, "turn 2", shared_url, "100")
    await asyncio.to_thread(finished, WRITER, shared_url, "2")

    async with SessionManager.from_url(shared_url) as sessions:
        store = PydanticAIConversationStore(sessions)
        found = await shown(store, "c") or []
        usage = await sessions.usage(store.session_id("c"))
    assert found[1::2] == [f"answer {2 * turn + 1}" for turn in range(len(found) // 2)]
    assert usage.total.requests == len(found) // 2 >= 5
