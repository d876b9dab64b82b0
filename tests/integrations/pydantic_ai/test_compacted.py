"""What pydantic-ai sees of a session that was compacted by us: its histories with the summary, its store all."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelRequest, UserPromptPart

from a2a_session_manager import ChatMessage, SessionManager
from a2a_session_manager.integrations.pydantic_ai import PydanticAIConversationStore, append_messages, message_history
from tests.integrations.bridging import sessions
from tests.integrations.pydantic_ai.conversing import agent, talk
from tests.stores import url

__all__ = ["sessions", "url"]

OPAQUE: ChatMessage = {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAA"}


def prompts(messages: list[Any]) -> list[str]:
    return [part.content for message in messages for part in message.parts]


async def test_a_history_has_the_summary_in_the_place_of_what_it_stands_for(sessions: SessionManager) -> None:
    async with sessions.open("trip") as chat:
        for prompt in ("Oslo? " * 9, "Bergen? " * 9, "Voss?"):
            result = await agent.run(prompt, message_history=await message_history(chat))
            await append_messages(chat, result.new_messages())
        await chat.compact(lambda view: "They asked for two towns.", keep=12)

        history = await message_history(chat)
        assert prompts(history) == ["They asked for two towns.", "Voss?", "answer 5"]
        assert isinstance(history[0], ModelRequest)
        assert isinstance(history[0].parts[0], UserPromptPart)
        assert prompts(await message_history(chat, last=2)) == ["Voss?", "answer 5"]
        assert len(await message_history(chat, compacted=False)) == 6
        result = await agent.run("And Flåm?", message_history=history)
        await append_messages(chat, result.new_messages())

    async with sessions.open("trip") as cold:
        again = prompts(await message_history(cold))
    assert again == [
        "They asked for two towns.",
        "Voss?",
        "answer 5",
        "And Flåm?",
        "answer 3",
    ]  # theirs joins two requests in a row


async def test_a_summary_that_pydantic_ai_cannot_hold_is_refused_by_name(sessions: SessionManager) -> None:
    async with sessions.open("trip") as chat:
        await append_messages(chat, (await agent.run("Oslo? " * 99)).new_messages())
        await chat.compact(lambda view: [{"role": "user", "content": "Oslo?"}, OPAQUE])

        with pytest.raises(UserError, match="compacted=False"):
            await message_history(chat)
        assert len(await message_history(chat, compacted=False)) == 2


async def test_a_conversation_stays_whole_in_the_store_and_goes_on(sessions: SessionManager) -> None:
    store = PydanticAIConversationStore(sessions)
    await talk(store, "trip", "Oslo? " * 9, "Bergen? " * 9)
    ours = store.session_id("trip")
    async with sessions.open(ours) as chat:
        await chat.compact(lambda view: "short")
    await talk(store, "trip", "Voss?")

    loaded = await PydanticAIConversationStore(sessions).load("trip")
    assert loaded is not None
    assert prompts(loaded.messages)[::2] == ["Oslo? " * 9, "Bergen? " * 9, "Voss?"]
    async with sessions.open(ours) as chat:
        assert prompts(await message_history(chat)) == ["short", "Voss?", "answer 5"]
