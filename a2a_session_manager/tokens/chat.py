"""Chat messages as tokens: their texts, and what the chat format puts around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any, Final, Protocol, TypeAlias

from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    Opaque,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.tokens.token_count import TokenCount

# These are the figures of OpenAI's cookbook ("How to count tokens with tiktoken"). No provider promises them, so the
# usage that a provider reports beats them.
TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_FOR_REPLY = 3

# Where providers put what only they can read: it is counted as the text that it may hold.
_HIDDEN_KEYS: Final = ("encrypted_content", "encryptedContent", "data", "redactedContent")
_CHARACTERS_PER_HIDDEN_TOKEN: Final = 16 / 3  # base64 of four bytes


class PromptCounter(Protocol):
    """Counts what a prompt is made of, for one model: each method returns the tokens, and whether they are exact.

    `encoding` is the vocabulary's name, once a text was counted. `messages` returns what `count` does, which counts
    messages with this counter, or what it remembers of some that say the same. `count` may stop where the sum is above
    `most`.
    """

    encoding: str | None

    def messages(self, messages: Messages, count: MessagesCount, most: float = inf) -> tuple[int, bool]: ...
    def text(self, text: str) -> tuple[int, bool]: ...
    def json(self, value: Any) -> tuple[int, bool]: ...
    def media(self, media: Media) -> tuple[int, bool]: ...


Messages: TypeAlias = Sequence[Mapping[str, Any]]
MessagesCount: TypeAlias = Callable[[Messages, PromptCounter, float], tuple[int, bool]]


def count_messages(messages: Iterable[Mapping[str, Any]], counter: PromptCounter) -> TokenCount:
    """Return what `messages` take as a prompt, up to where the reply begins.

    Every text that is sent is counted, whatever the shape. The sum is `estimated` as soon as there are media whose
    tokens no provider publishes, a tool call, whose true format nobody publishes, or what no shape knows.
    """
    tokens, is_exact = counter.text("")
    tokens += TOKENS_FOR_REPLY
    for message in messages:
        more, is_counted = count_message(message, counter)
        tokens += more
        is_exact = is_exact and is_counted
    return TokenCount(tokens, "counted" if is_exact else "estimated", counter.encoding)


def count_message(message: Mapping[str, Any], counter: PromptCounter) -> tuple[int, bool]:
    """Return what one message adds to a prompt, its own overhead included, and whether that is exact."""
    if type(message) is not dict and not isinstance(message, Mapping):
        raise TypeError(f"a chat message is a mapping with role and content, not {type(message).__name__}")
    return counter.messages((message,), _only_message)


def count_turn(messages: Messages, counter: PromptCounter, most: float = inf) -> tuple[int, bool]:
    """Return what messages that stand side by side add to a prompt, and whether that is exact.

    They are remembered together as well, as they come again with each prompt. It looks no further, from the newest one
    on, than where the sum is above `most`.
    """
    if len(messages) == 1:
        return count_message(messages[0], counter)
    return counter.messages(messages, _newest_first, most)


def _newest_first(messages: Messages, counter: PromptCounter, most: float) -> tuple[int, bool]:
    tokens, is_exact = 0, True
    for message in reversed(messages):
        more, is_counted = count_message(message, counter)
        tokens += more
        is_exact = is_exact and is_counted
        if tokens > most:
            break
    return tokens, is_exact


def _only_message(messages: Messages, counter: PromptCounter, most: float) -> tuple[int, bool]:
    [message] = messages
    read = read_message(message)
    role = message.get("role")
    tokens, is_exact = counter.text(role if type(role) is str else read.role)
    tokens += TOKENS_PER_MESSAGE
    for part in read.parts:
        more, is_counted = _part(part, counter)
        tokens += more
        is_exact = is_exact and is_counted
    if read.name is not None:
        more, is_counted = counter.text(read.name)
        tokens += TOKENS_PER_NAME + more
        is_exact = is_exact and is_counted
    return tokens, is_exact


def _part(part: Part, counter: PromptCounter) -> tuple[int, bool]:
    if isinstance(part, Text | Instruction):
        return counter.text(part.text)
    if isinstance(part, Reasoning):
        return counter.text(part.text) if part.text else _hidden(part.raw)
    if isinstance(part, Media):
        return _media(part, counter)
    if isinstance(part, Call):
        return _sum(counter, [part.id, part.name]) + _arguments(part.arguments, counter), False
    if isinstance(part, Result):
        return _sum(counter, [part.call_id]) + sum(_part(inner, counter)[0] for inner in part.content), False
    if isinstance(part, Opaque):
        return _hidden(part.raw)
    return counter.json(part.value if isinstance(part, Json) else part.raw)


def _media(media: Media, counter: PromptCounter) -> tuple[int, bool]:
    tokens, is_exact = counter.text(media.text) if media.text is not None else counter.media(media)
    return (tokens, is_exact) if media.name is None else (tokens + counter.text(media.name)[0], False)


def _arguments(arguments: Any, counter: PromptCounter) -> int:
    if arguments is None:
        return 0
    return (counter.text(arguments) if isinstance(arguments, str) else counter.json(arguments))[0]


def _sum(counter: PromptCounter, texts: Iterable[str | None]) -> int:
    return sum(counter.text(text)[0] for text in texts if text)


def _hidden(raw: Any) -> tuple[int, bool]:
    """Return about what encrypted content takes; what has none is a mark for the provider, which takes nothing."""
    texts = [raw.get(key) for key in _HIDDEN_KEYS] if isinstance(raw, Mapping) else []
    characters = sum(len(text) for text in texts if isinstance(text, str))
    return round(characters / _CHARACTERS_PER_HIDDEN_TOKEN), not characters
