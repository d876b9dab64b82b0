"""Gemini's contents, as the API and google-genai write them: in camelCase and in snake_case, with and without nulls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.gemini_parts import is_marked, read_part, signature_in
from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    Message,
    Opaque,
    Other,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.provider_keys import GEMINI
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    Shape,
    base64_of,
    content_again,
    image_type,
    mappings,
    parts_of,
    role_named,
    text_for,
    text_said,
    value_of,
)
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "gemini"

# With any of these keys, a message is of another format that has parts, too.
_FOREIGN_KEYS: Final = frozenset({"kind", "messageId", "message_id", "part_kind"})
_FOREIGN_PART_KEYS: Final = ("type", "kind", "part_kind")
# What a tool returned stands under one of these, or is the whole object.
_WHOLE_KEYS: Final = frozenset({"output", "result", "error"})
_ROLES: Final = frozenset({"user", "model", "function", "system", None})


def _is_mine(message: Mapping[str, Any]) -> bool:
    parts = message.get("parts")
    if parts is None:
        return isinstance(message.get("role"), str) and any(map(is_marked, mappings(message.get("content"))))
    role = message.get("role")
    if not isinstance(role, str | None) or role not in _ROLES or not _FOREIGN_KEYS.isdisjoint(message):
        return False
    if isinstance(parts, str):
        return True
    if not isinstance(parts, list) or not parts:
        return isinstance(parts, list) and message.keys() <= {"role", "parts"}
    return not any(isinstance(part.get(key), str) for part in mappings(parts) for key in _FOREIGN_PART_KEYS)


def _read(message: Mapping[str, Any]) -> Message:
    parts = tuple(parts_of(_content(message), read_part, lambda text: Text(text, text)))
    given = message.get("role")
    role = "user" if given is None else role_named(given)
    if parts and role in ("user", "tool"):
        role = "tool" if all(isinstance(part, Result) for part in parts) else "user"
    return Message(role, parts, NAME, None, message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message, losses)
    if message.name is not None and message.role != "tool":
        losses.append("name")
    results = [part for part in message.parts if isinstance(part, Result)]
    others = [part for part in message.parts if not isinstance(part, Result)]
    ordered = message.parts if message.role == "assistant" else [*results, *others]
    parts = _parts(ordered, losses, is_own=message.shape == NAME)
    role = {"assistant": "model", "system": "system"}.get(message.role, "user")
    return [{"role": role, "parts": parts}] if parts else []


SHAPE: Final = Shape(
    NAME,
    _is_mine,
    _read,
    _write,
    joins_results=True,
    has_system_apart=True,
    begins_with_user=True,
    joins_answers=True,
    names_results=True,
    refuses_blank_text=True,
    signs_calls=True,
    unread=partial(unread, reads=GEMINI),
)


def is_signed(part: Part) -> bool:
    """Tell whether a part that is no thought, which formats lose as a whole, has a signature of Gemini's."""
    if isinstance(part, Call):
        return part.signature is not None
    if isinstance(part, Text) and part.signature is not None:
        return True
    return not isinstance(part, Reasoning) and isinstance(part.raw, Mapping) and bool(signature_in(part.raw))


def _content(message: Mapping[str, Any]) -> Any:
    return message["parts"] if message.get("parts") is not None else message.get("content")


def _written_again(message: Message, losses: Losses) -> list[RawMessage]:
    raw: RawMessage = message.raw
    content = _content(raw)
    written = content_again(content, message.parts, lambda part: _parts([part], losses))
    if written is content:
        return [raw]
    return [{**raw, "parts" if raw.get("parts") is not None else "content": written}] if written else []


def _parts(parts: Sequence[Part], losses: Losses, *, is_own: bool = False) -> list[RawMessage]:
    written = [_part(part, losses, is_own=is_own) for part in parts]
    return [part for part in written if part is not None]


def _part(part: Part, losses: Losses, *, is_own: bool) -> RawMessage | None:
    raw = getattr(part, "raw", None)
    if is_own and isinstance(raw, dict):
        return raw
    if isinstance(part, Text | Instruction):
        return {"text": part.text, **_signed(part)} if part.text.strip() else None
    if isinstance(part, Json):
        return {"text": text_for(part.value)}
    if isinstance(part, Media):
        return _media_part(part, losses)
    if isinstance(part, Call) and not part.is_hosted:
        given = value_of(part.arguments)
        args = given if isinstance(given, Mapping) else {} if given in (None, "") else {"input": given}
        called = {**({} if part.id is None else {"id": part.id}), "name": part.name, "args": args}
        return {"functionCall": called, **_signed(part)}
    if isinstance(part, Result) and not part.is_hosted:
        return {"functionResponse": _response(part, losses)}
    return _lost(part, losses)


def _signed(part: Text | Instruction | Call) -> RawMessage:
    if isinstance(part, Instruction) or part.signature is None:
        return {}
    return {"thoughtSignature": str(part.signature)}


def _lost(part: Part, losses: Losses) -> RawMessage | None:
    if isinstance(part, Other):
        losses.append("unknown part")
        return {"text": text_for(part.raw)}
    if isinstance(part, Opaque):
        losses.append(part.what)
    elif isinstance(part, Call):
        losses.append(f"hosted call {part.name}")
    elif isinstance(part, Result):
        losses.append(f"hosted result {part.name or ''}".rstrip())
    elif isinstance(part, Reasoning) and (part.text or part.raw):
        losses.append("reasoning")
    return None


def _media_part(media: Media, losses: Losses) -> RawMessage | None:
    if media.text is not None:
        return {"text": media.text}
    if media.data is not None:
        return {"inlineData": {"mimeType": image_type(media) or "application/octet-stream", "data": base64_of(media)}}
    if media.url is None or "://" not in media.url:  # an id of another provider's file
        losses.append(media.kind)
        return None
    mime_type = {} if media.mime_type is None else {"mimeType": media.mime_type}
    return {"fileData": {**mime_type, "fileUri": media.url}}


def _response(result: Result, losses: Losses) -> RawMessage:
    name = result.name
    if name is None:
        losses.append("a tool's name")
    call_id = {} if result.call_id is None else {"id": result.call_id}
    written: RawMessage = {**call_id, "name": name or result.call_id or "", "response": _returned(result)}
    for part in result.content:
        if text_said(part) is None and not isinstance(part, Media):
            _lost(part, losses)
    media = [_media_part(part, losses) for part in result.content if isinstance(part, Media) and part.text is None]
    if any(media):
        written["parts"] = [each for each in media if each is not None]
    return written


def _returned(result: Result) -> RawMessage:
    """Return the object that a tool's result is to be; other values go under the key that stands for all of it."""
    said = [part for part in result.content if not isinstance(part, Media) or part.text is not None]
    if len(said) == 1 and isinstance(said[0], Json):
        value = said[0].value
        if isinstance(value, Mapping) and not result.is_error and _WHOLE_KEYS.isdisjoint(value):
            return dict(value)
    else:
        texts = (text_said(part) for part in said)
        value = "\n".join(text for text in texts if text is not None)
    return {"error" if result.is_error else "output": value}
