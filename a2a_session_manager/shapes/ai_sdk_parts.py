"""Content parts of the Vercel AI SDK's model messages, read into parts of the normal form."""

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
from a2a_session_manager.shapes.shape import mappings, media_at, media_kind, text_or_none, type_of

_Part: TypeAlias = Mapping[str, Any]

_LONGEST_SCHEME: Final = 12
SIGNERS: Final = ("google", "googleVertex", "vertex")
_SIGNATURE: Final = "thoughtSignature"


def read_content(content: Any, *, is_hosted: bool) -> list[Part]:
    """Return the content of a message: a text, or parts. What is neither is kept as `Other`.

    Args:
        content: the content of a message.
        is_hosted: results among it are those of the provider's own tools.
    """
    if isinstance(content, str):
        return [Text(content, content)]
    if not isinstance(content, list | tuple):
        return [] if content is None else [Other(content)]
    parts: list[Part] = []
    for each in content:
        if not isinstance(each, Mapping):
            parts.append(Text(each, each) if isinstance(each, str) else Other(each))
            continue
        read = _READERS.get(type_of(each) or "")
        part = Other(each) if read is None else read(each)
        parts.append(part._replace(is_hosted=is_hosted) if isinstance(part, Result) else part)
        # The signature of a thought goes with the thought.
        options = each.get("providerOptions")
        if not isinstance(options, Mapping) or isinstance(part, Reasoning | Other | Opaque):
            continue
        if not isinstance(part, Call) or says_more_than_signature(options):
            parts.append(Opaque("providerOptions", options))
    return parts


def is_part(part: _Part) -> bool:
    """Tell whether only the AI SDK writes such a part; plain text is written by others too."""
    match type_of(part):
        case "tool-call" | "tool-result":
            return isinstance(part.get("toolCallId"), str)
        case "tool-approval-request" | "tool-approval-response":
            return isinstance(part.get("approvalId"), str)
        case "reasoning":
            return isinstance(part.get("text"), str)
        case "redacted-reasoning" | "reasoning-file":
            return "data" in part
        case "image":
            return "image" in part
        case "file":
            return "data" in part and (isinstance(part.get("mediaType"), str) or isinstance(part.get("mimeType"), str))
        case "text":
            return isinstance(part.get("text"), str) and isinstance(part.get("providerOptions"), Mapping)
    return False


def signature_in(options: Any) -> str | None:
    """Return what Gemini has signed a call with, which the SDK keeps among the provider's options or metadata."""
    given = [options.get(signer) for signer in SIGNERS] if isinstance(options, Mapping) else []
    return next((text for each in mappings(given) if (text := text_or_none(each.get(_SIGNATURE)))), None)


def says_more_than_signature(options: Any) -> bool:
    """Tell whether something but what `signature_in` reads stands among options."""
    signer = next((each for each in SIGNERS if signature_in({each: options.get(each)})), None)
    return signer is None or options.keys() != {signer} or options[signer].keys() != {_SIGNATURE}


def said_by(value: Any, raw: Any) -> Part:
    """Return what a tool has returned: a text as it is, and any other value as JSON."""
    return Text(value, raw) if isinstance(value, str) else Json(value, raw)


def _text(part: _Part) -> Part:
    text = part.get("text")
    return Text(text, part) if isinstance(text, str) else Other(part)


def _reasoning(part: _Part) -> Part:
    text = part.get("text")
    return Reasoning(text, part) if isinstance(text, str) else Other(part)


def _hidden_reasoning(part: _Part) -> Part:
    return Reasoning("", part)


def _image(part: _Part) -> Part:
    return _media(part.get("image"), part, "image")


def _file(part: _Part) -> Part:
    return _media(part.get("data"), part)


def _call(part: _Part) -> Part:
    arguments = part["input"] if "input" in part else part.get("args")
    is_hosted = part.get("providerExecuted") is True
    call_id, name = text_or_none(part.get("toolCallId")), str(part.get("toolName") or "")
    signature = signature_in(part.get("providerOptions")) or signature_in(part.get("providerMetadata"))
    return Call(call_id, name, arguments, is_hosted, raw=part, signature=signature)


def _result(part: _Part) -> Part:
    output = part.get("output")
    if output is not None:
        content, is_error = _said_in(output)
    elif isinstance(part.get("experimental_content"), list):  # In version 4 a model is given this in place of `result`.
        content, is_error = _items(part["experimental_content"]), part.get("isError") is True
    else:
        content = [said_by(part["result"], part)] if part.get("result") is not None else []
        is_error = part.get("isError") is True
    call_id, name = text_or_none(part.get("toolCallId")), text_or_none(part.get("toolName"))
    return Result(call_id, name, tuple(content), is_error, raw=part)


def _approval(part: _Part) -> Part:
    return Opaque("tool approval", part)


def _custom(part: _Part) -> Part:
    return Opaque("custom", part)


def _said_in(output: Any) -> tuple[list[Part], bool]:
    """Return what a result's output says, and whether it is an error."""
    if not isinstance(output, Mapping):
        return [said_by(output, output)], False
    value = output.get("value")
    match output.get("type"):
        case "text" | "json" if "value" in output:
            return [said_by(value, output)], False
        case "error-text" | "error-json" if "value" in output:
            return [said_by(value, output)], True
        case "execution-denied":
            reason = output.get("reason")
            return [Text(reason, output)] if isinstance(reason, str) else [], True
        case "content" if isinstance(value, list):
            return _items(value), False
    return [Other(output)], False


def _items(content: list[Any]) -> list[Part]:
    return [_item(each) if isinstance(each, Mapping) else Other(each) for each in content]


def _item(item: _Part) -> Part:
    kind = type_of(item) or ""
    if kind == "text":
        return _text(item)
    if kind == "custom":
        return Opaque("custom", item)
    is_image: MediaKind | None = "image" if kind.startswith("image") else None
    for key in ("data", "url", "fileId", "providerReference"):
        if key in item and (is_image or kind == "media" or kind.startswith("file")):
            return _media(item[key], item, is_image)
    return Other(item)


def _media(data: Any, raw: _Part, kind: MediaKind | None = None) -> Part:
    """Return media by what is given as its data: base64, a URL, one of the tagged forms, or a provider's reference."""
    mime_type = text_or_none(raw.get("mediaType")) or text_or_none(raw.get("mimeType"))
    media = Media(kind or media_kind(mime_type), mime_type, name=text_or_none(raw.get("filename")), raw=raw)
    if isinstance(data, Mapping):
        match data.get("type"):
            case "data" | "url" as tag:
                data = data.get(tag)
            case "text" if isinstance(data.get("text"), str):
                return media._replace(text=data["text"])
            case "reference":
                data = data.get("reference")
    if isinstance(data, Mapping) and "type" not in data:  # A file that was uploaded has an id at each provider.
        return media._replace(url=next((each for each in data.values() if isinstance(each, str) and each), None))
    if not isinstance(data, str):
        return media
    start = data[:_LONGEST_SCHEME]
    if "fileId" in raw or "url" in raw or "://" in start or start.startswith("data:"):
        return media_at(data, media.kind, mime_type, media.name, raw)
    return media._replace(data=data or None)


_READERS: Final[Mapping[str, Callable[[_Part], Part]]] = {
    "text": _text,
    "image": _image,
    "file": _file,
    "reasoning": _reasoning,
    "redacted-reasoning": _hidden_reasoning,
    "reasoning-file": _hidden_reasoning,
    "tool-call": _call,
    "tool-result": _result,
    "tool-approval-request": _approval,
    "tool-approval-response": _approval,
    "custom": _custom,
}
