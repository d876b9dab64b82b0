"""The parts of OpenTelemetry's messages, read into parts of the normal form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import Call, Json, Media, MediaKind, Other, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.shape import media_kind, text_or_none, type_of

_URLS: Final[Mapping[str, MediaKind]] = {
    "image-url": "image",
    "audio-url": "audio",
    "video-url": "video",
    "document-url": "file",
}
_MODALITIES: Final[Mapping[str, MediaKind]] = {"image": "image", "audio": "audio", "video": "video", "document": "file"}
# Types that no other format has. Those that others have, too, are told by where they have their text.
_OWN_TYPES: Final = frozenset(
    ["tool_call", "tool_call_response", "server_tool_call", "server_tool_call_response", "blob", "uri", "compaction"]
).union(_URLS)
_TEXT_TYPES: Final = frozenset({"text", "compaction"})
_REASONING_TYPES: Final = frozenset({"reasoning", "thinking"})


def is_part(part: Mapping[str, Any]) -> bool:
    """Tell whether only these messages have such a part; plain text is in others, too."""
    kind = type_of(part)
    if not kind:
        return False
    return kind in _OWN_TYPES or "file_id" in part or "content" in part


def are_parts(answer: Any) -> bool:
    """Tell whether a tool answered with a list of parts, and not with another JSON value."""
    return (
        isinstance(answer, list)
        and bool(answer)
        and all(isinstance(each, Mapping) and is_part(each) for each in answer)
    )


def read_part(part: Mapping[str, Any]) -> Part:
    """Return a part; one that is not known becomes `Other`."""
    kind, content = type_of(part), part.get("content")
    if kind in _TEXT_TYPES and isinstance(content, str):
        return Text(content, part)
    if kind in _REASONING_TYPES and isinstance(content, str):
        return Reasoning(content, part)
    name, call_id = text_or_none(part.get("name")), text_or_none(part.get("id"))
    is_hosted = part.get("builtin") is True
    if kind == "tool_call":
        return Call(call_id, name or "", part.get("arguments"), is_hosted, raw=part)
    if kind == "server_tool_call":
        return Call(call_id, name or "", part.get(kind), True, raw=part)
    if kind == "tool_call_response":
        answer = part.get("response", part.get("result"))
        return Result(call_id, name, _answered(answer), is_hosted=is_hosted, raw=part)
    if kind == "server_tool_call_response":
        return Result(call_id, name, _answered(part.get(kind)), is_hosted=True, raw=part)
    return _read_media(part, kind)


def _answered(answer: Any) -> tuple[Part, ...]:
    """Return what a tool answered: any JSON value, among them a list of parts."""
    if answer is None:
        return ()
    if are_parts(answer):
        return tuple(map(read_part, answer))
    return (Text(answer, answer) if isinstance(answer, str) else Json(answer, answer),)


def _read_media(part: Mapping[str, Any], kind: str | None) -> Part:
    content, mime_type = text_or_none(part.get("content")), text_or_none(part.get("mime_type"))
    modality = part.get("modality")
    media = _MODALITIES.get(modality, "file") if isinstance(modality, str) else media_kind(mime_type)
    if kind == "blob" and content is not None:
        return Media(media, mime_type, content, raw=part)
    if kind == "binary" and content is not None:
        mime_type = text_or_none(part.get("media_type"))
        return Media(media_kind(mime_type), mime_type, content, raw=part)
    url = text_or_none(part.get("file_id" if kind == "file" else "url" if kind in _URLS else "uri"))
    if url is None or kind is None:
        return Other(part)
    return Media(_URLS.get(kind, media), mime_type, url=url, raw=part)
