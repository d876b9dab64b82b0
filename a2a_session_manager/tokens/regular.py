"""What decides the count of a regular message of the chat format, as nearly all are, without reading it in full."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

# How many texts a message has that is nothing but text: a role and a content. Others have more.
PLAIN: Final = 2

_TEXT_ROLES: Final = frozenset({"system", "developer", "user", "assistant"})


def texts_of(message: Mapping[str, Any]) -> list[str | None] | None:
    """Return all texts that a message consists of; None for any other message.

    It is one of a role and a content, a tool's result, or one with calls of functions. Two messages with the same texts
    say the same.
    """
    role, content = message.get("role"), message.get("content")
    if type(role) is not str or not (type(content) is str or content is None):
        return None
    if len(message) == PLAIN and type(content) is str:
        return [role, content] if role in _TEXT_ROLES else None
    if role == "assistant":
        return _texts_of_calls(message, role, content)
    return _texts_of_result(message, role, content) if role == "tool" and content is not None else None


def _texts_of_result(message: Mapping[str, Any], role: str, content: str) -> list[str | None] | None:
    call_id, name = message.get("tool_call_id"), message.get("name")
    are_texts = (call_id is None or type(call_id) is str) and (name is None or type(name) is str)
    # To count the keys that are not among these takes a third of the time of a look at all of them; so below.
    are_all = len(message) == 2 + ("tool_call_id" in message) + ("name" in message)
    return [role, content, call_id, name] if are_texts and are_all else None


def _texts_of_calls(message: Mapping[str, Any], role: str, content: str | None) -> list[str | None] | None:
    calls = message.get("tool_calls")
    if type(calls) is not list or not calls or len(message) != 3 or "content" not in message:
        return None
    texts = [role, content]
    for call in calls:
        function = call.get("function") if type(call) is dict and len(call) == 3 else None
        if type(function) is not dict or len(function) != 2 or call.get("type") != "function":
            return None
        call_id, name, arguments = call.get("id"), function.get("name"), function.get("arguments")
        if not (type(call_id) is str and type(name) is str and type(arguments) is str):
            return None
        texts += call_id, name, arguments
    return texts
