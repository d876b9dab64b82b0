from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import openai_chat
from a2a_session_manager.shapes.bedrock import SHAPE
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
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "The user wants a price.", "signature": "EqoB"}}}
REDACTED = {"reasoningContent": {"redactedContent": "EmwK"}}
USE = {"toolUse": {"toolUseId": "tooluse_1", "name": "price", "input": {"to": "OSL"}}}
RESULT = {"toolResult": {"toolUseId": "tooluse_1", "content": [{"json": {"eur": 120}}], "status": "success"}}
IMAGE = {"image": {"format": "png", "source": {"bytes": PIXEL}}}
SOUND = Media("audio", "audio/wav", "UklGRg==")
CACHE_POINT = {"cachePoint": {"type": "default"}}
GROUNDING = {"toolUse": {"toolUseId": "t_2", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
GROUNDED = {
    "toolResult": {"toolUseId": "t_2", "content": [{"json": {}}], "status": "success", "type": "nova_grounding_result"}
}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


ROWS: list[tuple[dict[str, Any], Message]] = [
    (user({"text": "hi"}), Message("user", (Text("hi"),))),
    (
        assistant(THOUGHT, REDACTED, {"text": "Wait."}, USE),
        Message(
            "assistant",
            (
                Reasoning("The user wants a price."),
                Reasoning(""),
                Text("Wait."),
                Call("tooluse_1", "price", {"to": "OSL"}),
            ),
        ),
    ),
    (
        user(RESULT, CACHE_POINT),
        Message("tool", (Result("tooluse_1", None, (Json({"eur": 120}),)), Opaque("cachePoint"))),
    ),
    (
        user(
            {
                "toolResult": {
                    "toolUseId": "tooluse_1",
                    "status": "error",
                    "content": [
                        {"text": "no such file"},
                        IMAGE,
                        {"document": {"format": "txt", "name": "log", "source": {"text": "line"}}},
                        {"video": {"format": "three_gp", "source": {"s3Location": {"uri": "s3://b/v"}}}},
                        {"searchResult": {"source": "https://e.org", "title": "T", "content": [{"text": "found"}]}},
                        {"hologram": 7},
                    ],
                }
            },
            {"text": "Go on"},
        ),
        Message(
            "user",
            (
                Result(
                    "tooluse_1",
                    None,
                    (
                        Text("no such file"),
                        Media("image", "image/png", PIXEL),
                        Media("file", "text/plain", name="log", text="line"),
                        Media("video", "video/3gpp", url="s3://b/v"),
                        Media("file", "text/plain", name="T", text="T\nhttps://e.org\nfound"),
                        Other({"hologram": 7}),
                    ),
                    is_error=True,
                ),
                Text("Go on"),
            ),
        ),
    ),
    (
        user(
            {"image": {"format": "png", "source": {"bytes": {"__bytes_encoded__": True, "data": PIXEL}}}},  # Strands
            {"audio": {"format": "mp3", "source": {"bytes": "SUQz"}}},
            {
                "document": {
                    "format": "pdf",
                    "name": "Report",
                    "context": "from 2025",
                    "source": {"bytes": "JVBERi0="},
                    "citations": {"enabled": True},
                }
            },
            {"document": {"format": "docx", "name": "D", "source": {"content": [{"text": "a"}, {"text": "b"}]}}},
            {"searchResult": {"source": "https://e.org", "title": "T", "content": [{"text": "found"}]}},
        ),
        Message(
            "user",
            (
                Media("image", "image/png", PIXEL),
                Media("audio", "audio/mp3", "SUQz"),
                Media("file", "application/pdf", "JVBERi0=", name="Report"),
                Text("from 2025"),
                Media(
                    "file",
                    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                    name="D",
                    text="a\nb",
                ),
                Media("file", "text/plain", name="T", text="T\nhttps://e.org\nfound"),
            ),
        ),
    ),
    (
        user(
            {"guardContent": {"text": {"text": "Is it safe?", "qualifiers": ["query"]}}},
            {"guardContent": {"image": {"format": "png", "source": {"bytes": PIXEL}}}},
            CACHE_POINT,
        ),
        Message(
            "user",
            (
                Text("Is it safe?"),
                Opaque("guardContent"),
                Media("image", "image/png", PIXEL),
                Opaque("guardContent"),
                Opaque("cachePoint"),
            ),
        ),
    ),
    (
        assistant({"citationsContent": {"content": [{"text": "It is cold."}], "citations": [{"title": "Oslo"}]}}),
        Message("assistant", (Text("It is cold."), Opaque("citations"))),
    ),
    (
        assistant(GROUNDING, GROUNDED, {"toolAddition": {"tool": {"name": "f"}}}),
        Message(
            "assistant",
            (
                Call("t_2", "nova_grounding", {}, is_hosted=True),
                Result("t_2", "nova_grounding", (Json({}),), is_hosted=True),
                Other({"toolAddition": {"tool": {"name": "f"}}}),
            ),
        ),
    ),
    (  # Strands keeps more beside the content.
        {**user(CACHE_POINT), "metadata": {"usage": {}}},
        Message("user", (Opaque("cachePoint"),)),
    ),
    ({"role": "system", "content": [{"text": "be brief"}]}, Message("system", (Text("be brief"),))),
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
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "user", "content": [{"inline_data": {"mime_type": "image/png", "data": PIXEL}}, {"text": "Gemini's"}]},
        {"role": "user", "parts": [{"text": "Gemini's"}]},
        {"content": [USE]},
    ],
)
def test_what_others_write_too_is_not_taken_for_a_message_of_this_format(message: dict[str, Any]) -> None:
    assert not SHAPE.is_mine(message)


@pytest.mark.parametrize(
    ("message", "removed", "written", "lost"),
    [
        (user(RESULT, {"text": "Go on"}), Result, [user({"text": "Go on"})], []),
        (user(RESULT), Result, [], []),
        (user(RESULT, CACHE_POINT), Result, [], []),
        (assistant({"text": "Wait."}, USE), Call, [assistant({"text": "Wait."})], []),
        (assistant(THOUGHT, USE), Call, [], ["reasoning"]),
        (assistant({"text": ""}, USE), Text, [assistant(USE)], []),
    ],
)
def test_what_was_taken_out_of_a_message_is_not_written(
    message: dict[str, Any], removed: type[Part], written: list[dict[str, Any]], lost: Losses
) -> None:
    read = SHAPE.read(message)
    kept = read._replace(parts=tuple(part for part in read.parts if not isinstance(part, removed)))
    losses: Losses = []

    assert SHAPE.write(kept, losses) == written
    assert losses == lost


def test_the_results_of_a_message_and_what_was_added_are_written_in_the_order_of_the_parts() -> None:
    read = SHAPE.read(user({"text": "Go on"}, RESULT))
    text, result = read.parts
    added = Result("tooluse_2", "f", (Text("4"),), is_error=True)

    assert SHAPE.write(read._replace(parts=(result, added, text)), []) == [
        user(
            RESULT,
            {"toolResult": {"toolUseId": "tooluse_2", "content": [{"text": "4"}], "status": "error"}},
            {"text": "Go on"},
        )
    ]


@pytest.mark.parametrize(
    "message",
    [
        assistant(THOUGHT, {"text": "a"}, GROUNDING, GROUNDED, USE, CACHE_POINT),
        user(
            RESULT, {"guardContent": {"text": {"text": "q"}}}, {"document": {"context": "c", "source": {"text": "t"}}}
        ),
    ],
)
def test_a_message_that_was_split_or_joined_keeps_its_blocks(message: dict[str, Any]) -> None:
    read = SHAPE.read(message)
    losses: Losses = []

    assert SHAPE.write(Message(read.role, read.parts), losses) == [message]
    assert losses == []


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("user", (Text("hi"),)), [user({"text": "hi"})], []),
        (Message("system", (Text("be brief"),)), [{"role": "system", "content": [{"text": "be brief"}]}], []),
        (Message("user", (Text("hi"),), name="ann"), [user({"text": "hi"})], ["name"]),
        (Message("user", (Instruction("be brief"),)), [user({"text": "be brief"})], ["instruction"]),
        (Message("assistant", (Reasoning("hm"), Text("4"))), [assistant({"text": "4"})], ["reasoning"]),
        (Message("assistant", (Text(" "),)), [], []),
        (Message("user", (Text("hi", {"text": "hi", "thought": True}),)), [user({"text": "hi"})], []),
        (Message("assistant", (Call("tooluse_1", "price", '{"to": "OSL"}'),)), [assistant(USE)], []),
        (
            Message("assistant", (Call(None, "f", None), Call("call|1", "patch", "*** Begin", kind="custom"))),
            [
                assistant(
                    {"toolUse": {"toolUseId": "f", "name": "f", "input": {}}},
                    {"toolUse": {"toolUseId": "call_1", "name": "patch", "input": {"input": "*** Begin"}}},
                )
            ],
            ["arguments"],
        ),
        (
            Message("assistant", (Call("c", "search", {}, is_hosted=True), Result("c", "search", (), is_hosted=True))),
            [],
            ["hosted call search", "hosted result search"],
        ),
        (
            Message(
                "tool",
                (
                    Text("Go on"),
                    Result("tooluse_1", "f", (Json({"eur": 120}),)),
                    Result(None, "g", (Json([1]), Media("image", data=PIXEL), SOUND), is_error=True),
                ),
                name="f",
            ),
            [
                user(
                    RESULT,
                    {"toolResult": {"toolUseId": "g", "content": [{"text": "[1]"}, IMAGE], "status": "error"}},
                    {"text": "Go on"},
                )
            ],
            ["audio"],
        ),
        (
            Message(
                "user",
                (
                    Media("image", "image/png", PIXEL),
                    Media("image", url="https://example.org/a.png"),
                    Media("video", "video/mp4", url="s3://bucket/v.mp4"),
                    Media("file", "application/pdf", "JVBERi0=", name="a_b.pdf"),
                    Media("file", text="words"),
                    Media("file", "application/zip", "UEsD"),
                    SOUND,
                    Opaque("cache_control"),
                    Other({"hologram": 7}),
                ),
            ),
            [
                user(
                    IMAGE,
                    {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://bucket/v.mp4"}}}},
                    {"document": {"format": "pdf", "source": {"bytes": "JVBERi0="}, "name": "a b pdf"}},
                    {"document": {"format": "txt", "source": {"text": "words"}, "name": "document"}},
                    {"audio": {"format": "wav", "source": {"bytes": "UklGRg=="}}},
                    {"text": '{"hologram": 7}'},
                )
            ],
            ["image", "file", "cache_control", "unknown part"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert SHAPE.write(message, losses) == written
    assert losses == lost


def test_what_marks_a_block_is_lost_in_another_format() -> None:
    losses: Losses = []

    written = openai_chat.SHAPE.write(SHAPE.read(user({"text": "long"}, CACHE_POINT)), losses)

    assert written == [{"role": "user", "content": "long"}]
    assert losses == ["cachePoint"]
