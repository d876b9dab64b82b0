"""What providers sign thoughts and calls with, where frameworks keep it: a provider refuses another one's.

The messages are as the frameworks made them of what the providers' clients answered: langchain-google-genai 4.4.3,
langchain-anthropic 1.7.10, pydantic-ai 2.68.0 and Strands 1.62.0; of the Vercel AI SDK, as its sources tell.
"""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager.context.prompt import prompt_of, view_of
from tests.context.examples import ASK, Json, said

OSLO: Json = {"name": "weather", "args": {"city": "Oslo"}, "id": "c1", "type": "tool_call"}
BERGEN: Json = {"name": "weather", "args": {"city": "Bergen"}, "id": "c2", "type": "tool_call"}
AT_GOOGLE: Json = {"model_provider": "google_genai", "model_name": "gemini-3-pro"}
AT_ANTHROPIC: Json = {"model_provider": "anthropic"}


def langchain(content: list[Json], calls: list[Json], about: Json, **more: Any) -> Json:
    data = {"content": content, "additional_kwargs": more, "response_metadata": about, "type": "ai", "name": None}
    listed = {"tool_calls": calls, "invalid_tool_calls": [], "usage_metadata": None, "id": None}
    return {"type": "ai", "data": {**data, **listed}}


def pydantic(*parts: Json, provider: str) -> Json:
    return {"parts": list(parts), "model_name": "m", "kind": "response", "provider_name": provider, "state": "complete"}


def thought(**given: Any) -> Json:
    return {"content": "Hm.", "id": None, "signature": None, "provider_details": None, "part_kind": "thinking", **given}


def called(**given: Any) -> Json:
    call = {"tool_name": "weather", "args": {"city": "Oslo"}, "tool_call_id": "c1", "tool_kind": None, "id": None}
    return {**call, "provider_name": "google", "provider_details": None, "part_kind": "tool-call", **given}


LANGCHAIN_OF_GEMINI = langchain(
    [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2lnMA=="},
        {"type": "text", "text": "Rain.", "extras": {"signature": "c2lnMQ=="}},
    ],
    [OSLO, BERGEN],
    AT_GOOGLE,
    function_call={"name": "weather", "arguments": '{"city": "Bergen"}'},
    __gemini_function_call_thought_signatures__={"c1": "c2lnMg=="},
)
# As older releases kept it, in a block for each signature.
OLD_LANGCHAIN_OF_GEMINI = langchain(
    [{"type": "function_call_signature", "signature": "c2lnMg==", "index": 0}], [OSLO, BERGEN], AT_GOOGLE
)
PYDANTIC_OF_GEMINI = pydantic(
    thought(provider_name="google", provider_details={"thought_signature": "c2lnMA=="}),
    called(provider_details={"thought_signature": "c2lnMg=="}),
    provider="google",
)
# As older releases kept it: with it, the next part was signed.
OLD_PYDANTIC_OF_GEMINI = pydantic(
    thought(signature="c2lnMg==", provider_name="google-gla"), called(), provider="google-gla"
)
STRANDS_OF_GEMINI: Json = {
    "role": "assistant",
    "content": [
        {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "c2lnMA=="}}},
        {
            "toolUse": {
                "toolUseId": "c1",
                "name": "weather",
                "input": {"city": "Oslo"},
                "reasoningSignature": "c2lnMg==",
            }
        },
    ],
}
SDK_CALL: Json = {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {"city": "Oslo"}}
SDK_OF_GEMINI: list[Json] = [
    {
        "role": "assistant",
        "content": [
            {"type": "reasoning", "text": "Hm.", "providerOptions": {signer: {"thoughtSignature": "c2lnMA=="}}},
            {**SDK_CALL, "providerOptions": {signer: {"thoughtSignature": "c2lnMg=="}}},
        ],
    }
    for signer in ("google", "googleVertex", "vertex")
]
OF_GEMINI = [
    LANGCHAIN_OF_GEMINI,
    OLD_LANGCHAIN_OF_GEMINI,
    PYDANTIC_OF_GEMINI,
    OLD_PYDANTIC_OF_GEMINI,
    STRANDS_OF_GEMINI,
    *SDK_OF_GEMINI,
]

USE: Json = {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}}
THINKING: Json = {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}
REDACTED: Json = {"type": "redacted_thinking", "data": "cmVk"}
OF_ANTHROPIC: list[Json] = [
    langchain(
        [
            {"signature": "c2ln", "thinking": "Hm.", "type": "thinking"},
            {"data": "cmVk", "type": "redacted_thinking"},
            {**USE, "toolset_name": None},
        ],
        [OSLO],
        AT_ANTHROPIC,
    ),
    pydantic(
        thought(signature="c2ln", provider_name="anthropic"),
        thought(content="", id="redacted_thinking", signature="cmVk", provider_name="anthropic"),
        called(provider_name=None),
        provider="anthropic",
    ),
    {
        "role": "assistant",
        "content": [
            {"type": "reasoning", "text": "Hm.", "providerOptions": {"anthropic": {"signature": "c2ln"}}},
            {"type": "reasoning", "text": "", "providerOptions": {"anthropic": {"redactedData": "cmVk"}}},
            SDK_CALL,
        ],
    },
    {
        "id": "m1",
        "role": "assistant",
        "parts": [
            {"type": "reasoning", "text": "Hm.", "providerMetadata": {"anthropic": {"signature": "c2ln"}}},
            {"type": "reasoning", "text": "", "providerMetadata": {"anthropic": {"redactedData": "cmVk"}}},
            {"type": "tool-weather", "toolCallId": "c1", "state": "input-available", "input": {"city": "Oslo"}},
        ],
    },
]


def shown(stored: Json, format: str) -> tuple[list[Any], str]:
    found = view_of(prompt_of(said(ASK, stored), format, repair=False), format, "chat")
    return list(found)[1:], " ".join(each.text for each in found.report)


@pytest.mark.parametrize("stored", OF_GEMINI)
def test_gemini_gets_the_call_with_what_it_signed_it_with(stored: Json) -> None:
    messages, _ = shown(stored, "gemini")

    calls = [part for message in messages for part in message["parts"] if "functionCall" in part]
    assert [call.get("thoughtSignature") for call in calls] == ["c2lnMg==", None][: len(calls)]


@pytest.mark.parametrize("stored", OF_GEMINI)
def test_no_other_provider_gets_what_gemini_signed_and_it_is_named(stored: Json) -> None:
    for other in ("anthropic", "openai", "responses"):
        messages, report = shown(stored, other)

        assert "c2ln" not in str(messages)
        assert "thinking" not in str(messages)
        assert "thought signature" in report
        assert ("reasoning" in report) is (stored is not OLD_LANGCHAIN_OF_GEMINI)


@pytest.mark.parametrize("stored", OF_ANTHROPIC)
def test_anthropic_gets_its_thoughts_with_their_signatures_again(stored: Json) -> None:
    messages, report = shown(stored, "anthropic")

    [message] = messages
    assert [{key: each for key, each in block.items() if each is not None} for block in message["content"]] == [
        THINKING,
        REDACTED,
        USE,
    ]
    assert report == ""


@pytest.mark.parametrize("stored", OF_ANTHROPIC)
def test_no_other_provider_gets_what_anthropic_signed_and_it_is_named(stored: Json) -> None:
    for other in ("gemini", "openai", "responses"):
        messages, report = shown(stored, other)

        assert "c2ln" not in str(messages)
        assert "cmVk" not in str(messages)
        assert "reasoning" in report


@pytest.mark.parametrize("provider", ["bedrock", "google", None])
def test_thoughts_that_others_signed_do_not_go_to_anthropic(provider: str | None) -> None:
    stored = pydantic(thought(signature="c2ln", provider_name=provider), called(), provider="x")

    messages, report = shown(stored, "anthropic")

    assert "c2ln" not in str(messages)
    assert "reasoning" in report


@pytest.mark.parametrize(
    "block",
    [
        {"type": "function_call_signature", "signature": ["c2ln"], "index": {"a": 1}},
        {"type": "function_call_signature", "signature": "c2ln", "index": 7},
    ],
)
def test_a_signature_of_no_call_is_named(block: Json) -> None:
    messages, report = shown(langchain([block], [OSLO], AT_GOOGLE), "gemini")

    assert "c2ln" not in str(messages)
    assert "thought signature" in report
