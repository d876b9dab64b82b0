"""Chat messages as tokens: their texts, and what the chat format puts around them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from a2a_session_manager.tokens.token_count import Basis, TokenCount

# These are the figures of OpenAI's cookbook ("How to count tokens with tiktoken"). No provider promises them, so the
# usage that a provider reports beats them.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_FOR_REPLY = 3

_Count = Callable[[str], TokenCount]

_MEDIA = ("image", "audio", "video", "file", "document", "media")
_DATA_URL = re.compile(r"data:[\w.+-]+/[\w.+-]+(?:;[\w.+-]+=[\w.+-]*)*;base64,[A-Za-z0-9+/=_-]*")


def count_messages(messages: Iterable[Mapping[str, Any]], count: _Count) -> TokenCount:
    """Return what `messages` take as a prompt, up to where the reply begins.

    `count` counts one text. Media and data URLs are left out: providers bill them by size, not as text. The sum is
    `estimated` as soon as something was left out, or a tool call is there, whose true format nobody publishes.
    """
    tally = _Tally(count)
    tally.tokens += TOKENS_FOR_REPLY
    for message in messages:
        tally.message(message)
    return tally.total()


def count_message(message: Mapping[str, Any], count: _Count) -> TokenCount:
    """Return what one message adds to a prompt, its own overhead included; `count` counts one text."""
    tally = _Tally(count)
    tally.message(message)
    return tally.total()


def is_heavier_than(value: Any, most: int) -> bool:
    """Return whether `value`, plain data, holds more than about `most` characters; it looks no further than that."""
    weight, rest = 0, [value]
    while rest and weight <= most:
        item = rest.pop()
        weight += 16
        if isinstance(item, str):
            weight += len(item)
        elif isinstance(item, Mapping | list | tuple):
            weight += 16 * len(item)
            if weight <= most:
                rest.extend(item.values() if isinstance(item, Mapping) else item)
    return weight > most


class _Tally:
    def __init__(self, count: _Count) -> None:
        self._count = count
        nothing = count("")
        self.tokens = 0
        self._basis: Basis = nothing.basis
        self._encoding = nothing.encoding

    def total(self) -> TokenCount:
        return TokenCount(self.tokens, self._basis, self._encoding)

    def message(self, message: Mapping[str, Any]) -> None:
        if not isinstance(message, Mapping):
            raise TypeError(f"a chat message is a mapping with role and content, not {type(message).__name__}")
        self.tokens += TOKENS_PER_MESSAGE
        self._text(message.get("role"))
        self._content(message.get("content"))
        self._text(message.get("refusal"))
        if message.get("name"):
            self.tokens += TOKENS_PER_NAME
            self._text(message["name"])
        for key in ("tool_calls", "function_call", "tool_call_id"):
            if message.get(key):
                self._guess(message[key])

    def _content(self, content: Any) -> None:
        if isinstance(content, list | tuple):
            for part in content:
                self._part(part)
        elif isinstance(content, str):
            self._text(content)
        elif content is not None:
            self._guess(content)

    def _part(self, part: Any) -> None:
        if not isinstance(part, Mapping):
            self._content(part)
        elif any(kind in str(part.get("type")) for kind in _MEDIA):
            self._basis = "estimated"
        elif texts := [part[key] for key in ("text", "refusal", "thinking") if isinstance(part.get(key), str)]:
            for text in texts:
                self._text(text)
        elif isinstance(part.get("content"), str | list | tuple):  # a tool's result among the parts
            self._basis = "estimated"
            self._content(part["content"])
        else:
            self._guess(part)

    def _text(self, text: Any) -> None:
        if not isinstance(text, str):
            if text is not None:
                self._guess(text)
            return
        if ";base64," in text:
            plain = _DATA_URL.sub("", text)
            if plain != text:
                text, self._basis = plain, "estimated"
        counted = self._count(text)
        self.tokens += counted
        if counted.basis == "estimated":
            self._basis = "estimated"

    def _guess(self, value: Any) -> None:
        self._basis = "estimated"
        self._text(value if isinstance(value, str) else _json_text(value))


def _json_text(value: Mapping[str, Any] | Sequence[Any]) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(value)  # JSON cannot hold it, so its text stands for it
