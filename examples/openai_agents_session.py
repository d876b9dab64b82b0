"""An agent of openai-agents that remembers, and a run that fails and is tried again; the model is scripted.

To run: python examples/openai_agents_session.py  (pip install 'a2a_session_manager[openai-agents]')
It prints: what the agent answered, what the failed run left unanswered, the kinds of items kept, and the usage.
"""

import asyncio
from typing import Any

from agents import Agent, Model, ModelResponse, Runner, Usage, function_tool, set_tracing_disabled
from openai.types.responses import ResponseFunctionToolCall, ResponseOutputMessage, ResponseOutputText

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.openai_agents import AgentsSession, UsageHooks

set_tracing_disabled(True)  # traces would go to OpenAI


def says(text: str) -> ResponseOutputMessage:
    content = ResponseOutputText(annotations=[], text=text, type="output_text", logprobs=[])
    return ResponseOutputMessage(id="msg", content=[content], role="assistant", status="completed", type="message")


def calls_weather() -> ResponseFunctionToolCall:
    return ResponseFunctionToolCall(
        call_id="call-1", name="weather", arguments='{"city": "Oslo"}', type="function_call"
    )


class ScriptedModel(Model):
    """Answers with its turns one after the other. With a real model, you do not need this class."""

    model = "gpt-4o-mini"

    def __init__(self, *turns: Any) -> None:
        self.turns = iter(turns)

    async def get_response(self, *args: Any, **named: Any) -> ModelResponse:
        turn = next(self.turns)
        if isinstance(turn, Exception):
            raise turn
        usage = Usage(requests=1, input_tokens=200, output_tokens=20, total_tokens=220)
        return ModelResponse(output=[turn], usage=usage, response_id=None)

    def stream_response(self, *args: Any, **named: Any) -> Any:
        raise NotImplementedError


@function_tool
def weather(city: str) -> str:
    """Return the weather of a city."""
    return f"{city}: 4 degrees"


async def main() -> None:
    model = ScriptedModel(calls_weather(), says("Take a coat."), ConnectionError("the provider is down"), says("Oslo."))
    planner = Agent(name="planner", model=model, tools=[weather])
    async with SessionManager.from_url("memory:") as sessions:
        session = AgentsSession("trip", sessions)
        remember: Any = {"session": session, "hooks": UsageHooks(session)}

        print((await Runner.run(planner, "What do I wear in Oslo?", **remember)).final_output)
        try:
            await Runner.run(planner, "Where was that?", **remember)
        except ConnectionError:
            unanswered = await session.retract_unanswered()
            print("unanswered:", [item.get("content") for item in unanswered])
            print((await Runner.run(planner, unanswered, **remember)).final_output)

        print([item.get("type") or item.get("role") for item in await session.get_items()])
        total = (await sessions.usage("trip")).total
        print(f"{total.requests} requests, {total.total_tokens} tokens, ${total.estimated_cost_usd:.6f}")


asyncio.run(main())
