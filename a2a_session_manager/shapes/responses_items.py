"""The items of OpenAI's Responses that are no messages: calls, outputs, thoughts, and what OpenAI itself ran."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from a2a_session_manager.shapes.normal_form import Call, Json, Media, Opaque, Other, Part, Reasoning, Result, Role, Text
from a2a_session_manager.shapes.responses_content import read_content
from a2a_session_manager.shapes.shape import mappings, media_at, text_or_none, type_of


class _Called(NamedTuple):
    """How a call item is read: the tool's name where the item names none, and where arguments stand."""

    name: str
    arguments: str
    is_hosted: bool = False


# Whether a tool search is the user's to answer, the item itself says.
_CALLS: Final[Mapping[str, _Called]] = {
    "function_call": _Called("", "arguments"),
    "custom_tool_call": _Called("", "input"),
    "computer_call": _Called("computer", "action"),
    "local_shell_call": _Called("local_shell", "action"),
    "shell_call": _Called("shell", "action"),
    "apply_patch_call": _Called("apply_patch", "operation"),
    "tool_search_call": _Called("tool_search", "arguments"),
    "web_search_call": _Called("web_search", "action", is_hosted=True),
    "file_search_call": _Called("file_search", "queries", is_hosted=True),
    "code_interpreter_call": _Called("code_interpreter", "code", is_hosted=True),
    "image_generation_call": _Called("image_generation", "revised_prompt", is_hosted=True),
    "mcp_call": _Called("", "arguments", is_hosted=True),
    "mcp_list_tools": _Called("mcp_list_tools", "server_label", is_hosted=True),
    "program": _Called("program", "code", is_hosted=True),
}
_OUTPUTS: Final = frozenset(
    {
        "function_call_output",
        "custom_tool_call_output",
        "computer_call_output",
        "local_shell_call_output",
        "shell_call_output",
        "apply_patch_call_output",
        "tool_search_output",
        "program_output",
    }
)
_OPAQUE: Final = frozenset(
    {"compaction", "compaction_summary", "compaction_trigger", "configuration_update", "item_reference"}
)
_APPROVALS: Final = frozenset({"mcp_approval_request", "mcp_approval_response"})
_ITEMS: Final = frozenset({*_CALLS, *_OUTPUTS, *_OPAQUE, *_APPROVALS, "reasoning", "additional_tools"})
# What hosted tools brought, in the item of the call itself.
RESULT_KEYS: Final = ("outputs", "results", "result", "output", "error")


def is_item(kind: str) -> bool:
    """Tell whether an item of that type is one of these, also one that is not known yet."""
    return kind in _ITEMS or kind.endswith(("_call", "_call_output"))


def read_item(item: Mapping[str, Any]) -> tuple[Role, list[Part]]:
    """Return who speaks in an item that `is_item` knows, and what it says."""
    kind = type_of(item) or ""
    if kind in _CALLS:
        return "assistant", _call_in(kind, item)
    if kind in _OUTPUTS:
        result = _result_in(kind, item)
        return ("assistant" if result.is_hosted else "tool"), [result]
    if kind == "reasoning":
        return "assistant", [Reasoning(_thoughts_in(item), item)]
    if kind in _APPROVALS:
        return _approval_in(kind, item)
    if kind == "additional_tools":
        return "system", [Json(item.get("tools"), item)]
    if kind in _OPAQUE:
        return "assistant", [Opaque(kind, item)]
    return ("tool" if kind.endswith("_output") else "assistant"), [Other(item)]


def _call_in(kind: str, item: Mapping[str, Any]) -> list[Part]:
    called = _CALLS[kind]
    is_hosted = called.is_hosted or (kind == "tool_search_call" and item.get("execution") != "client")
    call_id = text_or_none(item.get("call_id")) or text_or_none(item.get("id"))
    name = called.name or str(item.get("name") or "")
    arguments = item.get(called.arguments)
    if kind == "computer_call" and arguments is None:
        arguments = item.get("actions")
    call = Call(call_id, name, arguments, is_hosted, None if kind == "function_call" else _kind_of(kind), item)
    brought = _brought_by(kind, item) if is_hosted else ()
    if not brought:
        return [call]
    is_error = kind == "mcp_call" and bool(item.get("error"))
    return [call, Result(call_id, name, brought, is_error, is_hosted=True, kind=call.kind, raw=item)]


def _brought_by(kind: str, item: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return what a hosted tool brought."""
    if kind == "file_search_call":
        found = mappings(item.get("results"))
        return tuple(Text(each["text"], each) if isinstance(each.get("text"), str) else Other(each) for each in found)
    if kind == "code_interpreter_call":
        return tuple(map(_output_of_code, mappings(item.get("outputs"))))
    if kind == "image_generation_call" and text_or_none(item.get("result")):
        mime_type = f"image/{text_or_none(item.get('output_format')) or 'png'}"
        return (Media("image", mime_type, item["result"], raw=item),)
    if kind == "mcp_call":
        given = (item.get("output"), item.get("error"))
        return tuple(Text(each, each) if isinstance(each, str) else Json(each, each) for each in given if each)
    if kind == "mcp_list_tools" and item.get("tools"):
        return (Json(item["tools"], item),)
    return ()


def _output_of_code(output: Mapping[str, Any]) -> Part:
    if isinstance(output.get("logs"), str):
        return Text(output["logs"], output)
    return media_at(output["url"], "image", raw=output) if isinstance(output.get("url"), str) else Other(output)


def _result_in(kind: str, item: Mapping[str, Any]) -> Result:
    call_id = text_or_none(item.get("call_id")) or text_or_none(item.get("id"))
    is_hosted = kind == "program_output" or (kind == "tool_search_output" and item.get("execution") != "client")
    is_error = kind == "apply_patch_call_output" and item.get("status") == "failed"
    content = tuple(_content_of(kind, item))
    call_kind = None if kind == "function_call_output" else _kind_of(kind)
    return Result(call_id, text_or_none(item.get("name")), content, is_error, is_hosted, call_kind, item)


def _content_of(kind: str, item: Mapping[str, Any]) -> list[Part]:
    if kind == "tool_search_output":
        return [Json(item.get("tools"), item)]
    if kind == "program_output":
        return read_content(item.get("result"))
    output = item.get("output")
    if kind == "shell_call_output" and isinstance(output, list):
        return [part for each in output for part in _said_by_a_shell(each)]
    return read_content([output] if isinstance(output, Mapping) else output)


def _said_by_a_shell(output: Any) -> list[Part]:
    if not isinstance(output, Mapping):
        return [Other(output)]
    found = (output.get(key) for key in ("stdout", "stderr"))
    texts: list[Part] = [Text(text, output) for text in found if isinstance(text, str) and text]
    return [*texts, Json(output["outcome"], output)] if output.get("outcome") else texts


def _thoughts_in(item: Mapping[str, Any]) -> str:
    parts = [part for key in ("summary", "content") for part in read_content(item.get(key))]
    return "\n".join(part.text for part in parts if isinstance(part, Text))


def _approval_in(kind: str, item: Mapping[str, Any]) -> tuple[Role, list[Part]]:
    """Return a request for the approval of a hosted tool as a call that is the user's to answer, and their answer."""
    if kind == "mcp_approval_request":
        arguments = {key: item.get(key) for key in ("server_label", "name", "arguments")}
        return "assistant", [Call(text_or_none(item.get("id")), kind, arguments, kind="mcp_approval", raw=item)]
    answer = Json({key: item[key] for key in ("approve", "reason") if key in item}, item)
    call_id = text_or_none(item.get("approval_request_id"))
    return "tool", [Result(call_id, None, (answer,), kind="mcp_approval", raw=item)]


def _kind_of(item_type: str) -> str:
    """Return the kind of tool that an item's type names."""
    return item_type.removesuffix("_output").removesuffix("_call").removesuffix("_tool")
