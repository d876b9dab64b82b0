"""A message that a client returns with its usage brings that along."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import SessionManager
from a2a_session_manager.active import ActiveSession


async def tokens_of(message: object) -> tuple[int, int, str]:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("chat") as chat:
        return await _appended(chat, message)


async def _appended(chat: ActiveSession, message: object) -> tuple[int, int, str]:
    [event] = await chat.append(message)
    assert event.token_usage is not None
    total = (await chat.usage()).total
    assert (total.requests, total.total_tokens) == (1, event.token_usage.total_tokens)
    return event.token_usage.prompt_tokens, event.token_usage.completion_tokens, event.token_usage.model


async def test_an_answer_of_anthropics_client_does() -> None:
    types: Any = pytest.importorskip("anthropic.types")
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Day 1: …"}],
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }

    assert await tokens_of(types.Message.model_validate(answer)) == (5, 7, "claude-sonnet-4-5")
    assert await tokens_of(answer) == (5, 7, "claude-sonnet-4-5")


async def test_an_answer_of_langchain_does() -> None:
    messages: Any = pytest.importorskip("langchain_core.messages")
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}

    answer = messages.AIMessage(content="Yes.", usage_metadata=usage, response_metadata={"model_name": "gpt-4o"})

    assert await tokens_of(answer) == (3, 4, "gpt-4o")


async def test_an_answer_of_pydantic_ai_does() -> None:
    messages: Any = pytest.importorskip("pydantic_ai.messages")
    usage: Any = pytest.importorskip("pydantic_ai.usage")

    request = usage.RequestUsage(input_tokens=3, output_tokens=4)
    answer = messages.ModelResponse(parts=[messages.TextPart("Yes.")], usage=request, model_name="gpt-4o")

    assert await tokens_of(answer) == (3, 4, "gpt-4o")
