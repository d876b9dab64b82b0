from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import recognition
from a2a_session_manager.shapes.normal_form import Call, Json, Media, Message, Opaque, Other, Reasoning, Result, Text
from a2a_session_manager.shapes.otel import SHAPE
from a2a_session_manager.shapes.shape import Losses
from tests.shapes.checks import check_any, check_row, mangled

PIXEL = "iVBORw0KGgo="
SEARCH = {"type": "tool_call", "id": "c1", "name": "search", "arguments": {"to": "OSL"}}
HOSTED = {"type": "web_search", "query": "Oslo"}

ROWS: list[tuple[dict[str, Any], Message]] = [
    ({"role": "system", "parts": [{"type": "text", "content": "be brief"}]}, Message("system", (Text("be brief"),))),
    (
        {"role": "user", "parts": [{"type": "text", "content": "hi"}], "name": "ann"},
        Message("user", (Text("hi"),), name="ann"),
    ),
    (
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "2 and 2"}, {"type": "text", "content": "Wait."}, SEARCH],
            "finish_reason": "tool_call",
        },
        Message("assistant", (Reasoning("2 and 2"), Text("Wait."), Call("c1", "search", {"to": "OSL"}))),
    ),
    ({"role": "assistant", "parts": [], "finish_reason": "error"}, Message("assistant", ())),
    (
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "120 EUR"}]},
        Message("tool", (Result("c1", None, (Text("120 EUR"),)),)),
    ),
    (
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": {"eur": 120}}]},
        Message("tool", (Result("c1", None, (Json({"eur": 120}),)),)),
    ),
    (
        {
            "role": "user",
            "parts": [
                {
                    "type": "tool_call_response",
                    "id": "c1",
                    "response": [
                        {"type": "text", "content": "a page"},
                        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": PIXEL},
                    ],
                },
                {"type": "tool_call_response", "id": None, "response": None},
            ],
        },
        Message(
            "tool",
            (Result("c1", None, (Text("a page"), Media("image", "image/png", PIXEL))), Result(None, None)),
        ),
    ),
    (
        {
            "role": "user",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": 4}, {"type": "text", "content": "and?"}],
        },
        Message("user", (Result("c1", None, (Json(4),)), Text("and?"))),
    ),
    (
        {
            "role": "user",
            "parts": [
                {"type": "blob", "modality": "audio", "content": "UklGRg==", "transcript": "hello"},
                {"type": "uri", "modality": "video", "mime_type": "video/mp4", "uri": "gs://a/b"},
                {"type": "file", "modality": "document", "file_id": "file-1"},
                {"type": "blob", "modality": "hologram", "mime_type": None, "content": "AA=="},
                {"type": "compaction", "id": "x", "content": "They met in Oslo."},
                {"type": "compaction", "id": "y"},
                {"type": "hologram", "n": 7},
            ],
        },
        Message(
            "user",
            (
                Media("audio", data="UklGRg=="),
                Media("video", "video/mp4", url="gs://a/b"),
                Media("file", url="file-1"),
                Media("file", data="AA=="),
                Text("They met in Oslo."),
                Other({"type": "compaction", "id": "y"}),
                Other({"type": "hologram", "n": 7}),
            ),
        ),
    ),
    (
        {
            "role": "assistant",
            "parts": [
                {"type": "server_tool_call", "id": "s1", "name": "web_search", "server_tool_call": HOSTED},
                {"type": "server_tool_call_response", "id": "s1", "server_tool_call_response": {"type": "web_search"}},
            ],
        },
        Message(
            "assistant",
            (
                Call("s1", "web_search", HOSTED, is_hosted=True),
                Result("s1", None, (Json({"type": "web_search"}),), is_hosted=True),
            ),
        ),
    ),
    (  # pydantic-ai
        {
            "role": "assistant",
            "parts": [
                {"type": "thinking", "content": "2 and 2"},
                {"type": "tool_call", "id": "s1", "name": "web_search", "arguments": '{"q": 1}', "builtin": True},
                {"type": "tool_call_response", "id": "s1", "name": "web_search", "result": "4", "builtin": True},
            ],
        },
        Message(
            "assistant",
            (
                Reasoning("2 and 2"),
                Call("s1", "web_search", '{"q": 1}', is_hosted=True),
                Result("s1", "web_search", (Text("4"),), is_hosted=True),
            ),
        ),
    ),
    (  # pydantic-ai
        {
            "role": "user",
            "parts": [
                {"type": "image-url", "url": "https://example.org/a.png"},
                {"type": "document-url", "url": "https://example.org/a.pdf"},
                {"type": "binary", "media_type": "image/png", "content": PIXEL},
            ],
        },
        Message(
            "user",
            (
                Media("image", url="https://example.org/a.png"),
                Media("file", url="https://example.org/a.pdf"),
                Media("image", "image/png", PIXEL),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("message", "expected"), ROWS)
def test_a_message_has_its_normal_form_and_is_written_as_it_was(message: dict[str, Any], expected: Message) -> None:
    check_row(SHAPE, message, expected)


@settings(deadline=None)
@given(st.one_of([mangled(message) for message, _ in ROWS]))
def test_whatever_a_message_holds_is_read_and_written_as_it_was(message: dict[str, Any]) -> None:
    check_any(SHAPE, message)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "parts": [{"text": "hi"}]},  # Gemini's
        {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "hi"}]},  # the AI SDK's
        {"id": "m1", "role": "user", "parts": [{"type": "file", "mediaType": "image/png", "url": "https://a"}]},
        {"id": "m1", "role": "assistant", "parts": [{"type": "reasoning", "text": "hm"}]},
        {"kind": "response", "parts": [{"content": "hi", "part_kind": "text"}]},  # pydantic-ai's own
    ],
)
def test_a_message_of_another_format_is_not_taken_for_one_of_this(message: dict[str, Any]) -> None:
    assert recognition.shape_of(message) is not SHAPE


def test_what_was_taken_out_of_a_message_is_not_written() -> None:
    parts = [{"type": "text", "content": " "}, SEARCH]
    message = SHAPE.read({"role": "assistant", "parts": parts, "finish_reason": "tool_call"})

    assert SHAPE.write(message._replace(parts=message.parts[1:]), []) == [
        {"role": "assistant", "parts": [SEARCH], "finish_reason": "tool_call"}
    ]
    assert SHAPE.write(message._replace(parts=()), []) == []


@pytest.mark.parametrize(
    ("message", "parts", "lost"),
    [
        (
            Message("assistant", (Reasoning("hm"), Text("Wait."), Call("c1", "search", '{"to": "OSL"}'))),
            [{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Wait."}, SEARCH],
            [],
        ),
        (
            Message(
                "tool",
                (
                    Result("c1", None, (Text("4"),)),
                    Result(None, "now", (Text("a"), Media("image", "image/png", "_-=="))),
                    Result("c2", None, (Json({"eur": 120}),)),
                ),
            ),
            [
                {"type": "tool_call_response", "id": "c1", "response": "4"},
                {
                    "type": "tool_call_response",
                    "id": "now",
                    "name": "now",
                    "response": [
                        {"type": "text", "content": "a"},
                        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "/+=="},
                    ],
                },
                {"type": "tool_call_response", "id": "c2", "response": {"eur": 120}},
            ],
            [],
        ),
        (
            Message("assistant", (Call("s1", "web_search", {"q": 1}, is_hosted=True),)),
            [
                {
                    "type": "server_tool_call",
                    "id": "s1",
                    "name": "web_search",
                    "server_tool_call": {"type": "web_search", "q": 1},
                }
            ],
            [],
        ),
        (
            Message("assistant", (Result("s1", "web_search", (Text("4"),), is_hosted=True),)),
            [
                {
                    "type": "server_tool_call_response",
                    "id": "s1",
                    "name": "web_search",
                    "server_tool_call_response": {"type": "web_search", "content": "4"},
                }
            ],
            [],
        ),
        (
            Message("user", (Media("file", url="https://example.org/a"), Media("file", text="of a page"))),
            [
                {"type": "uri", "modality": "document", "uri": "https://example.org/a"},
                {"type": "text", "content": "of a page"},
            ],
            [],
        ),
        (
            Message(
                "assistant",
                (
                    Reasoning("", {"signature": "3f=="}),
                    Other({"n": 1}),
                    Json([1]),
                    Opaque("compaction"),
                    Result(None, "f"),
                ),
            ),
            [
                {"type": "text", "content": '{"n": 1}'},
                {"type": "text", "content": "[1]"},
                {"type": "tool_call_response", "id": "f", "name": "f", "response": ""},
            ],
            ["reasoning", "unknown part", "compaction"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, parts: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert SHAPE.write(message, losses) == [{"role": message.role, "parts": parts}]
    assert losses == lost


def test_a_message_that_says_nothing_is_not_written() -> None:
    assert SHAPE.write(Message("assistant", ()), []) == []
