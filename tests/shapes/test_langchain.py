from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.shapes import recognition
from a2a_session_manager.shapes.langchain import SHAPES
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
from a2a_session_manager.shapes.shape import Losses, Shape
from tests.shapes.checks import check_any, check_row, mangled

DICT, FLAT, OBJECT = SHAPES
PIXEL = "iVBORw0KGgo="
# What model_dump() has beside the content.
EMPTY: dict[str, Any] = {"additional_kwargs": {}, "response_metadata": {}, "name": None, "id": None}
SEARCH = {"name": "search", "args": {"to": "OSL"}, "id": "c1", "type": "tool_call"}
BROKEN = {"name": "f", "args": "{bad", "id": "c2", "error": "no JSON", "type": "invalid_tool_call"}
USE = {"type": "tool_use", "id": "c1", "name": "search", "input": {"to": "OSL"}}


def dumped(kind: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"content": content, **EMPTY, "type": kind, **more}


def blocks(*given: Any) -> dict[str, Any]:
    return dumped("ai", list(given))


def in_object(name: str, **kwargs: Any) -> dict[str, Any]:
    return {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", name], "kwargs": kwargs}


ROWS: list[tuple[Shape, dict[str, Any], Message]] = [
    (FLAT, dumped("human", "hi"), Message("user", (Text("hi"),))),
    (FLAT, {"type": "human", "content": "hi"}, Message("user", (Text("hi"),))),
    (FLAT, dumped("human", "hi", name="ann"), Message("user", (Text("hi"),), name="ann")),
    (FLAT, dumped("system", "be brief"), Message("system", (Text("be brief"),))),
    (FLAT, dumped("chat", "no", role="critic"), Message("other", (Text("no"),))),
    (FLAT, dumped("chat", "hi", role="assistant"), Message("assistant", (Text("hi"),))),
    (FLAT, dumped("remove", "", id="x"), Message("other", (Opaque("remove"),))),
    (FLAT, dumped("AIMessageChunk", "hi", tool_calls=[]), Message("assistant", (Text("hi"),))),
    (
        FLAT,
        dumped("ai", "Wait.", tool_calls=[SEARCH], invalid_tool_calls=[BROKEN], usage_metadata=None),
        Message("assistant", (Text("Wait."), Call("c1", "search", {"to": "OSL"}), Call("c2", "f", "{bad"))),
    ),
    (
        FLAT,
        dumped("tool", "120 EUR", name="search", tool_call_id="c1", artifact={"x": 1}, status="success"),
        Message("tool", (Result("c1", "search", (Text("120 EUR"),)),), name="search"),
    ),
    (
        FLAT,
        dumped("tool", [{"type": "text", "text": "no"}], tool_call_id="c1", status="error"),
        Message("tool", (Result("c1", None, (Text("no"),), is_error=True),)),
    ),
    (
        FLAT,
        dumped("function", "4", name="f"),
        Message("tool", (Result(None, "f", (Text("4"),)),), name="f"),
    ),
    (  # calls stand in the content of Anthropic's answers, too
        FLAT,
        dumped("ai", [{"type": "text", "text": "Wait."}, USE], tool_calls=[SEARCH]),
        Message("assistant", (Text("Wait."), Call("c1", "search", {"to": "OSL"}))),
    ),
    (FLAT, blocks(USE), Message("assistant", (Call("c1", "search", {"to": "OSL"}),))),
    (
        FLAT,
        dumped("ai", "4", additional_kwargs={"reasoning_content": "2 and 2", "refusal": "not more"}),
        Message("assistant", (Reasoning("2 and 2"), Text("4"), Text("not more"))),
    ),
    (
        FLAT,
        dumped("ai", "4", additional_kwargs={"reasoning": {"summary": [{"type": "summary_text", "text": "2 and 2"}]}}),
        Message("assistant", (Reasoning("2 and 2"), Text("4"))),
    ),
    (  # before there were tool_calls
        FLAT,
        dumped("ai", "", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}),
        Message("assistant", (Text(""), Call(None, "f", "{}", kind="function_call"))),
    ),
    (DICT, {"type": "human", "data": dumped("human", "hi")}, Message("user", (Text("hi"),))),
    (
        DICT,
        {"type": "ai", "data": {"content": "", "tool_calls": [SEARCH]}},
        Message("assistant", (Text(""), Call("c1", "search", {"to": "OSL"}))),
    ),
    (OBJECT, in_object("HumanMessage", content="hi", type="human"), Message("user", (Text("hi"),))),
    (
        OBJECT,
        in_object("ToolMessage", content="4", tool_call_id="c1", status="success"),
        Message("tool", (Result("c1", None, (Text("4"),)),)),
    ),
    (OBJECT, in_object("AIMessageChunk", content=["hi"]), Message("assistant", (Text("hi"),))),
    (  # LangChain's own blocks
        FLAT,
        blocks(
            {"type": "reasoning", "reasoning": "2 and 2"},
            {"type": "text", "text": "4", "annotations": []},
            {"type": "image", "base64": PIXEL, "mime_type": "image/png"},
            {"type": "image", "url": "https://example.org/a.png"},
            {"type": "file", "file_id": "file-1"},
            {"type": "text-plain", "text": "A fjord.", "mime_type": "text/plain", "title": "a.txt"},
            {"type": "tool_call", **SEARCH},
            {"type": "server_tool_call", "id": "s1", "name": "web_search", "args": {"query": "fjord"}},
            {"type": "server_tool_result", "tool_call_id": "s1", "status": "success", "output": [{"a": 1}]},
            {"type": "non_standard", "value": {"type": "refusal", "refusal": "not more"}},
            {"type": "non_standard", "value": {"beam": 7}},
        ),
        Message(
            "assistant",
            (
                Reasoning("2 and 2"),
                Text("4"),
                Media("image", "image/png", PIXEL),
                Media("image", url="https://example.org/a.png"),
                Media("file", url="file-1"),
                Media("file", "text/plain", name="a.txt", text="A fjord."),
                Call("c1", "search", {"to": "OSL"}),
                Call("s1", "web_search", {"query": "fjord"}, is_hosted=True),
                Result("s1", None, (Json([{"a": 1}]),), is_hosted=True),
                Text("not more"),
                Other({"type": "non_standard", "value": {"beam": 7}}),
            ),
        ),
    ),
    (  # those of LangChain before its version 1, and of Google's and Bedrock's integrations
        FLAT,
        blocks(
            {"type": "image", "source_type": "base64", "data": PIXEL, "mime_type": "image/png"},
            {"type": "file", "source_type": "id", "id": "file-1"},
            {"type": "file", "source_type": "text", "text": "A fjord."},
            {"type": "media", "mime_type": "video/mp4", "file_uri": "https://example.org/v.mp4"},
            {"type": "executable_code", "executable_code": "print(4)", "language": "PYTHON"},
            {"type": "code_execution_result", "code_execution_result": "4", "outcome": 1},
            {"type": "reasoning_content", "reasoning_content": {"text": "2 and 2", "signature": "c2ln"}},
        ),
        Message(
            "assistant",
            (
                Media("image", "image/png", PIXEL),
                Media("file", url="file-1"),
                Media("file", text="A fjord."),
                Media("video", "video/mp4", url="https://example.org/v.mp4"),
                Call(None, "code_execution", "print(4)", is_hosted=True),
                Result(None, "code_execution", (Text("4"),), is_hosted=True),
                Reasoning("2 and 2"),
            ),
        ),
    ),
    (  # OpenAI's and Anthropic's
        FLAT,
        blocks(
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "input_file", "file_url": "https://example.org/a.pdf"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "2 and 2"}]},
            {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "query": "fjord"}},
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
            {"type": "hologram", "beam": 7},
            7,
        ),
        Message(
            "assistant",
            (
                Media("image", "image/png", PIXEL),
                Media("file", url="file-1"),
                Media("file", url="https://example.org/a.pdf"),
                Reasoning("2 and 2"),
                Call("ws_1", "web_search", {"type": "search", "query": "fjord"}, is_hosted=True, kind="web_search"),
                Reasoning("hm"),
                Media("image", "image/png", PIXEL),
                Text("hi"),
                Opaque("cache_control"),
                Other({"type": "hologram", "beam": 7}),
                Other(7),
            ),
        ),
    ),
]


@pytest.mark.parametrize(("shape", "message", "expected"), ROWS)
def test_a_message_has_its_normal_form_and_is_written_as_it_was(
    shape: Shape, message: dict[str, Any], expected: Message
) -> None:
    check_row(shape, message, expected)


@settings(deadline=None)
@given(st.one_of([mangled(message) for _, message, _ in ROWS]))
def test_whatever_a_message_holds_is_read_and_written_as_it_was(message: dict[str, Any]) -> None:
    for shape in SHAPES:
        check_any(shape, message)


@pytest.mark.parametrize(
    "message",
    [
        {"role": "user", "content": "hi"},
        {"type": "message", "role": "user", "content": "hi"},
        {"type": "system", "content": "compacted", "subtype": "compact_boundary"},  # Claude Code's
        {"type": "user", "message": {"role": "user", "content": "hi"}},
        {"type": "human", "data": {"text": "hi"}},
        {"lc": 1, "type": "constructor", "id": ["langchain", "prompts", "PromptTemplate"], "kwargs": {"content": "hi"}},
        {"type": ["human"], "content": "hi"},
    ],
)
def test_other_objects_are_no_messages_of_langchain(message: dict[str, Any]) -> None:
    assert not any(shape.is_mine(message) for shape in SHAPES)


REFUSED = {"type": "non_standard", "value": {"type": "refusal", "refusal": "not more"}}
ANSWER = dumped(
    "ai",
    [{"type": "text", "text": "Wait."}, USE],
    tool_calls=[SEARCH],
    invalid_tool_calls=[BROKEN],
    additional_kwargs={"reasoning_content": "hm", "tool_calls": [{"id": "c1"}, {"id": "c2"}]},
)


@pytest.mark.parametrize(
    ("message", "kept", "written"),
    [
        (
            ANSWER,
            [1],
            [
                {
                    **ANSWER,
                    "content": [{"type": "text", "text": "Wait."}],
                    "tool_calls": [],
                    "invalid_tool_calls": [],
                    "additional_kwargs": {"tool_calls": []},
                }
            ],
        ),
        (
            ANSWER,
            [0, 2],
            [
                {
                    **ANSWER,
                    "content": [USE],
                    "invalid_tool_calls": [],
                    "additional_kwargs": {"reasoning_content": "hm", "tool_calls": [{"id": "c1"}]},
                }
            ],
        ),
        (dumped("ai", " ", tool_calls=[SEARCH]), [1], [dumped("ai", "", tool_calls=[SEARCH])]),
        (dumped("tool", "4", tool_call_id="c1"), [], []),
        (blocks(REFUSED, "hi"), [0], [blocks(REFUSED)]),
        (blocks(REFUSED, "hi"), [1], [blocks("hi")]),
        ({"type": "human", "data": dumped("human", "hi")}, [], []),
        (
            in_object("HumanMessage", content=["hi", " "]),
            [0],
            [in_object("HumanMessage", content=["hi"])],
        ),
    ],
)
def test_what_was_taken_out_of_a_message_is_not_written(
    message: dict[str, Any], kept: list[int], written: list[dict[str, Any]]
) -> None:
    shape = recognition.shape_of(message)
    assert shape is not None

    read = shape.read(message)

    assert shape.write(read._replace(parts=tuple(read.parts[each] for each in kept)), []) == written


def flat(kind: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "content": content, "additional_kwargs": {}, "response_metadata": {}, **more}


@pytest.mark.parametrize(
    ("message", "written", "lost"),
    [
        (Message("user", (Text("hi"),), name="ann"), [flat("human", "hi", name="ann")], []),
        (Message("system", (Text("be brief"),)), [flat("system", "be brief")], []),
        (
            Message(
                "assistant",
                (
                    Reasoning("hm"),
                    Text("Wait."),
                    Call("c1", "search", '{"to": "OSL"}'),
                    Call("c2", "f", "{bad"),
                    Call("c3", "patch", "*** Begin", kind="custom"),
                ),
            ),
            [
                flat(
                    "ai",
                    [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "Wait."}],
                    tool_calls=[
                        SEARCH,
                        {"name": "patch", "args": {"__arg1": "*** Begin"}, "id": "c3", "type": "tool_call"},
                    ],
                    invalid_tool_calls=[{**BROKEN, "error": None}],
                )
            ],
            [],
        ),
        (
            Message("user", (Result("c1", "f", (Text("4"),), is_error=True), Instruction("Be brief."), Text("and?"))),
            [
                flat("tool", "4", name="f", tool_call_id="c1", status="error"),
                flat("human", [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "and?"}]),
            ],
            [],
        ),
        (
            Message(
                "user",
                (
                    Media("image", data=PIXEL),
                    Media("audio", "audio/wav", url="https://example.org/a.wav"),
                    Media("file", url="file-1"),
                    Media("file", text="A fjord."),
                ),
            ),
            [
                flat(
                    "human",
                    [
                        {"type": "image", "mime_type": "image/png", "base64": PIXEL},
                        {"type": "audio", "mime_type": "audio/wav", "url": "https://example.org/a.wav"},
                        {"type": "file", "file_id": "file-1"},
                        {"type": "text-plain", "text": "A fjord."},
                    ],
                )
            ],
            [],
        ),
        (
            Message(
                "assistant",
                (
                    Call("s1", "web_search", {"query": "fjord"}, is_hosted=True),
                    Result("s1", None, (Text("found"), Json([4])), is_hosted=True),
                    Reasoning("", {"encrypted": "x"}),
                    Opaque("compaction"),
                    Other({"beam": 7}),
                ),
            ),
            [
                flat(
                    "ai",
                    [
                        {"type": "server_tool_call", "id": "s1", "name": "web_search", "args": {"query": "fjord"}},
                        {
                            "type": "server_tool_result",
                            "tool_call_id": "s1",
                            "status": "success",
                            "output": "found\n[4]",
                        },
                        {"type": "text", "text": '{"beam": 7}'},
                    ],
                )
            ],
            ["reasoning", "compaction", "unknown part"],
        ),
    ],
)
def test_a_message_of_the_normal_form_is_written_and_what_is_lost_is_said(
    message: Message, written: list[dict[str, Any]], lost: Losses
) -> None:
    losses: Losses = []

    assert FLAT.write(message, losses) == written
    assert losses == lost
    assert all(recognition.shape_of(each) is FLAT for each in written)


@pytest.mark.parametrize(
    ("shape", "parts", "written"),
    [
        (DICT, (Text("hi"),), {"type": "human", "data": flat("human", "hi")}),
        (OBJECT, (Text("hi"),), in_object("HumanMessage", **flat("human", "hi"))),
        (
            OBJECT,
            (Result("c1", None, (Text("4"),)),),
            in_object("ToolMessage", **flat("tool", "4", tool_call_id="c1", status="success")),
        ),
    ],
)
def test_a_message_is_written_in_the_form_of_its_history(
    shape: Shape, parts: tuple[Part, ...], written: dict[str, Any]
) -> None:
    assert shape.write(Message("user", parts), []) == [written]
    assert recognition.shape_of(written) is shape
