"""The parts that messages and tool outputs of OpenAI's Responses consist of, to the normal form and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import Instruction, Json, Media, Opaque, Other, Part, Reasoning, Text
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    data_url,
    is_openai_file,
    media_at,
    parts_of,
    text_for,
    text_or_none,
    type_of,
)

_TEXT_KEYS: Final = {
    "input_text": "text",
    "output_text": "text",
    "text": "text",
    "summary_text": "text",
    "reasoning_text": "text",
    "refusal": "refusal",
}


def read_content(content: Any) -> list[Part]:
    """Return the parts of a content, which may be a text."""
    return parts_of(content, _read_part, lambda text: Text(text, text))


def write_content(parts: Sequence[Part], losses: Losses) -> str | list[RawMessage]:
    """Return parts as a content that goes in, a text where that is enough."""
    written = write_parts(parts, losses, is_output=False)
    if not written:
        return ""
    if len(written) == 1 and set(written[0]) == {"type", "text"}:
        return str(written[0]["text"])
    return written


def write_parts(parts: Sequence[Part], losses: Losses, *, is_output: bool) -> list[RawMessage]:
    """Return the parts of a content, without those that it cannot hold. `is_output` is for what a model has said."""
    return [content for part in parts if (content := _content_part(part, losses, is_output=is_output)) is not None]


def _read_part(part: Mapping[str, Any]) -> Part:
    kind = type_of(part)
    text = part.get(_TEXT_KEYS.get(kind or "", ""))
    if isinstance(text, str):
        return Text(text, part)
    if kind in ("input_image", "computer_screenshot"):
        return media_at(part.get("image_url") or part.get("file_id"), "image", raw=part)
    if kind == "input_file":
        return _file_in(part)
    if kind == "input_audio" and isinstance(part.get("input_audio"), Mapping):
        sound = part["input_audio"]
        mime_type = f"audio/{sound['format']}" if isinstance(sound.get("format"), str) else None
        return Media("audio", mime_type, text_or_none(sound.get("data")), raw=part)
    return Other(part)


def _file_in(part: Mapping[str, Any]) -> Part:
    name, data = text_or_none(part.get("filename")), text_or_none(part.get("file_data"))
    if data is not None and not data.startswith("data:"):
        return Media("file", data=data, name=name, raw=part)
    return media_at(data or part.get("file_url") or part.get("file_id"), "file", name=name, raw=part)


def _content_part(part: Part, losses: Losses, *, is_output: bool) -> RawMessage | None:
    kind = "output_text" if is_output else "input_text"
    if isinstance(part, Text | Instruction):
        return {"type": kind, "text": part.text}
    if isinstance(part, Json):
        return {"type": kind, "text": text_for(part.value)}
    if isinstance(part, Media) and part.text is not None:
        return {"type": kind, "text": part.text}
    if isinstance(part, Media):
        return _media_part(part, losses, is_output=is_output)
    if isinstance(part, Other):
        losses.append("unknown part")
        return {"type": kind, "text": text_for(part.raw)}
    if isinstance(part, Opaque):
        losses.append(part.what)
    elif not isinstance(part, Reasoning) or part.text or part.raw:
        losses.append(type(part).__name__.lower())
    return None


def _media_part(media: Media, losses: Losses, *, is_output: bool) -> RawMessage | None:
    url = data_url(media)
    if is_output or url is None or media.kind not in ("image", "file"):
        losses.append(media.kind)
        return None
    where = "data" if media.data is not None else "url" if "://" in url or url.startswith("data:") else "id"
    if where == "id" and not is_openai_file(media):
        losses.append(media.kind)
        return None
    if media.kind == "image":
        return {"type": "input_image", "detail": "auto", "file_id" if where == "id" else "image_url": url}
    name = {"filename": media.name or "file"} if where == "data" else {}
    return {"type": "input_file", **name, f"file_{where}": url}
