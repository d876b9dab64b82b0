"""What decides the count of regular messages of the chat format, as nearly all are, without reading them in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

# How many texts a message has that is nothing but text: a role and a content. Others have more.
PLAIN: Final = 2

_TEXT_ROLES: Final = frozenset({"system", "developer", "user", "assistant"})


def texts_of(messages: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """Return all texts that messages consist of, one after the other; None if any message is not regular.

    A regular one is of a role and a content, a tool's result, or one with calls of functions. Messages with the same
    texts say the same, as the word before some texts tells how many of them there are.
    """
    texts: list[str] = []
    try:
        for message in messages:
            role, content = message["role"], message["content"]
            # With so many keys as are looked at, a message has no others; to look at all takes three times as long.
            if len(message) == PLAIN and type(content) is str and type(role) is str and role in _TEXT_ROLES:
                texts += role, content
            elif not (_add_calls if role == "assistant" else _add_result)(texts, message, content):
                return None
    except KeyError:
        return None
    return texts


def _add_result(texts: list[str], message: Mapping[str, Any], content: object) -> bool:
    """Add the texts of a tool's result; tell whether it is a regular one."""
    call_id = message["tool_call_id"]
    if message["role"] != "tool" or not (type(content) is str and type(call_id) is str):
        return False
    if len(message) == 3:
        texts += "result", content, call_id
        return True
    name = message["name"]
    if len(message) != 4 or type(name) is not str:
        return False
    texts += "named result", content, call_id, name
    return True


def _add_calls(texts: list[str], message: Mapping[str, Any], content: object) -> bool:
    """Add the texts of a message with calls; tell whether it is a regular one."""
    calls = message["tool_calls"]
    if type(calls) is not list or not calls or len(message) != 3:
        return False
    if type(content) is str:
        texts += "assistant", content
    elif content is None:
        texts.append("silent assistant")
    else:
        return False
    for call in calls:
        function = call["function"] if type(call) is dict and len(call) == 3 else None
        if type(function) is not dict or len(function) != 2 or call["type"] != "function":
            return False
        call_id, name, arguments = call["id"], function["name"], function["arguments"]
        if not (type(call_id) is str and type(name) is str and type(arguments) is str):
            return False
        texts += "call", call_id, name, arguments
    return True
