"""A2A's messages between agents: those of 0.2 and 0.3, whose parts have kinds, and of 1.0, whose parts have none.

There are no tool calls in them, and no system.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import (
    Instruction,
    Json,
    Media,
    Message,
    Opaque,
    Other,
    Part,
    Role,
    Text,
)
from a2a_session_manager.shapes.protocol_keys import A2A
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    Shape,
    base64_of,
    id_made_of,
    kept_in,
    mappings,
    media_kind,
    parts_of,
    text_for,
    text_or_none,
)
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "a2a"

_ROLES: Final[Mapping[str, Role]] = {
    "user": "user",
    "agent": "assistant",
    "ROLE_USER": "user",
    "ROLE_AGENT": "assistant",
}
_OWN_ROLES: Final = frozenset({"agent", "ROLE_USER", "ROLE_AGENT", "ROLE_UNSPECIFIED"})
_MARKS: Final = frozenset({"messageId", "message_id"})
_KINDS: Final = frozenset({"text", "file", "data"})


def _is_mine(message: Mapping[str, Any]) -> bool:
    parts, role = message.get("parts"), message.get("role")
    if not isinstance(parts, list) or not isinstance(role, str):
        return False
    if message.get("kind") == "message" or role in _OWN_ROLES or not _MARKS.isdisjoint(message):
        return True
    return any(isinstance(kind := part.get("kind"), str) and kind in _KINDS for part in mappings(parts))


def _read(message: Mapping[str, Any]) -> Message:
    role = message.get("role")
    parts = parts_of(message.get("parts"), _read_part, lambda text: Text(text, text))
    return Message(_ROLES.get(str(role), "other"), tuple(parts), NAME, None, message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message)
    if message.role == "system":
        losses.append("system")
        return []
    parts = [written for part in message.parts if (written := _written(part, losses)) is not None]
    if not parts:
        return []
    made: RawMessage = {"role": "ROLE_AGENT" if message.role == "assistant" else "ROLE_USER", "parts": parts}
    return [{"messageId": id_made_of(made), **made}]


SHAPE: Final = Shape(NAME, _is_mine, _read, _write, unread=partial(unread, reads=A2A))


def _read_part(part: Mapping[str, Any]) -> Part:
    if isinstance(part.get("text"), str):
        return Text(part["text"], part)
    if "data" in part:
        return Json(part["data"], part)
    file = part.get("file")
    given = file if isinstance(file, Mapping) else part
    data = _first_text(given, "bytes", "raw", "fileWithBytes", "file_with_bytes")
    url = _first_text(given, "uri", "url", "fileWithUri", "file_with_uri")
    if data is None and url is None:
        return Other(part)
    mime_type = _first_text(given, "mimeType", "mime_type", "mediaType", "media_type")
    return Media(media_kind(mime_type), mime_type, data, url, _first_text(given, "name", "filename"), raw=part)


def _first_text(given: Mapping[str, Any], *keys: str) -> str | None:
    return next((text for key in keys if (text := text_or_none(given.get(key))) is not None), None)


def _written_again(message: Message) -> list[RawMessage]:
    """Return a message of this format, without the parts that were taken out of it."""
    parts = message.raw.get("parts")
    if not isinstance(parts, list) or len(message.parts) == len(parts):
        return [message.raw]
    kept = kept_in(parts, message.parts)
    return [{**message.raw, "parts": kept}] if kept else []


def _written(part: Part, losses: Losses) -> RawMessage | None:
    """Return the part as 1.0 has it, or None for what A2A does not know."""
    if isinstance(part, Text | Instruction):
        return {"text": part.text}
    if isinstance(part, Other):
        losses.append("unknown part")
        return {"text": text_for(part.raw)}
    if isinstance(part, Media):
        return _media_part(part)
    if isinstance(part, Json):
        return {"data": part.value}
    losses.append(part.what if isinstance(part, Opaque) else type(part).__name__.lower())
    return None


def _media_part(media: Media) -> RawMessage:
    if media.text is not None:
        return {"text": media.text}
    written: RawMessage = {"url": media.url or ""} if media.data is None else {"raw": base64_of(media)}
    if media.name is not None:
        written["filename"] = media.name
    if media.mime_type is not None:
        written["mediaType"] = media.mime_type
    return written
