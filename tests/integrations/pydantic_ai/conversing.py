"""An agent that answers by rote, and conversations with it in each store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import (
    ConversationStore,
    InMemoryConversationStore,
)
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from a2a_session_manager import SessionManager
from a2a_session_manager.integrations.pydantic_ai import (
    PydanticAIConversationStore,
)
from tests.stores import url_of


def answering(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    usage = RequestUsage(input_tokens=10, output_tokens=5)
    return ModelResponse([TextPart(f"answer {len(messages)}")], usage=usage, model_name="gpt-4o")


async def streaming(messages: list[ModelMessage], info: AgentInfo) -> AsyncIterator[str]:
    yield "answer "
    yield str(len(messages))


agent: Any = Agent(FunctionModel(answering, stream_function=streaming, model_name="gpt-4o"))


@pytest.fixture(params=["theirs", "memory", "file", "redis"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str | None:
    """Where a store of each kind lies; None for their own in memory."""
    return None if request.param == "theirs" else url_of(request.param, request, tmp_path)


@pytest.fixture
async def store(store_url: str | None) -> AsyncIterator[ConversationStore]:
    """Their store in memory, to see that the contract is theirs, and ours on each store."""
    if store_url is None:
        yield InMemoryConversationStore()
        return
    async with SessionManager.from_url(store_url) as sessions:
        yield PydanticAIConversationStore(sessions)


async def talk(store: ConversationStore, session_id: str, *prompts: str, scope: str | None = None) -> Conversation:
    conversation = await store.load(session_id) or Conversation(conversation_id=session_id)
    for prompt in prompts:
        result = await agent.run(prompt, conversation=conversation)
        await store.save(result, scope=scope)
        conversation = result.conversation
    return conversation


def texts(messages: Any) -> list[str]:
    return [part.content for message in messages for part in message.parts]


async def shown(store: ConversationStore, session_id: str) -> list[str] | None:
    conversation = await store.load(session_id)
    return None if conversation is None else texts(conversation.messages)
