"""The parts of pydantic-ai's requests and responses, read into parts of the normal form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    MediaKind,
    Opaque,
    Other,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.shape import media_at, media_kind, text_or_none

URL_KINDS: Final[Mapping[str, MediaKind]] = {
    "image-url": "image",
    "audio-url": "audio",
    "video-url": "video",
    "document-url": "file",
}
_GEMINIS: Final = "google"  # as its provider's names begin, of each release
# These say what a model may use or what `instructions` were made of, or mark a place; a model reads nothing of them as
# they stand.
_OPAQUE: Final = frozenset(
    {
        "tool-availability-delta",
        "capability-load-delta",
        "model-settings-delta",
        "instruction-baseline",
        "cache-point",
        "compaction",
    }
)


def read_part(part: Mapping[str, Any]) -> list[Part]:
    """Return what a part says; one that is not known becomes `Other`."""
    kind = part.get("part_kind")
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    found = None if reader is None else reader(part)
    if found is None and isinstance(kind, str) and kind in _OPAQUE:
        return [Opaque(kind, part)]
    return [Other(part)] if found is None else found


def signed_by(before: Any, part: Part) -> Part:
    """Return a part with the signature that Gemini gave to the thought before it: it was the call's once."""
    if not isinstance(part, Call) or part.is_hosted or part.signature is not None or not isinstance(before, Mapping):
        return part
    is_geminis = str(before.get("provider_name") or "").startswith(_GEMINIS)
    signature = text_or_none(before.get("signature")) if before.get("part_kind") == "thinking" and is_geminis else None
    return part if signature is None else part._replace(signature=signature)


def _text(part: Mapping[str, Any]) -> list[Part] | None:
    text = part.get("content")
    return [Text(text, part)] if isinstance(text, str) else None


def _instruction(part: Mapping[str, Any]) -> list[Part] | None:
    text = part.get("content")
    return [Instruction(text, part)] if isinstance(text, str) else None


def _thinking(part: Mapping[str, Any]) -> list[Part] | None:
    return [Reasoning(text_or_none(part.get("content")) or "", part)]


def _user_prompt(part: Mapping[str, Any]) -> list[Part] | None:
    content = part.get("content")
    if isinstance(content, list):
        return [_said(each) for each in content]
    return _text(part)


def _feedback(part: Mapping[str, Any]) -> list[Part] | None:
    """Return what the model is told about an answer that was not accepted: a text, or what was wrong."""
    content = part.get("content")
    return [Text(content, part) if isinstance(content, str) else Json(content, part)]


def _retry_prompt(part: Mapping[str, Any]) -> list[Part] | None:
    name = text_or_none(part.get("tool_name"))
    if name is None:
        return _feedback(part)
    content = tuple(_feedback(part) or ())
    return [Result(text_or_none(part.get("tool_call_id")), name, content, is_error=True, raw=part)]


def _call(part: Mapping[str, Any]) -> list[Part] | None:
    name = str(part.get("tool_name") or "")
    is_hosted = part.get("part_kind") == "builtin-tool-call"
    details = part.get("provider_details")
    signature = text_or_none(details.get("thought_signature")) if isinstance(details, Mapping) else None
    call_id = text_or_none(part.get("tool_call_id"))
    return [Call(call_id, name, part.get("args"), is_hosted, raw=part, signature=signature)]


def _result(part: Mapping[str, Any]) -> list[Part] | None:
    content, name = part.get("content"), text_or_none(part.get("tool_name"))
    items = content if isinstance(content, list) and any(map(is_told_apart, content)) else [content]
    said = tuple(_said(each) for each in items if each is not None)
    is_error = part.get("outcome") not in (None, "success")
    is_hosted = part.get("part_kind") == "builtin-tool-return"
    return [Result(text_or_none(part.get("tool_call_id")), name, said, is_error, is_hosted, raw=part)]


def _file(part: Mapping[str, Any]) -> list[Part] | None:
    content = part.get("content")
    return [_said(content)._replace(raw=part)] if isinstance(content, Mapping) and _is_media(content) else None


def _speech(part: Mapping[str, Any]) -> list[Part] | None:
    text, audio = text_or_none(part.get("transcript")), part.get("audio")
    found: list[Part] = [] if text is None else [Text(text, part)]
    if isinstance(audio, Mapping):
        found.append(_said(audio)._replace(raw=part))
    return found or None


def is_told_apart(item: Any) -> bool:
    """Tell whether a list that a tool returned is one of texts and media, and not a single JSON value."""
    return isinstance(item, str) or (isinstance(item, Mapping) and _is_media(item))


def _is_media(item: Mapping[str, Any]) -> bool:
    kind = item.get("kind")
    return isinstance(kind, str) and (kind in URL_KINDS or kind in ("binary", "uploaded-file"))


def _said(item: Any) -> Part:
    """Return an item of what a user said or a tool returned: a text, a picture and the like, or any JSON value."""
    if isinstance(item, str):
        return Text(item, item)
    if not isinstance(item, Mapping):
        return Json(item, item)
    kind, mime_type = item.get("kind"), text_or_none(item.get("media_type"))
    if isinstance(kind, str) and kind in URL_KINDS:
        return media_at(item.get("url"), URL_KINDS[kind], mime_type, raw=item)
    if kind == "binary":
        return Media(media_kind(mime_type), mime_type, text_or_none(item.get("data")), raw=item)
    if kind == "uploaded-file":
        return Media(media_kind(mime_type), mime_type, url=text_or_none(item.get("file_id")), raw=item)
    if kind == "text-content" and isinstance(item.get("content"), str):
        return Text(item["content"], item)
    return Opaque(kind, item) if isinstance(kind, str) and kind in _OPAQUE else Json(item, item)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], list[Part] | None]]] = {
    "system-prompt": _instruction,
    "instruction-delta": _instruction,
    "user-prompt": _user_prompt,
    "retry-prompt": _retry_prompt,
    "retry-feedback": _feedback,
    "tool-return": _result,
    "builtin-tool-return": _result,
    "tool-call": _call,
    "builtin-tool-call": _call,
    "text": _text,
    "compaction": _text,
    "thinking": _thinking,
    "file": _file,
    "speech": _speech,
}
