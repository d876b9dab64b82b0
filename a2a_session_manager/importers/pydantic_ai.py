"""pydantic-ai's messages, as `all_messages_json` and `new_messages_json` write them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.importers.records import Record, SessionStart, opaque, said
from a2a_session_manager.importers.source import SourceFile
from a2a_session_manager.importers.times import Clock
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes import pydantic_ai
from a2a_session_manager.shapes.shape import mappings
from a2a_session_manager.usage.recorded import missing_usage, recorded_usage

NAME: Final = "pydantic-ai"
WHAT: Final = "pydantic-ai's messages: all_messages_json, or new_messages_json in lines"


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are such messages."""
    return all(isinstance(value, Mapping) and pydantic_ai.SHAPE.is_mine(value) for value in values)


def read(source: SourceFile) -> Iterator[Record]:
    """Yield the session of a file, which it is named by."""
    clock = Clock(source.modified_at)
    yield SessionStart(source.name)
    for number, value in enumerate(source.values(), start=1):
        data = value.data
        about: dict[str, Any] = {"id": str(number), "weight": value.weight}
        if isinstance(data, Mapping) and pydantic_ai.SHAPE.is_mine(data):
            yield said(source.name, data, at=clock.at(_time_of(data)), usage=_usage_in(data), **about)
        else:
            kind = text_of(data.get("kind")) if isinstance(data, Mapping) else None
            yield opaque(source.name, data, kind or type(data).__name__, at=clock.at(None), **about)


def _time_of(message: Mapping[str, Any]) -> Any:
    if (own := message.get("timestamp")) is not None:
        return own
    return next((part["timestamp"] for part in mappings(message.get("parts")) if "timestamp" in part), None)


def _usage_in(message: Mapping[str, Any]) -> TokenUsage | None:
    if message.get("kind") != "response":
        return None
    usage, model = message.get("usage"), text_of(message.get("model_name"))
    if isinstance(usage, Mapping) and any(usage.values()):
        return recorded_usage(message, model=model, provider=text_of(message.get("provider_name")))
    return None if model is None else missing_usage(model)
