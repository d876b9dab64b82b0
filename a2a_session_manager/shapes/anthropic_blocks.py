"""The content blocks of Anthropic's Messages API, read into parts of the normal form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from a2a_session_manager.shapes.normal_form import Call, Media, MediaKind, Opaque, Other, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.shape import mappings, text_or_none, type_of

_Block: TypeAlias = Mapping[str, Any]

_HOSTED_RESULT: Final = "_tool_result"
_PLACE: Final = "_location"  # as the types of all citations end
# What hosted tools return is told by these keys, deep in one another; more levels than these are not documented.
_SAID_KEYS: Final = ("title", "url", "text", "stdout", "stderr", "error_code", "error_message", "tool_name")
_INNER_KEYS: Final = ("content", "lines", "tool_references")
_LEVELS: Final = 4


def read_content(content: Any) -> list[Part]:
    """Return the content of a message: a text, or blocks. What is neither is kept as `Other`."""
    if isinstance(content, str):
        return [Text(content, content)]
    if not isinstance(content, list | tuple):
        return [] if content is None else [Other(content)]
    parts: list[Part] = []
    for block in content:
        if isinstance(block, Mapping):
            parts += _read_block(block)
        else:
            parts.append(Text(block, block) if isinstance(block, str) else Other(block))
    return parts


def is_block(block: _Block) -> bool:
    """Tell whether only Anthropic writes such a block; plain text is written by others too."""
    kind = type_of(block)
    if kind == "text":
        is_marked = isinstance(block.get("cache_control"), Mapping) or any(
            map(_is_citation, mappings(block.get("citations")))
        )
        return is_marked and isinstance(block.get("text"), str)
    mark = _MARKS.get(kind or "")
    if mark is None:
        return bool(kind) and str(kind).endswith(_HOSTED_RESULT) and isinstance(block.get("tool_use_id"), str)
    key, of_type = mark
    return key in block and isinstance(block[key], of_type)


def _is_citation(citation: _Block) -> bool:
    return (type_of(citation) or "").endswith(_PLACE)


def _read_block(block: _Block) -> list[Part]:
    kind = type_of(block) or ""
    read = _READERS.get(kind)
    if read is None and kind.endswith(_HOSTED_RESULT):
        read = _hosted_result
    parts = [] if read is None else read(block)
    if not parts:
        return [Other(block)]
    for mark in ("cache_control", "citations"):
        if block.get(mark) and (mark == "cache_control" or kind == "text"):
            parts.append(Opaque(mark, block[mark]))
    return parts


def _text(block: _Block) -> list[Part]:
    text = block.get("text")
    return [Text(text, block)] if isinstance(text, str) else []


def _thinking(block: _Block) -> list[Part]:
    thinking = block.get("thinking")
    return [Reasoning(thinking, block)] if isinstance(thinking, str) else []


def _redacted_thinking(block: _Block) -> list[Part]:
    return [Reasoning("", block)]


def _compaction(block: _Block) -> list[Part]:
    summary = block.get("content")
    return [Text(summary, block)] if isinstance(summary, str) else [Opaque("compaction", block)]


def _tool_use(block: _Block) -> list[Part]:
    return [Call(text_or_none(block.get("id")), str(block.get("name") or ""), block.get("input"), raw=block)]


def _hosted_use(block: _Block) -> list[Part]:
    name = str(block.get("name") or "")
    return [Call(text_or_none(block.get("id")), name, block.get("input"), is_hosted=True, raw=block)]


def _tool_result(block: _Block) -> list[Part]:
    content = tuple(_in_result(block.get("content")))
    call_id, is_error = text_or_none(block.get("tool_use_id")), block.get("is_error") is True
    return [Result(call_id, None, content, is_error, raw=block)]


def _hosted_result(block: _Block) -> list[Part]:
    content = block.get("content")
    is_error = block.get("is_error") is True or (isinstance(content, Mapping) and _is_error(content))
    name = (type_of(block) or "").removesuffix(_HOSTED_RESULT)
    said = tuple(_said(content, _LEVELS))
    return [Result(text_or_none(block.get("tool_use_id")), name, said, is_error, is_hosted=True, raw=block)]


def _is_error(content: _Block) -> bool:
    return (type_of(content) or "").endswith("_error")


def _in_result(content: Any) -> list[Part]:
    if isinstance(content, str):
        return [Text(content, content)]
    if not isinstance(content, list | tuple):
        return [] if content is None else [Other(content)]
    parts: list[Part] = []
    for block in content:
        read = _IN_RESULTS.get(type_of(block) or "") if isinstance(block, Mapping) else None
        parts += (read(block) if read is not None else []) or [Other(block)]
    return parts


def _said(content: Any, levels: int) -> list[Part]:
    """Return what a hosted tool has said, whichever it is: a text, a list, or an object that its type describes."""
    if isinstance(content, str):
        return [Text(content, content)] if content else []
    if isinstance(content, list | tuple):
        return [part for each in content for part in _said(each, levels - 1)] if levels else [Other(content)]
    if not isinstance(content, Mapping) or not levels:
        return [] if content is None else [Other(content)]
    kind = type_of(content) or ""
    read = _IN_RESULTS.get(kind)
    if read is not None:
        return read(content) or [Other(content)]
    parts: list[Part] = [Text(content[key], content) for key in _SAID_KEYS if text_or_none(content.get(key))]
    if file_id := text_or_none(content.get("file_id")):
        parts.append(Media("file", url=file_id, raw=content))
    for key in _INNER_KEYS:
        parts += _said(content.get(key), levels - 1)
    is_known = kind.endswith(("_result", "_error"))
    return parts if parts or is_known else [Other(content)]


def _image(block: _Block) -> list[Part]:
    media = _media("image", block)
    return [] if media is None else [media]


def _document(block: _Block) -> list[Part]:
    media = _media("file", block)
    if media is None:
        return []
    source, context = block["source"], text_or_none(block.get("context"))
    pictures = [] if source.get("type") != "content" else mappings(source.get("content"))
    parts: list[Part] = [media._replace(name=text_or_none(block.get("title")))]
    parts += [part._replace(raw=block) for each in pictures if type_of(each) == "image" for part in _image_parts(each)]
    return [*parts, Text(context, block)] if context else parts


def _image_parts(block: _Block) -> list[Media]:
    media = _media("image", block)
    return [] if media is None else [media]


def _search_result(block: _Block) -> list[Part]:
    texts = [block.get("title"), block.get("source"), *(each.get("text") for each in mappings(block.get("content")))]
    text = "\n".join(each for each in texts if isinstance(each, str) and each)
    return [Media("file", "text/plain", name=text_or_none(block.get("title")), text=text, raw=block)]


def _upload(block: _Block) -> list[Part]:
    return [Media("file", url=text_or_none(block.get("file_id")), raw=block)]


def _tool_reference(block: _Block) -> list[Part]:
    name = block.get("tool_name")
    return [Text(name, block)] if isinstance(name, str) else []


def _media(kind: MediaKind, block: _Block) -> Media | None:
    """Return a picture or document by its source; None for a source that is not documented."""
    source = block.get("source")
    if not isinstance(source, Mapping):
        return None
    mime_type, data = text_or_none(source.get("media_type")), source.get("data")
    match source.get("type"):
        case "base64" if isinstance(data, str):
            return Media(kind, mime_type, data, raw=block)
        case "url":
            return Media(kind, url=text_or_none(source.get("url")), raw=block)
        case "file":
            return Media(kind, url=text_or_none(source.get("file_id")), raw=block)
        case "text" if isinstance(data, str):
            return Media(kind, mime_type or "text/plain", text=data, raw=block)
        case "content":
            return Media(kind, "text/plain", text=_text_of_source(source.get("content")), raw=block)
    return None


def _text_of_source(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "\n".join(each["text"] for each in mappings(content) if isinstance(each.get("text"), str))


_IN_RESULTS: Final[Mapping[str, Callable[[_Block], list[Part]]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "tool_reference": _tool_reference,
}
_READERS: Final[Mapping[str, Callable[[_Block], list[Part]]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "search_result": _search_result,
    "thinking": _thinking,
    "redacted_thinking": _redacted_thinking,
    "tool_use": _tool_use,
    "tool_result": _tool_result,
    "server_tool_use": _hosted_use,
    "mcp_tool_use": _hosted_use,
    "container_upload": _upload,
    "compaction": _compaction,
}
# What a block of each type must have: others use some of the types for something else.
_MARKS: Final[Mapping[str, tuple[str, type | tuple[type, ...]]]] = {
    "image": ("source", Mapping),
    "document": ("source", Mapping),
    "search_result": ("content", list),
    "thinking": ("thinking", str),
    "redacted_thinking": ("data", str),
    "tool_use": ("name", str),
    "tool_result": ("tool_use_id", str),
    "server_tool_use": ("name", str),
    "mcp_tool_use": ("name", str),
    "container_upload": ("file_id", str),
    "compaction": ("content", (str, type(None))),
    "fallback": ("to", Mapping),
    "tool_addition": ("tool", Mapping),
    "tool_removal": ("tool", Mapping),
    "mcp_tool_listing": ("tools", list),
}
