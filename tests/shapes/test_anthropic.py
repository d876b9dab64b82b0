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
from tests.shapes.checks import check_any, check_row, mangled

PIXEL = "iVBORw0KGgo="
CACHED = {"type": "ephemeral"}
THINKING = {"type": "thinking", "thinking": "The user wants a price.", "signature": "EqoB"}
REDACTED = {"type": "redacted_thinking", "data": "EmwK"}
USE = {"type": "tool_use", "id": "toolu_1", "name": "price", "input": {"to": "OSL"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "120 EUR"}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "Oslo"}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "srvtoolu_1",
    "content": [
        {
            "type": "web_search_result",
            "title": "Oslo",
            "url": "https://example.org/oslo",
            "encrypted_content": "Eo8B",
            "page_age": None,
        }
    ],
}
DUMP: dict[str, Any] = {
    "id": "msg_1",
    "container": None,
    "type": "message",
    "role": "assistant",
    "model": "claude-opus-4-8",
    "content": [
        THINKING,
        {"citations": None, "text": "Wait.", "type": "text"},
        {"id": "toolu_1", "caller": None, "input": {"to": "OSL"}, "name": "price", "type": "tool_use"},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 4},
}


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def hosted(name: str, *content: Part, is_error: bool = False) -> Result:
    return Result("srvtoolu_1", name, content, is_error, is_hosted=True)


def hosted_block(kind: str, content: Any) -> dict[str, Any]:
    return {"type": kind, "tool_use_id": "srvtoolu_1", "content": content}


ROWS: list[tuple[dict[str, Any], Message]] = [
    (
        assistant(THINKING, REDACTED, {"type": "text", "text": "Wait."}, USE),
        Message(
            "assistant",
            (Reasoning(THINKING["thinking"]), Reasoning(""), Text("Wait."), Call("toolu_1", "price", {"to": "OSL"})),
        ),
    ),
    (user(RESULT), Message("tool", (Result("toolu_1", None, (Text("120 EUR"),)),))),
    (
        user({**RESULT, "cache_control": CACHED}),
        Message("tool", (Result("toolu_1", None, (Text("120 EUR"),)), Opaque("cache_control"))),
    ),
    (
        user(
            {
                "type": "tool_result",
                "tool_use_id": "toolu_1",
                "is_error": True,
                "content": [
                    {"type": "text", "text": "no such file"},
                    IMAGE,
                    {"type": "tool_reference", "tool_name": "grep"},
                    {"type": "browser_state", "tabs": []},
                ],
            },
            {"type": "text", "text": "Go on"},
        ),
        Message(
            "user",
            (
                Result(
                    "toolu_1",
                    None,
                    (
                        Text("no such file"),
                        Media("image", "image/png", PIXEL),
                        Text("grep"),
                        Other({"type": "browser_state", "tabs": []}),
                    ),
                    is_error=True,
                ),
                Text("Go on"),
            ),
        ),
    ),
    (user({"type": "tool_result", "tool_use_id": "toolu_1"}), Message("tool", (Result("toolu_1", None),))),
    (
        user({"type": "text", "text": "long", "cache_control": CACHED}),
        Message("user", (Text("long"), Opaque("cache_control"))),
    ),
    (
        user(
            IMAGE,
            {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}},
        ),
        Message(
            "user",
            (
                Media("image", "image/png", PIXEL),
                Media("image", url="https://example.org/a.png"),
                Media("image", url="file_1"),
            ),
        ),
    ),
    (
        user(
            {
                "type": "document",
                "title": "Report",
                "context": "from 2025",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            },
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "text", "text": "more"}, IMAGE]},
                "citations": {"enabled": True},
            },
            {"type": "document", "source": {"type": "content", "content": "as text"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_2"}},
            {"type": "container_upload", "file_id": "file_3"},
            {
                "type": "search_result",
                "source": "https://example.org/doc",
                "title": "Doc",
                "content": [{"type": "text", "text": "found"}],
            },
        ),
        Message(
            "user",
            (
                Media("file", "application/pdf", "JVBERi0=", name="Report"),
                Text("from 2025"),
                Media("file", "text/plain", text="words"),
                Media("file", "text/plain", text="more"),
                Media("image", "image/png", PIXEL),
                Media("file", "text/plain", text="as text"),
                Media("file", url="file_2"),
                Media("file", url="file_3"),
                Media("file", "text/plain", name="Doc", text="Doc\nhttps://example.org/doc\nfound"),
            ),
        ),
    ),
    (
        assistant(SEARCH, FOUND, {"type": "text", "text": "Cold.", "citations": [{"type": "char_location"}]}),
        Message(
            "assistant",
            (
                Call("srvtoolu_1", "web_search", {"query": "Oslo"}, is_hosted=True),
                hosted("web_search", Text("Oslo"), Text("https://example.org/oslo")),
                Text("Cold."),
                Opaque("citations"),
            ),
        ),
    ),
    (
        assistant(
            hosted_block(
                "web_search_tool_result", {"type": "web_search_tool_result_error", "error_code": "unavailable"}
            ),
            hosted_block(
                "web_fetch_tool_result",
                {
                    "type": "web_fetch_result",
                    "url": "https://example.org/a",
                    "content": {
                        "type": "document",
                        "title": "A",
                        "source": {"type": "text", "media_type": "text/plain", "data": "page"},
                    },
                },
            ),
            hosted_block(
                "bash_code_execution_tool_result",
                {
                    "type": "bash_code_execution_result",
                    "stdout": "a.txt",
                    "stderr": "",
                    "return_code": 0,
                    "content": [{"type": "bash_code_execution_output", "file_id": "file_4"}],
                },
            ),
            hosted_block(
                "code_execution_tool_result",
                {"type": "code_execution_result", "stdout": "", "stderr": "", "return_code": 0, "content": []},
            ),
            hosted_block(
                "text_editor_code_execution_tool_result",
                {"type": "text_editor_code_execution_view_result", "content": "def f(): ...", "file_type": "text"},
            ),
            hosted_block(
                "text_editor_code_execution_tool_result",
                {"type": "text_editor_code_execution_str_replace_result", "lines": ["-a", "+b"]},
            ),
            hosted_block(
                "tool_search_tool_result",
                {
                    "type": "tool_search_tool_search_result",
                    "tool_references": [{"type": "tool_reference", "tool_name": "grep"}],
                },
            ),
            hosted_block("advisor_tool_result", {"type": "advisor_result", "text": "Try again"}),
            hosted_block("mcp_tool_result", [{"type": "text", "text": "done"}]),
            hosted_block("oracle_tool_result", {"prophecy": "rain"}),
        ),
        Message(
            "assistant",
            (
                hosted("web_search", Text("unavailable"), is_error=True),
                hosted("web_fetch", Text("https://example.org/a"), Media("file", "text/plain", name="A", text="page")),
                hosted("bash_code_execution", Text("a.txt"), Media("file", url="file_4")),
                hosted("code_execution"),
                hosted("text_editor_code_execution", Text("def f(): ...")),
                hosted("text_editor_code_execution", Text("-a"), Text("+b")),
                hosted("tool_search", Text("grep")),
                hosted("advisor", Text("Try again")),
                hosted("mcp", Text("done")),
                hosted("oracle", Other({"prophecy": "rain"})),
            ),
        ),
    ),
    (
        assistant(
            {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "s", "input": {}},
            {"type": "compaction", "content": "They spoke of Oslo."},
            {"type": "compaction", "content": None},
            {"type": "hologram", "hologram": 7},
        ),
        Message(
            "assistant",
            (
                Call("mcptoolu_1", "echo", {}, is_hosted=True),
                Text("They spoke of Oslo."),
                Opaque("compaction"),
                Other({"type": "hologram", "hologram": 7}),
            ),
        ),
    ),
    (
        {"role": "system", "content": [{"type": "text", "text": "be brief", "cache_control": CACHED}]},
        Message("system", (Text("be brief"), Opaque("cache_control"))),
    ),
    (
        DUMP,
        Message(
            "assistant",
            (Reasoning(THINKING["thinking"]), Text("Wait."), Call("toolu_1", "price", {"to": "OSL"})),
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
