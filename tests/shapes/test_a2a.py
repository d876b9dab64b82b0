from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import recognition
from a2a_session_manager.shapes.a2a import SHAPE
from a2a_session_manager.shapes.normal_form import Call, Json, Media, Message, Opaque, Other, Reasoning, Result, Text
from a2a_session_manager.shapes.shape import Losses
from tests.shapes.checks import check_any, check_row, mangled

PIXEL = "iVBORw0KGgo="
OLD: dict[str, Any] = {"kind": "message", "messageId": "m1"}

ROWS: list[tuple[dict[str, Any], Message]] = [
    (
        {**OLD, "role": "agent", "parts": [{"kind": "text", "text": "hi"}], "contextId": "c"},
        Message("assistant", (Text("hi"),)),
    ),
    (
        {
            **OLD,
            "role": "user",
            "parts": [
                {"kind": "file", "file": {"bytes": PIXEL, "mimeType": "image/png", "name": "a.png"}},
                {"kind": "file", "file": {"uri": "https://example.org/a.pdf"}},
                {"kind": "data", "data": {"eur": 120}, "metadata": {"n": 1}},
            ],
        },
        Message(
            "user",
            (
                Media("image", "image/png", PIXEL, name="a.png"),
                Media("file", url="https://example.org/a.pdf"),
                Json({"eur": 120}),
            ),
        ),
    ),
    (  # as Python dumps it
        {
            "kind": "message",
            "message_id": "m1",
            "context_id": None,
            "role": "agent",
            "parts": [
                {"kind": "text", "metadata": None, "text": "hi"},
                {"kind": "file", "file": {"mime_type": "audio/wav", "name": None, "uri": "https://example.org/a"}},
            ],
        },
        Message("assistant", (Text("hi"), Media("audio", "audio/wav", url="https://example.org/a"))),
    ),
    (  # 0.3 over gRPC
        {
            "messageId": "m1",
            "role": "ROLE_AGENT",
            "content": [],
            "parts": [{"file": {"fileWithBytes": PIXEL, "mimeType": "image/png"}}],
        },
        Message("assistant", (Media("image", "image/png", PIXEL),)),
    ),
    (  # before 0.2
        {"role": "agent", "parts": [{"type": "text", "text": "hi"}]},
        Message("assistant", (Text("hi"),)),
    ),
    (  # 1.0
        {
            "messageId": "m1",
            "role": "ROLE_USER",
            "parts": [
                {"text": "hi"},
                {"raw": PIXEL, "mediaType": "image/png", "filename": "a.png"},
                {"url": "https://example.org/a.mp4", "mediaType": "video/mp4"},
                {"data": [1, None, {"eur": 120}]},
                {"hologram": 7},
            ],
        },
        Message(
            "user",
            (
                Text("hi"),
                Media("image", "image/png", PIXEL, name="a.png"),
                Media("video", "video/mp4", url="https://example.org/a.mp4"),
                Json([1, None, {"eur": 120}]),
                Other({"hologram": 7}),
            ),
        ),
    ),
    (
        {"message_id": "m1", "role": "user", "parts": [{"text": "hi", "media_type": "text/plain"}]},
        Message("user", (Text("hi"),)),
    ),
    ({"messageId": "m1", "role": "ROLE_UNSPECIFIED", "parts": []}, Message("other", ())),
    ({"role": "user", "parts": [{"kind": "text", "text": "hi"}]}, Message("user", (Text("hi"),))),
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
        {"role": "model", "parts": [{"text": "hi"}]},
        {"id": "m1", "role": "user", "parts": [{"type": "text", "text": "hi"}]},  # the AI SDK's
        {"kind": "request", "parts": [{"content": "hi", "part_kind": "user-prompt"}]},  # pydantic-ai's
    ],
)
def test_a_message_of_another_format_is_not_taken_for_one_of_this(message: dict[str, Any]) -> None:
    assert recognition.shape_of(message) is not SHAPE


def test_what_was_taken_out_of_a_message_is_not_written() -> None:
    parts = [{"kind": "text", "text": " "}, {"kind": "text", "text": "hi"}]
    message = SHAPE.read({**OLD, "role": "user", "parts": parts})

    assert SHAPE.write(message._replace(parts=message.parts[1:]), []) == [{**OLD, "role": "user", "parts": parts[1:]}]
    assert SHAPE.write(message._replace(parts=()), []) == []


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("assistant", (Text("hi"),)), [{"role": "ROLE_AGENT", "parts": [{"text": "hi"}]}], []),
        (
            Message(
                "user",
                (
                    Media("image", "image/png", "_-==", name="a.png"),
                    Media("file", url="https://example.org/a"),
                    Media("file", text="of a page"),
                ),
            ),
            [
                {
                    "role": "ROLE_USER",
                    "parts": [
                        {"raw": "/+==", "filename": "a.png", "mediaType": "image/png"},
                        {"url": "https://example.org/a"},
                        {"text": "of a page"},
                    ],
                }
            ],
            [],
        ),
        (
            Message(
                "assistant",
                (
                    Reasoning("hm"),
                    Text("Wait."),
                    Call("c1", "search", {}),
                    Other({"n": 1}),
                    Json([1]),
                    Opaque("compaction"),
                ),
            ),
            [{"role": "ROLE_AGENT", "parts": [{"text": "Wait."}, {"text": '{"n": 1}'}, {"data": [1]}]}],
            ["reasoning", "call", "unknown part", "compaction"],
        ),
        (Message("tool", (Result("c1", "f", (Text("4"),)),)), [], ["result"]),
        (Message("system", (Text("be brief"),)), [], ["system"]),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    found = SHAPE.write(message, losses)
    ids = [each.pop("messageId") for each in found]

    assert found == written
    assert losses == lost
    assert ids == [each["messageId"] for each in SHAPE.write(message, [])]
