"""OpenAI's chat format: lines that hold a conversation each, lines of batches, or a file of messages of any format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.foreign_records import openai_lines
from a2a_session_manager.foreign_records.held import Held, text_of
from a2a_session_manager.importers.records import (
    ConversationIds,
    EventRecord,
    Record,
    SessionStart,
    opaque,
    said,
    without,
)
from a2a_session_manager.importers.source import SourceFile, Value
from a2a_session_manager.importers.times import Clock
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes.recognition import shape_of
from a2a_session_manager.usage.recorded import recorded_usage

NAME: Final = "openai-chat"
WHAT: Final = "OpenAI's chat format: fine-tuning and batch files, or messages of any known format"

_SAID: Final = ("messages", "body", "response")


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are lines with messages, or messages."""
    return all(isinstance(value, Mapping) and (_is_line(value) or is_message(value)) for value in values)


def is_message(value: Mapping[str, Any]) -> bool:
    """Tell whether a value is a message."""
    return isinstance(value.get("role"), str) or shape_of(value) is not None


def read(source: SourceFile) -> Iterator[Record]:
    """Yield a session for each line that holds a conversation; what lies between is one session, named by the file.

    A batch's request and its result of one id are one session.
    """
    clock = Clock(source.modified_at)
    names, has_begun = ConversationIds(), False
    for number, value in enumerate(source.values(), start=1):
        data = value.data
        if isinstance(data, Mapping) and not is_message(data) and _is_line(data):
            named = text_of(data.get("custom_id")) or text_of(data.get("id")) or f"{source.name}-{number}"
            session_id = names.of(named, number, "answer" if _is_answer(data) else "")
            yield from _conversation(data, value, session_id, Clock(source.modified_at))
            continue
        if not has_begun:
            has_begun = True
            yield SessionStart(source.name)
        if not isinstance(data, Mapping):
            yield opaque(source.name, data, type(data).__name__, id=str(number), at=clock.at(None), weight=value.weight)
            continue
        usage = recorded_usage(data) if isinstance(data.get("usage"), Mapping) else None
        at = clock.at(data.get("created_at", data.get("timestamp")))
        yield said(source.name, data, id=str(number), at=at, usage=usage, weight=value.weight)


def _is_line(record: Mapping[str, Any]) -> bool:
    return openai_lines.is_line(record) and not openai_lines.is_list_of_items(record) and "output" not in record


def _is_answer(record: Mapping[str, Any]) -> bool:
    return "response" in record or record.get("object") == "chat.completion"


def _conversation(record: Mapping[str, Any], value: Value, session_id: str, clock: Clock) -> Iterator[Record]:
    yield SessionStart(session_id, about={"record": without(record, *_SAID)} if without(record, *_SAID) else {})
    is_answer = _is_answer(record)
    held = list(openai_lines.messages_of(record))
    for number, each in enumerate(held, start=1):
        event_id = f"answer-{number}" if is_answer else str(number)
        yield event_of(session_id, each, event_id, clock, value.weight // len(held))
    if not held:
        yield opaque(session_id, dict(record), "line", id="line", at=clock.at(None), weight=value.weight)


def event_of(session_id: str, held: Held, event_id: str, clock: Clock, weight: int) -> EventRecord:
    """Return the event of a message that a record holds."""
    return said(session_id, held.message, id=event_id, at=clock.at(held.time), usage=usage_of(held), weight=weight)


def usage_of(held: Held) -> TokenUsage | None:
    """Return the usage that a record has with a message."""
    return None if held.usage is None else recorded_usage(held.usage, model=held.model)
