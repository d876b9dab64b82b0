"""A test file of yours: the fixtures come with the package, and need no conftest.

To run: python -m pytest examples/test_with_fixtures.py
        (with --session-store=file or redis it runs on that store instead, and passes just the same)
It prints: 4 passed
"""

from datetime import timedelta

import pytest

from a2a_session_manager import SessionManager
from a2a_session_manager.testing import SessionClock
from a2a_session_manager.testing.plugin import AssertTranscript, MakeSession

pytestmark = pytest.mark.asyncio  # not needed in pytest-asyncio's auto mode; pytest.mark.anyio does as well


async def greet(sessions: SessionManager, session_id: str) -> None:
    """The code under test, which would be yours. It takes a manager."""
    async with sessions.open(session_id) as chat, chat.run(agent="greeter") as run:
        question = (await chat.messages())[-1]["content"]
        await run.assistant(f"You said: {question}", model="gpt-4o", usage={"prompt_tokens": 9, "completion_tokens": 4})


async def test_the_agent_answers(
    session_manager: SessionManager, make_session: MakeSession, assert_transcript: AssertTranscript
) -> None:
    await make_session(("user", "Hello"), id="trip")

    await greet(session_manager, "trip")

    await assert_transcript("trip", [("user", "Hello"), ("assistant", "You said: Hello")])


async def test_every_test_starts_with_an_empty_store(session_manager: SessionManager) -> None:
    assert await session_manager.list_sessions() == []


async def test_ids_are_the_same_in_every_run(session_manager: SessionManager, session_ids: list[str]) -> None:
    async with session_manager.open("trip") as chat:
        said = await chat.user("Hello")

    assert said.id == session_ids[0] == "id-1"


async def test_the_clock_stands_until_it_is_moved(session_manager: SessionManager, session_clock: SessionClock) -> None:
    async with session_manager.open("trip") as chat:
        first = await chat.user("Hello")
        session_clock.advance(minutes=5)
        second = await chat.user("Still there?")

    assert second.timestamp - first.timestamp == timedelta(minutes=5)
