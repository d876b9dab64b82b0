"""An answer of a client's own class brings what its provider was paid for by use."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import usage_from


@pytest.fixture
def module(request: pytest.FixtureRequest) -> Any:
    """Import a client's module here, for the test may be skipped."""
    return pytest.importorskip(request.param)


@pytest.mark.parametrize("module", ["openai.types.responses"], indirect=True)
def test_a_response_of_openai(module: Any) -> None:
    response = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "gpt-5",
        "output": [
            {
                "id": "ws_1",
                "type": "web_search_call",
                "status": "completed",
                "action": {"type": "search", "query": "q"},
            },
            {
                "id": "ws_2",
                "type": "web_search_call",
                "status": "completed",
                "action": {"type": "open_page", "url": "u"},
            },
            {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": ["q"]},
        ],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1000,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": 300,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 1300,
        },
    }

    usage = usage_from(module.Response.model_validate(response))

    assert (usage.total_tokens, usage.model, usage.response_id) == (1300, "gpt-5", "resp_1")
    assert usage.tool_uses == {"web_searches": 1, "file_searches": 1}


@pytest.mark.parametrize("module", ["anthropic.types"], indirect=True)
def test_a_message_of_anthropic(module: Any) -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Day 1: …"}],
        "usage": {
            "input_tokens": 5,
            "output_tokens": 7,
            "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
        },
    }

    usage = usage_from(module.Message.model_validate(message))

    assert (usage.total_tokens, usage.tool_uses) == (12, {"web_searches": 2, "web_fetches": 1})


@pytest.mark.parametrize("module", ["google.genai.types"], indirect=True)
def test_a_response_of_google(module: Any) -> None:
    response = {
        "candidates": [{"grounding_metadata": {"web_search_queries": ["fjords", "oslo"]}}],
        "model_version": "gemini-3-flash-preview",
        "usage_metadata": {"prompt_token_count": 5, "candidates_token_count": 7, "total_token_count": 12},
    }

    usage = usage_from(module.GenerateContentResponse.model_validate(response))

    assert (usage.total_tokens, usage.model) == (12, "gemini-3-flash-preview")
    assert usage.tool_uses == {"web_searches": 2}


@pytest.mark.parametrize("module", ["pydantic_ai"], indirect=True)
def test_a_response_of_pydantic_ai(module: Any) -> None:
    parts = [module.messages.TextPart("Yes.")]
    answer = module.messages.ModelResponse(
        parts=parts,
        usage=module.usage.RequestUsage(input_tokens=5, output_tokens=7, web_searches=2),
        model_name="gpt-4o",
    )

    assert usage_from(answer).tool_uses == {"web_searches": 2}


@pytest.mark.parametrize("module", ["langchain_core.messages"], indirect=True)
def test_a_message_of_langchain(module: Any) -> None:
    answer = module.AIMessage(
        content="Yes.",
        usage_metadata={"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
        response_metadata={"model_name": "claude-sonnet-4-5", "usage": {"server_tool_use": {"web_search_requests": 2}}},
    )

    assert usage_from(answer).tool_uses == {"web_searches": 2}
