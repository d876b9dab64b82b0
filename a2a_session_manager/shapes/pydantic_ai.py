"""pydantic-ai's requests and responses, as its type adapter for messages dumps them.

A request's `instructions` are read as an instruction of it, but for a request that answers calls: pydantic-ai repeats
them in each, and sends those of the last one alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Final

from a2a_session_manager.shapes.framework_keys import PYDANTIC_AI
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
from a2a_session_manager.shapes.pydantic_ai_parts import URL_KINDS, read_part, signed_by
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    Shape,
    base64_of,
    image_type,
    mappings,
    text_for,
    text_or_none,
    text_said,
)
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "pydantic-ai"

_KINDS: Final = {kind: url_kind for url_kind, kind in URL_KINDS.items()}


def _is_mine(message: Mapping[str, Any]) -> bool:
    if message.get("kind") not in ("request", "response") or not isinstance(message.get("parts"), list):
        return False
    return all(isinstance(part.get("part_kind"), str) for part in mappings(message["parts"]))


def _read(message: Mapping[str, Any]) -> Message:
    parts: list[Part] = []
    before: Any = None
    for part in message["parts"]:
        read = read_part(part) if isinstance(part, Mapping) else [Other(part)]
        parts += [signed_by(before, each) for each in read]
        before = part
    if message.get("kind") == "response":
        return Message("assistant", tuple(parts), NAME, None, message)
    instructions = text_or_none(message.get("instructions"))
    if instructions is not None and not any(isinstance(part, Result) for part in parts):
        parts.insert(0, Instruction(instructions, instructions))
    return Message(_role_of(parts), tuple(parts), NAME, None, message)


def _role_of(parts: Sequence[Part]) -> Role:
    kinds = {type(part) for part in parts} - {Opaque}  # which nobody says
    return "tool" if kinds == {Result} else "system" if kinds == {Instruction} else "user"


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message)
    if message.name is not None and message.role != "tool":
        losses.append("name")
    is_own = message.shape == NAME
    if message.role == "assistant":
        parts = [made for part in message.parts if (made := _response_part(part, losses, is_own=is_own)) is not None]
        return [{"kind": "response", "parts": parts}] if parts else []
    return _request(message, losses, is_own=is_own)


SHAPE: Final = Shape(
    NAME, _is_mine, _read, _write, joins_results=True, names_results=True, unread=partial(unread, reads=PYDANTIC_AI)
)


def _written_again(message: Message) -> list[RawMessage]:
    """Return a message, without the parts that were taken out of it."""
    raw: RawMessage = message.raw
    if len(message.parts) == len(_read(raw).parts):
        return [raw]
    kept = {id(part.raw) for part in message.parts}
    parts = [part for each in raw["parts"] if (part := _part_again(each, kept)) is not None]
    instructions = [part.raw for part in message.parts if _stands_beside(part)]
    if not instructions and any(map(_stands_beside, _read(raw).parts)):
        raw = {**raw, "instructions": None}
    return [{**raw, "parts": parts}] if parts or instructions else []


def _part_again(part: Any, kept: set[int]) -> Any:
    """Return a part without the items of its content that were taken out; None where nothing of it is left."""
    if id(part) in kept:
        return part
    content = part.get("content") if isinstance(part, Mapping) and part.get("part_kind") == "user-prompt" else None
    items = [each for each in content if id(each) in kept] if isinstance(content, list) else []
    if isinstance(content, list) and len(items) == len(content) and content:
        return part
    return {**part, "content": items} if items else None


def _request(message: Message, losses: Losses, *, is_own: bool) -> list[RawMessage]:
    parts: list[RawMessage] = []
    for is_prompt, some in groupby(message.parts, lambda part: _is_in_prompt(part, is_own=is_own)):
        if not is_prompt:
            found = (_request_part(part, losses, is_own=is_own) for part in some)
            parts += (part for part in found if part is not None)
        elif message.role == "system":
            texts = (_item(part, losses) for part in some)
            parts += ({"part_kind": "system-prompt", "content": text} for text in texts if isinstance(text, str))
        else:
            parts += _user_prompt(list(some), losses, is_own=is_own)
    instructions = [part.raw for part in message.parts if is_own and _stands_beside(part)]
    beside = {"instructions": instructions[-1]} if instructions else {}
    return [{"kind": "request", "parts": parts, **beside}] if parts or beside else []


def _stands_beside(part: Part) -> bool:
    """Tell whether an instruction was read from a request's `instructions`."""
    return isinstance(part, Instruction) and isinstance(part.raw, str)


def _is_in_prompt(part: Part, *, is_own: bool) -> bool:
    """Tell whether a part stands in the user's prompt, and is no part of a request by itself."""
    raw = getattr(part, "raw", None)
    return not isinstance(part, Instruction | Result) and not (is_own and isinstance(raw, dict) and "part_kind" in raw)


def _request_part(part: Part, losses: Losses, *, is_own: bool) -> RawMessage | None:
    raw = getattr(part, "raw", None)
    if is_own and isinstance(raw, dict):
        return raw
    if isinstance(part, Result):
        return _tool_return(part, losses, "tool-return")
    if is_own and _stands_beside(part):
        return None
    return {"part_kind": "system-prompt", "content": text_said(part)}


def _user_prompt(parts: Sequence[Part], losses: Losses, *, is_own: bool) -> list[RawMessage]:
    found = (part.raw if is_own and isinstance(part.raw, dict | str) else _item(part, losses) for part in parts)
    items = [item for item in found if item is not None]
    if not items:
        return []
    content = items[0] if len(items) == 1 and isinstance(items[0], str) else items
    return [{"part_kind": "user-prompt", "content": content}]


def _item(part: Part, losses: Losses) -> str | RawMessage | None:
    """Return an item of a prompt or a result."""
    if isinstance(part, Media) and part.text is None:
        return _media_item(part, losses)
    if isinstance(part, Other):
        losses.append("unknown part")
    said = text_said(part)
    if said is None:
        losses.append(part.what if isinstance(part, Opaque) else type(part).__name__.lower())
    return said


def _media_item(media: Media, losses: Losses) -> RawMessage | None:
    if media.data is not None:
        mime_type = image_type(media) or "application/octet-stream"
        return {"kind": "binary", "data": base64_of(media), "media_type": mime_type}
    if media.url is None or "://" not in media.url:  # the id of a file, which goes with its provider's name
        losses.append(media.kind)
        return None
    return {"kind": _KINDS[media.kind], "url": media.url}


def _tool_return(result: Result, losses: Losses, kind: str) -> RawMessage:
    if result.name is None:
        losses.append("a tool's name")
    name = result.name or result.call_id or ""
    content: Any = [_returned(part, losses) for part in result.content]
    content = "" if not content else content[0] if len(content) == 1 else content
    outcome = "failed" if result.is_error else "success"
    call_id = result.call_id or name
    return {"part_kind": kind, "tool_name": name, "content": content, "tool_call_id": call_id, "outcome": outcome}


def _returned(part: Part, losses: Losses) -> Any:
    return part.value if isinstance(part, Json) else _item(part, losses)


def _response_part(part: Part, losses: Losses, *, is_own: bool) -> RawMessage | None:
    raw = getattr(part, "raw", None)
    if is_own and isinstance(raw, dict):
        return raw
    if isinstance(part, Reasoning):
        if part.text:
            return {"part_kind": "thinking", "content": part.text}
        losses.append("reasoning")
        return None
    if isinstance(part, Call):
        kind = "builtin-tool-call" if part.is_hosted else "tool-call"
        call_id = part.id or part.name
        given = part.arguments
        args = given if given is None or isinstance(given, dict) else text_for(given)
        return {"part_kind": kind, "tool_name": part.name, "args": args, "tool_call_id": call_id}
    if isinstance(part, Result):
        return _tool_return(part, losses, "builtin-tool-return" if part.is_hosted else "tool-return")
    item = _item(part, losses)
    if isinstance(part, Text | Instruction | Json | Other):
        return {"part_kind": "text", "content": item}
    return _file_part(item, losses)


def _file_part(item: str | RawMessage | None, losses: Losses) -> RawMessage | None:
    if isinstance(item, str):
        return {"part_kind": "text", "content": item}
    if item is not None and item["kind"] != "binary":
        losses.append("a URL in an answer")
        return None
    return None if item is None else {"part_kind": "file", "content": item}
