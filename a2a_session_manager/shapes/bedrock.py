"""Amazon Bedrock's Converse API, which is also how Strands Agents keeps its messages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.bedrock_blocks import DOCUMENT_TYPES, FILM_TYPES, is_block, read_content
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
from a2a_session_manager.shapes.provider_keys import BEDROCK
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    Shape,
    base64_of,
    content_again,
    image_type,
    mappings,
    role_named,
    text_for,
    value_of,
)
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "bedrock"

# Gemini's parts have no type either, and its texts look the same.
_GEMINI_KEYS: Final = frozenset(
    {"inlineData", "inline_data", "fileData", "file_data", "functionCall", "function_call", "thought"}
    | {"functionResponse", "function_response", "thoughtSignature", "thought_signature", "executableCode"}
)
_IMAGES: Final = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_SOUNDS: Final = {f"audio/{name}": name for name in ("mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mpeg", "webm")}
_FORMATS: Final[Mapping[str, Mapping[str, str]]] = {
    "image": _IMAGES,
    "audio": _SOUNDS,
    "video": {kind: name for name, kind in FILM_TYPES.items()},
    "file": {kind: name for name, kind in DOCUMENT_TYPES.items()},
}
_WRONG_IN_ID: Final = re.compile(r"[^a-zA-Z0-9_.:-]")
_WRONG_IN_NAME: Final = re.compile(r"[^a-zA-Z0-9\-()\[\]]+")


def _is_mine(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if not isinstance(message.get("role"), str) or not isinstance(content, list) or not any(map(is_block, content)):
        return False
    return all(_GEMINI_KEYS.isdisjoint(block) for block in mappings(content))


def _read(message: Mapping[str, Any]) -> Message:
    role, parts = role_named(message.get("role")), read_content(message.get("content"))
    if role == "user" and parts and all(isinstance(part, Result | Opaque) for part in parts):
        role = "tool" if any(isinstance(part, Result) for part in parts) else role
    return Message(role, tuple(parts), NAME, None, message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    role = message.role if message.role in ("system", "assistant") else "user"
    if message.shape == NAME and message.raw is not None:
        return _written_again(message, role, losses)
    if message.name is not None and message.role != "tool":
        losses.append("name")
    parts = message.parts
    if role == "user":  # The results have to come before all else.
        parts = tuple(sorted(parts, key=lambda part: not isinstance(part, Result)))
    content = _content(parts, role, losses)
    return [{"role": role, "content": content}] if content else []


SHAPE: Final = Shape(
    NAME,
    _is_mine,
    _read,
    _write,
    joins_results=True,
    has_system_apart=True,
    begins_with_user=True,
    alternates=True,
    refuses_blank_text=True,
    unread=partial(unread, reads=BEDROCK),
)


def _written_again(message: Message, role: str, losses: Losses) -> list[RawMessage]:
    raw = message.raw
    content = content_again(raw.get("content"), message.parts, lambda part: _blocks(part, role, losses))
    if content is raw.get("content"):
        return [raw]
    content = [{"text": each} if isinstance(each, str) else each for each in content]
    content = _without_lone_end(content, role, losses)
    return [{**raw, "content": content}] if content else []


def _content(parts: Sequence[Part], role: str, losses: Losses) -> list[RawMessage]:
    content: list[RawMessage] = []
    for part in parts:
        if not content or content[-1] is not part.raw:  # Several parts are of one block, which is written once.
            content += _blocks(part, role, losses)
    return _without_lone_end(content, role, losses)


def _without_lone_end(content: list[Any], role: str, losses: Losses) -> list[Any]:
    """Return blocks that do not end with thoughts, which Claude refuses, and that are not cache points alone."""
    end = len(content)
    while role == "assistant" and end and is_block(content[end - 1]) and "reasoningContent" in content[end - 1]:
        end -= 1
    if end < len(content):
        losses.append("reasoning")
    return content[:end] if any(not is_block(block) or "cachePoint" not in block for block in content[:end]) else []


def _blocks(part: Part, role: str, losses: Losses) -> list[RawMessage]:
    """Return a part as blocks; none, and a loss, where a message of this role cannot hold it."""
    if _is_own(part.raw) and _fits(part, role):
        return [part.raw]
    if isinstance(part, Text | Json | Instruction | Other):
        return _text_blocks(part, role, losses)
    if _fits(part, role):
        match part:
            case Call(is_hosted=False):
                return [_tool_use(part, losses)]
            case Result(is_hosted=False):
                return [_tool_result(part, losses)]
            case Media():
                return _media_blocks(part, losses)
    losses.append(_name_of(part))
    return []


def _is_own(block: Any) -> bool:
    """Tell whether a part is as it may be sent here; texts are written anew, for Gemini's look the same."""
    return is_block(block) and len(block) == 1 and "text" not in block


def _fits(part: Part, role: str) -> bool:
    match part:
        case Call() | Reasoning() | Result(is_hosted=True):
            return role == "assistant"
        case Result():
            return role == "user"
        case Media():
            return role != "system"
    return True


def _name_of(part: Part) -> str:
    match part:
        case Media():
            return part.kind
        case Opaque():
            return part.what
        case Call(is_hosted=True) | Result(is_hosted=True):
            return f"hosted {type(part).__name__.lower()} {part.name}"
    return type(part).__name__.lower()


def _text_blocks(part: Text | Json | Instruction | Other, role: str, losses: Losses) -> list[RawMessage]:
    if isinstance(part, Other):
        losses.append("unknown part")
    if isinstance(part, Instruction) and role != "system":
        losses.append("instruction")
    if isinstance(part, Text | Instruction):
        text = part.text
    else:
        text = text_for(part.value if isinstance(part, Json) else part.raw)
    return [{"text": text}] if text.strip() else []


def _media_blocks(media: Media, losses: Losses) -> list[RawMessage]:
    mime_type = image_type(media) if media.kind == "image" else media.mime_type
    source: RawMessage | None = None
    if media.text is not None:
        source, mime_type = {"text": media.text}, "text/plain"
    elif media.data is not None:
        source = {"bytes": base64_of(media)}
    elif media.url is not None and media.url.startswith("s3://"):
        source = {"s3Location": {"uri": media.url}}
    key = "document" if media.text is not None or media.kind == "file" else media.kind
    name = _FORMATS["file" if key == "document" else media.kind].get(mime_type or "")
    if source is None or name is None or source == {"text": ""}:
        losses.append(media.kind)
        return []
    written = {"format": name, "source": source}
    if key == "document":
        written["name"] = _WRONG_IN_NAME.sub(" ", media.name or "").strip() or "document"
    return [{key: written}]


def _tool_use(call: Call, losses: Losses) -> RawMessage:
    arguments = {} if call.arguments is None else value_of(call.arguments)
    if not isinstance(arguments, Mapping):
        losses.append("arguments")
        arguments = {"input": arguments}
    return {"toolUse": {"toolUseId": _id(call.id or call.name), "name": call.name, "input": arguments}}


def _tool_result(result: Result, losses: Losses) -> RawMessage:
    content: list[RawMessage] = []
    for part in result.content:
        if isinstance(part, Media) and part.kind == "audio":  # It has a place beside results only.
            losses.append("audio")
            continue
        # A list or a plain value is refused as JSON.
        is_json = isinstance(part, Json) and isinstance(part.value, Mapping)
        content += [{"json": part.value}] if is_json and isinstance(part, Json) else _blocks(part, "user", losses)
    status = "error" if result.is_error else "success"
    call_id = _id(result.call_id or result.name or "")
    return {"toolResult": {"toolUseId": call_id, "content": content, "status": status}}


def _id(given: str) -> str:
    """Return an id as Bedrock takes it: other characters than these are refused."""
    return _WRONG_IN_ID.sub("_", given)
