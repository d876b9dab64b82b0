"""The bodies of LangChain's messages, written from the normal form in its own content blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    Message,
    Opaque,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.shape import Losses, RawMessage, base64_of, image_type, text_for, text_said, value_of

_TYPES: Final = {"user": "human", "assistant": "ai", "system": "system", "tool": "tool", "other": "human"}
# What every message of LangChain has, and by which a flat one is known.
_EMPTY: Final[Mapping[str, Any]] = {"additional_kwargs": {}, "response_metadata": {}}


def message_body(message: Message, losses: Losses) -> RawMessage:
    """Return the body of a message that holds no result of a tool but hosted ones."""
    kind = _TYPES[message.role]
    calls = [part for part in message.parts if isinstance(part, Call) and not part.is_hosted]
    others = [part for part in message.parts if not isinstance(part, Call) or part.is_hosted]
    body: RawMessage = {"type": kind, "content": _content(others, losses), **_EMPTY}
    if message.name is not None:
        body["name"] = message.name
    if calls:
        made = [_tool_call(call) for call in calls]
        body["tool_calls"] = [call for call in made if call["type"] == "tool_call"]
        body["invalid_tool_calls"] = [call for call in made if call["type"] != "tool_call"]
    return body


def tool_body(result: Result, losses: Losses) -> RawMessage:
    """Return the body of the message that holds a result."""
    call_id = result.call_id or result.name or ""
    status = "error" if result.is_error else "success"
    name = {} if result.name is None else {"name": result.name}
    content = _content(result.content, losses)
    return {"type": "tool", "content": content, **_EMPTY, **name, "tool_call_id": call_id, "status": status}


def _tool_call(call: Call) -> RawMessage:
    args = value_of(call.arguments) if call.kind != "custom" else {"__arg1": call.arguments}  # as LangChain does
    if args is None or isinstance(args, Mapping):
        return {"name": call.name, "args": args or {}, "id": call.id, "type": "tool_call"}
    invalid = {"name": call.name, "args": text_for(args), "id": call.id, "error": None}
    return {**invalid, "type": "invalid_tool_call"}


def _content(parts: Sequence[Part], losses: Losses) -> str | list[RawMessage]:
    blocks = [block for part in parts if (block := _block(part, losses)) is not None]
    if len(blocks) == 1 and blocks[0]["type"] == "text":
        return str(blocks[0]["text"])
    return blocks or ""


def _block(part: Part, losses: Losses) -> RawMessage | None:
    if isinstance(part, Text | Instruction | Json):
        return {"type": "text", "text": text_said(part)}
    if isinstance(part, Reasoning):
        if part.text:
            return {"type": "reasoning", "reasoning": part.text}
        losses.append("reasoning")
        return None
    if isinstance(part, Media):
        return _media_block(part)
    if isinstance(part, Call):
        args = value_of(part.arguments)
        return {"type": "server_tool_call", "id": part.id or part.name, "name": part.name, "args": args or {}}
    if isinstance(part, Result):
        texts = (text_said(each) for each in part.content)
        output = "\n".join(text for text in texts if text is not None)
        status = "error" if part.is_error else "success"
        call_id = part.call_id or part.name or ""
        return {"type": "server_tool_result", "tool_call_id": call_id, "status": status, "output": output}
    if isinstance(part, Opaque):
        losses.append(part.what)
        return None
    losses.append("unknown part")
    return {"type": "text", "text": text_for(part.raw)}


def _media_block(media: Media) -> RawMessage:
    mime_type = image_type(media)
    described: RawMessage = {} if mime_type is None else {"mime_type": mime_type}
    if media.text is not None:
        return {"type": "text-plain", **described, "text": media.text}
    if media.data is not None:
        return {"type": media.kind, **described, "base64": base64_of(media)}
    where = "url" if media.url and "://" in media.url else "file_id"
    return {"type": media.kind, **described, where: media.url}
