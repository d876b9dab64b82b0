"""A plain agent loop: a scripted model calls tools, hands one task to a sub-agent, and answers; all of it is kept.

To run: python examples/agent_loop.py
It prints: the conversation of the planner and of its sub-agent, then how the runs ended and what each cost.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from a2a_session_manager import ActiveRun, ActiveSession, SessionManager

Reply = dict[str, Any]


def calls(name: str, call_id: str, **arguments: Any) -> Reply:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"content": None, "tool_calls": [{"id": call_id, "type": "function", "function": function}]}


class ScriptedModel:
    """Stands in for a model's client: it takes messages, and returns a reply and what the request used."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = iter(replies)

    async def complete(self, messages: list[dict[str, Any]]) -> tuple[Reply, dict[str, int]]:
        return next(self.replies), {"prompt_tokens": 50 * len(messages), "completion_tokens": 10}


Tool = Callable[..., Awaitable[Any]]


async def agent_loop(chat: ActiveSession, run: ActiveRun, model: ScriptedModel, tools: dict[str, Tool]) -> str:
    """Ask the model until it answers without calling a tool. Every step is stored when the next one begins."""
    while True:
        reply, usage = await model.complete(await chat.messages())
        await run.assistant(**reply, model="gpt-4o-mini", usage=usage)
        if "tool_calls" not in reply:
            return str(reply["content"])
        for call in reply["tool_calls"]:
            function = call["function"]
            result = await tools[function["name"]](**json.loads(function["arguments"]))
            await run.tool(function["name"], result=result, call_id=call["id"])


async def plan(chat: ActiveSession) -> None:
    async def weather(city: str) -> dict[str, int]:
        return {"celsius": 4}

    async def flights(to: str) -> str:
        """A tool that is an agent itself, with a session of its own below this one."""
        async with run.child("trip/flights", agent="flights") as below, below.run(agent="flights") as its_run:
            await its_run.user(f"Flights to {to}?")
            return await agent_loop(below, its_run, ScriptedModel({"content": "SK 4035 at 9."}), {})

    planner = ScriptedModel(
        calls("weather", "call-1", city="Oslo"),
        calls("flights", "call-2", to="OSL"),
        {"content": "Fly at 9, and take a coat."},
    )
    await chat.user("Two days in Oslo?")
    async with chat.run(agent="planner") as run:
        await agent_loop(chat, run, planner, {"weather": weather, "flights": flights})


async def show(chat: ActiveSession) -> None:
    for message in await chat.messages():
        said = message["content"] or [call["function"]["name"] for call in message["tool_calls"]]
        print(f"{chat.id} | {message['role']}: {said}")


async def main() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("trip") as chat:
        await plan(chat)
        await show(chat)
        async with sessions.open("trip/flights") as flights:
            await show(flights)
        for run in [*await sessions.runs("trip"), *await sessions.runs("trip/flights")]:
            print(f"run of {run.agent}: {run.status}")
        own, whole = await chat.usage(), await chat.usage(tree=True)
        print(f"planner: {own.total.requests} requests, {own.total_tokens} tokens")
        print(f"with its sub-agent: {whole.total_tokens} tokens, ${whole.total_estimated_cost_usd:.6f}")


asyncio.run(main())
