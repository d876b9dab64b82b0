"""The Vercel AI SDK's messages for models: ModelMessage, and CoreMessage of its version 4."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.ai_sdk_parts import is_part, read_content
from a2a_session_manager.shapes.framework_keys import AI_SDK
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
    Role,
    Text,
)
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

NAME: Final = "ai_sdk"

_OPENAI_KEYS: Final = frozenset({"tool_calls", "function_call", "tool_call_id"})
_TYPES_UNKNOWN: Final[Mapping[str, str]] = {"image": "image/*", "audio": "audio/*", "video": "video/*"}


def _is_mine(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if not isinstance(message.get("role"), str) or not _OPENAI_KEYS.isdisjoint(message):
        return False
    if isinstance(message.get("providerOptions"), Mapping):
        return isinstance(content, str | list)
    return isinstance(content, list) and any(map(is_part, mappings(content)))


def _read(message: Mapping[str, Any]) -> Message:
    role = role_named(message.get("role"))
    parts = read_content(message.get("content"), is_hosted=role == "assistant")
    if isinstance(message.get("providerOptions"), Mapping):
        parts.append(Opaque("providerOptions", message["providerOptions"]))
    return Message(role, tuple(parts), NAME, None, message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message, losses)
    if message.name is not None and message.role != "tool":
        losses.append("name")
    results = [part for part in message.parts if isinstance(part, Result) and not part.is_hosted]
    others = [part for part in message.parts if not isinstance(part, Result) or part.is_hosted]
    role: Role = message.role if message.role in ("system", "assistant") else "user"
    written = [*_message("tool", results, losses), *_message(role, others, losses)]
    return written if role != "assistant" else written[::-1]


SHAPE: Final = Shape(NAME, _is_mine, _read, _write, unread=partial(unread, reads=AI_SDK))


def _written_again(message: Message, losses: Losses) -> list[RawMessage]:
    raw = message.raw
    content = content_again(raw.get("content"), message.parts, lambda part: _parts(part, message.role, losses))
    if content is raw.get("content"):
        return [raw]
    content = [{"type": "text", "text": each} if isinstance(each, str) else each for each in content]
    return [{**raw, "content": content}] if content else []


def _message(role: Role, parts: Sequence[Part], losses: Losses) -> list[RawMessage]:
    content = [written for part in parts for written in _parts(part, role, losses)]
    if not content:
        return []
    if role == "system":  # It is a text only.
        return [{"role": role, "content": "\n".join(each["text"] for each in content)}]
    is_text = len(content) == 1 and content[0].keys() == {"type", "text"}
    return [{"role": role, "content": content[0]["text"] if is_text else content}]


def _parts(part: Part, role: Role, losses: Losses) -> list[RawMessage]:
    """Return a part as content parts; none, and a loss, where a message of this role cannot hold it."""
    fits = _fits(part, role)
    if fits and _is_own(part):
        return [part.raw]
    if isinstance(part, Text | Json | Instruction | Other):
        return _text_parts(part, role, losses)
    if isinstance(part, Opaque) and part.what == "providerOptions":  # They are in the part that they belong to.
        return []
    if fits:
        match part:
            case Call(is_hosted=False):
                return [_tool_call(part)]
            case Result(is_hosted=False):
                return [_tool_result(part, losses)]
            case Media():
                return _file(part, losses)
            case Reasoning():
                return _reasoning(part, losses)
    losses.append(_name_of(part))
    return []


def _fits(part: Part, role: Role) -> bool:
    match part:
        case Call() | Reasoning() | Result(is_hosted=True):
            return role == "assistant"
        case Result():
            return role == "tool"
        case Media():
            return role in ("user", "assistant")
        case Opaque():
            return role in ("assistant", "tool")
    return role != "tool"


def _is_own(part: Part) -> bool:
    """Tell whether a part is as it may be sent here; parts of UIMessage look like these, with other keys."""
    raw = part.raw
    if not isinstance(raw, dict) or not is_part(raw) or "state" in raw or "providerMetadata" in raw:
        return False
    if isinstance(part, Media):
        return "mimeType" not in raw  # Version 4 has another word for it than all later ones.
    return not isinstance(part, Text) or raw.get("text") == part.text


def _name_of(part: Part) -> str:
    match part:
        case Media():
            return part.kind
        case Opaque():
            return part.what
        case Call(is_hosted=True) | Result(is_hosted=True):
            return f"hosted {type(part).__name__.lower()} {part.name}"
    return type(part).__name__.lower()


def _text_parts(part: Text | Json | Instruction | Other, role: Role, losses: Losses) -> list[RawMessage]:
    if isinstance(part, Other):
        losses.append("unknown part")
    if isinstance(part, Instruction) and role != "system":
        losses.append("instruction")
    if isinstance(part, Text | Instruction):
        text = part.text
    else:
        text = text_for(part.value if isinstance(part, Json) else part.raw)
    return [{"type": "text", "text": text}] if text.strip() else []


def _reasoning(part: Reasoning, losses: Losses) -> list[RawMessage]:
    raw = part.raw if isinstance(part.raw, Mapping) else {}
    options = raw.get("providerOptions") or raw.get("providerMetadata")
    if raw.get("type") == "thinking" and isinstance(raw.get("signature"), str):
        options = {"anthropic": {"signature": raw["signature"]}}
    elif raw.get("type") == "redacted_thinking" and isinstance(raw.get("data"), str):
        options = {"anthropic": {"redactedData": raw["data"]}}
    if not part.text and not options:
        losses.append("reasoning")
        return []
    written: RawMessage = {"type": "reasoning", "text": part.text}
    return [{**written, "providerOptions": options} if isinstance(options, Mapping) else written]


def _file(media: Media, losses: Losses) -> list[RawMessage]:
    if media.text is not None:
        return [{"type": "text", "text": media.text}] if media.text.strip() else []
    mime_type = (image_type(media) if media.kind == "image" else media.mime_type) or _TYPES_UNKNOWN.get(media.kind)
    data = base64_of(media) if media.data is not None else media.url
    if data is None or (media.data is None and "://" not in data):  # An id says nothing to another provider.
        losses.append(media.kind)
        return []
    written = {"type": "file", "data": data, "mediaType": mime_type or "application/octet-stream"}
    return [written if media.name is None else {**written, "filename": media.name}]


def _tool_call(call: Call) -> RawMessage:
    arguments = {} if call.arguments is None else value_of(call.arguments)
    return {"type": "tool-call", "toolCallId": call.id or call.name, "toolName": call.name, "input": arguments}


def _tool_result(result: Result, losses: Losses) -> RawMessage:
    if result.name is None:
        losses.append("tool name")
    return {
        "type": "tool-result",
        "toolCallId": result.call_id or result.name or "",
        "toolName": result.name or result.call_id or "",
        "output": _output(result, losses),
    }


def _output(result: Result, losses: Losses) -> RawMessage:
    kind = "error-" if result.is_error else ""
    if len(result.content) == 1 and isinstance(result.content[0], Json):
        return {"type": f"{kind}json", "value": result.content[0].value}
    items = [item for part in result.content for item in _items(part, losses)]
    texts = [item["text"] for item in items if item["type"] == "text"]
    if result.is_error:
        losses += [item["type"].partition("-")[0] for item in items if item["type"] != "text"]
    elif len(texts) != len(items) or len(texts) > 1:
        return {"type": "content", "value": items}
    return {"type": f"{kind}text", "value": "\n".join(texts)}


def _items(part: Part, losses: Losses) -> list[RawMessage]:
    if isinstance(part, Media):
        return [_item(each) for each in _file(part, losses)]
    if isinstance(part, Text | Json | Instruction | Other):
        return _text_parts(part, "tool", losses)
    losses.append(_name_of(part))
    return []


def _item(file: RawMessage) -> RawMessage:
    if file["type"] == "text":
        return file
    kind = "image" if file["mediaType"].startswith("image/") else "file"
    place = "url" if "://" in file["data"][:12] else "data"
    written = {"type": f"{kind}-{place}", place: file["data"]}
    return written if kind == "image" and place == "url" else {**written, "mediaType": file["mediaType"]}
