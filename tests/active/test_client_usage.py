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


@pytest.fixture
def module(request: pytest.FixtureRequest) -> Any:
    """Import a client's module here, and not on the loop, which its import would hold up."""
    return pytest.importorskip(request.param)


@pytest.mark.parametrize("module", ["anthropic.types"], indirect=True)
async def test_an_answer_of_anthropics_client_does(module: Any) -> None:
    answer = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Day 1: …"}],
        "usage": {"input_tokens": 5, "output_tokens": 7},
    }

    assert await tokens_of(module.Message.model_validate(answer)) == (5, 7, "claude-sonnet-4-5")
    assert await tokens_of(answer) == (5, 7, "claude-sonnet-4-5")


@pytest.mark.parametrize("module", ["langchain_core.messages"], indirect=True)
async def test_an_answer_of_langchain_does(module: Any) -> None:
    usage = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}

    answer = module.AIMessage(content="Yes.", usage_metadata=usage, response_metadata={"model_name": "gpt-4o"})

    assert await tokens_of(answer) == (3, 4, "gpt-4o")


@pytest.mark.parametrize("module", ["pydantic_ai"], indirect=True)
async def test_an_answer_of_pydantic_ai_does(module: Any) -> None:
    usage = module.usage.RequestUsage(input_tokens=3, output_tokens=4)
    parts = [module.messages.TextPart("Yes.")]
    answer = module.messages.ModelResponse(parts=parts, usage=usage, model_name="gpt-4o")

    assert await tokens_of(answer) == (3, 4, "gpt-4o")
