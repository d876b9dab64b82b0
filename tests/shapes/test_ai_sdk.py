from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import openai_chat
from a2a_session_manager.shapes.ai_sdk import SHAPE
from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    Message,
    Opaque,
    Other,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.shape import Losses
from tests.shapes.checks import check_any, check_row, mangled

PIXEL = "iVBORw0KGgo="
OPTIONS = {"anthropic": {"cacheControl": {"type": "ephemeral"}}}
CALL = {"type": "tool-call", "toolCallId": "c1", "toolName": "price", "input": {"to": "OSL"}}
OLD_CALL = {"type": "tool-call", "toolCallId": "c1", "toolName": "price", "args": {"to": "OSL"}}
ASKED = {"type": "tool-approval-request", "approvalId": "a1", "toolCallId": "c1"}
GRANTED = {"type": "tool-approval-response", "approvalId": "a1", "approved": True}
THOUGHT = {"type": "reasoning", "text": "hm", "providerOptions": {"anthropic": {"signature": "EqoB"}}}


def message(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


def result(output: Any, call_id: str = "c1") -> dict[str, Any]:
    return {"type": "tool-result", "toolCallId": call_id, "toolName": "price", "output": output}


def answered(*content: Part, is_error: bool = False) -> Result:
    return Result("c1", "price", content, is_error)


ROWS: list[tuple[dict[str, Any], Message]] = [
    (
        message("assistant", THOUGHT, {"type": "text", "text": "Wait."}, CALL, ASKED),
        Message(
            "assistant",
            (Reasoning("hm"), Text("Wait."), Call("c1", "price", {"to": "OSL"}), Opaque("tool approval")),
        ),
    ),
    (message("assistant", OLD_CALL), Message("assistant", (Call("c1", "price", {"to": "OSL"}),))),
    (message("tool", GRANTED), Message("tool", (Opaque("tool approval"),))),
    (
        message("tool", result({"type": "text", "value": "120 EUR"}), GRANTED),
        Message("tool", (answered(Text("120 EUR")), Opaque("tool approval"))),
    ),
    (
        message(
            "tool",
            result({"type": "json", "value": {"eur": 120}}),
            result({"type": "error-text", "value": "no"}),
            result({"type": "error-json", "value": [1]}),
            result({"type": "execution-denied", "reason": "too dear"}),
            result({"type": "execution-denied"}),
            result({"type": "oracle"}),
            result({"eur": 1}),
            result(7),
        ),
        Message(
            "tool",
            (
                answered(Json({"eur": 120})),
                answered(Text("no"), is_error=True),
                answered(Json([1]), is_error=True),
                answered(Text("too dear"), is_error=True),
                answered(is_error=True),
                answered(Other({"type": "oracle"})),
                answered(Other({"eur": 1})),
                answered(Json(7)),
            ),
        ),
    ),
    (
        message(
            "tool",
            result(
                {
                    "type": "content",
                    "value": [
                        {"type": "text", "text": "Look:"},
                        {"type": "media", "data": PIXEL, "mediaType": "image/png"},  # 5
                        {"type": "image-data", "data": PIXEL, "mediaType": "image/png"},
                        {"type": "image-url", "url": "https://example.org/a.png"},
                        {"type": "file-url", "url": "https://example.org/a.pdf"},
                        {"type": "file-data", "data": "SUQz", "mediaType": "audio/mp3"},
                        {"type": "file-id", "fileId": {"openai": "file-1"}},
                        {"type": "image-file-reference", "providerReference": {"openai": "file-2"}},
                        {"type": "file", "data": {"type": "text", "text": "words"}, "mediaType": "text/plain"},  # 7
                        {"type": "custom"},
                        {"type": "hologram"},
                    ],
                }
            ),
        ),
        Message(
            "tool",
            (
                answered(
                    Text("Look:"),
                    Media("image", "image/png", PIXEL),
                    Media("image", "image/png", PIXEL),
                    Media("image", url="https://example.org/a.png"),
                    Media("file", url="https://example.org/a.pdf"),
                    Media("audio", "audio/mp3", "SUQz"),
                    Media("file", url="file-1"),
                    Media("image", url="file-2"),
                    Media("file", "text/plain", text="words"),
                    Opaque("custom"),
                    Other({"type": "hologram"}),
                ),
            ),
        ),
    ),
    (  # 4
        message(
            "tool",
            {"type": "tool-result", "toolCallId": "c1", "toolName": "price", "result": {"eur": 120}},
            {"type": "tool-result", "toolCallId": "c1", "toolName": "price", "result": "no", "isError": True},
            {
                "type": "tool-result",
                "toolCallId": "c1",
                "toolName": "price",
                "result": "[PIXEL]",
                "experimental_content": [{"type": "image", "data": PIXEL, "mimeType": "image/png"}],
            },
        ),
        Message(
            "tool",
            (
                answered(Json({"eur": 120})),
                answered(Text("no"), is_error=True),
                answered(Media("image", "image/png", PIXEL)),
            ),
        ),
    ),
    (
        message(
            "user",
            {"type": "image", "image": PIXEL, "mediaType": "image/png"},
            {"type": "image", "image": "https://example.org/a.png"},
            {"type": "image", "image": f"data:image/png;base64,{PIXEL}"},
            {"type": "file", "data": "JVBERi0=", "mediaType": "application/pdf", "filename": "a.pdf"},
            {"type": "file", "data": "SUQz", "mimeType": "audio/mp3"},  # 4
            {"type": "file", "data": {"type": "url", "url": "https://example.org/v.mp4"}, "mediaType": "video/mp4"},
            {"type": "file", "data": {"type": "data", "data": PIXEL}, "mediaType": "image"},
            {
                "type": "file",
                "data": {"type": "reference", "reference": {"openai": "file-1"}},
                "mediaType": "application/pdf",
            },
            {"type": "file", "data": {"type": "Buffer", "data": [1]}, "mediaType": "application/pdf"},
        ),
        Message(
            "user",
            (
                Media("image", "image/png", PIXEL),
                Media("image", url="https://example.org/a.png"),
                Media("image", "image/png", PIXEL),
                Media("file", "application/pdf", "JVBERi0=", name="a.pdf"),
                Media("audio", "audio/mp3", "SUQz"),
                Media("video", "video/mp4", url="https://example.org/v.mp4"),
                Media("image", "image", PIXEL),
                Media("file", "application/pdf", url="file-1"),
                Media("file", "application/pdf"),
            ),
        ),
    ),
    (
        message("user", {"type": "text", "text": "long", "providerOptions": OPTIONS}),
        Message("user", (Text("long"), Opaque("providerOptions"))),
    ),
    (
        {"role": "system", "content": "be brief", "providerOptions": OPTIONS},
        Message("system", (Text("be brief"), Opaque("providerOptions"))),
    ),
    (
        message(
            "assistant",
            {**CALL, "providerExecuted": True},
            result({"type": "json", "value": []}),
            {"type": "redacted-reasoning", "data": "EmwK"},  # 4
            {"type": "reasoning-file", "data": PIXEL, "mediaType": "image/png"},
            {"type": "custom", "kind": "openai.compaction"},
            {"type": "hologram"},
        ),
        Message(
            "assistant",
            (
                Call("c1", "price", {"to": "OSL"}, is_hosted=True),
                Result("c1", "price", (Json([]),), is_hosted=True),
                Reasoning(""),
                Reasoning(""),
                Opaque("custom"),
                Other({"type": "hologram"}),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("raw", "expected"), ROWS)
def test_a_message_has_its_normal_form_and_is_written_as_it_was(raw: dict[str, Any], expected: Message) -> None:
    check_row(SHAPE, raw, expected)


@settings(deadline=None)
@given(st.one_of([mangled(raw) for raw, _ in ROWS]))
def test_whatever_a_message_holds_is_read_and_written_as_it_was(raw: dict[str, Any]) -> None:
    check_any(SHAPE, raw)


@pytest.mark.parametrize(
    "raw",
    [
        message("user", {"type": "text", "text": "hi"}),
        message("user", {"type": "file", "file": {"file_id": "OpenAI's"}}),
        message("user", {"type": "image", "source": {"type": "url", "url": "Anthropic's"}}),
        {"role": "assistant", "parts": [{"type": "text", "text": "of a UIMessage"}]},
        {"content": [CALL]},
    ],
)
def test_what_others_write_too_is_not_taken_for_a_message_of_this_format(raw: dict[str, Any]) -> None:
    assert not SHAPE.is_mine(raw)


@pytest.mark.parametrize(
    ("raw", "removed", "written"),
    [
        (message("tool", result({"type": "text", "value": "4"}), GRANTED), Result, [message("tool", GRANTED)]),
        (message("tool", result({"type": "text", "value": "4"})), Result, []),
        (message("assistant", THOUGHT, CALL), Call, [message("assistant", THOUGHT)]),
        (message("assistant", {"type": "text", "text": ""}, CALL), Text, [message("assistant", CALL)]),
    ],
)
def test_what_was_taken_out_of_a_message_is_not_written(
    raw: dict[str, Any], removed: type[Part], written: list[dict[str, Any]]
) -> None:
    read = SHAPE.read(raw)
    kept = read._replace(parts=tuple(part for part in read.parts if not isinstance(part, removed)))

    assert SHAPE.write(kept, []) == written


def test_what_was_added_to_a_message_is_written_with_the_rest() -> None:
    read = SHAPE.read(message("tool", result({"type": "text", "value": "4"})))
    added = Result("c2", "price", (Text("5"),), is_error=True)

    assert SHAPE.write(read._replace(parts=(*read.parts, added)), []) == [
        message(
            "tool",
            result({"type": "text", "value": "4"}),
            result({"type": "error-text", "value": "5"}, "c2"),
        )
    ]


def test_a_message_that_was_split_or_joined_keeps_its_parts() -> None:
    marked = {"type": "text", "text": "long", "providerOptions": OPTIONS}
    raw = message("assistant", THOUGHT, marked, {**CALL, "providerOptions": OPTIONS}, ASKED, {"type": "custom"})
    read = SHAPE.read(raw)
    losses: Losses = []

    assert SHAPE.write(Message(read.role, read.parts), losses) == [
        message("assistant", THOUGHT, marked, {**CALL, "providerOptions": OPTIONS}, ASKED)
    ]
    assert losses == ["custom"]


@pytest.mark.parametrize(
    ("made", "written", "lost"),
    [
        (Message("user", (Text("hi"),)), [{"role": "user", "content": "hi"}], []),
        (Message("system", (Text("a"), Text("b"))), [{"role": "system", "content": "a\nb"}], []),
        (Message("user", (Text("hi"),), name="ann"), [{"role": "user", "content": "hi"}], ["name"]),
        (Message("user", (Instruction("be brief"),)), [{"role": "user", "content": "be brief"}], ["instruction"]),
        (Message("assistant", (Text(" "),)), [], []),
        (
            Message("assistant", (Reasoning("hm"), Reasoning(""), Text("Wait."), Call("c1", "price", '{"to": "OSL"}'))),
            [message("assistant", {"type": "reasoning", "text": "hm"}, {"type": "text", "text": "Wait."}, CALL)],
            ["reasoning"],
        ),
        (
            Message("assistant", (Reasoning("hm", {"type": "thinking", "thinking": "hm", "signature": "EqoB"}),)),
            [message("assistant", THOUGHT)],
            [],
        ),
        (
            Message("assistant", (Call(None, "f", None), Call("c", "search", {}, is_hosted=True))),
            [message("assistant", {"type": "tool-call", "toolCallId": "f", "toolName": "f", "input": {}})],
            ["hosted call search"],
        ),
        (
            Message("assistant", (Call("c1", "price", {"to": "OSL"}), Result("c1", "price", (Text("4"),)))),
            [message("assistant", CALL), message("tool", result({"type": "text", "value": "4"}))],
            [],
        ),
        (
            Message(
                "user",
                (
                    Text("Go on"),
                    Result("c1", "price", (Json({"eur": 120}),)),
                    Result("c2", "price", (Json([1]),), is_error=True),
                    Result("c3", "price", (Text("no"), Media("image", "image/png", PIXEL)), is_error=True),
                    Result("c4", "price", (Text("a"), Media("image", "image/png", PIXEL))),
                    Result("c5", "price"),
                ),
            ),
            [
                message(
                    "tool",
                    result({"type": "json", "value": {"eur": 120}}),
                    result({"type": "error-json", "value": [1]}, "c2"),
                    result({"type": "error-text", "value": "no"}, "c3"),
                    result(
                        {
                            "type": "content",
                            "value": [
                                {"type": "text", "text": "a"},
                                {"type": "image-data", "data": PIXEL, "mediaType": "image/png"},
                            ],
                        },
                        "c4",
                    ),
                    result({"type": "text", "value": ""}, "c5"),
                ),
                {"role": "user", "content": "Go on"},
            ],
            ["image"],
        ),
        (
            Message("tool", (Result("c1", None, (Text("4"),)),)),
            [
                message(
                    "tool",
                    {
                        "type": "tool-result",
                        "toolCallId": "c1",
                        "toolName": "c1",
                        "output": {"type": "text", "value": "4"},
                    },
                )
            ],
            ["tool name"],
        ),
        (
            Message(
                "user",
                (
                    Media("image", data=PIXEL),
                    Media("image", url="https://example.org/a.png"),
                    Media("file", "application/pdf", "JVBERi0=", name="a.pdf"),
                    Media("file", text="words"),
                    Media("file", url="file-1"),
                    Opaque("cache_control"),
                    Other({"hologram": 7}),
                ),
            ),
            [
                message(
                    "user",
                    {"type": "file", "data": PIXEL, "mediaType": "image/png"},
                    {"type": "file", "data": "https://example.org/a.png", "mediaType": "image/*"},
                    {"type": "file", "data": "JVBERi0=", "mediaType": "application/pdf", "filename": "a.pdf"},
                    {"type": "text", "text": "words"},
                    {"type": "text", "text": '{"hologram": 7}'},
                )
            ],
            ["file", "cache_control", "unknown part"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    made: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert SHAPE.write(made, losses) == written
    assert losses == lost


def test_a_thought_of_a_message_for_people_keeps_its_signature() -> None:
    options = {"anthropic": {"signature": "EqoB"}}
    shown = {"type": "reasoning", "text": "hm", "state": "done", "providerMetadata": options}

    assert SHAPE.write(Message("assistant", (Reasoning("hm", shown),)), []) == [message("assistant", THOUGHT)]


def test_a_file_of_version_4_is_written_anew_among_other_messages() -> None:
    file = {"type": "file", "data": "SUQz", "mimeType": "audio/mp3"}

    assert SHAPE.write(Message("user", SHAPE.read(message("user", file)).parts), []) == [
        message("user", {"type": "file", "data": "SUQz", "mediaType": "audio/mp3"})
    ]


def test_what_marks_a_part_is_lost_in_another_format() -> None:
    losses: Losses = []
    marked = {"type": "text", "text": "long", "providerOptions": OPTIONS}

    assert openai_chat.SHAPE.write(SHAPE.read(message("user", marked)), losses) == [{"role": "user", "content": "long"}]
    assert losses == ["providerOptions"]
