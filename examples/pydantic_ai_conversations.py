"""Conversations of pydantic-ai in a store of ours: loaded, saved, forked, and gone on with in another process.

To run: python examples/pydantic_ai_conversations.py
It prints: how a conversation and its fork end, which a second process has gone on with, and what each used.
"""

import asyncio
import subprocess
import sys
import tempfile

from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.pydantic_ai import PydanticAIConversationStore


def scripted(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    text = f"You asked {len(messages) // 2 + 1} times."
    return ModelResponse([TextPart(text)], usage=RequestUsage(input_tokens=10, output_tokens=5), model_name="gpt-4o")


agent = Agent(FunctionModel(scripted))


async def ask(store: PydanticAIConversationStore, conversation_id: str, prompt: str) -> None:
    conversation = await store.load(conversation_id) or Conversation(conversation_id=conversation_id)
    await store.save(await agent.run(prompt, conversation=conversation), scope="ann")


async def first(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        store = PydanticAIConversationStore(sessions)
        await ask(store, "trip", "Two days in Oslo?")
        await ask(store, "trip", "And the weather?")


async def second(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        store = PydanticAIConversationStore(sessions)
        await store.fork("trip", new_conversation_id="trip-2")
        await ask(store, "trip", "And in winter?")
        await ask(store, "trip-2", "And in summer?")
        for name in ("trip", "trip-2"):
            entries = await store.load_entries(name, limit=2) or []
            texts = [getattr(part, "content", "") for entry in entries for part in entry.message.parts]
            print(f"{name}: {texts}")
        used = [(await sessions.usage(store.session_id(name))).total_tokens for name in ("trip", "trip-2")]
        print(f"trip used {used[0]} tokens, trip-2 {used[1]}")


if sys.argv[1:]:
    asyncio.run(second(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as directory:
        place = f"file:{directory}/sessions"
        asyncio.run(first(place))
        subprocess.run([sys.executable, __file__, place], check=True)
