"""Requests as tracing tools keep them: runs of LangSmith, and generations of Langfuse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from a2a_session_manager.foreign_records.held import Held, held_all, text_of

_GENERATION: Final = "GENERATION"


def is_langsmith_run(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is a run of LangSmith's that asked a model."""
    return record.get("run_type") in ("llm", "chat_model") and isinstance(record.get("inputs"), Mapping)


def is_langfuse_generation(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is a generation of Langfuse's."""
    return record.get("type") == _GENERATION and "input" in record


def messages_of_run(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield what a run was given, and what it answered."""
    asked = record["inputs"].get("messages")
    if isinstance(asked, list) and asked and isinstance(asked[0], list):
        asked = asked[0]  # a batch of one
    yield from held_all(asked)
    outputs = record.get("outputs")
    if not isinstance(outputs, Mapping):
        return
    generations = outputs.get("generations")
    if isinstance(generations, list) and generations:
        first = generations[0][0] if isinstance(generations[0], list) and generations[0] else generations[0]
        if isinstance(first, Mapping):
            yield from held_all([first.get("message")])
    choices = outputs.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        yield from held_all([choices[0].get("message")])
    yield from held_all(outputs.get("messages"))


def messages_of_generation(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield what a generation was given, and what it answered, with its usage."""
    asked, answer = record["input"], record.get("output")
    if isinstance(asked, str):
        yield Held({"role": "user", "content": asked})
    yield from held_all(asked.get("messages") if isinstance(asked, Mapping) else asked)
    usage = record.get("usageDetails")
    if isinstance(answer, str):
        answer = {"role": "assistant", "content": answer}
    for held in held_all([answer]):
        yield held._replace(usage=usage or None, model=text_of(record.get("model")), id=text_of(record.get("id")))
