"""The Vercel AI SDK's messages for user interfaces: UIMessage, also as its version 4 had it.

A call and its result are one part of an assistant's message. So an open call is closed by writing its message with a
`Result` added that has the call's id: its part gets the state "output-error", or "output-available" where the result is
no error. The order of the parts does not matter for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.shapes.ai_sdk_ui_parts import (
    invocation_of,
    is_part,
    read_attachments,
    read_invocations,
    read_parts,
    shown_only,
)
from a2a_session_manager.shapes.framework_keys import AI_SDK_UI
from a2a_session_manager.shapes.normal_form import (
    Call,
    Json,
    Media,
    Message,
    Opaque,
    Other,
    Part,
    Reasoning,
    Result,
    Text,
)
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    Shape,
    data_url,
    id_made_of,
    image_type,
    mappings,
    role_named,
    text_for,
    text_or_none,
    value_of,
)
from a2a_session_manager.shapes.unread_keys import unread

NAME: Final = "ai_sdk_ui"

_OUTPUT_KEYS: Final = frozenset({"output", "errorText", "resultProviderMetadata", "preliminary"})
# Tuples, since a state may be anything that JSON holds, and a list has no hash.
_ANSWERED_STATES: Final = ("output-available", "output-error", "output-denied")
_OLD_STATES: Final = ("partial-call", "call", "result")
_METADATA: Final = "providerMetadata"
_INVOCATIONS: Final = "toolInvocations"  # of version 4
_LONGEST_SCHEME: Final = 12
_TYPES_UNKNOWN: Final[Mapping[str, str]] = {"image": "image/*", "audio": "audio/*", "video": "video/*"}


def _is_mine(message: Mapping[str, Any]) -> bool:
    if not isinstance(message.get("role"), str):
        return False
    if isinstance(message.get(_INVOCATIONS), list) or isinstance(message.get("experimental_attachments"), list):
        return True
    parts = message.get("parts")
    if not isinstance(parts, list):
        return False
    return any(map(is_part, mappings(parts))) if parts else isinstance(message.get("id"), str)


def _read(message: Mapping[str, Any]) -> Message:
    parts, content = message.get("parts"), message.get("content")
    read: list[Part]
    if isinstance(parts, list) and parts:
        read = read_parts(parts)
    else:
        reasoning = text_or_none(message.get("reasoning"))
        read = [] if reasoning is None else [Reasoning(reasoning, reasoning)]
        read += read_invocations(message.get(_INVOCATIONS))
        if content is not None:
            read.append(Text(content, content) if isinstance(content, str) else Other(content))
    read += read_attachments(message.get("experimental_attachments"))
    return Message(role_named(message.get("role")), tuple(read), NAME, None, message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message, losses)
    if message.name is not None and message.role != "tool":
        losses.append("name")
    has_results = any(isinstance(part, Result) for part in message.parts)
    role = "assistant" if has_results or message.role == "tool" else message.role
    parts = _parts(message.parts, losses)
    made: RawMessage = {"role": role if role in ("system", "assistant") else "user", "parts": parts}
    return [{"id": id_made_of(made), **made}] if parts else []


def _unread(message: Mapping[str, Any]) -> Losses:
    return [*shown_only(message.get("parts")), *unread(message, AI_SDK_UI)]


SHAPE: Final = Shape(NAME, _is_mine, _read, _write, holds_results=True, unread=_unread)


def _written_again(message: Message, losses: Losses) -> list[RawMessage]:
    """Return a message of this format without what was taken out of it, and with the results that were added."""
    raw, original = message.raw, _read(message.raw).parts
    if len(original) == len(message.parts) and all(map(_is_same, original, message.parts)):
        return [raw]
    rest = _Rest(original, message.parts)
    added = _parts([part for part in message.parts if rest.is_added(part)], losses)
    if not rest.kept and not added:
        return []
    written = dict(raw)
    for key in ("parts", _INVOCATIONS, "experimental_attachments"):
        if isinstance(raw.get(key), list):
            written[key] = [each for item in raw[key] for each in rest.of(item, losses, is_bare=key == _INVOCATIONS)]
    if added:
        written["parts"] = [*(written.get("parts") or ()), *added]
    if isinstance(raw.get("content"), str):  # Beside parts, it says the same as they.
        written["content"] = "".join(part.text for part in message.parts if isinstance(part, Text))
    if "reasoning" in raw and not any(isinstance(part, Reasoning) for part in message.parts):
        del written["reasoning"]
    return [written]


def _is_same(one: Part, other: Part) -> bool:
    return one.raw is other.raw and type(one) is type(other)


class _Rest:
    """What is left of a message's items, by the parts that were read from them and those that are still there."""

    def __init__(self, original: Sequence[Part], parts: Sequence[Part]) -> None:
        self.known = {id(part.raw) for part in original}
        self.kept = {id(part.raw) for part in parts if not isinstance(part, Result) and not _is_mark(part)} & self.known
        self._calls = {part.id for part in parts if isinstance(part, Call)}
        self._results = {part.call_id: part for part in parts if isinstance(part, Result)}

    def is_added(self, part: Part) -> bool:
        """Tell whether a part has no item, and is no answer to a call that has one."""
        if _is_mark(part) or id(part.raw) in self.known:
            return False
        return not isinstance(part, Result) or part.call_id not in self._calls

    def of(self, item: Any, losses: Losses, *, is_bare: bool) -> list[Any]:
        """Return an item with the result that is there now; nothing where its part was taken out."""
        invocation = None
        if isinstance(item, Mapping):
            invocation = item if is_bare else invocation_of(item)
        if invocation is None:
            return [item] if id(item) in self.kept or id(item) not in self.known else []
        call_id = text_or_none(invocation.get("toolCallId"))
        if call_id not in self._calls:
            return []
        result = self._results.get(call_id)
        if result is not None and id(result.raw) in self.known:
            return [item]
        changed = _with_result(invocation, result, losses)
        return [changed if invocation is item else {**item, "toolInvocation": changed}]


def _is_mark(part: Part) -> bool:
    return isinstance(part, Opaque) and part.what == _METADATA


def _with_result(invocation: Mapping[str, Any], result: Result | None, losses: Losses) -> Mapping[str, Any]:
    """Return what tells of a call, with another result, or with none."""
    if invocation.get("state") in _OLD_STATES:
        made = {key: value for key, value in invocation.items() if key != "result"}
        if result is None:
            return {**made, "state": "call"} if "result" in invocation else invocation
        losses += ["error"] if result.is_error else []
        return {**made, "state": "result", "result": _said(result, losses)}
    if result is None and invocation.get("state") not in _ANSWERED_STATES:
        return invocation
    approval = invocation.get("approval")
    is_granted = isinstance(approval, Mapping) and approval.get("approved") is True and result is not None
    dropped = _OUTPUT_KEYS if is_granted else _OUTPUT_KEYS | {"approval"}
    made = {key: value for key, value in invocation.items() if key not in dropped}
    if result is None:
        return {**made, "state": "input-available"}
    if result.is_error:
        return {**made, "state": "output-error", "errorText": text_for(_said(result, losses))}
    return {**made, "state": "output-available", "output": _said(result, losses)}


def _said(result: Result, losses: Losses) -> Any:
    """Return what a tool has said as an output, which is any JSON value; pictures and files have no place in one."""
    if len(result.content) == 1 and isinstance(result.content[0], Json):
        return result.content[0].value
    losses += [part.kind for part in result.content if isinstance(part, Media) and part.text is None]
    said = [part for part in result.content if not isinstance(part, Media) or part.text is not None]
    return "\n".join(each["text"] for part in said for each in _part(part, {}, losses))


def _parts(parts: Sequence[Part], losses: Losses) -> list[RawMessage]:
    results = {part.call_id: part for part in parts if isinstance(part, Result)}
    written: list[RawMessage] = []
    for part in parts:
        if isinstance(part, Call):
            written += _part(part, results, losses)
        elif not isinstance(part, Result):
            written += _part(part, {}, losses)
    called = {part.id for part in parts if isinstance(part, Call)}
    for result in results.values():
        if result.call_id not in called:
            losses.append(f"call {result.name}")
            written += _part(Call(result.call_id, result.name or "", {}), results, losses)
    return written


def _part(part: Part, results: Mapping[str | None, Result], losses: Losses) -> list[RawMessage]:
    match part:
        case Call():
            return [_tool_part(part, results.get(part.id), losses)]
        case Media(text=None):
            return _file(part, losses)
        case Reasoning() if part.text:
            return [{"type": "reasoning", "text": part.text}]
        case Reasoning() | Opaque() | Result():
            losses.append(part.what if isinstance(part, Opaque) else type(part).__name__.lower())
            return []
        case Other():
            losses.append("unknown part")
    value = part.value if isinstance(part, Json) else part.raw if isinstance(part, Other) else part.text
    text = text_for(value)
    return [{"type": "text", "text": text}] if text.strip() else []


def _tool_part(call: Call, result: Result | None, losses: Losses) -> RawMessage:
    made: RawMessage = {
        "type": "dynamic-tool",
        "toolName": call.name,
        "toolCallId": call.id or call.name,
        "state": "input-available",
        "input": {} if call.arguments is None else value_of(call.arguments),
    }
    if call.is_hosted:
        made["providerExecuted"] = True
    return made if result is None else dict(_with_result(made, result, losses))


def _file(media: Media, losses: Losses) -> list[RawMessage]:
    mime_type = (image_type(media) if media.kind == "image" else media.mime_type) or _TYPES_UNKNOWN.get(media.kind)
    mime_type = mime_type or "application/octet-stream"
    url = data_url(media._replace(mime_type=mime_type))
    if url is None or ("://" not in url[:_LONGEST_SCHEME] and media.data is None):  # An id, which is no URL.
        losses.append(media.kind)
        return []
    written = {"type": "file", "mediaType": mime_type, "url": url}
    return [written if media.name is None else {**written, "filename": media.name}]
