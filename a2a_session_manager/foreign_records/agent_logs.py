"""Lines of agents' logs: Claude Code's, Codex', ADK's events, and the deltas of AG-UI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from a2a_session_manager.foreign_records.held import Held, text_of
from a2a_session_manager.shapes import responses
from a2a_session_manager.shapes.shape import RawMessage

_DELTAS: Final = frozenset({"TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_CHUNK"})


def is_claude_line(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is a line of Claude Code's log in which somebody speaks."""
    message = record.get("message")
    is_spoken = isinstance(message, Mapping) and isinstance(message.get("role"), str) and "content" in message
    return is_spoken and ("uuid" in record or "sessionId" in record) and record.get("type") in ("user", "assistant")


def is_codex_line(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is a line of a Codex rollout that holds an item."""
    return record.get("type") == "response_item" and isinstance(record.get("payload"), Mapping)


def is_adk_event(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is an event of ADK's that says something."""
    content = record.get("content")
    is_said = isinstance(content, Mapping) and isinstance(content.get("parts"), list)
    return is_said and isinstance(record.get("author"), str) and ("invocationId" in record or "invocation_id" in record)


def is_ag_ui_delta(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is an event of AG-UI's that brings text."""
    return record.get("type") in _DELTAS and isinstance(record.get("delta"), str)


def claude_message(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the message of a line; what is beside its content, such as the usage of the request, is not said."""
    message = record["message"]
    is_answer = message["role"] == "assistant" and isinstance(message.get("usage"), Mapping)
    said = {"role": message["role"], "content": message["content"]}
    model = text_of(message.get("model")) if is_answer else None
    yield Held(said, record if is_answer else None, model, text_of(record.get("uuid")), record.get("timestamp"))


def codex_item(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the item of a line, if it is one that is known."""
    item: RawMessage = dict(record["payload"])
    if responses.SHAPE.is_mine(item):
        yield Held(item, None, None, text_of(item.get("id")), text_of(record.get("timestamp")))


def adk_content(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the content of an event, with the usage of its request."""
    content = {"role": "user" if record["author"] == "user" else "model", **record["content"]}
    reported = "usageMetadata" in record or "usage_metadata" in record
    time = record.get("timestamp")
    model = text_of(record.get("modelVersion", record.get("model_version")))
    yield Held(content, record if reported else None, model, text_of(record.get("id")), time)


def ag_ui_text(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the text that an event brings, which is a part of an answer."""
    yield Held({"role": text_of(record.get("role")) or "assistant", "content": record["delta"]})
