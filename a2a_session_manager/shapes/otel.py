"""OpenTelemetry's messages of generative AI, as traces hold them: `gen_ai.input.messages` and `gen_ai.output.messages`.

Several instrumentations wrote parts of their own before there were published ones; pydantic-ai's are read, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
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
from a2a_session_manager.shapes.otel_parts import is_part, read_part
from a2a_session_manager.shapes.protocol_keys import OTEL
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    Shape,
    base64_of,
    kept_in,
    mappings,
    parts_of,
    role_named,
    text_for,
    text_or_none,
    value_of,
)
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "otel"


def _is_mine(message: Mapping[str, Any]) -> bool:
    parts = message.get("parts")
    if not isinstance(parts, list) or not isinstance(message.get("role"), str):
        return False
    return isinstance(message.get("finish_reason"), str) or any(map(is_part, mappings(parts)))


def _read(message: Mapping[str, Any]) -> Message:
    role = role_named(message.get("role"))
    parts = parts_of(message.get("parts"), read_part, lambda text: Text(text, text))
    if role in ("user", "tool") and parts:
        role = "tool" if all(isinstance(part, Result) for part in parts) else "user"
    return Message(role, tuple(parts), NAME, text_or_none(message.get("name")), message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message)
    parts = [written for part in message.parts if (written := _written(part, losses)) is not None]
    if not parts:
        return []
    made: RawMessage = {"role": "user" if message.role == "other" else message.role, "parts": parts}
    return [made if message.name is None else {**made, "name": message.name}]


SHAPE: Final = Shape(NAME, _is_mine, _read, _write, unread=partial(unread, reads=OTEL))


def _written_again(message: Message) -> list[RawMessage]:
    """Return a message of this format, without the parts that were taken out of it."""
    parts = message.raw.get("parts")
    if not isinstance(parts, list) or len(message.parts) == len(parts):
        return [message.raw]
    kept = kept_in(parts, message.parts)
    return [{**message.raw, "parts": kept}] if kept else []


def _written(part: Part, losses: Losses) -> RawMessage | None:
    if isinstance(part, Text | Instruction):
        return {"type": "text", "content": part.text}
    if isinstance(part, Reasoning):
        if not part.text and part.raw:
            losses.append("reasoning")
        return {"type": "reasoning", "content": part.text} if part.text else None
    if isinstance(part, Media):
        return _media_part(part)
    if isinstance(part, Json):
        return {"type": "text", "content": text_for(part.value)}
    if isinstance(part, Opaque):
        losses.append(part.what)
        return None
    if isinstance(part, Call):
        return _call_part(part)
    if isinstance(part, Result):
        return _result_part(part, losses)
    losses.append("unknown part")
    return {"type": "text", "content": text_for(part.raw)}


def _call_part(call: Call) -> RawMessage:
    given = {"id": call.id or call.name, "name": call.name}
    if not call.is_hosted:
        return {"type": "tool_call", **given, "arguments": value_of(call.arguments)}
    details = call.arguments if isinstance(call.arguments, Mapping) else {"arguments": call.arguments}
    return {"type": "server_tool_call", **given, "server_tool_call": {"type": call.name, **details}}


def _result_part(result: Result, losses: Losses) -> RawMessage:
    answer = _answer(result.content, losses)
    given = {"id": result.call_id or result.name, **({} if result.name is None else {"name": result.name})}
    if not result.is_hosted:
        return {"type": "tool_call_response", **given, "response": answer}
    details = {"type": result.name or "", "content": answer}
    return {"type": "server_tool_call_response", **given, "server_tool_call_response": details}


def _answer(content: Sequence[Part], losses: Losses) -> Any:
    if len(content) == 1 and isinstance(content[0], Json):
        return content[0].value
    written = [each for part in content if (each := _written(part, losses)) is not None]
    is_text = len(written) == 1 and written[0]["type"] == "text"
    return written[0]["content"] if is_text else written or ""


def _media_part(media: Media) -> RawMessage:
    if media.text is not None:
        return {"type": "text", "content": media.text}
    modality = "document" if media.kind == "file" else media.kind
    mime_type = {} if media.mime_type is None else {"mime_type": media.mime_type}
    if media.data is not None:
        return {"type": "blob", "modality": modality, **mime_type, "content": base64_of(media)}
    return {"type": "uri", "modality": modality, **mime_type, "uri": media.url or ""}
