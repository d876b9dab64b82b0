"""Messages of Anthropic's format from its documentation, and their normal form."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.shapes.normal_form import (
    Call,
    Media,
    Message,
    Opaque,
    Other,
    Part,
    Reasoning,
    Result,
    Text,
)

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
