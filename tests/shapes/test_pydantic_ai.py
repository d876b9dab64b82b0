from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import recognition
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
from a2a_session_manager.shapes.pydantic_ai import SHAPE
from a2a_session_manager.shapes.shape import Losses
from tests.context.examples import view
from tests.shapes.checks import check_any, check_row, mangled
from tests.shapes.pydantic_ai_rows import CHANGING_INSTRUCTIONS

PIXEL = "iVBORw0KGgo="
AT = "2026-11-29T17:59:42Z"
PROMPT = {"part_kind": "system-prompt", "content": "be brief", "timestamp": AT, "dynamic_ref": None}
ASKED = {"part_kind": "user-prompt", "content": "hi", "timestamp": AT}
CALL = {"part_kind": "tool-call", "tool_name": "search", "args": '{"to": "OSL"}', "tool_call_id": "c1", "id": None}
SAID = {"part_kind": "text", "content": "It is 120 EUR."}
RETURNED = {
    "part_kind": "tool-return",
    "tool_name": "search",
    "content": "120 EUR",
    "tool_call_id": "c1",
    "timestamp": AT,
    "outcome": "success",
}
PICTURE = {"kind": "binary", "data": PIXEL, "media_type": "image/png", "identifier": "504417"}
LINK = {"kind": "image-url", "url": "https://example.org/a.png", "media_type": "image/png", "identifier": "271f31"}
LOOK = {"part_kind": "user-prompt", "content": ["look", LINK, " "], "timestamp": AT}


def request(*parts: Any, **more: Any) -> dict[str, Any]:
    return {"parts": list(parts), "instructions": None, "kind": "request", "run_id": None, **more}


def response(*parts: Any) -> dict[str, Any]:
    return {"parts": list(parts), "usage": {"input_tokens": 7}, "model_name": "m", "kind": "response"}


def returned(content: Any, **more: Any) -> dict[str, Any]:
    return request({**RETURNED, "content": content, **more})


ROWS: list[tuple[dict[str, Any], Message]] = [
    (request(ASKED), Message("user", (Text("hi"),))),
    (request(), Message("user", ())),
    (request(PROMPT), Message("system", (Instruction("be brief"),))),
    (request(PROMPT, ASKED), Message("user", (Instruction("be brief"), Text("hi")))),
    (
        request(ASKED, instructions="be kind"),
        Message("user", (Instruction("be kind"), Text("hi"))),
    ),
    (
        request(
            {
                "part_kind": "user-prompt",
                "content": [
                    "look",
                    LINK,
                    PICTURE,
                    {"kind": "audio-url", "url": "https://example.org/a.wav", "media_type": "audio/wav"},
                    {"kind": "video-url", "url": "https://example.org/v"},
                    {"kind": "document-url", "url": "https://example.org/a.pdf", "media_type": "application/pdf"},
                    {"kind": "uploaded-file", "file_id": "file-1", "provider_name": "openai"},
                    {"kind": "text-content", "content": "and read", "metadata": None},
                    {"kind": "cache-point", "ttl": "5m"},
                    {"kind": "hologram"},
                ],
            }
        ),
        Message(
            "user",
            (
                Text("look"),
                Media("image", "image/png", url="https://example.org/a.png"),
                Media("image", "image/png", PIXEL),
                Media("audio", "audio/wav", url="https://example.org/a.wav"),
                Media("video", url="https://example.org/v"),
                Media("file", "application/pdf", url="https://example.org/a.pdf"),
                Media("file", url="file-1"),
                Text("and read"),
                Opaque("cache-point"),
                Json({"kind": "hologram"}),
            ),
        ),
    ),
    (
        response(
            {"part_kind": "thinking", "content": "hm", "signature": "c2ln"},
            {"part_kind": "thinking", "content": "", "signature": "c2ln"},
            {"part_kind": "text", "content": "Wait."},
            CALL,
            {"part_kind": "tool-call", "tool_name": "f", "args": {"a": 1}, "tool_call_id": "c2"},
            {"part_kind": "file", "content": PICTURE},
        ),
        Message(
            "assistant",
            (
                Reasoning("hm"),
                Reasoning(""),
                Text("Wait."),
                Call("c1", "search", '{"to": "OSL"}'),
                Call("c2", "f", {"a": 1}),
                Media("image", "image/png", PIXEL),
            ),
        ),
    ),
    (
        response(
            {"part_kind": "builtin-tool-call", "tool_name": "web_search", "args": {"q": 1}, "tool_call_id": "s1"},
            {"part_kind": "builtin-tool-return", "tool_name": "web_search", "content": {"r": 2}, "tool_call_id": "s1"},
        ),
        Message(
            "assistant",
            (
                Call("s1", "web_search", {"q": 1}, is_hosted=True),
                Result("s1", "web_search", (Json({"r": 2}),), is_hosted=True),
            ),
        ),
    ),
    (returned("120 EUR"), Message("tool", (Result("c1", "search", (Text("120 EUR"),)),))),
    (returned({"eur": 120}), Message("tool", (Result("c1", "search", (Json({"eur": 120}),)),))),
    (returned([1, 2]), Message("tool", (Result("c1", "search", (Json([1, 2]),)),))),
    (returned(None), Message("tool", (Result("c1", "search", ()),))),
    (
        returned(["here", PICTURE, {"eur": 120}], outcome="failed"),
        Message(
            "tool",
            (
                Result(
                    "c1",
                    "search",
                    (Text("here"), Media("image", "image/png", PIXEL), Json({"eur": 120})),
                    is_error=True,
                ),
            ),
        ),
    ),
    (
        request({"part_kind": "retry-prompt", "content": "again", "tool_name": "f", "tool_call_id": "c2"}),
        Message("tool", (Result("c2", "f", (Text("again"),), is_error=True),)),
    ),
    (
        request({"part_kind": "retry-prompt", "content": [{"msg": "missing"}], "tool_name": None, "tool_call_id": "x"}),
        Message("user", (Json([{"msg": "missing"}]),)),
    ),
    (
        request(RETURNED, instructions="be kind"),
        Message("tool", (Result("c1", "search", (Text("120 EUR"),)),)),
    ),
    (
        request(PROMPT, RETURNED),
        Message("user", (Instruction("be brief"), Result("c1", "search", (Text("120 EUR"),)))),
    ),
    (
        request(RETURNED, ASKED),
        Message("user", (Result("c1", "search", (Text("120 EUR"),)), Text("hi"))),
    ),
    (
        request(
            {"part_kind": "instruction-baseline", "instructions": [{"content": "be brief"}, {"content": "be kind"}]},
            {"part_kind": "instruction-delta", "id": "i", "content": "be loud"},
            {"part_kind": "tool-availability-delta", "tools_added": ["f"]},
            {"part_kind": "compaction", "content": "they spoke of fjords"},
            {"part_kind": "compaction", "content": None, "id": "x"},
            {"part_kind": "speech", "speaker": "user", "transcript": "hi", "audio": PICTURE},
            {"part_kind": "hologram", "beam": 7},
            7,
        ),
        Message(
            "user",
            (
                Opaque("instruction-baseline"),
                Instruction("be loud"),
                Opaque("tool-availability-delta"),
                Text("they spoke of fjords"),
                Opaque("compaction"),
                Text("hi"),
                Media("image", "image/png", PIXEL),
                Other({"part_kind": "hologram", "beam": 7}),
                Other(7),
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
    ("message", "kept", "written"),
    [
        (request(PROMPT, ASKED), [1], [request(ASKED)]),
        (request(ASKED, instructions="be kind"), [1], [request(ASKED)]),
        (request(ASKED, instructions="be kind"), [0], [request(instructions="be kind")]),
        (request(LOOK), [0, 1], [request({**LOOK, "content": ["look", LINK]})]),
        (request(LOOK, RETURNED), [3], [request(RETURNED)]),
        (request(LOOK), [], []),
        (request(RETURNED, ASKED, instructions="be kind"), [0], [request(RETURNED, instructions="be kind")]),
        (response({"part_kind": "text", "content": " "}, CALL), [1], [response(CALL)]),
        (response(CALL), [], []),
    ],
)
def test_what_was_taken_out_of_a_message_is_not_written(
    message: dict[str, Any], kept: list[int], written: list[dict[str, Any]]
) -> None:
    read = SHAPE.read(message)

    assert SHAPE.write(read._replace(parts=tuple(read.parts[each] for each in kept)), []) == written


@pytest.mark.parametrize("message", CHANGING_INSTRUCTIONS)
def test_a_message_of_the_real_package_is_written_as_it_was(message: dict[str, Any]) -> None:
    assert SHAPE.write(SHAPE.read(message), []) == [message]


def test_what_instructions_were_made_of_is_no_instruction_again() -> None:
    # pydantic-ai has sent each request's `instructions`, and the changes, but no baseline.
    told = [
        [part.text for part in SHAPE.read(each).parts if isinstance(part, Instruction)]
        for each in CHANGING_INSTRUCTIONS
        if each["kind"] == "request"
    ]

    assert told == [
        ["Be kind.\n\nIt is summer.\n\nYou are Ann."],
        ["It is winter."],
        ["Be kind.\n\nIt is winter.\n\nYou are Bo."],
        ["Be kind.\n\nIt is winter.\n\nYou are Bo."],
    ]


@pytest.mark.parametrize("format", ["openai", "anthropic", "gemini", "responses"])
def test_what_instructions_were_made_of_is_named_by_a_conversion(format: str) -> None:
    found = view(*CHANGING_INSTRUCTIONS, format=format)

    named = [each.seqs for each in found.report if "instruction-baseline" in each.text]
    assert named == [(1,), (5,)]
    assert "instruction-baseline" not in str([*found, found.system])


@pytest.mark.parametrize("format", ["openai", "anthropic", "gemini", "responses"])
@pytest.mark.parametrize("kind", ["instruction-baseline", "tool-availability-delta", "capability-load-delta"])
def test_what_nobody_says_beside_a_tools_answer_is_no_message_of_the_user(kind: str, format: str) -> None:
    answer = request(RETURNED, {"part_kind": kind})

    found = view(request(ASKED), response(CALL), answer, response(SAID), format=format)

    assert SHAPE.read(answer).role == "tool"
    assert len(found) == 4
    assert list(found)[:3] == list(view(request(ASKED), response(CALL), request(RETURNED), format=format))
    assert [(each.code, each.seqs) for each in found.report] == [("not_converted", (3,))]


def asked(*parts: Any) -> list[dict[str, Any]]:
    return [{"kind": "request", "parts": list(parts)}]


def answered(*parts: Any) -> list[dict[str, Any]]:
    return [{"kind": "response", "parts": list(parts)}]


def tool_return(call_id: str, name: str, content: Any, outcome: str = "success") -> dict[str, Any]:
    made = {"part_kind": "tool-return", "tool_name": name, "content": content, "tool_call_id": call_id}
    return {**made, "outcome": outcome}


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("user", (Text("hi"),), name="ann"), asked({"part_kind": "user-prompt", "content": "hi"}), ["name"]),
        (
            Message("system", (Text("be brief"), Text("be kind"))),
            asked(
                {"part_kind": "system-prompt", "content": "be brief"},
                {"part_kind": "system-prompt", "content": "be kind"},
            ),
            [],
        ),
        (
            Message(
                "user",
                (
                    Result("c1", "f", (Text("4"),), is_error=True),
                    Result("c2", None, (Json({"eur": 120}),)),
                    Result("c3", "g", (Text("here"), Media("image", data=PIXEL))),
                    Result("c4", "h"),
                    Instruction("Be brief."),
                    Text("look"),
                    Media("image", "image/png", url="https://example.org/a.png"),
                    Media("file", text="A fjord."),
                    Media("file", url="file-1"),
                    Other({"beam": 7}),
                ),
            ),
            asked(
                tool_return("c1", "f", "4", "failed"),
                tool_return("c2", "c2", {"eur": 120}),
                tool_return("c3", "g", ["here", {"kind": "binary", "data": PIXEL, "media_type": "image/png"}]),
                tool_return("c4", "h", ""),
                {"part_kind": "system-prompt", "content": "Be brief."},
                {
                    "part_kind": "user-prompt",
                    "content": [
                        "look",
                        {"kind": "image-url", "url": "https://example.org/a.png"},
                        "A fjord.",
                        '{"beam": 7}',
                    ],
                },
            ),
            ["a tool's name", "file", "unknown part"],
        ),
        (
            Message(
                "assistant",
                (
                    Reasoning("hm"),
                    Reasoning("", {"encrypted": "x"}),
                    Text("Wait."),
                    Call("c1", "f", {"a": 1}),
                    Call(None, "g", [1]),
                    Call("s1", "web_search", None, is_hosted=True),
                    Result("s1", "web_search", (Text("found"),), is_hosted=True),
                    Media("image", "image/png", PIXEL),
                    Media("image", url="https://example.org/a.png"),
                    Opaque("compaction"),
                ),
            ),
            answered(
                {"part_kind": "thinking", "content": "hm"},
                {"part_kind": "text", "content": "Wait."},
                {"part_kind": "tool-call", "tool_name": "f", "args": {"a": 1}, "tool_call_id": "c1"},
                {"part_kind": "tool-call", "tool_name": "g", "args": "[1]", "tool_call_id": "g"},
                {"part_kind": "builtin-tool-call", "tool_name": "web_search", "args": None, "tool_call_id": "s1"},
                {**tool_return("s1", "web_search", "found"), "part_kind": "builtin-tool-return"},
                {"part_kind": "file", "content": {"kind": "binary", "data": PIXEL, "media_type": "image/png"}},
            ),
            ["reasoning", "a URL in an answer", "compaction"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert SHAPE.write(message, losses) == written
    assert losses == lost
    assert all(recognition.shape_of(each) is SHAPE for each in written)


def test_parts_of_several_requests_are_written_as_they_came() -> None:
    requests = [request(RETURNED), request(LOOK, instructions="be kind"), request(PROMPT, ASKED)]
    parts: list[Part] = [part for each in requests for part in SHAPE.read(each).parts]
    made = Result("c2", "f", (Text("stopped"),), is_error=True)

    (written,) = SHAPE.write(Message("user", (made, *parts), SHAPE.name), [])

    assert written == {
        "kind": "request",
        "parts": [
            tool_return("c2", "f", "stopped", "failed"),
            RETURNED,
            {"part_kind": "user-prompt", "content": ["look", LINK, " "]},
            PROMPT,
            ASKED,
        ],
        "instructions": "be kind",
    }
