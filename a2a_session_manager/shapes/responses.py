"""The items of OpenAI's Responses, as they go in and as they come out.

A message of a role and a text alone is read as OpenAI's chat format: there it is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import Call, Instruction, Media, Message, Opaque, Part, Reasoning, Result
from a2a_session_manager.shapes.provider_keys import responses
from a2a_session_manager.shapes.responses_content import read_content, write_content, write_parts
from a2a_session_manager.shapes.responses_items import RESULT_KEYS, is_item, read_item
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    Shape,
    content_again,
    data_url,
    mappings,
    role_named,
    text_for,
)
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "responses"

_MARKS: Final = frozenset({"input_text", "input_image", "input_file", "output_text"})
_CONTENT_TYPES: Final = frozenset({*_MARKS, "refusal", "input_audio", "summary_text", "reasoning_text"})
# A computer's output has to be a picture. Where there is none, as for a call that was interrupted, it is of one pixel.
_PIXEL: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def _is_mine(message: Mapping[str, Any]) -> bool:
    kind, content = message.get("type"), message.get("content")
    if kind is None:
        is_one = isinstance(content, list) and isinstance(message.get("role"), str)
        return is_one and not _MARKS.isdisjoint(_types(content))
    if not isinstance(kind, str):
        return False
    if kind != "message":
        return is_item(kind) and (message.get("role") is None or kind == "additional_tools")
    # Anthropic's answers call themselves messages, too.
    if not isinstance(message.get("role"), str) or not isinstance(content, str | list) or "stop_reason" in message:
        return False
    types = _types(content)
    return not types or not _CONTENT_TYPES.isdisjoint(types)


def _types(content: Any) -> set[str]:
    return {part["type"] for part in mappings(content) if isinstance(part.get("type"), str)}


def _read(message: Mapping[str, Any]) -> Message:
    kind = message.get("type")
    if kind is not None and kind != "message":
        role, parts = read_item(message)
    else:
        role, parts = role_named(message.get("role")), read_content(message.get("content"))
    return Message(role, tuple(parts), NAME, None, message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message, losses)
    if message.name is not None and message.role != "tool":
        losses.append("name")
    items: list[RawMessage] = []
    said: list[Part] = []
    for part in message.parts:
        if isinstance(part, Instruction | Reasoning | Call | Result | Opaque):
            items += _message_items(message.role, said, losses)
            made = _item(part, losses, is_own=message.shape == NAME)
            items += (each for each in made if not items or each is not items[-1])  # a hosted call with its result
            said = []
        else:
            said.append(part)
    return [*items, *_message_items(message.role, said, losses)]


SHAPE: Final = Shape(NAME, _is_mine, _read, _write, splits_answers=True, unread=partial(unread, reads=responses))


def _written_again(message: Message, losses: Losses) -> list[RawMessage]:
    """Return an item, without the parts that were taken out of it."""
    item: RawMessage = message.raw
    if item.get("type") in (None, "message"):
        content, is_output = item.get("content"), message.role == "assistant"
        written = content_again(content, message.parts, lambda part: write_parts([part], losses, is_output=is_output))
        return [item] if written is content else [{**item, "content": written}] if written else []
    if len(message.parts) == len(_read(item).parts):
        return [item]
    if any(isinstance(part, Call) for part in message.parts):
        return [{**item, **{key: None for key in RESULT_KEYS if key in item}}]
    return []


def _message_items(role: str, parts: Sequence[Part], losses: Losses) -> list[RawMessage]:
    """Return what is said as a message; what a model has said as one for each text.

    A list of texts is a model's only with the id that OpenAI gave to it.
    """
    if role == "assistant":
        contents: list[Any] = [each["text"] for each in write_parts(parts, losses, is_output=True)]
    else:
        contents = [write_content(parts, losses)]
    role = role if role in ("system", "assistant") else "user"
    return [{"type": "message", "role": role, "content": content} for content in contents if content]


def _item(part: Part, losses: Losses, *, is_own: bool) -> list[RawMessage]:
    """Return the item that a part makes; the one that it was read from, where it `is_own`."""
    if is_own and isinstance(getattr(part, "raw", None), dict) and not isinstance(part, Instruction):
        return [part.raw]
    if isinstance(part, Instruction):
        return _message_items("system", [part], losses)
    if isinstance(part, Call) and not part.is_hosted:
        return [_call_item(part)]
    if isinstance(part, Result) and not part.is_hosted:
        return [_output_item(part, losses)]
    if isinstance(part, Call):
        losses.append(f"hosted call {part.name}")
    elif isinstance(part, Result):
        losses.append(f"hosted result {part.name or ''}".rstrip())
    elif isinstance(part, Reasoning) and (part.text or part.raw):
        losses.append("reasoning")
    elif isinstance(part, Opaque):
        losses.append(part.what)
    return []


def _call_item(call: Call) -> RawMessage:
    call_id = call.id or call.name
    if call.kind == "custom":
        given = text_for("" if call.arguments is None else call.arguments)
        return {"type": "custom_tool_call", "call_id": call_id, "name": call.name, "input": given}
    arguments = "{}" if call.arguments is None else text_for(call.arguments)
    return {"type": "function_call", "call_id": call_id, "name": call.name, "arguments": arguments}


def _output_item(result: Result, losses: Losses) -> RawMessage:
    kind, call_id = result.kind, result.call_id or result.name or ""
    if kind == "computer":
        return {"type": "computer_call_output", "call_id": call_id, "output": _screenshot(result, losses)}
    output = write_content(result.content, losses)
    if kind == "custom":
        return {"type": "custom_tool_call_output", "call_id": call_id, "output": output}
    said = text_for(output)
    if kind == "local_shell":
        return {"type": "local_shell_call_output", "id": call_id, "output": said}
    if kind == "shell":
        ended = {"type": "exit", "exit_code": 1 if result.is_error else 0}
        streams = {"stdout": said, "stderr": "", "outcome": ended}
        return {"type": "shell_call_output", "call_id": call_id, "output": [streams]}
    if kind == "apply_patch":
        status = "failed" if result.is_error else "completed"
        return {"type": "apply_patch_call_output", "call_id": call_id, "status": status, "output": said}
    if kind == "mcp_approval":  # What no user has answered is not approved.
        return {"type": "mcp_approval_response", "approval_request_id": call_id, "approve": False, "reason": said}
    if kind == "tool_search":
        return {"type": "tool_search_output", "call_id": call_id, "execution": "client", "tools": []}
    name = {} if result.name is None else {"name": result.name}
    return {"type": "function_call_output", "call_id": call_id, **name, "output": output}


def _screenshot(result: Result, losses: Losses) -> RawMessage:
    pictures = [part for part in result.content if isinstance(part, Media) and part.kind == "image"]
    if len(pictures) < len(result.content):
        losses.append("text of a computer's output")
    url = data_url(pictures[-1]) if pictures else None
    return {"type": "computer_screenshot", "image_url": url or _PIXEL}
