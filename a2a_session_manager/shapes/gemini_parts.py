"""The parts of Gemini's contents, read as the API and google-genai write them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import Call, Json, Media, Other, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.shape import mappings, media_kind, text_or_none

# What is read of media.
BLOB_KEYS: Final = (*("data", "mimeType", "mime_type", "fileUri", "file_uri", "displayName", "display_name"),)
_CODE_TOOL: Final = "code_execution"


def is_marked(part: Mapping[str, Any]) -> bool:
    """Tell whether an object has what only a part of Gemini's has."""
    return not _READERS.keys().isdisjoint(part) and any(
        key in _READERS and isinstance(value, Mapping) for key, value in part.items()
    )


def read_part(part: Mapping[str, Any]) -> Part:
    """Return a part; one that is not known becomes `Other`."""
    text = part.get("text")
    signature = signature_in(part)
    if isinstance(text, str):
        # A signature may come with an empty text, which must not be left out as one.
        is_thought = part.get("thought") is True or (signature and not text.strip())
        return Reasoning(text, part) if is_thought else Text(text, part)
    for key, value in part.items():
        reader = _READERS.get(key)
        if reader is not None and isinstance(value, Mapping):
            return reader(value, part)
    return Reasoning("", part) if signature else Other(part)


def signature_in(part: Mapping[str, Any]) -> Any:
    """Return what Gemini has signed a thought with, which any part may hold; nothing if this one does not."""
    return part.get("thoughtSignature") or part.get("thought_signature")


def _media_in(blob: Mapping[str, Any], part: Mapping[str, Any]) -> Part:
    mime_type = text_or_none(_either(blob, "mimeType", "mime_type"))
    data = blob.get("data")
    if isinstance(data, bytes):  # before JSON: google-genai dumps bytes
        data = b64encode(data).decode()
    url = text_or_none(_either(blob, "fileUri", "file_uri"))
    name = text_or_none(_either(blob, "displayName", "display_name"))
    is_film = bool(_either(part, "videoMetadata", "video_metadata"))
    return Media("video" if is_film else media_kind(mime_type), mime_type, text_or_none(data), url, name, raw=part)


def _call_in(call: Mapping[str, Any], part: Mapping[str, Any]) -> Part:
    call_id, signature = text_or_none(call.get("id")), text_or_none(signature_in(part))
    return Call(call_id, str(call.get("name") or ""), call.get("args"), raw=part, signature=signature)


def _result_in(result: Mapping[str, Any], part: Mapping[str, Any]) -> Part:
    response = result.get("response")
    is_error = isinstance(response, Mapping) and response.keys() == {"error"}
    media = [read_part(each) for each in mappings(result.get("parts"))]
    content = (*_content_of(response), *media)
    return Result(text_or_none(result.get("id")), text_or_none(result.get("name")), content, is_error, raw=part)


def _content_of(response: Any) -> tuple[Part, ...]:
    """Return what a tool returned; a value under one of the keys that stand for all of it, without that key."""
    if response is None:
        return ()
    if isinstance(response, Mapping) and len(response) == 1:
        response = next((response[key] for key in ("output", "result", "error") if key in response), response)
    return (Text(response, response) if isinstance(response, str) else Json(response, response),)


def _code_in(code: Mapping[str, Any], part: Mapping[str, Any]) -> Part:
    return Call(text_or_none(code.get("id")), _CODE_TOOL, code.get("code"), is_hosted=True, raw=part)


def _output_of_code(output: Mapping[str, Any], part: Mapping[str, Any]) -> Part:
    text, outcome = text_or_none(output.get("output")), output.get("outcome")
    is_error = outcome not in (None, "OUTCOME_OK", "OUTCOME_UNSPECIFIED")
    said = () if text is None else (Text(text, text),)
    return Result(text_or_none(output.get("id")), _CODE_TOOL, said, is_error, is_hosted=True, raw=part)


def _hosted_call_in(call: Mapping[str, Any], part: Mapping[str, Any]) -> Part:
    name = str(_either(call, "toolType", "tool_type") or "")
    return Call(text_or_none(call.get("id")), name, call.get("args"), is_hosted=True, raw=part)


def _hosted_result_in(result: Mapping[str, Any], part: Mapping[str, Any]) -> Part:
    name = text_or_none(_either(result, "toolType", "tool_type"))
    content = _content_of(result.get("response"))
    return Result(text_or_none(result.get("id")), name, content, is_hosted=True, raw=part)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Part]]] = {
    "inlineData": _media_in,
    "inline_data": _media_in,
    "fileData": _media_in,
    "file_data": _media_in,
    "functionCall": _call_in,
    "function_call": _call_in,
    "functionResponse": _result_in,
    "function_response": _result_in,
    "executableCode": _code_in,
    "executable_code": _code_in,
    "codeExecutionResult": _output_of_code,
    "code_execution_result": _output_of_code,
    "toolCall": _hosted_call_in,
    "tool_call": _hosted_call_in,
    "toolResponse": _hosted_result_in,
    "tool_response": _hosted_result_in,
}


PART_KEYS: Final = frozenset(_READERS)


def _either(given: Mapping[str, Any], camel_case: str, snake_case: str) -> Any:
    return given.get(snake_case) if given.get(camel_case) is None else given[camel_case]
