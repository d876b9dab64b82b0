"""AG-UI's messages, as agents and their user interfaces exchange them; as TypeScript spells them, and Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
    Json,
    Media,
    MediaKind,
    Message,
    Opaque,
    Other,
    Part,
    Reasoning,
    Result,
    Text,
    text_of,
)
from a2a_session_manager.shapes.protocol_keys import ag_ui
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
    role_named,
    text_for,
    text_or_none,
    type_of,
)
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "ag_ui"

_MARKS: Final = frozenset(
    ["toolCalls", "toolCallId", "activityType", "activity_type", "subagentRunId", "subagent_run_id"]
).union(["encryptedValue", "encrypted_value", "encryptedContent"])
_OWN_ROLES: Final = frozenset({"activity", "reasoning"})
# What a message may have that has no mark but its id, which messages of the chat format have not.
_KEYS: Final = _MARKS | {"id", "role", "content", "name", "tool_calls", "tool_call_id", "error", "metadata"}
_CALL_KEYS: Final = ("toolCalls", "tool_calls")
_MEDIA_KINDS: Final[Mapping[str, MediaKind]] = {
    "image": "image",
    "audio": "audio",
    "video": "video",
    "document": "file",
}


def _is_mine(message: Mapping[str, Any]) -> bool:
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or "parts" in message:
        return False
    if not _MARKS.isdisjoint(message) or (role in _OWN_ROLES and "content" in message):
        return True
    has_id = isinstance(message.get("id"), str) and message.keys() <= _KEYS
    if isinstance(content, list):
        is_mine = has_id
        for part in mappings(content):
            if (kind := _kind_of(part)) is None:
                return False
            is_mine = is_mine or kind != "text"
        return is_mine
    return has_id and (content is None or isinstance(content, str))


def _read(message: Mapping[str, Any]) -> Message:
    role, content = message.get("role"), message.get("content")
    if role == "activity":  # it is for people to see, and no model is given it
        return Message("other", (), NAME, None, message)
    if role == "reasoning":
        parts = parts_of(content, _read_part, lambda text: Reasoning(text, text))
        return Message("assistant", tuple(parts), NAME, None, message)
    parts = parts_of(content, _read_part, lambda text: Text(text, text))
    if role == "tool":
        return Message("tool", (_result(message, parts),), NAME, None, message)
    if role == "assistant":
        parts += [_read_call(call) for key in _CALL_KEYS for call in mappings(message.get(key))]
    return Message(role_named(role), tuple(parts), NAME, text_or_none(message.get("name")), message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message)
    written: list[RawMessage] = []
    said: list[Part] = []
    for part in message.parts:
        if isinstance(part, Result) and not part.is_hosted:
            written.append(_tool_message(part, losses))
        elif isinstance(part, Reasoning) and part.text:
            written.append(_with_id({"role": "reasoning", "content": part.text}))
        else:
            said.append(part)
    if said or not written:
        written.append(_said_message(message, said, losses))
    return written


SHAPE: Final = Shape(NAME, _is_mine, _read, _write, splits_answers=True, unread=partial(unread, reads=ag_ui))


def _kind_of(part: Mapping[str, Any]) -> str | None:
    """Return the type of a part of this format; None for another's, which has other sources."""
    kind, source = type_of(part), part.get("source")
    if kind in _MEDIA_KINDS:
        return kind if isinstance(source, Mapping) and isinstance(source.get("value"), str) else None
    return kind if kind in ("text", "binary") and source is None else None


def _read_part(part: Mapping[str, Any]) -> Part:
    kind = _kind_of(part)
    if kind is None or (kind == "text" and not isinstance(part.get("text"), str)):
        return Other(part)
    if kind == "text":
        return Text(part["text"], part)
    if kind == "binary":  # until 1.0
        mime_type = _first_text(part, "mimeType", "mime_type")
        data, url = _first_text(part, "data"), _first_text(part, "url", "id")
        return Media(media_kind(mime_type), mime_type, data, url, _first_text(part, "filename"), raw=part)
    source, more = part["source"], part.get("metadata")
    mime_type = _first_text(source, "mimeType", "mime_type")
    name = _first_text(more, "filename") if isinstance(more, Mapping) else None
    data, url = (source["value"], None) if source.get("type") == "data" else (None, source["value"])
    return Media(_MEDIA_KINDS[kind], mime_type, data, url, name, raw=part)


def _read_call(call: Mapping[str, Any]) -> Call:
    function = call.get("function")
    made = function if isinstance(function, Mapping) else {}
    return Call(_first_text(call, "id"), str(made.get("name") or ""), made.get("arguments"), raw=call)


def _result(message: Mapping[str, Any], content: list[Part]) -> Result:
    error = message.get("error")
    if isinstance(error, str) and error and error != text_of(content):
        content = [*content, Text(error, error)]
    call_id = _first_text(message, "toolCallId", "tool_call_id")
    return Result(call_id, None, tuple(content), error is not None, raw=message)


def _first_text(given: Mapping[str, Any], *keys: str) -> str | None:
    return next((text for key in keys if (text := text_or_none(given.get(key))) is not None), None)


def _written_again(message: Message) -> list[RawMessage]:
    """Return a message of this format, without the parts that were taken out of it."""
    if len(message.parts) == len(_read(message.raw).parts):
        return [message.raw]
    if not message.parts:
        return []
    raw: RawMessage = dict(message.raw)
    for key in ("content", *_CALL_KEYS):
        if isinstance(raw.get(key), list):
            raw[key] = kept_in(raw[key], message.parts)
    for key in _CALL_KEYS:
        if not raw.get(key, True):
            del raw[key]
    if isinstance(raw.get("content"), str) and not any(part.raw is raw["content"] for part in message.parts):
        del raw["content"]
    return [raw]


def _with_id(message: RawMessage) -> RawMessage:
    return {"id": id_made_of(message), **message}


def _tool_message(result: Result, losses: Losses) -> RawMessage:
    content = _content(result.content, losses)
    written: RawMessage = {"role": "tool", "toolCallId": result.call_id or result.name or "", "content": content}
    if result.is_error:
        written["error"] = text_of(result.content) or "failed"
    return _with_id(written)


def _said_message(message: Message, parts: Sequence[Part], losses: Losses) -> RawMessage:
    role = message.role if message.role in ("system", "assistant") else "user"
    content = _content(parts, losses) if role == "user" else _only_text(parts, role, losses)
    written: RawMessage = {"role": role, "content": content}
    calls = [_tool_call(part) for part in parts if isinstance(part, Call) and not part.is_hosted]
    if calls and role == "assistant":
        written["toolCalls"] = calls
        if not content:
            del written["content"]
    elif calls:
        losses.append("call")
    if message.name is not None:
        written["name"] = message.name
    return _with_id(written)


def _tool_call(call: Call) -> RawMessage:
    arguments = "{}" if call.arguments is None else text_for(call.arguments)
    return {"id": call.id or call.name, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _content(parts: Sequence[Part], losses: Losses) -> Any:
    written = [content for part in parts if (content := _content_part(part, losses)) is not None]
    if not written:
        return ""
    return written[0]["text"] if len(written) == 1 and "text" in written[0] else written


def _only_text(parts: Sequence[Part], role: str, losses: Losses) -> str:
    """Return the texts of an assistant or the system, who have no other parts."""
    written = [content for part in parts if (content := _content_part(part, losses)) is not None]
    losses += [each["type"] for each in written if "text" not in each]
    return "\n".join(each["text"] for each in written if "text" in each)


def _content_part(part: Part, losses: Losses) -> RawMessage | None:
    if isinstance(part, Text | Instruction):
        return {"type": "text", "text": part.text}
    if isinstance(part, Json):
        return {"type": "text", "text": text_for(part.value)}
    if isinstance(part, Media):
        return _media_part(part) if part.text is None else {"type": "text", "text": part.text}
    if isinstance(part, Other):
        losses.append("unknown part")
        return {"type": "text", "text": text_for(part.raw)}
    if isinstance(part, Call | Result) and part.is_hosted:
        losses.append(f"hosted {type(part).__name__.lower()} {part.name or ''}".rstrip())
    elif isinstance(part, Opaque):
        losses.append(part.what)
    elif isinstance(part, Reasoning) and part.raw:
        losses.append("reasoning")
    return None


def _media_part(media: Media) -> RawMessage:
    source: RawMessage = {"type": "url", "value": media.url or ""}
    if media.data is not None:
        source = {"type": "data", "value": base64_of(media), "mimeType": media.mime_type or "application/octet-stream"}
    elif media.mime_type is not None:
        source["mimeType"] = media.mime_type
    metadata = {} if media.name is None else {"metadata": {"filename": media.name}}
    return {"type": "document" if media.kind == "file" else media.kind, "source": source, **metadata}
