from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import openai_chat
from a2a_session_manager.shapes.anthropic import SHAPE, as_input
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
from tests.shapes.anthropic_rows import (
    CACHED,
    DUMP,
    FOUND,
    IMAGE,
    PIXEL,
    REDACTED,
    RESULT,
    ROWS,
    SEARCH,
    THINKING,
    USE,
    assistant,
    user,
)
from tests.shapes.checks import check_any, check_row, mangled


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
        {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Mistral's"}]}]},
        {"role": "user", "content": [{"type": "document", "document": {"data": "Cohere's"}}]},
        {"role": "assistant", "content": [USE], "tool_calls": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Responses'"}]},
        {"content": [USE]},
        user(
            {"type": "text", "text": "OpenRouter's", "cache_control": CACHED},
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        ),
    ],
)
def test_what_others_write_too_is_not_taken_for_a_message_of_this_format(message: dict[str, Any]) -> None:
    assert not SHAPE.is_mine(message)


@pytest.mark.parametrize(
    ("message", "removed", "written", "lost"),
    [
        (user(RESULT, {"type": "text", "text": "Go on"}), Result, [user({"type": "text", "text": "Go on"})], []),
        (user(RESULT), Result, [], []),
        (user({**RESULT, "cache_control": CACHED}), Result, [], []),
        (assistant({"type": "text", "text": "Wait."}, USE), Call, [assistant({"type": "text", "text": "Wait."})], []),
        (assistant(THINKING, USE), Call, [], ["reasoning"]),
        (assistant({"type": "text", "text": ""}, USE), Text, [assistant(USE)], []),
        (DUMP, Call, [{**DUMP, "content": DUMP["content"][:2]}], []),
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
    read = SHAPE.read(user({"type": "text", "text": "Go on"}, RESULT))
    text, result = read.parts
    added = Result("toolu_2", "f", (Text("4"),), is_error=True)

    assert SHAPE.write(read._replace(parts=(result, added, text)), []) == [
        user(
            RESULT,
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": "4", "is_error": True},
            {"type": "text", "text": "Go on"},
        )
    ]


def test_a_message_that_was_split_or_joined_keeps_its_blocks() -> None:
    blocks = [THINKING, REDACTED, {"type": "text", "text": "a", "cache_control": CACHED}, SEARCH, FOUND, USE]
    document = {
        "type": "document",
        "context": "from 2025",
        "source": {"type": "content", "content": [{"type": "text", "text": "more"}, IMAGE]},
    }
    losses: Losses = []

    for message in (assistant(*blocks), user(document, RESULT)):
        read = SHAPE.read(message)
        [written] = SHAPE.write(Message(read.role, read.parts), losses)
        assert sorted(map(str, written["content"])) == sorted(map(str, message["content"]))
    assert losses == []


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("user", (Text("hi"),)), [{"role": "user", "content": "hi"}], []),
        (Message("system", (Text("be brief"),)), [{"role": "system", "content": "be brief"}], []),
        (Message("user", (Text("hi"),), name="ann"), [{"role": "user", "content": "hi"}], ["name"]),
        (Message("user", (Instruction("be brief"),)), [{"role": "user", "content": "be brief"}], ["instruction"]),
        (Message("assistant", (Reasoning("hm"), Text("4"))), [{"role": "assistant", "content": "4"}], ["reasoning"]),
        (Message("assistant", (Text(" "),)), [], []),
        (
            Message("user", (Text(" ", {"type": "text", "text": " "}), Text("a"))),
            [{"role": "user", "content": "a"}],
            [],
        ),
        (
            Message("assistant", (Text("Wait."), Call("toolu_1", "price", '{"to": "OSL"}'))),
            [assistant({"type": "text", "text": "Wait."}, USE)],
            [],
        ),
        (
            Message("assistant", (Call(None, "f", None), Call("call:1", "patch", "*** Begin", kind="custom"))),
            [
                assistant(
                    {"type": "tool_use", "id": "f", "name": "f", "input": {}},
                    {"type": "tool_use", "id": "call_1", "name": "patch", "input": {"input": "*** Begin"}},
                )
            ],
            ["arguments"],
        ),
        (Message("assistant", (Call("c", "search", {}, is_hosted=True),)), [], ["hosted call search"]),
        (
            Message("assistant", (Result("c", "search", (), is_hosted=True), Text("a"))),
            [{"role": "assistant", "content": "a"}],
            ["hosted result search"],
        ),
        (
            Message(
                "tool",
                (
                    Text("Go on"),
                    Result("c1", "f", (Json({"eur": 120}),)),
                    Result(None, "g", (Text("no"), Media("image", data=PIXEL)), is_error=True),
                    Result("c3", "h"),
                ),
                name="f",
            ),
            [
                user(
                    {"type": "tool_result", "tool_use_id": "c1", "content": '{"eur": 120}'},
                    {
                        "type": "tool_result",
                        "tool_use_id": "g",
                        "content": [{"type": "text", "text": "no"}, IMAGE],
                        "is_error": True,
                    },
                    {"type": "tool_result", "tool_use_id": "c3"},
                    {"type": "text", "text": "Go on"},
                )
            ],
            [],
        ),
        (
            Message(
                "user",
                (
                    Media("image", "image/png", PIXEL),
                    Media("image", url="https://example.org/a.png"),
                    Media("image", "image/tiff", "TU0="),
                    Media("file", "application/pdf", "JVBERi0=", name="a.pdf"),
                    Media("file", url="https://example.org/a.pdf"),
                    Media("file", text="words"),
                    Media("file", url="file-1"),
                    Media("audio", "audio/wav", "UklGRg=="),
                    Opaque("encrypted"),
                    Other({"hologram": 7}),
                ),
            ),
            [
                user(
                    IMAGE,
                    {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
                        "title": "a.pdf",
                    },
                    {"type": "document", "source": {"type": "url", "url": "https://example.org/a.pdf"}},
                    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
                    {"type": "text", "text": '{"hologram": 7}'},
                )
            ],
            ["image", "file", "audio", "encrypted", "unknown part"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert SHAPE.write(message, losses) == written
    assert losses == lost


def test_thinking_is_kept_from_another_format_only_with_a_signature_of_this_provider() -> None:
    signed = {"type": "reasoning", "text": "hm", "providerOptions": {"anthropic": {"signature": "EqoB"}}}
    redacted = {"type": "reasoning", "text": "", "providerOptions": {"anthropic": {"redactedData": "EmwK"}}}
    unsigned = {"type": "thinking", "thinking": "hm"}
    losses: Losses = []

    written = SHAPE.write(
        Message("assistant", (*(Reasoning("hm", raw) for raw in (signed, redacted, unsigned)), Text("4"))), losses
    )

    thought = {"type": "thinking", "thinking": "hm", "signature": "EqoB"}
    assert written == [assistant(thought, REDACTED, {"type": "text", "text": "4"})]
    assert losses == ["reasoning"]


def test_what_marks_a_block_is_lost_in_another_format() -> None:
    losses: Losses = []

    written = openai_chat.SHAPE.write(
        SHAPE.read(user({"type": "text", "text": "long", "cache_control": CACHED})), losses
    )

    assert written == [{"role": "user", "content": "long"}]
    assert losses == ["cache_control"]


def test_a_dump_of_an_answer_is_sent_with_role_and_content_alone() -> None:
    assert as_input(DUMP) == assistant(THINKING, {"type": "text", "text": "Wait."}, USE)
    assert as_input({"role": "user", "content": "hi"}) == {"role": "user", "content": "hi"}
    failed = {"type": "compaction", "content": None}
    assert as_input(assistant(failed)) == assistant(failed)
