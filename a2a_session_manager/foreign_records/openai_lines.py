"""Lines of OpenAI's files: of fine-tuning, of batches and their results, and stored answers of both APIs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from a2a_session_manager.foreign_records.held import Held, held_all, text_of


def is_line(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is such a line: a conversation, a request, or an answer."""
    if isinstance(record.get("messages"), list):
        return True
    body = record.get("body")
    if isinstance(body, Mapping):
        return "url" in record and ("messages" in body or "input" in body)
    answer = record.get("response")
    if "custom_id" in record and "response" in record:
        return True
    if isinstance(answer, Mapping):
        return isinstance(answer.get("body"), Mapping)
    return record.get("object") in ("chat.completion", "response") or is_list_of_items(record)


def is_list_of_items(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is a page of items, as OpenAI's APIs list them, or an input of items."""
    if record.get("object") == "list":
        return isinstance(record.get("data"), list)
    return isinstance(record.get("input"), list) and "role" not in record and "type" not in record


def messages_of(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the messages that a line holds, in their order; an answer brings its usage."""
    whole, body = record, record.get("body")
    if isinstance(body, Mapping):
        record = body
    answer = record.get("response")
    if isinstance(answer, Mapping) and isinstance(answer.get("body"), Mapping):
        record = answer["body"]
    yield from held_all(record.get("messages"))
    yield from _items(record)
    yield from _answers(record, whole)


def _items(record: Mapping[str, Any]) -> Iterator[Held]:
    instructions = text_of(record.get("instructions"))
    if instructions is not None:
        yield Held({"type": "message", "role": "system", "content": instructions})
    asked = record.get("input")
    if isinstance(asked, str):
        yield Held({"type": "message", "role": "user", "content": asked})
    yield from held_all(asked)
    yield from held_all(record.get("data"))


def _answers(record: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the first choice of a completion, or the items of a response: the last one has the usage."""
    usage = whole if isinstance(record.get("usage"), Mapping) else None  # a batch's line tells its price
    time, model = record.get("created", record.get("created_at")), text_of(record.get("model"))
    time = time if isinstance(time, int | float) else None
    choices = record.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    if isinstance(first, Mapping) and isinstance(first.get("message"), Mapping):
        yield Held(dict(first["message"]), usage, model, text_of(record.get("id")), time)
    output = [each.message for each in held_all(record.get("output"))]
    for number, item in enumerate(output, start=1):
        is_last = number == len(output)
        yield Held(item, usage if is_last else None, model if is_last else None, text_of(item.get("id")), time)
