"""Which keys of a message a conversion names that no part is read from: a row for each format and place."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.prompt import prompt_of, view_of
from a2a_session_manager.shapes import openai_chat
from a2a_session_manager.shapes.recognition import shape_of
from tests.context.examples import ASK, Json, gemini, said, uses, view

FORMATS = ["openai", "anthropic", "gemini", "responses"]
CITED: list[Json] = [{"url": "https://example.org"}]
SIGNED: Json = {"google": {"thoughtSignature": "c2ln"}}


def item(**more: Any) -> Json:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Rain.", **more}]}


def langchain(**more: Any) -> Json:
    return {"type": "ai", "content": "Rain.", "additional_kwargs": {}, "response_metadata": {}, **more}


def pydantic(part: Json, **more: Any) -> Json:
    return {"kind": "response", "parts": [part], **more}


def ui(part: Json, **more: Any) -> Json:
    return {"id": "m1", "role": "assistant", "parts": [part], **more}


def model(part: Json, **more: Any) -> Json:
    return {"role": "assistant", "content": [part], **more}


def blocks(*made: Json, role: str = "assistant") -> Json:
    return {"role": role, "content": list(made)}


TEXT: Json = {"type": "text", "text": "Rain."}
FILM: Json = {"fileUri": "https://a.b/c"}
SAID: Json = {"text": "Rain."}
GREY: Json = {"mood": "grey"}
AT_OPENAI: Json = {"openai": {"itemId": "i"}}
PYDANTIC_TEXT: Json = {"part_kind": "text", "content": "Rain."}
A2A: Json = {"messageId": "m1", "role": "agent"}
OLD_CALL: Json = {"toolCallId": "c1", "toolName": "f", "state": "call"}
SIGNATURES = "__gemini_function_call_thought_signatures__"
FUNCTION: Json = {"name": "weather", "arguments": "{}"}
CALLED: Json = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"}
ANSWERED: Json = {
    "type": "message",
    "role": "assistant",
    "content": [{"type": "text", "text": "Hm", "citations": CITED}],
}
LC_CALL: Json = {"name": "weather", "args": {}, "id": "c1", "type": "tool_call"}
PYDANTIC_CALL: Json = {"part_kind": "tool-call", "tool_name": "weather", "args": {}, "tool_call_id": "c1"}
SDK_CALL: Json = {"type": "tool-call", "toolCallId": "c1", "toolName": "weather", "input": {}}
UI_CALL: Json = {"type": "tool-weather", "toolCallId": "c1", "state": "input-available", "input": {}}
TOOL_USE: Json = {"type": "tool_use", "id": "c1", "name": "weather", "input": {}}
BEDROCK_CALL: Json = {"toolUseId": "c1", "name": "weather", "input": {}}
AG_UI_CALL: Json = {"id": "c1", "type": "function", "function": FUNCTION}

PICTURE: Json = {"type": "image_url", "image_url": {"url": "https://a.b/c.png"}}
URL_CITED: list[Json] = [{"type": "url_citation", "url_citation": {"url": "https://a.b", "start_index": 0}}]
FILE_CITED: list[Json] = [{"type": "file_citation", "file_citation": {"file_id": "file-1"}}]
PNG: Json = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


def returned(*items: Json) -> Json:
    content = {"type": "content", "value": list(items)}
    part = {"type": "tool-result", "toolCallId": "c1", "toolName": "weather", "output": content}
    return {"role": "tool", "content": [part]}


# Messages, each with the path of what is named of it.
ROWS: list[tuple[str, str, Json]] = [
    ("openai", "content.annotations", blocks({**TEXT, "annotations": URL_CITED})),
    ("openai", "content.annotations", blocks({**TEXT, "annotations": FILE_CITED})),
    ("openai", "annotations", {"role": "assistant", "content": "Rain.", "annotations": URL_CITED}),
    ("openai", "content.mood", blocks({"type": "refusal", "refusal": "No.", **GREY})),
    (
        "openai",
        "content.image_url.mood",
        blocks({**PICTURE, "image_url": {**PICTURE["image_url"], **GREY}}, role="user"),
    ),
    ("openai", "content.document.mood", blocks({"type": "document", "document": {"data": "a", **GREY}}, role="user")),
    ("openai", "images.mood", {"role": "user", "content": "Look.", "images": [{**PICTURE, **GREY}]}),
    (
        "openai",
        "content.annotations",
        {"role": "tool", "tool_call_id": "c1", "content": [{**TEXT, "annotations": URL_CITED}]},
    ),
    ("responses", "content.annotations", item(annotations=CITED)),
    ("responses", "content.mood", item(mood="grey")),
    ("responses", "verdict", {**item(), "verdict": "bad"}),
    ("responses", "namespace", {**CALLED, "namespace": "weather"}),
    (
        "responses",
        "output.mood",
        {"type": "shell_call_output", "call_id": "c1", "output": [{"stdout": "a", "stderr": "", **GREY}]},
    ),
    ("responses", "mood", {"type": "mcp_approval_request", "id": "a1", "name": "f", "arguments": "{}", **GREY}),
    (
        "gemini",
        "groundingMetadata",
        {**gemini("model", SAID), "groundingMetadata": {"queries": ["a"]}},
    ),
    ("gemini", "grounding_metadata", {**gemini("model", SAID), "grounding_metadata": {"queries": ["a"]}}),
    ("gemini", "citationMetadata", {**gemini("model", SAID), "citationMetadata": {"citations": CITED}}),
    ("gemini", "parts.partMetadata", gemini("model", {"text": "Rain.", "partMetadata": GREY})),
    (
        "gemini",
        "parts.videoMetadata",
        gemini("user", {"fileData": FILM, "videoMetadata": {"fps": 2}}),
    ),
    (
        "gemini",
        "parts.functionCall.willContinue",
        gemini("model", {"functionCall": {"name": "f", "willContinue": True}}),
    ),
    (
        "gemini",
        "parts.functionResponse.scheduling",
        gemini("user", {"functionResponse": {"name": "f", "response": {}, "scheduling": "SILENT"}}),
    ),
    ("langchain-flat", "additional_kwargs.citations", langchain(additional_kwargs={"citations": CITED})),
    ("langchain-flat", "additional_kwargs.tool_calls", langchain(additional_kwargs={"tool_calls": "weather(Oslo)"})),
    ("langchain-flat", "additional_kwargs.refusal", langchain(additional_kwargs={"refusal": {"why": "no"}})),
    (
        "langchain-flat",
        f"additional_kwargs.{SIGNATURES}.c2",
        langchain(tool_calls=[LC_CALL], additional_kwargs={SIGNATURES: {"c2": "c2ln"}}),
    ),
    ("langchain-flat", "artifact", langchain(type="tool", tool_call_id="c1", artifact={"mm": 3})),
    ("langchain-flat", "content.annotations", langchain(content=[{**TEXT, "annotations": CITED}])),
    ("langchain-flat", "content.extras", langchain(content=[{**TEXT, "extras": {"signature": "c2ln"}}])),
    (
        "langchain-flat",
        "content.value.annotations",
        langchain(content=[{"type": "non_standard", "value": {**TEXT, "annotations": CITED}}]),
    ),
    ("langchain-flat", "tool_calls.extras", langchain(tool_calls=[{**LC_CALL, "extras": {"a": "b"}}])),
    ("langchain", "artifact", {"type": "ai", "data": langchain(artifact="a")}),
    ("langchain", "mood", {"type": "ai", "data": langchain(), **GREY}),
    (
        "langchain-flat",
        "response_metadata.grounding_metadata",
        langchain(response_metadata={"grounding_metadata": {"grounding_chunks": CITED}}),
    ),
    ("langchain-flat", "response_metadata.citations", langchain(response_metadata={"citations": ["https://a.b"]})),
    (
        "langchain-flat",
        "additional_kwargs.tool_calls.extra_content",
        langchain(tool_calls=[LC_CALL], additional_kwargs={"tool_calls": [{**AG_UI_CALL, "extra_content": GREY}]}),
    ),
    ("langchain-flat", "content.image_url.mood", langchain(content=[{**PICTURE, "image_url": {"url": "a", **GREY}}])),
    ("pydantic-ai", "metadata", pydantic(PYDANTIC_TEXT, metadata=GREY)),
    (
        "pydantic-ai",
        "parts.provider_details",
        pydantic({**PYDANTIC_TEXT, "provider_details": {"a": 1}}),
    ),
    ("pydantic-ai", "parts.citations", pydantic({**PYDANTIC_TEXT, "citations": [{"sources": CITED}]})),
    (
        "pydantic-ai",
        "parts.content.vendor_metadata",
        pydantic(
            {
                "part_kind": "tool-return",
                "tool_name": "weather",
                "tool_call_id": "c1",
                "content": [{"kind": "image-url", "url": "https://a.b/c.png", "vendor_metadata": {"detail": "low"}}],
            },
            kind="request",
        ),
    ),
    ("pydantic-ai", "parts.provider_metadata", pydantic({**PYDANTIC_CALL, "provider_metadata": {"a": 1}})),
    ("pydantic-ai", "parts.provider_details.a", pydantic({**PYDANTIC_CALL, "provider_details": {"a": 1}})),
    ("ai_sdk", "content.providerMetadata.google.a", model({**SDK_CALL, "providerMetadata": {"google": {"a": 1}}})),
    (
        "ai_sdk",
        "content.providerMetadata",
        model({**TEXT, "providerOptions": {}, "providerMetadata": AT_OPENAI}),
    ),
    ("ai_sdk", "providerOptions", model({**SDK_CALL, "providerOptions": AT_OPENAI})),
    ("ai_sdk", "content.output.value.providerOptions", returned({**TEXT, "providerOptions": AT_OPENAI})),
    (
        "ai_sdk",
        "content.output.value.mood",
        returned({"type": "media", "data": "aGk=", "mediaType": "text/plain", **GREY}),
    ),
    ("ai_sdk", "custom", returned(TEXT, {"type": "custom", **GREY})),
    (
        "ai_sdk",
        "content.data.mood",
        blocks({"type": "file", "mediaType": "text/plain", "data": {"type": "text", "text": "a", **GREY}}, role="user"),
    ),
    ("ai_sdk_ui", "source-url", ui({"type": "source-url", "sourceId": "s1", "url": "https://a.b"})),
    ("ai_sdk_ui", "parts.approval.mood", ui({**UI_CALL, "approval": {"id": "a1", **GREY}})),
    ("ai_sdk_ui", "metadata", ui(TEXT, metadata=GREY)),
    ("ai_sdk_ui", "annotations", ui(TEXT, annotations=[GREY])),
    ("ai_sdk_ui", "parts.mood", ui({**TEXT, **GREY})),
    (
        "ai_sdk_ui",
        "parts.resultProviderMetadata",
        ui({**UI_CALL, "resultProviderMetadata": AT_OPENAI}),
    ),
    ("ai_sdk_ui", "providerMetadata", ui({**UI_CALL, "callProviderMetadata": AT_OPENAI})),
    (
        "ai_sdk_ui",
        "parts.toolInvocation.mood",
        ui(
            {
                "type": "tool-invocation",
                "toolInvocation": {**OLD_CALL, "mood": 7},
            }
        ),
    ),
    ("anthropic", "verdict", {**uses("c1"), "verdict": "bad"}),
    ("anthropic", "citations", blocks({**TEXT, "citations": CITED}, TOOL_USE)),
    ("anthropic", "content.mood", blocks({**TEXT, **GREY}, TOOL_USE)),
    ("anthropic", "content.caller", blocks({**TOOL_USE, "caller": {"type": "code_execution", "tool_id": "s1"}})),
    (
        "anthropic",
        "content.content.citations",
        blocks({"type": "tool_result", "tool_use_id": "c1", "content": [{**TEXT, "citations": CITED}]}, role="user"),
    ),
    ("anthropic", "citations", blocks({**TEXT, "citations": [{"type": "char_location", "cited_text": "a"}]})),
    ("anthropic", "content.source.mood", blocks({"type": "image", "source": {**PNG, **GREY}}, role="user")),
    (
        "anthropic",
        "content.content.citations",
        blocks(
            {"type": "search_result", "title": "a", "source": "b", "content": [{**TEXT, "citations": CITED}]},
            role="user",
        ),
    ),
    (
        "anthropic",
        "content.source.content.citations",
        blocks(
            {"type": "document", "source": {"type": "content", "content": [{**TEXT, "citations": CITED}]}}, role="user"
        ),
    ),
    (
        "bedrock",
        "content.image.source.mood",
        blocks({"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo=", **GREY}}}, role="user"),
    ),
    (
        "bedrock",
        "content.searchResult.content.mood",
        blocks({"searchResult": {"title": "a", "source": "b", "content": [{**SAID, **GREY}]}}, role="user"),
    ),
    ("bedrock", "mood", {**blocks(SAID), **GREY}),
    ("bedrock", "content.mood", blocks({"text": "Rain.", **GREY})),
    ("bedrock", "content.toolUse.mood", blocks({"toolUse": {**BEDROCK_CALL, **GREY}})),
    ("bedrock", "citations", blocks({"citationsContent": {"content": [SAID], "citations": CITED}})),
    ("ag_ui", "encryptedValue", {"id": "m1", "role": "assistant", "content": "Rain.", "encryptedValue": "x"}),
    ("ag_ui", "encryptedValue", {"id": "m1", "role": "reasoning", "content": "", "encryptedValue": "x"}),
    ("ag_ui", "metadata", {"id": "m1", "role": "user", "content": "Rain.", "metadata": GREY}),
    (
        "ag_ui",
        "toolCalls.encryptedValue",
        {"id": "m1", "role": "assistant", "toolCalls": [{**AG_UI_CALL, "encryptedValue": "x"}]},
    ),
    (
        "a2a",
        "metadata",
        {**A2A, "parts": [SAID], "metadata": GREY},
    ),
    (
        "a2a",
        "extensions",
        {**A2A, "parts": [SAID], "extensions": ["https://a.b"]},
    ),
    (
        "a2a",
        "parts.metadata",
        {**A2A, "parts": [{"text": "Rain.", "metadata": {"a": "b"}}]},
    ),
    (
        "otel",
        "parts.response.mood",
        {
            "role": "tool",
            "parts": [
                {"type": "tool_call_response", "id": "c1", "response": [{"type": "text", "content": "a", **GREY}]}
            ],
        },
    ),
    ("otel", "mood", {"role": "assistant", "parts": [{"type": "text", "content": "Rain."}], **GREY}),
    ("otel", "parts.mood", {"role": "assistant", "parts": [{"type": "text", "content": "Rain.", **GREY}]}),
]


def losses(stored: Json, format: str) -> set[str]:
    found = view_of(prompt_of(said(ASK, stored), format, repair=False), format, "chat").report
    texts = [each.text.removeprefix(f"event 2 holds what {format} cannot: ") for each in found if 2 in each.seqs]
    return {name for text in texts for name in text.split(", ")}


def emptied(value: Any, key: str, by: Any) -> Any:
    """Return a value in which all that stands under a key says nothing."""
    if isinstance(value, dict):
        return {name: by if name == key else emptied(each, key, by) for name, each in value.items()}
    return [emptied(each, key, by) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(("shape", "path", "stored"), ROWS, ids=[f"{shape} {path}" for shape, path, _ in ROWS])
def test_what_stands_under_a_key_that_no_part_is_read_from_is_named(
    shape: str, path: str, stored: Json, format: str
) -> None:
    known = shape_of(stored)

    assert known is not None
    assert known.name == shape
    assert (path in losses(stored, format)) is (shape != format)


NOTHING: list[Any] = [None, "", [], {}, False, [None], {"a": None}, [{"a": []}]]
# What stands under these is a part of its own, and named as one.
PARTS = ("citations", "providerOptions", "providerMetadata", "custom", "source-url")


@pytest.mark.parametrize(("path", "stored"), [(path, stored) for _, path, stored in ROWS if path not in PARTS])
def test_what_says_nothing_is_not_named(path: str, stored: Json) -> None:
    for nothing in NOTHING:
        empty = emptied(stored, path.split(".")[-1], nothing)
        assert path not in losses(empty, "openai" if shape_of(empty) is not openai_chat.SHAPE else "gemini")


@pytest.mark.parametrize(
    "stored",
    [
        {**item(annotations=[], logprobs=[{"token": "R", "logprob": -0.1}]), "id": "msg_1", "status": "completed"},
        {**CALLED, "id": "fc_1", "status": "completed"},
        {**gemini("model", SAID), "finishReason": "STOP", "groundingMetadata": None},
        langchain(response_metadata={"model": "m"}, usage_metadata={"input_tokens": 1}, id="run-1"),
        langchain(tool_calls=[LC_CALL], additional_kwargs={"tool_calls": [AG_UI_CALL], "function_call": FUNCTION}),
        pydantic(
            {"part_kind": "text", "content": "Rain.", "id": None, "provider_details": None}, provider_details={"a": 1}
        ),
        ui({**TEXT, "state": "done"}, createdAt="2026-01-01T00:00:00Z"),
        {
            **uses("c1"),
            "id": "msg_1",
            "type": "message",
            "model": "m",
            "stop_reason": "tool_use",
            "usage": {"input_tokens": 1},
        },
        blocks({**TOOL_USE, "caller": {"type": "direct"}}),
        {
            "kind": "message",
            "messageId": "m1",
            "contextId": "x",
            "role": "agent",
            "parts": [{"kind": "text", "text": "Rain."}],
        },
        {"id": "m1", "role": "assistant", "content": "Rain.", "subagentRunId": "r1"},
        {"role": "assistant", "parts": [{"type": "text", "content": "Rain."}], "finish_reason": "stop"},
    ],
)
def test_what_is_said_of_an_answer_and_ids_are_not_named(stored: Json) -> None:
    assert not any(losses(stored, each) for each in FORMATS)


SIGNED_CALLS: list[Json] = [
    langchain(tool_calls=[LC_CALL], additional_kwargs={SIGNATURES: {"c1": "c2ln"}}),
    pydantic({**PYDANTIC_CALL, "provider_details": {"thought_signature": "c2ln"}}),
    model({**SDK_CALL, "providerOptions": SIGNED}),
    model({**SDK_CALL, "providerMetadata": {"vertex": SIGNED["google"]}}),
    ui({**UI_CALL, "callProviderMetadata": SIGNED}),
    blocks({"toolUse": {**BEDROCK_CALL, "reasoningSignature": "c2ln"}}),
]


@pytest.mark.parametrize("stored", SIGNED_CALLS)
def test_what_gemini_signed_a_call_with_comes_back_to_it_from_other_formats(stored: Json) -> None:
    found = view_of(prompt_of(said(ASK, stored), "gemini", repair=False), "gemini", "chat")

    called = [part for message in found for part in message["parts"] if "functionCall" in part]
    assert [part["thoughtSignature"] for part in called] == ["c2ln"]
    assert found.report == ()


@pytest.mark.parametrize("format", ["openai", "anthropic", "responses"])
@pytest.mark.parametrize("stored", SIGNED_CALLS)
def test_what_gemini_signed_a_call_with_is_named_for_others(stored: Json, format: str) -> None:
    assert losses(stored, format) == {"thought signature"}


@pytest.mark.parametrize("options", [{**SIGNED, "openai": {"itemId": "i"}}, {"google": {**SIGNED["google"], "a": 1}}])
def test_what_stands_beside_a_signature_is_named(options: Json) -> None:
    assert losses(model({**SDK_CALL, "providerOptions": options}), "gemini") == {"providerOptions"}
    assert losses(ui({**UI_CALL, "callProviderMetadata": options}), "gemini") == {"providerMetadata"}


def test_citations_of_anthropics_come_back_to_it_from_langchain() -> None:
    stored = langchain(content=[{**TEXT, "citations": CITED}])

    assert view(ASK, stored, format="anthropic")[1]["content"] == [{**TEXT, "citations": CITED}]
    assert losses(stored, "anthropic") == set()
    assert losses(stored, "openai") == {"citations"}
    assert losses(langchain(content=[{**TEXT, "citations": CITED, "index": 0}]), "anthropic") == {"citations"}


def test_of_a_message_that_is_made_anew_in_its_format_only_what_is_lost_is_named() -> None:
    signed = {"functionCall": {"name": "f", "id": "c1", "args": {}, **GREY}}
    stored = {**gemini("model", {"text": "Rain.", "partMetadata": {"a": "b"}}, signed, dict(signed)), "verdict": "bad"}
    answer = {"functionResponse": {"name": "f", "id": "c1", "response": {"output": "4"}}}

    found = view(ASK, stored, gemini("user", answer, dict(answer)), format="gemini")

    assert found[1]["parts"][0]["partMetadata"] == {"a": "b"}
    text = "event 2 holds what gemini cannot: parts.functionCall.mood, verdict"
    assert found.report == (Finding("not_converted", (2,), text),)
