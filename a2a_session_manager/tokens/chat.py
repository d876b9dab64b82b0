"""Chat messages as tokens: their texts, and what the chat format puts around them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from a2a_session_manager.shapes.normal_form import Call, Instruction, Json, Media, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.tokens.media import media_tokens
from a2a_session_manager.tokens.token_count import Basis, TokenCount

# These are the figures of OpenAI's cookbook ("How to count tokens with tiktoken"). No provider promises them, so the
# usage that a provider reports beats them.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_FOR_REPLY = 3

_Count = Callable[[str], TokenCount]


def count_messages(messages: Iterable[Mapping[str, Any]], count: _Count) -> TokenCount:
    """Return what `messages` take as a prompt, up to where the reply begins.

    `count` counts one text. Every text that is sent is counted, whatever the shape; media are estimated, as `media.py`
    says. The sum is `estimated` as soon as media are there, a tool call, whose true format nobody publishes, or what
    no shape knows.
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
        read = read_message(message)
        role = message.get("role")
        self._text(role if isinstance(role, str) else read.role)
        for part in read.parts:
            self._part(part)
        if read.name is not None:
            self.tokens += TOKENS_PER_NAME
            self._text(read.name)

    def _part(self, part: Part) -> None:
        if isinstance(part, Text | Instruction | Reasoning) or (isinstance(part, Media) and part.text is not None):
            self._text(part.text)
        else:
            self._basis = "estimated"
            self._structured(part)

    def _structured(self, part: Part) -> None:
        """Count what is no plain text, by the texts in it."""
        if isinstance(part, Media):
            self.tokens += media_tokens(part)
        elif isinstance(part, Call):
            for value in (part.id, part.name, part.arguments):
                self._text(None if value is None else _json_text(value))
        elif isinstance(part, Result):
            self._text(part.call_id)
            for inner in part.content:
                self._part(inner)
        elif isinstance(part, Json):
            self._text(_json_text(part.value))
        else:
            self._text(_json_text(part.raw))

    def _text(self, text: str | None) -> None:
        if not text:
            return
        counted = self._count(text)
        self.tokens += counted
        if counted.basis == "estimated":
            self._basis = "estimated"


def _json_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(value)  # JSON cannot hold it, so its text stands for it
