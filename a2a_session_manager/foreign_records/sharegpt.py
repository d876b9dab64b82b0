"""Entries of data sets in ShareGPT's format, and as LLaMA-Factory extends it: tools, a system's text, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from a2a_session_manager.foreign_records.held import Held, text_of
from a2a_session_manager.shapes.shape import RawMessage, mappings

_SPEAKERS: Final = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "chatgpt", "assistant", "model", "bing", "bard", "claude"), "assistant"),
    "system": "system",
}
_CALLS: Final = frozenset({"function_call", "tool_call"})
_RESULTS: Final = frozenset({"observation", "tool", "tool_response", "function_response"})
_PICTURE: Final = "<image>"


def is_entry(record: Mapping[str, Any]) -> bool:
    """Tell whether a record is such an entry."""
    turns = _turns(record)
    return bool(turns) and all("from" in turn and "value" in turn for turn in turns)


def messages_of(record: Mapping[str, Any]) -> Iterator[Held]:
    """Yield the messages of an entry, in OpenAI's chat format; who speaks under another name keeps it."""
    system = text_of(record.get("system"))
    if system is not None:
        yield Held({"role": "system", "content": system})
    pictures = iter(record["images"] if isinstance(record.get("images"), list) else ())
    open_calls: list[str] = []
    for number, turn in enumerate(_turns(record)):
        speaker, value = _text(turn["from"]), turn["value"]
        if speaker in _CALLS:
            calls = list(_calls(value, number))
            open_calls = [call["id"] for call in calls]
            yield Held({"role": "assistant", "content": None, "tool_calls": calls})
        elif speaker in _RESULTS:
            call_id = open_calls.pop(0) if open_calls else None
            yield Held({"role": "tool", "tool_call_id": call_id, "content": _text(value)})
        else:
            yield Held(
                {"role": _SPEAKERS.get(speaker, speaker) or "other", "content": _with_pictures(_text(value), pictures)}
            )


def _turns(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(mappings(record.get("conversations", record.get("items"))))


def _calls(value: Any, number: int) -> Iterator[RawMessage]:
    try:
        said = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        said = {"name": "unknown", "arguments": {"input": value}}
    for place, call in enumerate(said if isinstance(said, list) else [said]):
        named = call if isinstance(call, Mapping) else {"arguments": {"input": call}}
        arguments = named.get("arguments", named.get("parameters", {}))
        function = {"name": text_of(named.get("name")) or "unknown", "arguments": _text(arguments)}
        yield {"id": f"call_{number}_{place}", "type": "function", "function": function}


def _with_pictures(text: str, pictures: Iterator[Any]) -> str | list[RawMessage]:
    """Return a text with the pictures that it has places for; without any, the text alone."""
    if _PICTURE not in text:
        return text
    first, *rest = text.split(_PICTURE)
    content: list[RawMessage] = [{"type": "text", "text": first}] if first else []
    for piece in rest:
        picture = text_of(next(pictures, None))
        if picture is None:
            return text
        content.append({"type": "image_url", "image_url": {"url": picture}})
        content += [{"type": "text", "text": piece}] if piece else []
    return content


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
