"""Items of OpenAI's Responses API: a file of them, a page of a list, an input, or stored responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.foreign_records import openai_lines
from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.importers.openai_chat import event_of
from a2a_session_manager.importers.records import Record, SessionStart, opaque, said, without
from a2a_session_manager.importers.source import SourceFile, Value
from a2a_session_manager.importers.times import Clock, time_of
from a2a_session_manager.shapes import responses

NAME: Final = "responses"
WHAT: Final = "items of OpenAI's Responses API, or stored responses"

_SAID: Final = ("input", "output", "data", "instructions", "usage")


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are items, lists of them, or responses."""
    return all(isinstance(value, Mapping) and _is_mine(value) for value in values)


def read(source: SourceFile) -> Iterator[Record]:
    """Yield the sessions of a file.

    Items are one session, named by the file. Responses are one session a chain, named by its conversation or by its
    first response.
    """
    clock = Clock(source.modified_at)
    chains: dict[str, str] = {}
    has_begun = False
    for number, value in enumerate(source.values(), start=1):
        data = value.data
        if isinstance(data, Mapping) and _is_response(data):
            yield from _response(data, value, chains, source)
            continue
        if not has_begun:
            has_begun = True
            yield SessionStart(source.name)
        if not isinstance(data, Mapping):
            yield opaque(source.name, data, type(data).__name__, id=str(number), at=clock.at(None), weight=value.weight)
        elif openai_lines.is_list_of_items(data):
            held = list(openai_lines.messages_of(data))
            for place, each in enumerate(held, start=1):
                yield event_of(source.name, each, f"{number}-{place}", clock, value.weight // len(held))
        else:
            yield said(source.name, data, id=str(number), at=clock.at(data.get("created_at")), weight=value.weight)


def _is_mine(value: Mapping[str, Any]) -> bool:
    return responses.SHAPE.is_mine(value) or _is_response(value) or openai_lines.is_list_of_items(value)


def _is_response(value: Mapping[str, Any]) -> bool:
    return value.get("object") == "response" and isinstance(value.get("output"), list)


def _response(record: Mapping[str, Any], value: Value, chains: dict[str, str], source: SourceFile) -> Iterator[Record]:
    response_id = text_of(record.get("id")) or f"{source.name}-{value.line}"
    conversation = record.get("conversation")
    named = text_of(conversation.get("id")) if isinstance(conversation, Mapping) else text_of(conversation)
    before = text_of(record.get("previous_response_id"))
    session_id = named or chains.get(before or "", response_id)
    chains[response_id] = session_id
    clock = Clock(source.modified_at)
    at = clock.at(record.get("created_at"))
    about = {"record": without(record, *_SAID)}
    yield SessionStart(session_id, created_at=time_of(record.get("created_at")), about=about)
    held = list(openai_lines.messages_of(record))
    for number, each in enumerate(held, start=1):
        # The items of a list repeat the instructions of the one before, which is how the API works, too.
        yield event_of(
            session_id,
            each._replace(time=at.time.timestamp() if at.is_known else None),
            f"{response_id}-{number}",
            clock,
            value.weight // len(held),
        )
    if not held:
        yield opaque(session_id, dict(record), "response", id=response_id, at=at, weight=value.weight)
