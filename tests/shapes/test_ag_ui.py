from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import recognition
from a2a_session_manager.shapes.ag_ui import SHAPE
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
SEARCH = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"to": "OSL"}'}}
PATCH = {"id": "c2", "type": "function", "function": {"name": "patch", "arguments": "*** Begin"}, "metadata": {"n": 1}}

ROWS: list[tuple[dict[str, Any], Message]] = [
    ({"id": "m1", "role": "user", "content": "hi"}, Message("user", (Text("hi"),))),
    ({"id": "m1", "role": "developer", "content": "be brief"}, Message("system", (Text("be brief"),))),
    (
        {"id": "m1", "role": "user", "name": "ann", "content": "hi", "encryptedValue": "3f=="},
        Message("user", (Text("hi"),), name="ann"),
    ),
    (
        {"id": "m2", "role": "assistant", "content": "Wait.", "toolCalls": [SEARCH, PATCH]},
        Message("assistant", (Text("Wait."), Call("c1", "search", '{"to": "OSL"}'), Call("c2", "patch", "*** Begin"))),
    ),
    (  # as Python dumps it
        {"id": "m2", "role": "assistant", "content": None, "name": None, "tool_calls": [SEARCH]},
        Message("assistant", (Call("c1", "search", '{"to": "OSL"}'),)),
    ),
    (
        {"id": "m3", "role": "tool", "toolCallId": "c1", "content": "120 EUR"},
        Message("tool", (Result("c1", None, (Text("120 EUR"),)),)),
    ),
    (
        {"id": "m3", "role": "tool", "tool_call_id": "c1", "content": "half of it", "error": "timeout"},
        Message("tool", (Result("c1", None, (Text("half of it"), Text("timeout")), is_error=True),)),
    ),
    (
        {"id": "m3", "role": "tool", "toolCallId": "c1", "content": "timeout", "error": "timeout"},
        Message("tool", (Result("c1", None, (Text("timeout"),), is_error=True),)),
    ),
    (
        {
            "id": "m3",
            "role": "tool",
            "toolCallId": "c1",
            "content": [
                {"type": "text", "text": "a hit", "metadata": {"title": "a page"}},
                {"type": "image", "source": {"type": "data", "value": PIXEL, "mimeType": "image/png"}},
            ],
        },
        Message("tool", (Result("c1", None, (Text("a hit"), Media("image", "image/png", PIXEL))),)),
    ),
    (
        {"id": "m4", "role": "reasoning", "content": "2 and 2", "encryptedValue": "3f=="},
        Message("assistant", (Reasoning("2 and 2"),)),
    ),
    (
        {"id": "m5", "role": "activity", "activityType": "PLAN", "content": {"steps": ["fly"]}},
        Message("other", ()),
    ),
    (
        {
            "id": "m6",
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "image", "source": {"type": "url", "value": "https://example.org/a.png"}},
                {"type": "audio", "source": {"type": "data", "value": "UklGRg==", "mime_type": "audio/wav"}},
                {"type": "video", "source": {"type": "url", "value": "https://example.org/a", "mimeType": "video/mp4"}},
                {
                    "type": "document",
                    "source": {"type": "file", "value": "file-1", "provider": "openai"},
                    "metadata": {"filename": "a.pdf"},
                },
            ],
        },
        Message(
            "user",
            (
                Text("What is this?"),
                Media("image", url="https://example.org/a.png"),
                Media("audio", "audio/wav", "UklGRg=="),
                Media("video", "video/mp4", url="https://example.org/a"),
                Media("file", url="file-1", name="a.pdf"),
            ),
        ),
    ),
    (  # until 1.0
        {
            "id": "m6",
            "role": "user",
            "content": [
                {"type": "binary", "mimeType": "image/png", "data": PIXEL},
                {"type": "binary", "mimeType": "application/pdf", "url": "https://example.org/a", "filename": "a.pdf"},
                {"type": "binary", "mime_type": "audio/wav", "id": "file-1"},
            ],
        },
        Message(
            "user",
            (
                Media("image", "image/png", PIXEL),
                Media("file", "application/pdf", url="https://example.org/a", name="a.pdf"),
                Media("audio", "audio/wav", url="file-1"),
            ),
        ),
    ),
    (
        {"id": "m6", "role": "user", "content": [{"type": "hologram", "text": "?"}], "subagentRunId": "r1"},
        Message("user", (Other({"type": "hologram", "text": "?"}),)),
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
        {"role": "assistant", "content": "4", "tool_calls": [SEARCH]},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"id": "m1", "role": "assistant", "content": "4", "reasoning_content": "2 and 2"},
        {"id": "m1", "role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://a"}}]},
        {"id": "m1", "role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a"}}]},
        {"id": "m1", "role": "user", "content": "hi", "parts": [{"type": "text", "text": "hi"}]},
        {"id": "m1", "type": "message", "role": "assistant", "content": "4"},
    ],
)
def test_a_message_of_another_format_is_not_taken_for_one_of_this(message: dict[str, Any]) -> None:
    assert recognition.shape_of(message) is not SHAPE


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        ((Text("Wait."),), [{"id": "m2", "role": "assistant", "content": "Wait."}]),
        (
            (Call("c2", "patch", "*** Begin"),),
            [{"id": "m2", "role": "assistant", "toolCalls": [PATCH]}],
        ),
        ((), []),
    ],
)
def test_what_was_taken_out_of_a_message_is_not_written(parts: tuple[Part, ...], written: list[dict[str, Any]]) -> None:
    message = SHAPE.read({"id": "m2", "role": "assistant", "content": "Wait.", "toolCalls": [SEARCH, PATCH]})
    kept = tuple(part for part in message.parts if part._replace(raw=None) in parts)

    assert SHAPE.write(message._replace(parts=kept), []) == written


def test_a_part_that_was_taken_out_of_a_users_message_is_not_written() -> None:
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": " "}]
    message = SHAPE.read({"id": "m1", "role": "user", "content": texts})

    assert SHAPE.write(message._replace(parts=message.parts[:1]), []) == [
        {"id": "m1", "role": "user", "content": texts[:1]}
    ]


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("user", (Text("hi"),), name="ann"), [{"role": "user", "content": "hi", "name": "ann"}], []),
        (Message("system", (Text("a"), Instruction("b"))), [{"role": "system", "content": "a\nb"}], []),
        (
            Message("assistant", (Reasoning("hm"), Text("Wait."), Call("c1", "search", {"to": "OSL"}))),
            [
                {"role": "reasoning", "content": "hm"},
                {"role": "assistant", "content": "Wait.", "toolCalls": [SEARCH]},
            ],
            [],
        ),
        (
            Message("assistant", (Call(None, "now"), Reasoning("", {"signature": "3f=="}))),
            [
                {
                    "role": "assistant",
                    "toolCalls": [{"id": "now", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
                }
            ],
            ["reasoning"],
        ),
        (
            Message(
                "tool",
                (Result("c1", "f", (Text("4"),)), Result(None, "now", (Text("late"),), is_error=True)),
            ),
            [
                {"role": "tool", "toolCallId": "c1", "content": "4"},
                {"role": "tool", "toolCallId": "now", "content": "late", "error": "late"},
            ],
            [],
        ),
        (
            Message(
                "user",
                (
                    Media("image", "image/png", "_-=="),
                    Media("file", url="https://example.org/a", name="a.pdf"),
                    Media("file", text="of a page"),
                ),
            ),
            [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "data", "value": "/+==", "mimeType": "image/png"}},
                        {
                            "type": "document",
                            "source": {"type": "url", "value": "https://example.org/a"},
                            "metadata": {"filename": "a.pdf"},
                        },
                        {"type": "text", "text": "of a page"},
                    ],
                }
            ],
            [],
        ),
        (
            Message(
                "assistant",
                (
                    Media("image", "image/png", PIXEL),
                    Call("c1", "web_search", {"q": 1}, is_hosted=True),
                    Result("c1", "web_search", (Text("4"),), is_hosted=True),
                    Other({"type": "hologram"}),
                    Json({"n": 1}),
                    Opaque("compaction"),
                ),
            ),
            [{"role": "assistant", "content": '{"type": "hologram"}\n{"n": 1}'}],
            ["hosted call web_search", "hosted result web_search", "unknown part", "compaction", "image"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    found = SHAPE.write(message, losses)
    ids = [each.pop("id") for each in found]

    assert found == written
    assert losses == lost
    assert len(set(ids)) == len(found)
    assert ids == [each["id"] for each in SHAPE.write(message, [])]
