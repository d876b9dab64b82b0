"""LangChain's messages, as `messages_to_dict`, `dumps` and its file history write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.importers.records import Record, SessionStart, opaque, said
from a2a_session_manager.importers.source import SourceFile
from a2a_session_manager.importers.times import Clock
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes import langchain
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

NAME: Final = "langchain"
WHAT: Final = "LangChain's messages: messages_to_dict, dumps, or FileChatMessageHistory"

_AI: Final = frozenset({"ai", "AIMessage", "AIMessageChunk"})


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are such messages."""
    return all(isinstance(value, Mapping) and is_message(value) for value in values)


def is_message(value: Mapping[str, Any]) -> bool:
    """Tell whether a value is such a message."""
    return any(shape.is_mine(value) for shape in langchain.SHAPES)


def read(source: SourceFile) -> Iterator[Record]:
    """Yield the session of a file, which it is named by."""
    clock = Clock(source.modified_at)
    yield SessionStart(source.name)
    for number, value in enumerate(source.values(), start=1):
        data = value.data
        about: dict[str, Any] = {"id": str(number), "at": clock.at(None), "weight": value.weight}
        if isinstance(data, Mapping) and is_message(data):
            yield said(source.name, data, usage=usage_in(data), **about)
        else:
            kind = data.get("type") if isinstance(data, Mapping) else None
            yield opaque(source.name, data, kind if isinstance(kind, str) else type(data).__name__, **about)


def usage_in(message: Mapping[str, Any]) -> TokenUsage | None:
    """Return the usage of a model's answer; where it only says which model that was, one that is missing."""
    body = message.get("data", message.get("kwargs", message))
    body = body if isinstance(body, Mapping) else {}
    path = message.get("id")
    kind = path[-1] if isinstance(path, list) and path else message.get("type")
    if kind not in _AI:
        return None
    if isinstance(body.get("usage_metadata"), Mapping):
        return recorded_usage({"type": "ai", **body})
    told = body.get("response_metadata")
    model = told.get("model_name", told.get("model")) if isinstance(told, Mapping) else None
    return missing_usage(model) if isinstance(model, str) and model else None
