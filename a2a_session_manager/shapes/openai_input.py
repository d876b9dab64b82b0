"""A message of OpenAI's chat format as the API takes it: what others write into that format is refused there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes.shape import RawMessage, id_or_none, text_for

# Null is refused in these, and so is a list without items.
_OPTIONAL: Final = ("tool_calls", "function_call", "audio", "images", "name")


def as_input(message: RawMessage) -> RawMessage:
    """Return a message as it may be sent, which is itself where nothing of it would be refused."""
    changed = _content_of(message)
    calls = message.get("tool_calls")
    if calls and isinstance(calls, list):
        sent = [_call(each) for each in calls if isinstance(each, Mapping)]
        if len(sent) < len(calls) or any(one is not other for one, other in zip(sent, calls, strict=True)):
            changed["tool_calls"] = sent
    if message.get("role") == "tool" and not isinstance(answered := message.get("tool_call_id"), str):
        changed["tool_call_id"] = id_or_none(answered) or str(message.get("name") or message.get("tool_name") or "")
    if isinstance(sound := message.get("audio"), Mapping) and "id" in sound and len(sound) > 1:
        changed["audio"] = {"id": sound["id"]}
    absent = {key for key in _OPTIONAL if key in message and message[key] in (None, [])}
    if not changed and not absent:
        return message
    return {key: value for key, value in {**message, **changed}.items() if key not in absent}


def _content_of(message: RawMessage) -> RawMessage:
    """Return the content to be sent, under its key; nothing where it stays."""
    content = message.get("content")
    if isinstance(content, str):
        return {}
    if content is None or content == []:
        if message.get("role") == "assistant":
            return {} if content is None else {"content": None}
        return {"content": ""}
    if not isinstance(content, list):
        return {"content": text_for(content)}
    parts = [_part(each) for each in content]
    return {"content": parts} if any(one is not other for one, other in zip(parts, content, strict=True)) else {}


def _part(part: Any) -> Any:
    if not isinstance(part, Mapping):
        return {"type": "text", "text": text_for(part)}
    if isinstance(part.get("type"), str):
        if part["type"] == "text" and not isinstance(part.get("text"), str):
            return {"type": "text", "text": text_for(part)}
        url = part.get("image_url")
        return {**part, "image_url": {"url": url}} if part["type"] == "image_url" and isinstance(url, str) else part
    text = part.get("text")
    return {"type": "text", "text": text if isinstance(text, str) else text_for(part)}


def _call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    changed: dict[str, Any] = {}
    function, call_id = call.get("function"), call.get("id")
    if isinstance(function, Mapping) and not isinstance(function.get("arguments"), str):
        given = function.get("arguments")
        changed["function"] = {**function, "arguments": "{}" if given is None else text_for(given)}
    if isinstance(function, Mapping) and not isinstance(call.get("type"), str):
        changed["type"] = "function"
    if not (isinstance(call_id, str) and call_id) and isinstance(function, Mapping):
        changed["id"] = id_or_none(call_id) or str(function.get("name") or "")
    return {**call, **changed} if changed else call
