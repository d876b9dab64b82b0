from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes.ai_sdk_ui import SHAPE
from a2a_session_manager.shapes.normal_form import (
    Call,
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
METADATA = {"openai": {"itemId": "msg_1"}}
STEP = {"type": "step-start"}
TEXT = {"type": "text", "text": "Wait.", "state": "done"}
SOURCE = {"type": "source-url", "sourceId": "s1", "url": "https://example.org"}


def message(role: str, *parts: Any, **more: Any) -> dict[str, Any]:
    return {"id": "m1", "role": role, "parts": list(parts), **more}


def tool(state: str, call_id: str = "c1", **more: Any) -> dict[str, Any]:
    return {"type": "tool-price", "toolCallId": call_id, "state": state, "input": {"to": "OSL"}, **more}


def dynamic(state: str, call_id: str = "c1", **more: Any) -> dict[str, Any]:
    made = {"type": "dynamic-tool", "toolName": "price", "toolCallId": call_id, "state": state}
    return {**made, "input": {"to": "OSL"}, **more}


def invocation(state: str, call_id: str = "c1", **more: Any) -> dict[str, Any]:
    return {"state": state, "toolCallId": call_id, "toolName": "price", "args": {"to": "OSL"}, **more}


def old(state: str, call_id: str = "c1", **more: Any) -> dict[str, Any]:
    return {"type": "tool-invocation", "toolInvocation": invocation(state, call_id, **more)}


def call(call_id: str = "c1", **more: Any) -> Call:
    return Call(call_id, "price", {"to": "OSL"}, **more)


def answer(*content: Part, call_id: str = "c1", **more: Any) -> Result:
    return Result(call_id, "price", content, **more)


OLD_BESIDE: dict[str, Any] = {
    "id": "m1",
    "role": "assistant",
    "content": "It is cheap.",
    "reasoning": "hm",
    "toolInvocations": [
        invocation("result", result={"eur": 120}, step=0),
        invocation("call", "c2", step=1),
        invocation("result", "c3", result="4", step=0),
    ],
}

ROWS: list[tuple[dict[str, Any], Message]] = [
    (
        message("user", {"type": "text", "text": "hi"}, metadata={"at": 1}),
        Message("user", (Text("hi"),)),
    ),
    (message("assistant"), Message("assistant", ())),
    (message("system", {"type": "text", "text": "be brief"}), Message("system", (Text("be brief"),))),
    (
        message(
            "assistant",
            STEP,
            {"type": "reasoning", "text": "hm", "state": "done", "providerMetadata": METADATA},
            tool("output-available", output={"eur": 120}, callProviderMetadata=METADATA),
            dynamic("output-available", "c2", output="4"),
            TEXT,
            STEP,
            {"type": "text", "text": "Cheap.", "providerMetadata": METADATA},
            SOURCE,
            {"type": "data-weather", "data": {"at": "OSL"}},
        ),
        Message(
            "assistant",
            (
                Reasoning("hm"),
                call(),
                Opaque("providerMetadata"),
                call("c2"),
                Text("Wait."),
                answer(Json({"eur": 120})),
                answer(Text("4"), call_id="c2"),
                Text("Cheap."),
                Opaque("providerMetadata"),
            ),
        ),
    ),
    (
        message(
            "assistant",
            tool("output-error", errorText="no"),
            tool("output-denied", "c2", approval={"id": "a", "approved": False, "reason": "too dear"}),
            tool("output-denied", "c3", approval={"id": "a", "approved": False}),
            tool("approval-responded", "c4", approval={"id": "a", "approved": False}),
            tool("approval-responded", "c5", approval={"id": "a", "approved": True}),
            tool("approval-requested", "c6", approval={"id": "a"}),
            tool("output-available", "c7", output=None),
        ),
        Message(
            "assistant",
            (
                *(call(f"c{index}") for index in range(1, 8)),
                answer(Text("no"), is_error=True),
                answer(Text("too dear"), call_id="c2", is_error=True),
                answer(Text("Tool call execution denied."), call_id="c3", is_error=True),
                answer(Text("Tool call execution denied."), call_id="c4", is_error=True),
                answer(call_id="c7"),
            ),
        ),
    ),
    (
        message(
            "assistant",
            {"type": "tool-f", "toolCallId": "c1", "state": "output-error", "rawInput": "{", "errorText": "bad"},
            {"type": "tool-f", "toolCallId": "c2", "state": "input-streaming"},
            {"type": "tool-web-search", "toolCallId": "c3", "state": "input-available", "providerExecuted": True},
        ),
        Message(
            "assistant",
            (
                Call("c1", "f", "{"),
                Call("c2", "f", None),
                Call("c3", "web-search", None, is_hosted=True),
                Result("c1", "f", (Text("bad"),), is_error=True),
            ),
        ),
    ),
    (
        message(
            "user",
            {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PIXEL}", "filename": "a.png"},
            {"type": "file", "mediaType": "application/pdf", "url": "https://example.org/a.pdf"},
            {"type": "file", "mediaType": "audio/mp3", "providerReference": {"openai": "file-1"}},
            {"type": "file", "mimeType": "image/png", "data": PIXEL},  # 4
            {"type": "hologram"},
        ),
        Message(
            "user",
            (
                Media("image", "image/png", PIXEL, name="a.png"),
                Media("file", "application/pdf", url="https://example.org/a.pdf"),
                Media("audio", "audio/mp3", url="file-1"),
                Media("image", "image/png", PIXEL),
                Other({"type": "hologram"}),
            ),
        ),
    ),
    (
        message(
            "assistant",
            {"type": "reasoning-file", "mediaType": "image/png", "url": "https://example.org/a.png"},
            {"type": "custom", "kind": "openai.compaction"},
            {"type": "steering-message", "id": "m2", "parts": [{"type": "text", "text": "a user's"}]},
        ),
        Message(
            "assistant",
            (
                Reasoning(""),
                Opaque("custom"),
                Other({"type": "steering-message", "id": "m2", "parts": [{"type": "text", "text": "a user's"}]}),
            ),
        ),
    ),
    (  # 4, with the same in `content` and `toolInvocations`
        message(
            "assistant",
            STEP,
            {"type": "reasoning", "reasoning": "hm", "details": []},
            old("result", result={"eur": 120}),
            old("partial-call", "c2"),
            {"type": "text", "text": "It is cheap."},
            content="It is cheap.",
            toolInvocations=[invocation("result", result={"eur": 120}), invocation("partial-call", "c2")],
        ),
        Message(
            "assistant",
            (Reasoning("hm"), call(), call("c2"), Text("It is cheap."), answer(Json({"eur": 120}))),
        ),
    ),
    (  # 4, before it had parts
        OLD_BESIDE,
        Message(
            "assistant",
            (
                Reasoning("hm"),
                call(),
                call("c3"),
                answer(Json({"eur": 120})),
                answer(Text("4"), call_id="c3"),
                call("c2"),
                Text("It is cheap."),
            ),
        ),
    ),
    (
        {
            "role": "user",
            "content": "Look",
            "experimental_attachments": [
                {"name": "a.png", "contentType": "image/png", "url": f"data:image/png;base64,{PIXEL}"}
            ],
        },
        Message("user", (Text("Look"), Media("image", "image/png", PIXEL, name="a.png"))),
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
        {"role": "user", "content": "hi", "id": "AG-UI's"},
        {"role": "user", "parts": [{"text": "Gemini's"}]},
        {"role": "user", "parts": [{"kind": "text", "text": "A2A's"}]},
        {"role": "user", "parts": [{"type": "text", "content": "OpenTelemetry's"}]},
        {"role": "user", "parts": []},
        {"parts": [TEXT]},
    ],
)
def test_what_others_write_too_is_not_taken_for_a_message_of_this_format(raw: dict[str, Any]) -> None:
    assert not SHAPE.is_mine(raw)


@pytest.mark.parametrize(
    ("raw", "removed", "written"),
    [
        (
            message("assistant", STEP, TEXT, tool("output-available", output=1), SOURCE),
            Call | Result,
            [message("assistant", STEP, TEXT, SOURCE)],
        ),
        (
            message("assistant", TEXT, tool("output-available", output=1)),
            Result,
            [message("assistant", TEXT, tool("input-available"))],
        ),
        (
            message("assistant", TEXT, tool("output-available", output=1, resultProviderMetadata=METADATA)),
            Text,
            [message("assistant", tool("output-available", output=1, resultProviderMetadata=METADATA))],
        ),
        (message("assistant", STEP, TEXT, SOURCE), Text, []),
        (
            message("assistant", {"type": "text", "text": "a", "providerMetadata": METADATA}),
            Text,
            [],
        ),
        (
            message(
                "assistant",
                TEXT,
                old("result", result=1),
                content="Wait.",
                toolInvocations=[invocation("result", result=1)],
            ),
            Call | Result,
            [message("assistant", TEXT, content="Wait.", toolInvocations=[])],
        ),
        (
            message("assistant", TEXT, old("result", result=1), content="Wait."),
            Text,
            [message("assistant", old("result", result=1), content="")],
        ),
        (
            OLD_BESIDE,
            Call | Result | Reasoning,
            [{"id": "m1", "role": "assistant", "content": "It is cheap.", "toolInvocations": []}],
        ),
    ],
)
def test_what_was_taken_out_of_a_message_is_not_written(
    raw: dict[str, Any], removed: Any, written: list[dict[str, Any]]
) -> None:
    read = SHAPE.read(raw)
    kept = read._replace(parts=tuple(part for part in read.parts if not isinstance(part, removed)))

    assert SHAPE.write(kept, []) == written


@pytest.mark.parametrize(
    ("open_part", "is_error", "closed"),
    [
        (tool("input-available"), True, tool("output-error", errorText="interrupted")),
        (tool("input-available"), False, tool("output-available", output="interrupted")),
        (tool("input-streaming"), True, tool("output-error", errorText="interrupted")),
        (dynamic("input-available"), True, dynamic("output-error", errorText="interrupted")),
        (
            tool("approval-requested", approval={"id": "a"}),
            True,
            tool("output-error", errorText="interrupted"),
        ),
        (
            tool("approval-responded", approval={"id": "a", "approved": True}),
            True,
            tool("output-error", approval={"id": "a", "approved": True}, errorText="interrupted"),
        ),
        (old("call"), True, old("result", result="interrupted")),
    ],
)
def test_a_result_that_was_added_closes_its_call(
    open_part: dict[str, Any], is_error: bool, closed: dict[str, Any]
) -> None:
    read = SHAPE.read(message("assistant", TEXT, open_part, tool("output-available", "c2", output=1)))
    result = answer(Text("interrupted"), is_error=is_error)

    for parts in ((*read.parts, result), (result, *read.parts)):
        assert SHAPE.write(read._replace(parts=parts), []) == [
            message("assistant", TEXT, closed, tool("output-available", "c2", output=1))
        ]


def test_a_call_beside_the_content_is_closed_too() -> None:
    read = SHAPE.read(OLD_BESIDE)
    [written] = SHAPE.write(read._replace(parts=(*read.parts, answer(Json([1]), call_id="c2"))), [])

    first, _, last = OLD_BESIDE["toolInvocations"]
    assert written == {
        **OLD_BESIDE,
        "toolInvocations": [first, invocation("result", "c2", step=1, result=[1]), last],
    }


@pytest.mark.parametrize(
    ("made", "written", "lost"),
    [
        (Message("user", (Text("hi"), Text(" "))), message("user", {"type": "text", "text": "hi"}), []),
        (
            Message(
                "assistant",
                (
                    Reasoning("hm"),
                    Reasoning(""),
                    Call("c1", "price", '{"to": "OSL"}'),
                    Result("c1", "price", (Json({"eur": 120}),)),
                    Call("c2", "price", {"to": "OSL"}),
                    Result("c2", "price", (Text("no"), Media("image", data=PIXEL)), is_error=True),
                    Call("c3", "price", {"to": "OSL"}, is_hosted=True),
                ),
            ),
            message(
                "assistant",
                {"type": "reasoning", "text": "hm"},
                dynamic("output-available", output={"eur": 120}),
                dynamic("output-error", "c2", errorText="no"),
                dynamic("input-available", "c3", providerExecuted=True),
            ),
            ["reasoning", "image"],
        ),
        (
            Message("tool", (Result("c1", "price", (Text("4"),)),)),
            message("assistant", {**dynamic("output-available", output="4"), "input": {}}),
            ["call price"],
        ),
        (
            Message(
                "user",
                (
                    Media("image", data=PIXEL),
                    Media("file", "application/pdf", url="https://example.org/a.pdf", name="a.pdf"),
                    Media("file", text="words"),
                    Media("file", url="file-1"),
                    Opaque("cache_control"),
                    Other({"hologram": 7}),
                ),
                name="ann",
            ),
            message(
                "user",
                {"type": "file", "mediaType": "image/png", "url": f"data:image/png;base64,{PIXEL}"},
                {
                    "type": "file",
                    "mediaType": "application/pdf",
                    "url": "https://example.org/a.pdf",
                    "filename": "a.pdf",
                },
                {"type": "text", "text": "words"},
                {"type": "text", "text": '{"hologram": 7}'},
            ),
            ["name", "file", "cache_control", "unknown part"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    made: Message, written: dict[str, Any], lost: Losses
) -> None:
    losses: Losses = []

    [found] = SHAPE.write(made, losses)

    assert {**found, "id": "m1"} == written
    assert losses == lost
    assert SHAPE.write(made, []) == [found], "the id is another one"
    assert SHAPE.write(Message("user", ()), []) == []
