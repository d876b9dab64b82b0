"""Tool calls and their results as chat messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from a2a_session_manager.context.messages import ChatMessage
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.serialization.values import encode_value, inline_or_thread
from a2a_session_manager.shapes.normal_form import Media, Part, Text
from a2a_session_manager.shapes.recognition import read_message


async def as_text(value: Any, what: str) -> str:
    """Return text as it is and anything else as JSON text, off the loop when it is heavy. Raises InvalidEvent."""
    if isinstance(value, str):
        return value
    data = await inline_or_thread(lambda check: encode_value(value, check, what), DEFAULT_LIMITS)
    return data.decode()


async def as_content(result: Any) -> str | list[Any]:
    """Return a list of content parts, such as texts and pictures, as it is; anything else as `as_text` does."""
    if isinstance(result, list) and result and all(map(_is_part, result)):
        return result
    return await as_text(result, "result")


def call_message(name: str, arguments: str, call_id: str) -> ChatMessage:
    """Return the assistant's message that calls one tool; `arguments` are JSON text."""
    call = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def result_message(name: str, content: str | list[Any], call_id: str) -> ChatMessage:
    """Return the tool's answer to a call; `content` is a text, or content parts."""
    return {"role": "tool", "tool_call_id": call_id, "name": name, "content": content}


def _is_part(value: Any) -> bool:
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        return False
    parts = read_message({"role": "user", "content": [value]}).parts
    return bool(parts) and all(map(_says_something, parts))


def _says_something(part: Part) -> bool:
    """Tell whether this is text, or media that are there; a list of files is made of objects with a type, too."""
    if isinstance(part, Media):
        return (part.data or part.url or part.text) is not None
    return isinstance(part, Text)
