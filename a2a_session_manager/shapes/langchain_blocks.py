"""The content blocks of LangChain's messages: its own, of both of its versions, and those of providers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from a2a_session_manager.shapes.anthropic_blocks import is_block
from a2a_session_manager.shapes.anthropic_blocks import read_content as read_anthropic_content
from a2a_session_manager.shapes.normal_form import (
    Call,
    Json,
    Media,
    MediaKind,
    Opaque,
    Other,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.openai_parts import read_part
from a2a_session_manager.shapes.responses_content import read_content as read_responses_content
from a2a_session_manager.shapes.responses_items import is_item, read_item
from a2a_session_manager.shapes.shape import media_at, media_kind, text_or_none, type_of

_CODE_TOOL: Final = "code_execution"
# Where Gemini's signatures of calls were before they had a place by the calls' ids.
CALL_SIGNATURE: Final = "function_call_signature"


def read_blocks(content: Any) -> list[Part]:
    """Return the parts of a content: a text, or a list of blocks and texts."""
    if isinstance(content, str):
        return [Text(content, content)]
    if not isinstance(content, list | tuple):
        return [] if content is None else [Other(content)]
    parts: list[Part] = []
    for block in content:
        if isinstance(block, Mapping):
            parts += read_block(block)
        else:
            parts.append(Text(block, block) if isinstance(block, str) else Other(block))
    return parts


def read_block(block: Mapping[str, Any]) -> list[Part]:
    """Return what a block says; one that is not known becomes `Other`."""
    kind = type_of(block) or ""
    reader = _READERS.get(kind)
    part = None if reader is None or is_block(block) else reader(block)
    if part is not None:
        cited = kind == "text" and block.get("citations")  # as Anthropic writes them
        return [part, Opaque("citations", cited)] if cited else [part]
    inner = block.get("value")
    if kind == "non_standard" and isinstance(inner, Mapping) and type_of(inner) != kind:
        found = read_block(inner)
        return [Other(block)] if isinstance(found[0], Other) else found
    return _read_others(block, kind)


def _read_others(block: Mapping[str, Any], kind: str) -> list[Part]:
    """Return what a provider's block says: Anthropic's, or one of either of OpenAI's formats."""
    if is_block(block):
        return read_anthropic_content([block])
    if is_item(kind):
        return read_item(block)[1]
    part = read_part(block)
    return read_responses_content([block]) if isinstance(part, Other) else [part]


def _text(block: Mapping[str, Any]) -> Part | None:
    text = block.get("text")
    return Text(text, block) if isinstance(text, str) else None


def _reasoning(block: Mapping[str, Any]) -> Part | None:
    text = block.get("reasoning")
    return Reasoning(text, block) if isinstance(text, str) else None


def _reasoning_of_bedrock(block: Mapping[str, Any]) -> Part | None:
    said = block.get("reasoning_content")
    return Reasoning(text_or_none(said.get("text")) or "", block) if isinstance(said, Mapping) else None


def _media(kind: MediaKind) -> Callable[[Mapping[str, Any]], Part | None]:
    return lambda block: _media_in(block, kind)


def _media_in(block: Mapping[str, Any], kind: MediaKind) -> Part | None:
    mime_type = text_or_none(block.get("mime_type"))
    name = text_or_none(block.get("filename")) or text_or_none(block.get("title"))
    data = text_or_none(block.get("base64")) or text_or_none(block.get("data"))
    if data is not None:
        return Media(kind, mime_type, data, name=name, raw=block)
    text = block.get("text")
    if isinstance(text, str):
        return Media(kind, mime_type, name=name, text=text, raw=block)
    url = block.get("url") or block.get("file_id") or block.get("file_uri")
    if block.get("source_type") == "id":
        url = block.get("id")
    return media_at(url, kind, mime_type, name, block) if isinstance(url, str) else None


def _media_of_google(block: Mapping[str, Any]) -> Part | None:
    return _media_in(block, media_kind(block.get("mime_type")))


def _call(block: Mapping[str, Any]) -> Part:
    return Call(text_or_none(block.get("id")), str(block.get("name") or ""), block.get("args"), raw=block)


def _hosted_call(block: Mapping[str, Any]) -> Part:
    name = str(block.get("name") or "")
    return Call(text_or_none(block.get("id")), name, block.get("args"), is_hosted=True, raw=block)


def _hosted_result(block: Mapping[str, Any]) -> Part:
    output, call_id = block.get("output"), text_or_none(block.get("tool_call_id"))
    said: Part = Text(output, output) if isinstance(output, str) else Json(output, output)
    content = () if output is None else (said,)
    return Result(call_id, None, content, block.get("status") == "error", is_hosted=True, raw=block)


def _code(block: Mapping[str, Any]) -> Part:
    return Call(None, _CODE_TOOL, block.get("executable_code"), is_hosted=True, raw=block)


def _output_of_code(block: Mapping[str, Any]) -> Part:
    text = text_or_none(block.get("code_execution_result"))
    content = () if text is None else (Text(text, text),)
    return Result(None, _CODE_TOOL, content, is_hosted=True, raw=block)


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Part | None]]] = {
    "text": _text,
    "text-plain": _media("file"),
    "image": _media("image"),
    "audio": _media("audio"),
    "video": _media("video"),
    "file": _media("file"),
    "media": _media_of_google,
    "reasoning": _reasoning,
    "reasoning_content": _reasoning_of_bedrock,
    CALL_SIGNATURE: lambda block: Opaque("thought signature", block),
    "tool_call": _call,
    "invalid_tool_call": _call,
    "server_tool_call": _hosted_call,
    "server_tool_result": _hosted_result,
    "executable_code": _code,
    "code_execution_result": _output_of_code,
}
