"""The parts of the Vercel AI SDK's messages for user interfaces, read into parts of the normal form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from a2a_session_manager.shapes.ai_sdk_parts import said_by, says_more_than_signature, signature_in
from a2a_session_manager.shapes.normal_form import Call, Media, Opaque, Other, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.shape import mappings, media_at, media_kind, text_or_none, type_of

_Part: TypeAlias = Mapping[str, Any]

# What is there for people to see: the SDK gives it to no model.
_STEP: Final = "step-start"
_SHOWN_TYPES: Final = frozenset({_STEP, "source", "source-url", "source-document"})
_DATA: Final = "data-"
_TOOL: Final = "tool-"
_DENIED: Final = "Tool call execution denied."  # what the SDK tells a model


def read_parts(parts: Iterable[Any]) -> list[Part]:
    """Return the parts of a message. The results of a step stand after all that the step says and calls."""
    read: list[Part] = []
    results: list[Part] = []
    for part in parts:
        if not isinstance(part, Mapping):
            read.append(Other(part))
        elif type_of(part) == _STEP:
            read += results
            results = []
        elif (invocation := invocation_of(part)) is not None:
            read += _called(part, invocation)
            results += _answered(part, invocation)
        elif not is_shown_only(part):
            read += _read_part(part)
    return read + results


def read_invocations(invocations: Any) -> list[Part]:
    """Return the calls and results of version 4, where they stand beside the content, by their step."""
    steps: dict[str, list[_Part]] = {}
    for invocation in mappings(invocations):
        steps.setdefault(str(invocation.get("step") or 0), []).append(invocation)
    read: list[Part] = []
    for step in steps.values():
        read += [part for each in step for part in _called(each, each)]
        read += [part for each in step for part in _answered(each, each)]
    return read


def read_attachments(attachments: Any) -> Iterator[Part]:
    """Yield the files of version 4, which stand beside the content."""
    for each in mappings(attachments):
        mime_type = text_or_none(each.get("contentType"))
        yield media_at(each.get("url"), media_kind(mime_type), mime_type, text_or_none(each.get("name")), each)


def invocation_of(part: _Part) -> _Part | None:
    """Return what a part tells of a call and its result: the part itself, but in version 4 an object in it."""
    kind = type_of(part) or ""
    if kind == "tool-invocation" and isinstance(part.get("toolInvocation"), Mapping):
        inner: _Part = part["toolInvocation"]
        return inner
    is_tool = kind == "dynamic-tool" or kind.startswith(_TOOL)
    return part if is_tool and isinstance(part.get("toolCallId"), str) else None


def is_shown_only(part: _Part) -> bool:
    """Tell whether a part is for people alone, such as a source, or the data of an application."""
    kind = type_of(part) or ""
    return kind in _SHOWN_TYPES or kind.startswith(_DATA)


def shown_only(parts: Any) -> list[str]:
    """Return the types of the parts that are for people alone; where a step begins says nothing to them, either."""
    return [str(part["type"]) for part in mappings(parts) if is_shown_only(part) and part["type"] != _STEP]


def is_part(part: _Part) -> bool:
    """Tell whether a part of a message with `parts` is one of the AI SDK."""
    match type_of(part):
        case "text":
            return isinstance(part.get("text"), str)
        case "reasoning":
            return isinstance(part.get("text"), str) or isinstance(part.get("reasoning"), str)
        case "file" | "reasoning-file":
            return isinstance(part.get("mediaType"), str) or isinstance(part.get("mimeType"), str)
        case "custom":
            return isinstance(part.get("kind"), str)
        case "steering-message":
            return isinstance(part.get("parts"), list)
    return invocation_of(part) is not None or is_shown_only(part)


def _called(part: _Part, invocation: _Part) -> list[Part]:
    name = text_or_none(invocation.get("toolName")) or (type_of(part) or "").removeprefix(_TOOL)
    arguments = invocation["input"] if "input" in invocation else invocation.get("args")
    if arguments is None:
        arguments = invocation.get("rawInput")
    is_hosted = invocation.get("providerExecuted") is True
    call_id, metadata = text_or_none(invocation.get("toolCallId")), invocation.get("callProviderMetadata")
    signature = signature_in(metadata)
    call: Part = Call(call_id, name, arguments, is_hosted, raw=part, signature=signature)
    return [call, *(_marks(metadata) if signature is None or says_more_than_signature(metadata) else ())]


def _answered(part: _Part, invocation: _Part) -> list[Part]:
    """Return the result of a call, as the SDK gives it to a model; nothing while there is none."""
    said: list[Part] | None = None
    is_error = False
    approval = invocation.get("approval")
    granted = approval if isinstance(approval, Mapping) else {}
    match invocation.get("state"):
        case "output-available":
            said = [said_by(invocation["output"], part)] if invocation.get("output") is not None else []
        case "result":
            said = [said_by(invocation["result"], part)] if invocation.get("result") is not None else []
        case "output-error":
            said, is_error = [said_by(invocation.get("errorText") or "", part)], True
        case "output-denied":
            said, is_error = [Text(text_or_none(granted.get("reason")) or _DENIED, part)], True
        case "approval-responded" if granted.get("approved") is False:
            said, is_error = [Text(text_or_none(granted.get("reason")) or _DENIED, part)], True
    if said is None:
        return []
    call_id, is_hosted = text_or_none(invocation.get("toolCallId")), invocation.get("providerExecuted") is True
    name = text_or_none(invocation.get("toolName")) or (type_of(part) or "").removeprefix(_TOOL)
    return [Result(call_id, name, tuple(said), is_error, is_hosted, raw=part)]


def _read_part(part: _Part) -> list[Part]:
    match type_of(part):
        case "text" if isinstance(part.get("text"), str):
            return [Text(part["text"], part), *_marks(part.get("providerMetadata"))]
        case "reasoning" if isinstance(part.get("text"), str):
            return [Reasoning(part["text"], part)]
        case "reasoning" if isinstance(part.get("reasoning"), str):
            return [Reasoning(part["reasoning"], part)]
        case "reasoning-file":
            return [Reasoning("", part)]
        case "file":
            return [_file(part), *_marks(part.get("providerMetadata"))]
        case "custom":
            return [Opaque("custom", part)]
    return [Other(part)]


def _file(part: _Part) -> Media:
    mime_type = text_or_none(part.get("mediaType")) or text_or_none(part.get("mimeType"))
    name, data, reference = text_or_none(part.get("filename")), part.get("data"), part.get("providerReference")
    if isinstance(data, str):
        return Media(media_kind(mime_type), mime_type, data, name=name, raw=part)
    media = media_at(part.get("url"), media_kind(mime_type), mime_type, name, part)
    if media.url is None and media.data is None and isinstance(reference, Mapping):
        return media._replace(url=next((each for each in reference.values() if text_or_none(each)), None))
    return media


def _marks(metadata: Any) -> list[Part]:
    return [Opaque("providerMetadata", metadata)] if isinstance(metadata, Mapping) else []
