"""The keys of a message of OpenAI's chat format: what its parts are read from, and what is in none of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from a2a_session_manager.shapes.litellm import FIELDS, fields_beside, unsigned_call
from a2a_session_manager.shapes.normal_form import Call
from a2a_session_manager.shapes.openai_parts import (
    EXTRA_CONTENT,
    FIRST_FORM,
    MEDIA_KINDS,
    TEXT_TYPES,
    calls_in,
    spoken_in,
    without_signature,
)
from a2a_session_manager.shapes.shape import Losses, role_named, type_of
from a2a_session_manager.shapes.unread_keys import Reads, by_type, is_empty, keys
from a2a_session_manager.shapes.unread_keys import unread as unread_in

# Where DeepSeek, OpenRouter, vLLM, Ollama and Cohere put what the model thought.
REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking", "tool_plan")
# Where OpenRouter and LiteLLM repeat it with what signs it, and the keys of the texts there.
REASONING_LISTS: Final = ("reasoning_details", "thinking_blocks")
REASONING_TEXTS: Final = ("text", "summary", "thinking")
CALLS: Final = "tool_calls"

# Of which type a value is that a part is read from. An id is there for programs: no format gives it to a model.
_ALWAYS: Final[Mapping[str, Any]] = {"role": object, "content": object, "name": str, "id": object}
_IN_RESULTS: Final[Mapping[str, Any]] = {**_ALWAYS, "tool_call_id": str | int, "tool_name": str}
_IN_TEXTS: Final[Mapping[str, Any]] = {
    **_ALWAYS,
    **dict.fromkeys(("refusal", *REASONING_KEYS), str),
    **dict.fromkeys(REASONING_LISTS, list),
    "images": object,
}
_IN_ANSWERS: Final[Mapping[str, Any]] = {**_IN_TEXTS, CALLS: object, "function_call": Mapping}
_IN_CALLS: Final = frozenset({"id", "type", "index"})  # the index is of a stream's pieces

# What is read of the parts of a content; where a cache ends and how sharp a picture is wanted are hints.
_HINTS: Final = ("type", "cache_control")
_TEXT: Final = keys(*_HINTS, "text")
_MEDIA: Final = keys("url", "file_data", "file_id", "data", "filename", "format", "detail")
_OTHER_PARTS: Final = by_type(
    {
        "refusal": keys(*_HINTS, "refusal"),
        "document": keys(*_HINTS, document=keys("data", "id")),
        **{kind: keys(*_HINTS, **{kind: _MEDIA}) for kind in MEDIA_KINDS},
    }
)
# As `unread` names them: of the calls, which are read in several forms, it tells itself.
CALL: Final = keys(*_IN_CALLS, function=keys("name", "arguments"), custom=keys("name", "input"))


def content_part(part: Mapping[str, Any]) -> Mapping[str, Reads] | None:
    """Return what is read of a part of a content."""
    if type_of(part) in TEXT_TYPES and isinstance(part.get("text"), str):
        return _TEXT
    found: Mapping[str, Reads] | None = _OTHER_PARTS(part)
    return found


_CONTENT: Final[Mapping[str, Reads]] = {"content": content_part, "images": content_part}


def unread(message: Mapping[str, Any]) -> Losses:
    """Return the keys of a message under which something stands that is in none of its parts."""
    role = role_named(message.get("role"))
    read = _IN_RESULTS if role == "tool" else _IN_ANSWERS if role == "assistant" else _IN_TEXTS
    found = [key for key, value in message.items() if not isinstance(value, read.get(key, ())) and not is_empty(value)]
    for key, reads in _CONTENT.items():
        if key in read and isinstance(message.get(key), list):
            found += unread_in(message[key], reads, key)
    if role != "assistant":
        return found
    calls = calls_in(message)
    if FIELDS in found and is_empty(fields_beside(message, calls)):
        found.remove(FIELDS)
    in_calls = [key for call in calls for key in _unread_in(call)]
    return [key for key in found if key != "audio" or not spoken_in(message)] + in_calls


def _unread_in(call: Call) -> Losses:
    if call.kind == FIRST_FORM:
        return _besides(unsigned_call(call.raw), {"name", "arguments"}, FIRST_FORM)
    kind = call.kind or "function"
    given = call.raw if call.signature is None else _unsigned(call.raw)
    made = given.get(kind)
    if not isinstance(made, Mapping):
        return _besides(given, _IN_CALLS, CALLS)
    arguments = "input" if "input" in made else "arguments"
    beside = _besides(given, {*_IN_CALLS, kind}, CALLS)
    made = made if call.signature is None else unsigned_call(made)
    return [*beside, *_besides(made, {"name", arguments, "index"}, f"{CALLS}.{kind}")]


def _unsigned(call: Mapping[str, Any]) -> Mapping[str, Any]:
    beside = {EXTRA_CONTENT: without_signature(call[EXTRA_CONTENT])} if EXTRA_CONTENT in call else {}
    return {**unsigned_call(call), **beside}


def _besides(given: Mapping[str, Any], read: Collection[str], path: str) -> Losses:
    return [f"{path}.{key}" for key, value in given.items() if key not in read and not is_empty(value)]
