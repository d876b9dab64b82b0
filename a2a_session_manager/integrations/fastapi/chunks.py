"""The text in what providers stream: plain strings, parts of content, and lists of parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

# A text, a content part with a text in it (a mapping or an object), a list of these, or None.
Chunk: TypeAlias = "str | Mapping[str, Any] | Sequence[Any] | object | None"

# What providers call the parts of the answer itself; other parts with a text are reasoning, refusals and calls.
_TEXT_TYPES = frozenset({"text", "text_delta", "output_text"})


def texts_of(chunk: Chunk) -> tuple[list[str], str | None]:
    """Return all texts in a chunk, and, when something in it has no text, a clause that says what to pass instead."""
    texts: list[str] = []
    reason: str | None = None
    for part in chunk if isinstance(chunk, list | tuple) else [chunk]:
        text = "" if part is None else _text_of(part)
        if text is not None:
            texts.append(text)
        elif reason is None:
            reason = (
                f"takes text, not {_described(part)}: pass a str, a part such as "
                '{"type": "text", "text": …} or an object with such a text, a list of these, or None'
            )
    return texts, reason


def _text_of(part: object) -> str | None:
    if isinstance(part, str):
        return part
    text, kind = _field(part, "text"), _field(part, "type")
    is_answer = kind is None or (isinstance(kind, str) and kind in _TEXT_TYPES)
    if not is_answer or _field(part, "thought") is True:  # as Gemini marks its reasoning
        return None
    if text is None and kind is not None:
        return ""
    return text if isinstance(text, str) else None


def _field(part: object, name: str) -> object:
    return part.get(name) if isinstance(part, Mapping) else getattr(part, name, None)


def _described(part: object) -> str:
    kind = _field(part, "type")
    return f"a {type(part).__name__}" + (f" of type {kind[:40]!r}" if isinstance(kind, str) else "")
