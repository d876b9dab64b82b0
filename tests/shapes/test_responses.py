from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import openai_chat, recognition
from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    Message,
    Opaque,
    Other,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.responses import SHAPE
from a2a_session_manager.shapes.shape import Losses
from tests.shapes.checks import check_any, check_row, mangled
from tests.shapes.responses_rows import ANSWER, CODE, PICTURE, PIXEL, ROWS, SEARCH, THOUGHT


@pytest.mark.parametrize(("item", "expected"), ROWS)
def test_an_item_has_its_normal_form_and_is_written_as_it_was(item: dict[str, Any], expected: Message) -> None:
    check_row(SHAPE, item, expected)


@settings(deadline=None)
@given(st.one_of([mangled(item) for item, _ in ROWS]))
def test_whatever_an_item_holds_is_read_and_written_as_it_was(item: dict[str, Any]) -> None:
    check_any(SHAPE, item)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}]},
        {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}]},
        {"role": "assistant", "content": None, "tool_calls": []},
        {  # Anthropic's answer
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude",
            "content": [],
            "stop_reason": "end_turn",
        },
        {"type": "message", "role": "assistant", "content": [{"type": "thinking", "thinking": "", "signature": "x"}]},
        {"type": ["message"], "role": "user", "content": "hi"},
    ],
)
def test_messages_of_other_formats_are_no_items(message: dict[str, Any]) -> None:
    assert not SHAPE.is_mine(message)


@pytest.mark.parametrize(
    ("item", "kept", "written"),
    [
        (ANSWER, [0], [{**ANSWER, "content": ANSWER["content"][:1]}]),
        (ANSWER, [], []),
        ({"type": "message", "role": "user", "content": "hi"}, [], []),
        (SEARCH, [], []),
        (THOUGHT, [], []),
        (CODE, [], []),
        (CODE, [1], []),
        (CODE, [0], [{**CODE, "outputs": None}]),
    ],
)
def test_what_was_taken_out_of_an_item_is_not_written(
    item: dict[str, Any], kept: list[int], written: list[dict[str, Any]]
) -> None:
    message = SHAPE.read(item)

    assert SHAPE.write(message._replace(parts=tuple(message.parts[each] for each in kept)), []) == written


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("user", (Text("hi"),)), [{"type": "message", "role": "user", "content": "hi"}], []),
        (
            Message("assistant", (Reasoning("hm"), Text("Wait."), Call("c1", "search", {"to": "OSL"}))),
            [{"type": "message", "role": "assistant", "content": "Wait."}, SEARCH],
            ["reasoning"],
        ),
        (
            Message("assistant", (Call("c1", "f"), Call("c2", "patch", "*** Begin", kind="custom"), Call(None, "g"))),
            [
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "custom_tool_call", "call_id": "c2", "name": "patch", "input": "*** Begin"},
                {"type": "function_call", "call_id": "g", "name": "g", "arguments": "{}"},
            ],
            [],
        ),
        (
            Message("tool", (Result("c1", "f", (Text("4"),)), Result("c2", None, (Json({"a": 5}),)))),
            [
                {"type": "function_call_output", "call_id": "c1", "name": "f", "output": "4"},
                {"type": "function_call_output", "call_id": "c2", "output": '{"a": 5}'},
            ],
            [],
        ),
        (
            Message(
                "user",
                (
                    Instruction("Be brief."),
                    Result("c1", None, ()),
                    Text("Look."),
                    Media("image", "image/png", PIXEL.replace("+", "-")),
                    Media("image", url="https://example.org/a.png"),
                    Media("file", "application/pdf", "JVBERi0=", name="a.pdf"),
                    Media("file", url="file-1"),
                    Media("file", text="A fjord is deep."),
                    Media("video", url="https://example.org/v.mp4"),
                ),
            ),
            [
                {"type": "message", "role": "system", "content": "Be brief."},
                {"type": "function_call_output", "call_id": "c1", "output": ""},
                {
                    "type": "message",
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "Look."},
                        {"type": "input_image", "detail": "auto", "image_url": PICTURE},
                        {"type": "input_image", "detail": "auto", "image_url": "https://example.org/a.png"},
                        {
                            "type": "input_file",
                            "filename": "a.pdf",
                            "file_data": "data:application/pdf;base64,JVBERi0=",
                        },
                        {"type": "input_file", "file_id": "file-1"},
                        {"type": "input_text", "text": "A fjord is deep."},
                    ],
                },
            ],
            ["video"],
        ),
        (
            Message(
                "assistant",
                (
                    Call("s", "web_search", {}, is_hosted=True),
                    Result("s", None, (Text("found"),), is_hosted=True),
                    Opaque("compaction"),
                    Text("It is deep."),
                    Other({"type": "hologram"}),
                ),
                name="ann",
            ),
            [
                {"type": "message", "role": "assistant", "content": "It is deep."},
                {"type": "message", "role": "assistant", "content": '{"type": "hologram"}'},
            ],
            ["name", "hosted call web_search", "hosted result", "compaction", "unknown part"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert SHAPE.write(message, losses) == written
    assert losses == lost
    assert all(recognition.shape_of(item) is SHAPE for item in written)


def test_an_answer_of_several_items_is_written_in_its_order() -> None:
    items: list[dict[str, Any]] = [THOUGHT, {"type": "message", "role": "assistant", "content": "Wait."}, SEARCH, CODE]
    parts = tuple(part for item in items for part in SHAPE.read(item).parts)

    assert SHAPE.write(Message("assistant", parts, SHAPE.name), []) == items


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        (None, {"type": "function_call_output", "call_id": "c1", "name": "f", "output": "stopped"}),
        ("custom", {"type": "custom_tool_call_output", "call_id": "c1", "output": "stopped"}),
        ("local_shell", {"type": "local_shell_call_output", "id": "c1", "output": "stopped"}),
        (
            "shell",
            {
                "type": "shell_call_output",
                "call_id": "c1",
                "output": [{"stdout": "stopped", "stderr": "", "outcome": {"type": "exit", "exit_code": 1}}],
            },
        ),
        (
            "apply_patch",
            {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": "stopped"},
        ),
        (
            "mcp_approval",
            {"type": "mcp_approval_response", "approval_request_id": "c1", "approve": False, "reason": "stopped"},
        ),
        ("tool_search", {"type": "tool_search_output", "call_id": "c1", "execution": "client", "tools": []}),
    ],
)
def test_a_result_that_was_made_answers_its_kind_of_call(kind: str | None, written: dict[str, Any]) -> None:
    result = Result("c1", "f", (Text("stopped"),), is_error=True, kind=kind)

    assert SHAPE.write(Message("tool", (result,), SHAPE.name), []) == [written]


def test_a_computers_result_that_is_no_picture_is_written_as_one_and_its_text_is_lost() -> None:
    losses: Losses = []
    result = Result("c1", "computer", (Text("stopped"),), kind="computer")

    (item,) = SHAPE.write(Message("tool", (result,), SHAPE.name), losses)

    assert (item["type"], item["output"]["type"]) == ("computer_call_output", "computer_screenshot")
    assert losses == ["text of a computer's output"]
    assert isinstance(SHAPE.read(item).parts[0], Result)


def test_a_plain_message_is_read_as_a_chat_message() -> None:
    assert recognition.shape_of({"role": "user", "content": "hi"}) is openai_chat.SHAPE
