from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import recognition
from a2a_session_manager.shapes.gemini import SHAPE
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
# What google-genai's Part.model_dump() is: every key, most of them null.
NOTHING: dict[str, Any] = {
    "media_resolution": None,
    "code_execution_result": None,
    "executable_code": None,
    "file_data": None,
    "function_call": None,
    "function_response": None,
    "inline_data": None,
    "text": None,
    "thought": None,
    "thought_signature": None,
    "video_metadata": None,
    "tool_call": None,
    "tool_response": None,
}
CALL = {"functionCall": {"id": "c1", "name": "search", "args": {"to": "OSL"}}, "thoughtSignature": "c2ln"}
RETURNED = {"functionResponse": {"id": "c1", "name": "search", "response": {"output": "120 EUR"}}}
CODE = {"executableCode": {"language": "PYTHON", "code": "print(4)"}}
PRINTED = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "4"}}


def returned(response: Any) -> dict[str, Any]:
    return {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": response}}]}


ROWS: list[tuple[dict[str, Any], Message]] = [
    ({"role": "user", "parts": [{"text": "hi"}]}, Message("user", (Text("hi"),))),
    ({"parts": [{"text": "hi"}]}, Message("user", (Text("hi"),))),
    ({"role": None, "parts": [{"text": "hi"}]}, Message("user", (Text("hi"),))),
    ({"role": "user", "parts": ["hi", {"text": "there"}]}, Message("user", (Text("hi"), Text("there")))),
    ({"role": "user", "parts": "hi"}, Message("user", (Text("hi"),))),
    ({"role": "model", "parts": []}, Message("assistant", ())),
    ({"role": "system", "parts": [{"text": "be brief"}]}, Message("system", (Text("be brief"),))),
    (
        {"role": "model", "parts": [{"text": "2 and 2", "thought": True}, {"text": "4", "thoughtSignature": "c2ln"}]},
        Message("assistant", (Reasoning("2 and 2"), Text("4"))),
    ),
    (
        {"role": "model", "parts": [{"text": "", "thoughtSignature": "c2ln"}, {"thoughtSignature": "c2ln"}]},
        Message("assistant", (Reasoning(""), Reasoning(""))),
    ),
    (
        {"role": "model", "parts": [{"text": "Wait."}, CALL, {"function_call": {"name": "f", "args": {}}}]},
        Message(
            "assistant", (Text("Wait."), Call("c1", "search", {"to": "OSL"}, signature="c2ln"), Call(None, "f", {}))
        ),
    ),
    ({"role": "user", "parts": [RETURNED]}, Message("tool", (Result("c1", "search", (Text("120 EUR"),)),))),
    ({"role": "function", "parts": [RETURNED]}, Message("tool", (Result("c1", "search", (Text("120 EUR"),)),))),
    (
        {"role": "user", "parts": [RETURNED, {"text": "and now?"}]},
        Message("user", (Result("c1", "search", (Text("120 EUR"),)), Text("and now?"))),
    ),
    (returned({"result": [1, 2]}), Message("tool", (Result(None, "f", (Json([1, 2]),)),))),
    (returned({"error": "no"}), Message("tool", (Result(None, "f", (Text("no"),), is_error=True),))),
    (returned({"a": 1, "b": 2}), Message("tool", (Result(None, "f", (Json({"a": 1, "b": 2}),)),))),
    (returned({"eur": 120}), Message("tool", (Result(None, "f", (Json({"eur": 120}),)),))),
    (returned("120 EUR"), Message("tool", (Result(None, "f", (Text("120 EUR"),)),))),
    (returned(None), Message("tool", (Result(None, "f", ()),))),
    (
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "name": "shot",
                        "response": {"output": "Here."},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL, "displayName": "a.png"}}],
                    }
                }
            ],
        },
        Message("tool", (Result(None, "shot", (Text("Here."), Media("image", "image/png", PIXEL, name="a.png"))),)),
    ),
    (
        {
            "role": "user",
            "parts": [
                {"inline_data": {"mime_type": "image/png", "data": PIXEL}},
                {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
                {"fileData": {"mimeType": "audio/wav", "fileUri": "https://example.org/a.wav"}},
                {"fileData": {"fileUri": "https://example.org/v"}, "videoMetadata": {"fps": 1}},
                {"hologram": {"beam": 7}},
            ],
        },
        Message(
            "user",
            (
                Media("image", "image/png", PIXEL),
                Media("file", "application/pdf", "JVBERi0="),
                Media("audio", "audio/wav", url="https://example.org/a.wav"),
                Media("video", url="https://example.org/v"),
                Other({"hologram": {"beam": 7}}),
            ),
        ),
    ),
    (
        {"role": "model", "parts": [CODE, PRINTED, {"text": "It is 4."}]},
        Message(
            "assistant",
            (
                Call(None, "code_execution", "print(4)", is_hosted=True),
                Result(None, "code_execution", (Text("4"),), is_hosted=True),
                Text("It is 4."),
            ),
        ),
    ),
    (
        {"role": "model", "parts": [{"codeExecutionResult": {"outcome": "OUTCOME_FAILED", "output": "no"}}]},
        Message("assistant", (Result(None, "code_execution", (Text("no"),), is_error=True, is_hosted=True),)),
    ),
    (
        {
            "role": "model",
            "parts": [
                {"toolCall": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["fjord"]}}},
                {"toolResponse": {"id": "t1", "toolType": "GOOGLE_SEARCH_WEB", "response": {"a": 1, "b": 2}}},
            ],
        },
        Message(
            "assistant",
            (
                Call("t1", "GOOGLE_SEARCH_WEB", {"queries": ["fjord"]}, is_hosted=True),
                Result("t1", "GOOGLE_SEARCH_WEB", (Json({"a": 1, "b": 2}),), is_hosted=True),
            ),
        ),
    ),
    (  # google-genai's model_dump()
        {
            "role": "model",
            "parts": [
                {**NOTHING, "text": "Wait."},
                {
                    **NOTHING,
                    "function_call": {
                        "id": None,
                        "name": "f",
                        "args": {"a": 1},
                        "partial_args": None,
                        "will_continue": None,
                    },
                    "thought_signature": "c2ln",
                },
            ],
        },
        Message("assistant", (Text("Wait."), Call(None, "f", {"a": 1}, signature="c2ln"))),
    ),
    (
        {
            "role": "user",
            "content": [
                {"inline_data": {"mime_type": "image/png", "data": PIXEL}},
                {"type": "text", "text": "What is this?"},
            ],
        },
        Message("user", (Media("image", "image/png", PIXEL), Text("What is this?"))),
    ),
]


@pytest.mark.parametrize(("content", "expected"), ROWS)
def test_a_content_has_its_normal_form_and_is_written_as_it_was(content: dict[str, Any], expected: Message) -> None:
    check_row(SHAPE, content, expected)


@settings(deadline=None)
@given(st.one_of([mangled(content) for content, _ in ROWS]))
def test_whatever_a_content_holds_is_read_and_written_as_it_was(content: dict[str, Any]) -> None:
    check_any(SHAPE, content)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": [{"type": "input_file", "file_data": "JVBERi0="}]},
        {"role": "user", "content": [{"text": "hi"}]},  # Bedrock's
        {"id": "1", "role": "user", "parts": [{"type": "text", "text": "hi"}]},  # the AI SDK's
        {"id": "1", "role": "user", "parts": []},
        {"kind": "message", "role": "user", "messageId": "1", "parts": [{"kind": "text", "text": "hi"}]},  # A2A's
        {"messageId": "1", "role": "ROLE_USER", "parts": [{"text": "hi"}]},
        {"messageId": "1", "role": "user", "parts": [{"text": "hi"}]},
        {"role": "user", "parts": [{"type": "text", "content": "hi"}]},  # OpenTelemetry's
        {"role": "critic", "parts": [{"text": "hi"}]},
        {"role": ["user"], "parts": [{"text": "hi"}]},
    ],
)
def test_messages_of_other_formats_are_no_contents(message: dict[str, Any]) -> None:
    assert not SHAPE.is_mine(message)


def test_bytes_that_google_genai_dumps_are_media() -> None:
    part = {"inline_data": {"mime_type": "image/png", "data": b"\x89PNG\r\n\x1a\n"}}

    (media,) = SHAPE.read({"role": "user", "parts": [part]}).parts

    assert media == Media("image", "image/png", PIXEL, raw=part)


@pytest.mark.parametrize(
    ("content", "kept", "written"),
    [
        ({"role": "model", "parts": [{"text": "Wait."}, CALL]}, [0], [{"role": "model", "parts": [{"text": "Wait."}]}]),
        ({"role": "model", "parts": [{"text": "Wait."}, CALL]}, [1], [{"role": "model", "parts": [CALL]}]),
        ({"role": "model", "parts": [{"text": "Wait."}, CALL]}, [], []),
        ({"role": "user", "parts": "hi"}, [], []),
        (
            {"role": "user", "content": [{"text": " "}, {"inline_data": {"data": PIXEL}}]},
            [1],
            [{"role": "user", "content": [{"inline_data": {"data": PIXEL}}]}],
        ),
    ],
)
def test_what_was_taken_out_of_a_content_is_not_written(
    content: dict[str, Any], kept: list[int], written: list[dict[str, Any]]
) -> None:
    message = SHAPE.read(content)

    assert SHAPE.write(message._replace(parts=tuple(message.parts[each] for each in kept)), []) == written


def wrote(*parts: Any, role: str = "user") -> list[dict[str, Any]]:
    return [{"role": role, "parts": list(parts)}]


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("user", (Text("hi"), Text(" "))), wrote({"text": "hi"}), []),
        (Message("system", (Text("be brief"),)), wrote({"text": "be brief"}, role="system"), []),
        (
            Message("assistant", (Reasoning("hm"), Text("Wait."), Call("c1", "search", '{"to": "OSL"}'))),
            wrote({"text": "Wait."}, {"functionCall": CALL["functionCall"]}, role="model"),
            ["reasoning"],
        ),
        (
            Message("assistant", (Call(None, "f"), Call("c2", "patch", "*** Begin", kind="custom"))),
            wrote(
                {"functionCall": {"name": "f", "args": {}}},
                {"functionCall": {"id": "c2", "name": "patch", "args": {"input": "*** Begin"}}},
                role="model",
            ),
            [],
        ),
        (
            Message(
                "user",
                (
                    Text("and now?"),
                    Result("c1", "search", (Text("120 EUR"),)),
                    Result("c2", None, (Json({"a": 1, "b": 2}),)),
                    Result("c3", "g", (Json({"output": 1, "b": 2}),)),
                    Result(None, "f", (Json({"output": 1}), Text("so")), is_error=True),
                ),
            ),
            wrote(
                RETURNED,
                {"functionResponse": {"id": "c2", "name": "c2", "response": {"a": 1, "b": 2}}},
                {"functionResponse": {"id": "c3", "name": "g", "response": {"output": {"output": 1, "b": 2}}}},
                {"functionResponse": {"name": "f", "response": {"error": '{"output": 1}\nso'}}},
                {"text": "and now?"},
            ),
            ["a tool's name"],
        ),
        (
            Message("tool", (Result("c1", "shot", (Media("image", "image/png", PIXEL), Media("file", text="a"))),)),
            wrote(
                {
                    "functionResponse": {
                        "id": "c1",
                        "name": "shot",
                        "response": {"output": "a"},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}],
                    }
                }
            ),
            [],
        ),
        (
            Message(
                "user",
                (
                    Instruction("Be brief."),
                    Media("image", data=PIXEL),
                    Media("audio", "audio/wav", "_-A="),
                    Media("video", "video/mp4", url="https://example.org/v.mp4"),
                    Media("file", url="file-1"),
                    Other({"type": "hologram"}),
                ),
                name="ann",
            ),
            wrote(
                {"text": "Be brief."},
                {"inlineData": {"mimeType": "image/png", "data": PIXEL}},
                {"inlineData": {"mimeType": "audio/wav", "data": "/+A="}},
                {"fileData": {"mimeType": "video/mp4", "fileUri": "https://example.org/v.mp4"}},
                {"text": '{"type": "hologram"}'},
            ),
            ["name", "file", "unknown part"],
        ),
        (
            Message(
                "assistant",
                (
                    Call("s", "web_search", {}, is_hosted=True),
                    Result("s", None, (Text("found"),), is_hosted=True),
                    Opaque("compaction"),
                ),
            ),
            [],
            ["hosted call web_search", "hosted result", "compaction"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert SHAPE.write(message, losses) == written
    assert losses == lost
    assert all(recognition.shape_of(content) is SHAPE for content in written)


def test_parts_of_several_contents_are_written_as_they_came() -> None:
    parts: list[Part] = [part for each in (RETURNED, CODE) for part in SHAPE.read({"parts": [each]}).parts]
    made = Result("c2", "f", (Text("stopped"),), is_error=True)

    assert SHAPE.write(Message("user", (*parts, made), SHAPE.name), []) == wrote(
        RETURNED, {"functionResponse": {"id": "c2", "name": "f", "response": {"error": "stopped"}}}, CODE
    )
