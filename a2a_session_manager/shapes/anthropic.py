"""Anthropic's Messages API: messages as they are sent, and as its client dumps what it was answered."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.anthropic_blocks import is_block, read_content
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
from a2a_session_manager.shapes.provider_keys import ANTHROPIC
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
    type_of,
    value_of,
)
from a2a_session_manager.shapes.signed_thoughts import signed_thinking
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "anthropic"

# OpenRouter takes cache_control in OpenAI's parts, too.
_OPENAI_TYPES: Final = frozenset({"image_url", "input_audio", "video_url", "file"})
_OPENAI_KEYS: Final = frozenset({"tool_calls", "function_call", "tool_call_id"})
_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_PDF: Final = "application/pdf"
_THINKING: Final = frozenset({"thinking", "redacted_thinking"})
_CITATIONS: Final = "citations"
_MARKS: Final = frozenset({"cache_control", _CITATIONS})
_TEXT_KEYS: Final = frozenset({"type", "text", *_MARKS})
_WRONG_ID: Final = re.compile(r"[^a-zA-Z0-9_-]")


def as_input(message: Mapping[str, Any]) -> RawMessage:
    """Return a message as it may be sent: what the client dumped of an answer has keys that are refused there."""
    content = message.get("content")
    if isinstance(content, list):
        content = [_without_nones(block) if isinstance(block, Mapping) else block for block in content]
    return {"role": message.get("role"), "content": content}


def is_marked_text(part: Part) -> bool:
    """Tell whether a text is kept as a block of this format that says more of it, such as where a cache ends."""
    raw = part.raw
    return isinstance(part, Text) and isinstance(raw, dict) and _is_text_block(raw, part.text) and len(raw) > 2


def _without_nones(block: Mapping[str, Any]) -> Mapping[str, Any]:
    if type_of(block) == "compaction" or None not in block.values():
        return block
    return {key: value for key, value in block.items() if value is not None}


def _is_mine(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if not isinstance(message.get("role"), str) or not _OPENAI_KEYS.isdisjoint(message):
        return False
    if message.get("type") == "message" and "stop_reason" in message:
        return True
    if not isinstance(content, list) or not any(map(is_block, mappings(content))):
        return False
    return not any(type_of(block) in _OPENAI_TYPES for block in mappings(content))


def _read(message: Mapping[str, Any]) -> Message:
    role, parts = role_named(message.get("role")), read_content(message.get("content"))
    if role == "user" and parts and all(isinstance(part, Result | Opaque) for part in parts):
        role = "tool" if any(isinstance(part, Result) for part in parts) else role
    return Message(role, tuple(parts), NAME, None, message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message, losses)
    role = message.role if message.role in ("system", "assistant") else "user"
    if message.name is not None and message.role != "tool":
        losses.append("name")
    parts = message.parts
    if role == "user":  # The results have to come before all else.
        parts = tuple(sorted(parts, key=lambda part: not isinstance(part, Result)))
    content = _content(parts, role, losses)
    if not content:
        return []
    is_text = len(content) == 1 and content[0].keys() == {"type", "text"}
    return [{"role": role, "content": content[0]["text"] if is_text else content}]


def _id(given: str) -> str:
    """Return an id as Anthropic takes it: other characters than these are refused."""
    return _WRONG_ID.sub("_", given)


SHAPE: Final = Shape(
    NAME,
    _is_mine,
    _read,
    _write,
    joins_results=True,
    has_system_apart=True,
    begins_with_user=True,
    refuses_blank_text=True,
    as_id=_id,
    as_input=as_input,
    unread=partial(unread, reads=ANTHROPIC),
)


def _written_again(message: Message, losses: Losses) -> list[RawMessage]:
    raw, role = message.raw, "assistant" if message.role == "assistant" else "user"
    content = content_again(raw.get("content"), message.parts, lambda part: _blocks(part, role, losses))
    if content is raw.get("content"):
        return [raw]
    content = [{"type": "text", "text": each} if isinstance(each, str) else each for each in content]
    content = _without_last_thoughts(content, losses) if role == "assistant" else content
    return [{**raw, "content": content}] if content else []


def _content(parts: Sequence[Part], role: str, losses: Losses) -> list[RawMessage]:
    content: list[RawMessage] = []
    for part in parts:
        if not content or content[-1] is not part.raw:  # Several parts are of one block, which is written once.
            content += _blocks(part, role, losses)
        if isinstance(part, Opaque) and part.what == _CITATIONS and not any(_cites(each, part) for each in content):
            losses.append(part.what)
    return _without_last_thoughts(content, losses) if role == "assistant" else content


def _cites(block: Mapping[str, Any], citations: Opaque) -> bool:
    return block.get(_CITATIONS) is citations.raw


def _without_last_thoughts(content: list[Any], losses: Losses) -> list[Any]:
    """Return blocks that do not end with thinking, which is refused: the answer after it was taken out."""
    end = len(content)
    while end and isinstance(content[end - 1], Mapping) and content[end - 1].get("type") in _THINKING:
        end -= 1
    if end < len(content):
        losses.append("reasoning")
    return content[:end]


def _blocks(part: Part, role: str, losses: Losses) -> list[RawMessage]:
    """Return a part as blocks; none, and a loss, where a message of this role cannot hold it."""
    if isinstance(part, Text | Json | Instruction | Other):
        return _text_blocks(part, role, losses)
    if isinstance(part, Media) and role == "assistant" and part.text:  # what a model said as sound
        return [{"type": "text", "text": part.text}]
    if isinstance(part, Opaque) and part.what in _MARKS:  # It is in the block that it marks.
        return []
    if role == "assistant":
        fits = isinstance(part, Call | Reasoning | Opaque) or (isinstance(part, Result) and part.is_hosted)
    else:
        fits = role == "user" and (isinstance(part, Media) or (isinstance(part, Result) and not part.is_hosted))
    if fits and isinstance(part.raw, dict) and _is_sendable(part.raw) and getattr(part, "signer", None) is None:
        return [part.raw]
    if fits and isinstance(part, Media):
        return _media_blocks(part, losses)
    if isinstance(part, Reasoning) and (block := signed_thinking(part)):
        return [block]
    if not fits or isinstance(part, Reasoning | Media | Opaque) or part.is_hosted:
        losses.append(_name_of(part))
        return []
    return [_tool_use(part, losses) if isinstance(part, Call) else _tool_result(part, losses)]


def _is_sendable(block: Mapping[str, Any]) -> bool:
    return is_block(block) and (block.get("type") != "thinking" or bool(block.get("signature")))


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
    raw = part.raw
    if isinstance(part, Text) and isinstance(raw, dict) and _is_text_block(raw, part.text):
        return [raw] if part.text.strip() else []
    if isinstance(part, Other):
        losses.append("unknown part")
    if isinstance(part, Instruction) and role != "system":
        losses.append("instruction")
    text = (
        part.text if isinstance(part, Text | Instruction) else text_for(part.value if isinstance(part, Json) else raw)
    )
    return [{"type": "text", "text": text}] if text.strip() else []


def _is_text_block(block: Mapping[str, Any], text: str) -> bool:
    return type_of(block) == "text" and block.keys() <= _TEXT_KEYS and block.get("text") == text


def _media_blocks(media: Media, losses: Losses) -> list[RawMessage]:
    source = _source(media)
    if source is None:
        losses.append(media.kind)
        return []
    if media.kind == "image":
        return [{"type": "image", "source": source}]
    return [{"type": "document", "source": source, **({} if media.name is None else {"title": media.name})}]


def _source(media: Media) -> RawMessage | None:
    """Return where a picture or document is; None for what Anthropic does not take, such as sound."""
    if media.text is not None:
        return {"type": "text", "media_type": "text/plain", "data": media.text} if media.text.strip() else None
    is_image = media.kind == "image"
    mime_type = image_type(media) if is_image else media.mime_type
    if media.data is not None and (mime_type in _IMAGES if is_image else mime_type == _PDF):
        return {"type": "base64", "media_type": mime_type, "data": base64_of(media)}
    is_file = media.kind == "file" and mime_type in (None, _PDF)
    if media.url is not None and media.url.startswith(("https://", "http://")) and (is_image or is_file):
        return {"type": "url", "url": media.url}
    return None


def _tool_use(call: Call, losses: Losses) -> RawMessage:
    arguments = {} if call.arguments in (None, "") else value_of(call.arguments)
    if not isinstance(arguments, Mapping):
        losses.append("arguments")
        arguments = {"input": arguments}
    return {"type": "tool_use", "id": _id(call.id or call.name), "name": call.name, "input": arguments}


def _tool_result(result: Result, losses: Losses) -> RawMessage:
    written: RawMessage = {"type": "tool_result", "tool_use_id": _id(result.call_id or result.name or "")}
    content = [block for part in result.content for block in _blocks(part, "user", losses)]
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        written["content"] = content[0]["text"]
    elif content:
        written["content"] = content
    return {**written, "is_error": True} if result.is_error else written
