"""Branches of openai-agents sessions: edit a message and run again, and what was there stays."""

from __future__ import annotations

from typing import Any

import pytest
from agents import Runner

from a2a_session_manager import InMemorySessionStore, InvalidSessionOperation, SessionManager
from a2a_session_manager.integrations.openai_agents import AgentsSession, CompactingAgentsSession, UsageHooks
from tests.integrations.openai_agents.scripted_runs import CALL, RESULT, USER, price
from tests.integrations.scripted import agent, calls, says


async def test_a_branch_has_what_was_before_a_turn_and_each_goes_its_own_way() -> None:
    sessions = SessionManager(InMemorySessionStore())
    session = AgentsSession("trip", sessions)
    hooks = UsageHooks(session)
    travel = agent([calls("price", '{"to": "OSL"}')], [says("120.")], [says("Rainy.")], [says("Sunny.")], tools=[price])
    await Runner.run(travel, "What is Oslo?", session=session, hooks=hooks)
    await Runner.run(travel, "In winter?", session=session, hooks=hooks)
    before = await session.get_items()
    spent = await sessions.usage("trip")

    branch = await session.branch(before_turn=2, new_id="trip-2")
    again = await session.branch(before_turn=2, new_id="trip-2")
    result = await Runner.run(travel, "In summer?", session=branch, hooks=UsageHooks(branch))

    assert result.final_output == "Sunny."
    assert again.session_id == branch.session_id == "trip-2"
    assert await session.get_items() == before
    items = await branch.get_items()
    assert items[:4] == before[:4]
    assert [each.get("content") for each in items[4:5]] == ["In summer?"]
    assert await sessions.usage("trip") == spent
    assert (await sessions.usage("trip-2")).total.requests == 1
    await branch.aclose()
    assert await session.get_items() == before


@pytest.mark.parametrize("turn", [0, 1, 3, -1, True])
async def test_a_turn_that_no_branch_can_begin_before_is_refused(turn: int) -> None:
    session = AgentsSession("trip", SessionManager(InMemorySessionStore()))
    await session.add_items([USER, USER])

    with pytest.raises(InvalidSessionOperation, match="before_turn"):
        await session.branch(before_turn=turn)
    with pytest.raises(InvalidSessionOperation, match="one way"):
        await session.branch(before_turn=2, at=1)


async def test_a_branch_inside_an_exchange_is_refused() -> None:
    session = AgentsSession("trip", SessionManager(InMemorySessionStore()))
    await session.add_items([USER, CALL, RESULT])

    with pytest.raises(InvalidSessionOperation, match=r"search.*on_open='interrupt'"):
        await session.branch(at=2)
    branch = await session.branch(at=1)

    assert await branch.get_items() == [USER]
    assert await session.get_items() == [USER, CALL, RESULT]


async def test_a_branch_inside_an_exchange_ends_it_when_that_is_asked_for() -> None:
    sessions = SessionManager(InMemorySessionStore())
    session = AgentsSession("trip", sessions)
    await session.add_items([USER, CALL, RESULT])

    branch = await session.branch(at=2, on_open="interrupt")

    items: list[Any] = await branch.get_items()
    *before, ended = items
    assert before == [USER, CALL]
    assert (ended["type"], ended["call_id"]) == (RESULT["type"], RESULT["call_id"])
    assert "interrupted" in str(ended["output"])
    await Runner.run(agent([says("Again?")]), "And now?", session=branch)
    assert len(await branch.get_items()) == 5
    assert await session.get_items() == [USER, CALL, RESULT]


async def test_a_branch_of_a_session_that_compacts_itself_does_so_too() -> None:
    sessions = SessionManager(InMemorySessionStore())
    session = CompactingAgentsSession("trip", sessions, summarize=lambda _: "short", items=1)
    await session.add_items(
        [{"role": "user", "content": "Oslo? " * 30}, {"role": "assistant", "content": "Yes. " * 30}]
    )

    branch = await session.branch()
    await branch.run_compaction()

    assert isinstance(branch, CompactingAgentsSession)
    assert [each.get("content") for each in await branch.get_items()] == ["short"]
    assert len(await session.get_items()) == 2


async def test_results_that_end_the_calls_of_others_are_no_items() -> None:
    """The session holds chat messages, too, which no item is made of, nor of what ends their calls."""
    sessions = SessionManager(InMemorySessionStore())
    session = AgentsSession("trip", sessions)
    await session.add_items([USER, CALL])
    async with sessions.open("trip") as chat:
        function = {"name": "look", "arguments": "{}"}
        await chat.append({"role": "assistant", "tool_calls": [{"id": "c", "type": "function", "function": function}]})
        assert len(await chat.repair()) == 2

    items: list[Any] = await session.get_items()
    *before, ended = items
    assert before == [USER, CALL]
    assert (ended["type"], ended["call_id"]) == (RESULT["type"], RESULT["call_id"])
