"""The content blocks of Amazon Bedrock's Converse API, read into parts of the normal form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

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
from a2a_session_manager.shapes.shape import mappings, text_or_none

_Block: TypeAlias = Mapping[str, Any]

# What formats are called, where it is not the second half of their MIME type.
DOCUMENT_TYPES: Final[Mapping[str, str]] = {
    "pdf": "application/pdf",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "html": "text/html",
    "txt": "text/plain",
    "md": "text/markdown",
}
FILM_TYPES: Final[Mapping[str, str]] = {
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "flv": "video/x-flv",
    "mpeg": "video/mpeg",
    "mpg": "video/mpg",
    "wmv": "video/x-ms-wmv",
    "three_gp": "video/3gpp",
}


def read_content(content: Any) -> list[Part]:
    """Return the content of a message: blocks, or a text. What is neither is kept as `Other`."""
    return _read_all(content, _READERS)


def is_block(block: Any) -> bool:
    """Tell whether a part is one of Converse: it has no type, its only key says what it is."""
    return isinstance(block, Mapping) and "type" not in block and not _READERS.keys().isdisjoint(block)


def _read_all(content: Any, readers: Mapping[str, Callable[[_Block], list[Part]]]) -> list[Part]:
    if isinstance(content, str):
        return [Text(content, content)]
    if not isinstance(content, list | tuple):
        return [] if content is None else [Other(content)]
    parts: list[Part] = []
    for block in content:
        read = next((readers[key] for key in block if key in readers), None) if isinstance(block, Mapping) else None
        parts += (read(block) if read is not None else []) or [Other(block)]
    return parts


def _inside(block: _Block, key: str) -> _Block:
    value = block.get(key)
    return value if isinstance(value, Mapping) else {}


def _text(block: _Block) -> list[Part]:
    text = block["text"]
    return [Text(text, block)] if isinstance(text, str) else []


def _json(block: _Block) -> list[Part]:
    return [Json(block["json"], block)]


def _tool_use(block: _Block) -> list[Part]:
    use = _inside(block, "toolUse")
    is_hosted = use.get("type") == "server_tool_use"
    call_id, name = text_or_none(use.get("toolUseId")), str(use.get("name") or "")
    signature = text_or_none(use.get("reasoningSignature"))  # as Strands keeps Gemini's
    return [Call(call_id, name, use.get("input"), is_hosted, raw=block, signature=signature)]


def _tool_result(block: _Block) -> list[Part]:
    result = _inside(block, "toolResult")
    call_id, content = text_or_none(result.get("toolUseId")), tuple(_read_all(result.get("content"), _IN_RESULTS))
    kind = text_or_none(result.get("type"))  # Only hosted tools' results have one.
    name = kind.removesuffix("_result").removesuffix("_tool") if kind else None
    return [Result(call_id, name, content, result.get("status") == "error", kind is not None, raw=block)]


def _reasoning(block: _Block) -> list[Part]:
    reasoning = _inside(block, "reasoningContent")
    text = _inside(reasoning, "reasoningText").get("text")
    if isinstance(text, str):
        return [Reasoning(text, block)]
    return [Reasoning("", block)] if "redactedContent" in reasoning else []


def _cache_point(block: _Block) -> list[Part]:
    return [Opaque("cachePoint", block)]


def _guarded(block: _Block) -> list[Part]:
    guarded = _inside(block, "guardContent")
    text = _inside(guarded, "text").get("text")
    said: list[Part] = [Text(text, block)] if isinstance(text, str) else []
    if "image" in guarded:
        said += [part._replace(raw=block) for part in _media_in(guarded, "image", _image_type)]
    return [*said, Opaque("guardContent", block)] if said else []


def _cited(block: _Block) -> list[Part]:
    texts = (each.get("text") for each in mappings(_inside(block, "citationsContent").get("content")))
    return [*(Text(text, block) for text in texts if isinstance(text, str)), Opaque("citations", block)]


def _search_result(block: _Block) -> list[Part]:
    found = _inside(block, "searchResult")
    texts = [found.get("title"), found.get("source"), *(each.get("text") for each in mappings(found.get("content")))]
    text = "\n".join(each for each in texts if isinstance(each, str) and each)
    return [Media("file", "text/plain", name=text_or_none(found.get("title")), text=text, raw=block)]


def _image(block: _Block) -> list[Part]:
    return [*_media_in(block, "image", _image_type)]


def _sound(block: _Block) -> list[Part]:
    return [*_media_in(block, "audio", lambda name: f"audio/{name}")]


def _film(block: _Block) -> list[Part]:
    return [*_media_in(block, "video", lambda name: FILM_TYPES.get(name, f"video/{name}"))]


def _document(block: _Block) -> list[Part]:
    document = _inside(block, "document")
    media = _media_in({"file": document}, "file", lambda name: DOCUMENT_TYPES.get(name, f"application/{name}"))
    name, context = text_or_none(document.get("name")), text_or_none(document.get("context"))
    parts: list[Part] = [each._replace(name=name, raw=block) for each in media]
    return [*parts, Text(context, block)] if parts and context else parts


def _media_in(block: _Block, kind: MediaKind, mime_type: Callable[[str], str]) -> list[Media]:
    """Return a picture, sound, film or document by its source; nothing for a source that is not documented."""
    given = _inside(block, kind)
    source, name = given.get("source"), text_or_none(given.get("format"))
    if not isinstance(source, Mapping):
        return []
    media = Media(kind, mime_type(name) if name else None, raw=block)
    if "bytes" in source:
        data = source["bytes"]
        # Strands writes bytes as an object with their base64.
        return [media._replace(data=text_or_none(data.get("data") if isinstance(data, Mapping) else data))]
    if isinstance(source.get("s3Location"), Mapping):
        return [media._replace(url=text_or_none(source["s3Location"].get("uri")))]
    if isinstance(source.get("text"), str):
        return [media._replace(text=source["text"])]
    if isinstance(source.get("content"), list):
        texts = (each.get("text") for each in mappings(source["content"]))
        return [media._replace(text="\n".join(text for text in texts if isinstance(text, str)))]
    return []


def _image_type(name: str) -> str:
    return f"image/{name}"


_IN_RESULTS: Final[Mapping[str, Callable[[_Block], list[Part]]]] = {
    "text": _text,
    "json": _json,
    "image": _image,
    "document": _document,
    "video": _film,
    "searchResult": _search_result,
}
_READERS: Final[Mapping[str, Callable[[_Block], list[Part]]]] = {
    "text": _text,
    "image": _image,
    "document": _document,
    "video": _film,
    "audio": _sound,
    "toolUse": _tool_use,
    "toolResult": _tool_result,
    "reasoningContent": _reasoning,
    "cachePoint": _cache_point,
    "guardContent": _guarded,
    "citationsContent": _cited,
    "searchResult": _search_result,
}
