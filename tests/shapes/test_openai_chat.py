from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes.normal_form import Call, Media, Message, Opaque, Other, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.openai_chat import SHAPE
from a2a_session_manager.shapes.shape import Losses
from tests.shapes.checks import check_any, check_row, mangled

PIXEL = "iVBORw0KGgo="
SEARCH = {"id": "c1", "type": "function", "function": {"name": "search", "arguments": '{"to": "OSL"}'}}
PATCH = {"id": "c2", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}

ROWS: list[tuple[dict[str, Any], Message]] = [
    ({"role": "user", "content": "hi"}, Message("user", (Text("hi"),))),
    ({"role": "developer", "content": "be brief"}, Message("system", (Text("be brief"),))),
    ({"role": "user", "name": "ann", "content": "hi"}, Message("user", (Text("hi"),), name="ann")),
    ({"role": "assistant", "content": None, "refusal": "no"}, Message("assistant", (Text("no"),))),
    (
        {"role": "assistant", "content": "Wait.", "tool_calls": [SEARCH, PATCH]},
        Message(
            "assistant",
            (Text("Wait."), Call("c1", "search", '{"to": "OSL"}'), Call("c2", "patch", "*** Begin", kind="custom")),
        ),
    ),
    (  # Gemini's endpoint for clients of OpenAI's
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{**SEARCH, "extra_content": {"google": {"thought_signature": "c2ln"}}}],
        },
        Message("assistant", (Call("c1", "search", '{"to": "OSL"}', signature="c2ln"),)),
    ),
    (
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "not JSON"}},
        Message("assistant", (Call(None, "f", "not JSON", kind="function_call"),)),
    ),
    (
        {"role": "tool", "tool_call_id": "c1", "name": "search", "content": [{"type": "text", "text": "120 EUR"}]},
        Message("tool", (Result("c1", "search", (Text("120 EUR"),)),), name="search"),
    ),
    ({"role": "function", "name": "f", "content": "4"}, Message("tool", (Result(None, "f", (Text("4"),)),), name="f")),
    (  # Ollama
        {"role": "tool", "tool_name": "f", "content": "4"},
        Message("tool", (Result(None, "f", (Text("4"),)),)),
    ),
    (  # Ollama
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": {"q": 1}}}]},
        Message("assistant", (Text(""), Call(None, "f", {"q": 1}))),
    ),
    (  # Ollama
        {"role": "user", "content": "What is this?", "images": [PIXEL]},
        Message("user", (Text("What is this?"), Media("image", data=PIXEL))),
    ),
    (  # OpenRouter
        {
            "role": "assistant",
            "content": "Here.",
            "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}],
        },
        Message("assistant", (Text("Here."), Media("image", "image/png", PIXEL))),
    ),
    (  # DeepSeek
        {"role": "assistant", "content": "4", "reasoning_content": "2 and 2"},
        Message("assistant", (Reasoning("2 and 2"), Text("4"))),
    ),
    (  # Mistral
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "2 and 2"}]},
                {"type": "text", "text": "4"},
            ],
        },
        Message("assistant", (Reasoning("2 and 2"), Text("4"))),
    ),
    (  # Cohere
        {
            "role": "tool",
            "tool_call_id": "c1",
            "content": [{"type": "document", "document": {"data": {"eur": 120}, "id": "d1"}}],
        },
        Message("tool", (Result("c1", None, (Media("file", text='{"eur": 120}'),)),)),
    ),
    (
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
                {"type": "file", "file": {"file_id": "file-1"}},
                {"type": "hologram", "hologram": 7},
            ],
        },
        Message(
            "user",
            (
                Media("image", url="https://example.org/a.png"),
                Media("audio", "audio/wav", "UklGRg=="),
                Media("file", "application/pdf", "JVBERi0=", name="a.pdf"),
                Media("file", url="file-1"),
                Other({"type": "hologram", "hologram": 7}),
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
    ("parts", "written"),
    [
        ((Text("Wait."),), {"role": "assistant", "content": "Wait."}),
        (
            (Call("c2", "patch", "*** Begin", kind="custom"),),
            {"role": "assistant", "content": None, "tool_calls": [PATCH]},
        ),
        ((), {"role": "assistant", "content": None}),
    ],
)
def test_what_was_taken_out_of_a_message_is_not_written(parts: tuple[Part, ...], written: dict[str, Any]) -> None:
    message = SHAPE.read({"role": "assistant", "content": "Wait.", "tool_calls": [SEARCH, PATCH]})
    kept = tuple(part for part in message.parts if part._replace(raw=None) in parts)

    assert SHAPE.write(message._replace(parts=kept), []) == [written]


@pytest.mark.parametrize("calls", [SEARCH, json.dumps([SEARCH]), (SEARCH,)])
def test_calls_that_were_no_list_are_one_where_something_was_taken_out(calls: Any) -> None:
    message = SHAPE.read({"role": "assistant", "content": "Wait.", "tool_calls": calls})
    text, call = message.parts

    assert SHAPE.write(message._replace(parts=(text,)), []) == [{"role": "assistant", "content": "Wait."}]
    rest = {"role": "assistant", "content": None, "tool_calls": [SEARCH]}
    assert SHAPE.write(message._replace(parts=(call,)), []) == [rest]


def test_what_is_no_call_is_no_part_that_is_counted_or_given_to_others() -> None:
    message = SHAPE.read({"role": "assistant", "content": "Wait.", "tool_calls": "search(OSL)"})

    assert message.parts[1:] == (Opaque("tool_calls", {"tool_calls": "search(OSL)"}),)
    assert SHAPE.write(message._replace(parts=message.parts[:1]), []) == [{"role": "assistant", "content": "Wait."}]


def test_a_thought_and_a_refusal_that_were_taken_out_are_not_written() -> None:
    message = SHAPE.read({"role": "assistant", "content": "4", "reasoning": "2 and 2", "refusal": "no"})

    assert SHAPE.write(message._replace(parts=message.parts[1:2]), []) == [{"role": "assistant", "content": "4"}]
    assert SHAPE.write(message._replace(parts=message.parts[:2]), []) == [
        {"role": "assistant", "content": "4", "reasoning": "2 and 2"}
    ]


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("user", (Text("hi"),)), [{"role": "user", "content": "hi"}], []),
        (Message("assistant", (Reasoning("hm"), Text("4"))), [{"role": "assistant", "content": "4"}], ["reasoning"]),
        (
            Message("assistant", (Text("Wait."), Call("c1", "search", {"to": "OSL"}))),
            [{"role": "assistant", "content": "Wait.", "tool_calls": [SEARCH]}],
            [],
        ),
        (
            Message("tool", (Result("c1", "f", (Text("4"),)), Result("c2", None, (Text("5"),)))),
            [
                {"role": "tool", "tool_call_id": "c1", "content": "4", "name": "f"},
                {"role": "tool", "tool_call_id": "c2", "content": "5"},
            ],
            [],
        ),
        (
            Message("user", (Media("image", "image/png", PIXEL), Media("video", url="https://example.org/v.mp4"))),
            [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}],
                }
            ],
            ["video"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert SHAPE.write(message, losses) == written
    assert losses == lost
