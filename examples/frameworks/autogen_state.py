"""A recipe for AutoGen, whose agents save their state as a dict: it is the state of a session of ours.

To run: python examples/frameworks/autogen_state.py   (pip install autogen-agentchat)
It prints: what a scripted model answers, the last time in a second process, and what the requests used.
"""

import asyncio
import subprocess
import sys
import tempfile
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_core.models import ChatCompletionClient, CreateResult, ModelInfo, RequestUsage

from a2a_session_manager import SessionChange, SessionEvent, SessionManager, TokenUsage


class ScriptedClient(ChatCompletionClient):
    """Answers from a script, as a model would, with what it used."""

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False, function_calling=False, json_output=False, family="unknown", structured_output=False
        )

    capabilities: Any = model_info

    async def create(self, messages: Any, **options: Any) -> CreateResult:
        asked = sum(type(message).__name__ == "UserMessage" for message in messages)
        usage = RequestUsage(prompt_tokens=10, completion_tokens=5)
        return CreateResult(finish_reason="stop", content=f"You asked {asked} times.", usage=usage, cached=False)

    def create_stream(self, messages: Any, **options: Any) -> Any:
        raise NotImplementedError

    def count_tokens(self, messages: Any, **options: Any) -> int:
        return 0

    remaining_tokens: Any = count_tokens

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(prompt_tokens=0, completion_tokens=0)

    total_usage: Any = actual_usage

    async def close(self) -> None: ...


async def ask(url: str, *questions: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        session = await sessions.get_or_create("oslo-trip", last=0)
        agent = AssistantAgent("planner", model_client=ScriptedClient())
        if "planner" in session.state:
            await agent.load_state(session.state["planner"])
        for question in questions:
            result = await agent.run(task=question)
            answer: Any = result.messages[-1]
            used = TokenUsage(
                prompt_tokens=answer.models_usage.prompt_tokens, completion_tokens=answer.models_usage.completion_tokens
            )
            # One commit: what was said, what it cost, and what the agent goes on with.
            event = SessionEvent(message={"role": "assistant", "content": answer.content}, token_usage=used)
            await sessions.commit(
                session, SessionChange(events=[event], set_state={"planner": dict(await agent.save_state())})
            )
            print(answer.content, flush=True)
        if len(questions) == 1:
            usage = await sessions.usage("oslo-trip")
            print(f"{usage.total.requests} requests, {usage.total_tokens} tokens")


if sys.argv[1:]:
    asyncio.run(ask(sys.argv[1], "And in winter?"))
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        asyncio.run(ask(place, "Two days in Oslo?", "And in summer?"))
        subprocess.run([sys.executable, __file__, place], check=True)
