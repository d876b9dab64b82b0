"""The parts of contents and the calls of OpenAI's chat format, read into parts of the normal form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes.litellm import signature_of
from a2a_session_manager.shapes.normal_form import Call, Media, MediaKind, Other, Part, Reasoning, Text, text_of
from a2a_session_manager.shapes.shape import (
    id_or_none,
    mappings,
    media_at,
    parts_of,
    text_for,
    text_or_none,
    type_of,
    value_of,
)

TEXT_TYPES: Final = frozenset({"text", "input_text", "output_text", None})
# The kind of a call in the form that OpenAI's format had first, which a message of the role "function" answers.
FIRST_FORM: Final = "function_call"
# Where Gemini's endpoint for clients of OpenAI's puts what it signs a call with.
EXTRA_CONTENT: Final = "extra_content"
_SIGNER: Final = "google"
_SIGNATURE: Final = "thought_signature"
MEDIA_KINDS: Final[Mapping[str, MediaKind]] = {
    "image_url": "image",
    "input_audio": "audio",
    "video_url": "video",
    "file": "file",
}


def read_part(part: Mapping[str, Any]) -> Part:
    """Return a part of a content; one that is not known becomes `Other`."""
    kind = type_of(part)
    if kind in TEXT_TYPES and isinstance(part.get("text"), str):
        return Text(part["text"], part)
    if kind == "refusal" and isinstance(part.get("refusal"), str):
        return Text(part["refusal"], part)
    if kind == "thinking" and isinstance(part.get("thinking"), list):  # Mistral's
        texts = parts_of(part["thinking"], read_part, Text)
        return Reasoning(text_of(texts), part)
    if kind == "document" and isinstance(part.get("document"), Mapping):  # Cohere's
        return Media("file", text=text_for(part["document"].get("data")), raw=part)
    return media_in(part) if kind in MEDIA_KINDS else Other(part)


def media_in(part: Mapping[str, Any]) -> Part:
    """Return a picture, sound, film or file."""
    kind = MEDIA_KINDS.get(str(part.get("type")))
    body = part.get(str(part.get("type")))
    if kind is None or not isinstance(body, Mapping | str):
        return Other(part)
    given = {"url": body} if isinstance(body, str) else body
    url = given.get("url") or given.get("file_data")
    mime_type = f"audio/{given['format']}" if isinstance(given.get("format"), str) else None
    name, data = text_or_none(given.get("filename")), text_or_none(given.get("data"))
    if data is not None:
        return Media(kind, mime_type, data, text_or_none(url), name, raw=part)
    return media_at(url or given.get("file_id"), kind, mime_type, name, part)


def spoken_in(message: Mapping[str, Any]) -> list[Part]:
    """Return what a model said as sound, which OpenAI keeps: it is sent back by its id."""
    sound = message.get("audio")
    if not isinstance(sound, Mapping):
        return []
    url, transcript = text_or_none(sound.get("id")), text_or_none(sound.get("transcript"))
    return [Media("audio", url=url, text=transcript, raw=sound)] if url or transcript else []


def calls_in(message: Mapping[str, Any]) -> list[Call]:
    """Return the calls of a message, in today's form and in the first one."""
    calls: list[Call] = []
    for call in _listed(message.get("tool_calls")):
        kind = str(call.get("type") or "function")
        made = call.get(kind)
        function = made if isinstance(made, Mapping) else {}
        arguments = function.get("input") if "input" in function else function.get("arguments")
        name = str(function.get("name") or "")
        kind_apart = None if kind == "function" else kind
        signature = text_or_none(_signed(call.get(EXTRA_CONTENT)).get(_SIGNATURE)) or signature_of(call, function)
        calls.append(Call(id_or_none(call.get("id")), name, arguments, kind=kind_apart, raw=call, signature=signature))
    oldest = message.get("function_call")
    if isinstance(oldest, Mapping):
        name = str(oldest.get("name") or "")
        signature = signature_of({}, oldest)
        calls.append(Call(None, name, oldest.get("arguments"), kind=FIRST_FORM, raw=oldest, signature=signature))
    return calls


def extra_content(signature: str) -> dict[str, Any]:
    """Return what a call has beside its function that Gemini has signed."""
    return {_SIGNER: {_SIGNATURE: signature}}


def without_signature(extra: Any) -> Any:
    """Return what is beside a signature in the extra content of a call."""
    if not (signed := _signed(extra)):
        return extra
    return {**extra, _SIGNER: {key: value for key, value in signed.items() if key != _SIGNATURE}}


def are_listed(calls: Any) -> bool:
    """Tell whether calls are a list of objects, which is all that a provider takes."""
    return isinstance(calls, list) and all(isinstance(each, Mapping) for each in calls)


def is_more_than_calls(calls: Any) -> bool:
    """Tell whether something that is no call stands where a list of calls is to be."""
    return bool(value_of(calls)) and not are_listed(calls) and (isinstance(calls, list) or not _listed(calls))


def _signed(extra: Any) -> Mapping[str, Any]:
    signed = extra.get(_SIGNER) if isinstance(extra, Mapping) else None
    return signed if isinstance(signed, Mapping) else {}


def _listed(calls: Any) -> list[Mapping[str, Any]]:
    """Return the calls of a list. Some write a single one in its place, or the JSON text of either."""
    if calls is None or isinstance(calls, list | tuple):
        return list(mappings(calls))
    given = value_of(calls)
    items = given if isinstance(given, list) else [given]
    found = [each for each in mappings(items) if _is_call(each)]
    return found if len(found) == len(items) else []


def _is_call(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get(str(value.get("type") or "function")), Mapping)
