"""BudgetHooks: a run of openai-agents asks for room before each model call, streamed ones too."""

from __future__ import annotations

from typing import Any

import pytest
from agents import Runner, function_tool

from a2a_session_manager import BudgetExceeded, InMemorySessionStore, SessionManager
from a2a_session_manager.integrations.openai_agents import AgentsSession, BudgetHooks
from tests.integrations.scripted import agent, says


async def run(planner: Any, session: AgentsSession, hooks: BudgetHooks, *, streamed: bool) -> None:
    if not streamed:
        await Runner.run(planner, "Hello", session=session, hooks=hooks)
        return
    streaming = Runner.run_streamed(planner, "Hello", session=session, hooks=hooks)
    async for _ in streaming.stream_events():
        pass


@pytest.mark.parametrize("streamed", [False, True])
async def test_each_call_is_held_for_and_settled_by_its_usage(streamed: bool) -> None:
    sessions = SessionManager(InMemorySessionStore())
    await sessions.create("trip")
    await sessions.set_budget("trip", tokens=700, usd=1)
    session = AgentsSession("trip", sessions)
    async with BudgetHooks(session, max_output_tokens=500) as hooks:
        await run(agent([says("Hi")]), session, hooks, streamed=streamed)
        budget = await sessions.budget("trip")
        assert (budget.spent.tokens, budget.held.tokens, budget.spent.requests) == (110, 0, 1)

        await run(agent([says("Hi")]), session, hooks, streamed=streamed)
        with pytest.raises(BudgetExceeded) as refused:
            await run(agent([says("Hi")]), session, hooks, streamed=streamed)

    assert (refused.value.axis, refused.value.spent) == ("tokens", 220)
    assert (await sessions.usage("trip")).total.requests == 2


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_call_that_fails_may_have_been_paid_for(streamed: bool) -> None:
    sessions = SessionManager(InMemorySessionStore())
    await sessions.create("trip")
    await sessions.set_budget("trip", tokens=700)
    session = AgentsSession("trip", sessions)
    with pytest.raises(ConnectionError):
        async with BudgetHooks(session, max_output_tokens=500) as hooks:
            await run(agent(ConnectionError("cut off")), session, hooks, streamed=streamed)

    budget = await sessions.budget("trip")
    assert budget.spent.tokens == budget.held.tokens == 0
    assert (budget.estimated.tokens or 0) > 500


async def test_definitions_of_functions_are_held_for_too() -> None:
    @function_tool
    def weather(city: str) -> str:
        """Tell how the weather is in a city, with as many words as this description has, so that they are counted."""
        return city

    held: list[int] = []
    for tools in ([], [weather]):
        sessions = SessionManager(InMemorySessionStore())
        await sessions.create("trip")
        await sessions.set_budget("trip", tokens=700)
        with pytest.raises(ConnectionError):
            async with BudgetHooks(AgentsSession("trip", sessions), max_output_tokens=500) as hooks:
                await Runner.run(agent(ConnectionError("cut off"), tools=tools), "Hello", hooks=hooks)
        held.append((await sessions.budget("trip")).estimated.tokens or 0)

    assert held[1] > held[0] + 30
