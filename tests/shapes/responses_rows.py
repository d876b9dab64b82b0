"""Items of OpenAI's Responses from its documentation, and their normal form."""

from __future__ import annotations

from typing import Any

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

PIXEL = "iVBORw0KGgo="
PICTURE = f"data:image/png;base64,{PIXEL}"
SEARCH = {"type": "function_call", "call_id": "c1", "name": "search", "arguments": '{"to": "OSL"}'}
ANSWER: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "phase": "final_answer",
    "content": [
        {"type": "output_text", "text": "120 EUR", "annotations": [], "logprobs": None},
        {"type": "refusal", "refusal": "not more"},
    ],
}
CODE = {
    "id": "ci_1",
    "type": "code_interpreter_call",
    "status": "completed",
    "container_id": "cntr_1",
    "code": "print(4)",
    "outputs": [{"type": "logs", "logs": "4"}, {"type": "image", "url": "https://example.org/plot.png"}],
}
THOUGHT = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "2 and 2"}],
    "encrypted_content": "gAAAAA",
}


def kinds(call_type: str, kind: str, name: str, key: str, given: Any, output: dict[str, Any], *said: Part) -> list[Any]:
    call = {"type": f"{call_type}_call", "id": "i1", "call_id": "c1", key: given, "status": "completed"}
    answer = {"type": f"{call_type}_call_output", "call_id": "c1", **output}
    return [
        (call, Message("assistant", (Call("c1", name, given, kind=kind),))),
        (answer, Message("tool", (Result("c1", None, said, kind=kind),))),
    ]


ROWS: list[tuple[dict[str, Any], Message]] = [
    ({"type": "message", "role": "user", "content": "hi"}, Message("user", (Text("hi"),))),
    (
        {"role": "developer", "content": [{"type": "input_text", "text": "be brief"}]},
        Message("system", (Text("be brief"),)),
    ),
    (
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is this?"},
                {"type": "input_image", "detail": "auto", "image_url": PICTURE},
                {"type": "input_image", "detail": "low", "file_id": "file-1", "image_url": None},
                {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
                {"type": "input_file", "filename": "b.pdf", "file_data": "JVBERi0="},
                {"type": "input_file", "file_url": "https://example.org/a.pdf"},
                {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                {"type": "input_hologram", "hologram": 7},
            ],
        },
        Message(
            "user",
            (
                Text("What is this?"),
                Media("image", "image/png", PIXEL),
                Media("image", url="file-1"),
                Media("file", "application/pdf", "JVBERi0=", name="a.pdf"),
                Media("file", data="JVBERi0=", name="b.pdf"),
                Media("file", url="https://example.org/a.pdf"),
                Media("audio", "audio/wav", "UklGRg=="),
                Other({"type": "input_hologram", "hologram": 7}),
            ),
        ),
    ),
    (ANSWER, Message("assistant", (Text("120 EUR"), Text("not more")))),
    ({"id": "m", "type": "message", "role": "assistant", "content": []}, Message("assistant", ())),
    (SEARCH, Message("assistant", (Call("c1", "search", '{"to": "OSL"}'),))),
    (  # as the SDK dumps it
        {**SEARCH, "id": "fc_1", "status": "completed", "async_": None, "caller": None, "namespace": None},
        Message("assistant", (Call("c1", "search", '{"to": "OSL"}'),)),
    ),
    (
        {"type": "function_call_output", "call_id": "c1", "output": "120 EUR"},
        Message("tool", (Result("c1", None, (Text("120 EUR"),)),)),
    ),
    (
        {
            "type": "function_call_output",
            "call_id": "c1",
            "name": "shot",
            "output": [{"type": "input_text", "text": "Here."}, {"type": "input_image", "image_url": PICTURE}],
        },
        Message("tool", (Result("c1", "shot", (Text("Here."), Media("image", "image/png", PIXEL))),)),
    ),
    (
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "patch", "input": "*** Begin"},
        Message("assistant", (Call("c2", "patch", "*** Begin", kind="custom"),)),
    ),
    (
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"},
        Message("tool", (Result("c2", None, (Text("done"),), kind="custom"),)),
    ),
    *kinds(
        "computer",
        "computer",
        "computer",
        "action",
        {"type": "click", "x": 1, "y": 2},
        {"output": {"type": "computer_screenshot", "image_url": PICTURE}},
        Media("image", "image/png", PIXEL),
    ),
    *kinds("local_shell", "local_shell", "local_shell", "action", {"command": ["ls"]}, {"output": "a"}, Text("a")),
    *kinds(
        "shell",
        "shell",
        "shell",
        "action",
        {"commands": ["ls"]},
        {"output": [{"stdout": "a", "stderr": "b", "outcome": {"type": "exit", "exit_code": 0}}]},
        Text("a"),
        Text("b"),
        Json({"type": "exit", "exit_code": 0}),
    ),
    *kinds(
        "apply_patch",
        "apply_patch",
        "apply_patch",
        "operation",
        {"type": "delete_file", "path": "a"},
        {"status": "completed", "output": "gone"},
        Text("gone"),
    ),
    (
        {"type": "local_shell_call_output", "id": "c1", "output": "a"},
        Message("tool", (Result("c1", None, (Text("a"),), kind="local_shell"),)),
    ),
    (
        {"type": "apply_patch_call_output", "call_id": "c1", "status": "failed", "output": None},
        Message("tool", (Result("c1", None, (), is_error=True, kind="apply_patch"),)),
    ),
    (
        {"type": "computer_call", "id": "i", "call_id": "c1", "actions": [{"type": "wait"}]},
        Message("assistant", (Call("c1", "computer", [{"type": "wait"}], kind="computer"),)),
    ),
    (THOUGHT, Message("assistant", (Reasoning("2 and 2"),))),
    (
        {
            "id": "rs_2",
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "2 and"}, {"type": "reasoning_text", "text": "2"}],
        },
        Message("assistant", (Reasoning("2 and\n2"),)),
    ),
    ({"id": "rs_3", "type": "reasoning", "summary": []}, Message("assistant", (Reasoning(""),))),
    (
        {"id": "ws_1", "type": "web_search_call", "action": {"type": "search", "query": "fjord"}},
        Message(
            "assistant",
            (Call("ws_1", "web_search", {"type": "search", "query": "fjord"}, is_hosted=True, kind="web_search"),),
        ),
    ),
    (
        {
            "id": "fs_1",
            "type": "file_search_call",
            "queries": ["fjord"],
            "results": [{"file_id": "f", "filename": "a.txt", "score": 0.9, "text": "A fjord is deep."}],
        },
        Message(
            "assistant",
            (
                Call("fs_1", "file_search", ["fjord"], is_hosted=True, kind="file_search"),
                Result("fs_1", "file_search", (Text("A fjord is deep."),), is_hosted=True, kind="file_search"),
            ),
        ),
    ),
    (
        CODE,
        Message(
            "assistant",
            (
                Call("ci_1", "code_interpreter", "print(4)", is_hosted=True, kind="code_interpreter"),
                Result(
                    "ci_1",
                    "code_interpreter",
                    (Text("4"), Media("image", url="https://example.org/plot.png")),
                    is_hosted=True,
                    kind="code_interpreter",
                ),
            ),
        ),
    ),
    (
        {
            "id": "ig_1",
            "type": "image_generation_call",
            "output_format": "webp",
            "result": PIXEL,
            "revised_prompt": "a",
        },
        Message(
            "assistant",
            (
                Call("ig_1", "image_generation", "a", is_hosted=True, kind="image_generation"),
                Result(
                    "ig_1",
                    "image_generation",
                    (Media("image", "image/webp", PIXEL),),
                    is_hosted=True,
                    kind="image_generation",
                ),
            ),
        ),
    ),
    (
        {"id": "mcp_1", "type": "mcp_call", "server_label": "s", "name": "f", "arguments": "{}", "error": "no"},
        Message(
            "assistant",
            (
                Call("mcp_1", "f", "{}", is_hosted=True, kind="mcp"),
                Result("mcp_1", "f", (Text("no"),), is_error=True, is_hosted=True, kind="mcp"),
            ),
        ),
    ),
    (
        {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "f", "input_schema": {}}]},
        Message(
            "assistant",
            (
                Call("mcpl_1", "mcp_list_tools", "s", is_hosted=True, kind="mcp_list_tools"),
                Result(
                    "mcpl_1",
                    "mcp_list_tools",
                    (Json([{"name": "f", "input_schema": {}}]),),
                    is_hosted=True,
                    kind="mcp_list_tools",
                ),
            ),
        ),
    ),
    (
        {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "s", "name": "f", "arguments": "{}"},
        Message(
            "assistant",
            (
                Call(
                    "mcpr_1",
                    "mcp_approval_request",
                    {"server_label": "s", "name": "f", "arguments": "{}"},
                    kind="mcp_approval",
                ),
            ),
        ),
    ),
    (
        {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True},
        Message("tool", (Result("mcpr_1", None, (Json({"approve": True}),), kind="mcp_approval"),)),
    ),
    (
        {"type": "tool_search_call", "execution": "client", "call_id": "c1", "arguments": {"goal": "fly"}},
        Message("assistant", (Call("c1", "tool_search", {"goal": "fly"}, kind="tool_search"),)),
    ),
    (
        {"type": "tool_search_call", "execution": "server", "id": "ts_1", "call_id": None, "arguments": {"paths": []}},
        Message("assistant", (Call("ts_1", "tool_search", {"paths": []}, is_hosted=True, kind="tool_search"),)),
    ),
    (
        {"type": "tool_search_output", "execution": "client", "call_id": "c1", "tools": [{"name": "f"}]},
        Message("tool", (Result("c1", None, (Json([{"name": "f"}]),), kind="tool_search"),)),
    ),
    (
        {"type": "tool_search_output", "execution": "server", "call_id": None, "id": "ts_1", "tools": []},
        Message("assistant", (Result("ts_1", None, (Json([]),), is_hosted=True, kind="tool_search"),)),
    ),
    (
        {"type": "program", "id": "p", "call_id": "c1", "code": "f()", "fingerprint": "x"},
        Message("assistant", (Call("c1", "program", "f()", is_hosted=True, kind="program"),)),
    ),
    (
        {"type": "program_output", "id": "p2", "call_id": "c1", "result": "4", "status": "completed"},
        Message("assistant", (Result("c1", None, (Text("4"),), is_hosted=True, kind="program"),)),
    ),
    (
        {"type": "additional_tools", "role": "developer", "tools": [{"type": "function", "name": "f"}]},
        Message("system", (Json([{"type": "function", "name": "f"}]),)),
    ),
    ({"id": "msg_1", "type": "item_reference"}, Message("assistant", (Opaque("item_reference"),))),
    (
        {"id": "cmp_1", "type": "compaction", "encrypted_content": "gAAAAA"},
        Message("assistant", (Opaque("compaction"),)),
    ),
    (  # none that is known today
        {"id": "h_1", "type": "hologram_call", "beam": 7},
        Message("assistant", (Other({"id": "h_1", "type": "hologram_call", "beam": 7}),)),
    ),
]
