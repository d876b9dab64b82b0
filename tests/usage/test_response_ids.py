"""The provider's id of a response is found where a usage is taken from the whole of it; no other id is taken for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from a2a_session_manager import InvalidEvent, SessionManager, TokenUsage, merged_usage, usage_from
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

CHAT = {"prompt_tokens": 10, "completion_tokens": 5}
SIDES = {"input_tokens": 10, "output_tokens": 5}
GEMINI = {"promptTokenCount": 10, "candidatesTokenCount": 5}
ANTHROPIC = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": SIDES}
LANGCHAIN = {"type": "ai", "content": "Hi", "id": "run--7-0", "usage_metadata": SIDES, "response_metadata": {}}

SAID: dict[str, tuple[dict[str, Any], str]] = {
    "OpenAI chat": ({"id": "chatcmpl-1", "object": "chat.completion", "choices": [], "usage": CHAT}, "chatcmpl-1"),
    "OpenAI's last chunk": ({"id": "chatcmpl-1", "object": "chat.completion.chunk", "usage": CHAT}, "chatcmpl-1"),
    "a gateway without a prefix": ({"id": "8f2c", "object": "chat.completion", "usage": CHAT}, "8f2c"),
    "a gateway without a kind": ({"id": "8f2c", "choices": [], "usage": CHAT}, "8f2c"),
    "OpenRouter": ({"id": "gen-17", "object": "chat.completion", "usage": CHAT}, "gen-17"),
    "completions": ({"id": "cmpl-3", "object": "text_completion", "usage": CHAT}, "cmpl-3"),
    "OpenAI responses": ({"id": "resp_1", "object": "response", "usage": SIDES}, "resp_1"),
    "a stream's last event": ({"type": "response.completed", "response": {"id": "resp_1", "usage": SIDES}}, "resp_1"),
    "OpenAI's batch": (
        {
            "id": "batch_req_1",
            "custom_id": "a",
            "response": {"request_id": "r", "body": {"id": "chatcmpl-9", "usage": CHAT}},
        },
        "chatcmpl-9",
    ),
    "Anthropic": (ANTHROPIC, "msg_1"),
    "Anthropic's batch": ({"custom_id": "a", "result": {"type": "succeeded", "message": ANTHROPIC}}, "msg_1"),
    "Anthropic's first event": ({"type": "message_start", "message": ANTHROPIC}, "msg_1"),
    "Claude Code": ({"type": "assistant", "uuid": "u1", "requestId": "req_1", "message": ANTHROPIC}, "msg_1"),
    "Claude Code over another provider": (
        {"type": "assistant", "uuid": "u1", "requestId": "req_1", "message": {"role": "assistant", "usage": SIDES}},
        "req_1",
    ),
    "the Claude Agent SDK": ({"message_id": "msg_7", "session_id": "s", "uuid": "u", "usage": SIDES}, "msg_7"),
    "Gemini": ({"candidates": [], "usageMetadata": GEMINI, "responseId": "x1"}, "x1"),
    "google-genai": ({"usage_metadata": GEMINI, "response_id": "x1"}, "x1"),
    "Bedrock": ({"usage": {"inputTokens": 1, "outputTokens": 1}, "ResponseMetadata": {"RequestId": "a-b"}}, "a-b"),
    "Cohere": (
        {"id": "c-1", "finish_reason": "COMPLETE", "message": {"role": "assistant"}, "usage": {"tokens": SIDES}},
        "c-1",
    ),
    "LangChain": (LANGCHAIN, "run--7-0"),
    "LangChain over OpenAI": ({**LANGCHAIN, "response_metadata": {"id": "chatcmpl-1"}}, "chatcmpl-1"),
    "pydantic-ai": ({"kind": "response", "provider_response_id": "resp_2", "usage": SIDES}, "resp_2"),
    "AI SDK": ({"text": "Hi", "response": {"id": "aitxt-1", "modelId": "m"}, "usage": SIDES}, "aitxt-1"),
    "AI SDK, all steps": ({"response": {"id": "r2", "timestamp": "…"}, "totalUsage": SIDES, "steps": [1, 2]}, "r2"),
    "LiteLLM's log": ({"id": "chatcmpl-5", "call_type": "acompletion", **CHAT, "response_cost": 0.1}, "chatcmpl-5"),
    "a span": ({"gen_ai.usage.input_tokens": 3, "gen_ai.response.id": "chatcmpl-6"}, "chatcmpl-6"),
    "a message with an id beside its usage": ({"role": "assistant", "id": "msg_3", "usage": SIDES}, "msg_3"),
    "a mapping of our fields": ({"prompt_tokens": 3, "response_id": "mine"}, "mine"),
}

NOT_SAID: dict[str, dict[str, Any]] = {
    "a usage alone": CHAT,
    "a message of a UI": {"role": "assistant", "id": "f81d4f", "usage": CHAT},
    "a message of the AI SDK's UI": {
        "id": "msg_made_anew",
        "role": "assistant",
        "parts": [],
        "metadata": {"usage": SIDES},
    },
    "a generation of a tracer": {"id": "obs-1", "traceId": "t", "usageDetails": {"input": 3, "output": 4}},
    "a call": {"type": "function", "id": "call_1", "usage": CHAT},
    "the calls beside": {"role": "assistant", "tool_calls": [{"id": "call_1"}], "usage": CHAT},
    "no text": {"id": 5, "object": "chat.completion", "usage": CHAT},
    "an empty text": {"id": "", "object": "chat.completion", "usage": CHAT},
    # Servers that give one id to several answers:
    "Ollama": {"id": "chatcmpl-417", "object": "chat.completion", "system_fingerprint": "fp_ollama", "usage": CHAT},
    "koboldcpp": {"id": "chatcmpl-A1", "object": "chat.completion", "usage": CHAT},
    "LMDeploy": {"id": "7", "object": "chat.completion", "usage": CHAT},
    # Servers that have none, and write something in its place:
    "unknown": {"id": "unknown", "object": "chat.completion", "usage": CHAT},
    "a beginning alone": {"id": "chatcmpl-", "object": "chat.completion", "usage": CHAT},
    "null": {"id": "chatcmpl-null", "object": "chat.completion", "usage": CHAT},
    "zeros": {"id": "chatcmpl-00000000-0000-0000-0000-000000000000", "object": "chat.completion", "usage": CHAT},
    "None of a framework": {"usage_metadata": GEMINI, "response_id": "None"},
    # Its chunks add up, and the largest of them is not the whole.
    "LangChain's chunk": {**LANGCHAIN, "type": "AIMessageChunk"},
}


@pytest.mark.parametrize("name", SAID)
def test_the_id_of_a_response_is_kept(name: str) -> None:
    reply, expected = SAID[name]

    assert usage_from(reply).response_id == expected


@pytest.mark.parametrize("name", SAID)
def test_it_is_kept_from_objects_as_from_dicts(name: str) -> None:
    reply, expected = SAID[name]
    if "." in "".join(reply) or "prompt_tokens" in reply:
        return  # a span has no attributes of such names, and the usage itself is a mapping

    assert usage_from(SimpleNamespace(**reply)).response_id == expected


@pytest.mark.parametrize("name", NOT_SAID)
def test_no_other_id_is_taken_for_it(name: str) -> None:
    assert usage_from(NOT_SAID[name]).response_id is None


def test_what_the_reply_says_goes_before_what_the_caller_gives() -> None:
    assert usage_from(CHAT, response_id="resp_1").response_id == "resp_1"
    assert usage_from(ANTHROPIC, response_id="resp_1").response_id == "msg_1"
    assert usage_from(TokenUsage(), response_id="resp_1").response_id == "resp_1"
    assert usage_from(TokenUsage(response_id="a"), response_id="b").response_id == "a"
    for none in ("", "unknown", "chatcmpl-", "__fake_id__"):
        assert usage_from(CHAT, response_id=none).response_id is None
        assert missing_usage("m", response_id=none).response_id is None
    assert usage_from({**CHAT, "response_id": ""}).response_id is None


def test_a_usage_that_is_not_understood_or_never_came_keeps_the_id() -> None:
    broken = {**ANTHROPIC, "usage": {"input_tokens": -1, "output_tokens": 2}}

    assert recorded_usage(broken).response_id == "msg_1"
    assert recorded_usage({}, response_id="resp_1").response_id == "resp_1"
    assert missing_usage("m", response_id="resp_1").response_id == "resp_1"


def test_a_stream_keeps_the_first_id_in_it() -> None:
    delta = {"type": "message_delta", "usage": {"output_tokens": 9}}

    assert merged_usage([{"type": "message_start", "message": ANTHROPIC}, delta]).response_id == "msg_1"
    assert merged_usage([{"usage": CHAT}]).response_id is None


def test_an_id_that_no_store_could_keep_is_made_into_one_that_is_always_the_same() -> None:
    for odd in ("x" * 600, "resp_\ud800"):
        first, again = (usage_from({"id": odd, "object": "response", "usage": SIDES}).response_id for _ in "ab")
        assert first == again
        assert first is not None
        assert len(first) == 32
    with pytest.raises(InvalidEvent, match="response_id=5 is no id"):
        recorded_usage(CHAT, response_id=5)  # type: ignore[arg-type]  # a caller without types
    with pytest.raises(ValueError, match="response_id"):
        TokenUsage(response_id="x" * 600)


async def test_the_verb_keeps_it_with_and_without_a_usage() -> None:
    async with SessionManager.from_url("memory:") as sessions, sessions.open("talk") as chat:
        with_usage = await chat.assistant("Hi", model="m", usage=CHAT, response_id="resp_1")
        without = await chat.assistant("Hi", response_id="resp_2")
        whole = await chat.assistant("Hi", usage=ANTHROPIC)

    kept = [each.token_usage and each.token_usage.response_id for each in (with_usage, without, whole)]
    assert kept == ["resp_1", "resp_2", "msg_1"]


def test_a_reply_whose_type_is_no_text_has_no_id_by_it() -> None:
    reply = {"type": {"a": 1}, "role": "assistant", "id": "x", "usage": {"input_tokens": 1, "output_tokens": 1}}

    assert usage_from(reply).response_id is None
