"""LangChain's messages in the three forms that they are written in: as dicts of a type and data, flat, and as objects.

The first is what `messages_to_dict` returns, the second `model_dump`, the third `dumpd`. A history is read again by
what belongs to its form, so each is a format of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.framework_keys import SIGNATURES, langchain
from a2a_session_manager.shapes.langchain_blocks import read_block, read_blocks
from a2a_session_manager.shapes.langchain_forms import FORMS, ROLES, Form
from a2a_session_manager.shapes.langchain_writing import message_body, tool_body
from a2a_session_manager.shapes.normal_form import Call, Message, Opaque, Other, Part, Reasoning, Result, Text
from a2a_session_manager.shapes.openai_parts import calls_in
from a2a_session_manager.shapes.responses_items import read_item
from a2a_session_manager.shapes.shape import Losses, RawMessage, Shape, mappings, role_named, text_or_none
from a2a_session_manager.shapes.unread_keys import unread


def _is_mine(form: Form, message: Mapping[str, Any]) -> bool:
    return form.open(message) is not None


def _read(form: Form, message: Mapping[str, Any]) -> Message:
    opened = form.open(message)
    if opened is None:  # not of this form: is_mine says so
        return Message("other", (Other(message),), form.name, None, message)
    kind, body = opened
    name = text_or_none(body.get("name"))
    if kind in ("tool", "function"):
        return Message("tool", (_result_in(body, name),), form.name, name, message)
    if kind == "remove":
        return Message("other", (Opaque(kind, message),), form.name, name, message)
    role = role_named(body.get("role")) if kind == "chat" else ROLES[kind]
    return Message("other" if role == "tool" else role, _said_in(body), form.name, name, message)


def _write(form: Form, message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == form.name and message.raw is not None:
        return _written_again(form, message)
    results = [part for part in message.parts if isinstance(part, Result) and not part.is_hosted]
    others = tuple(part for part in message.parts if not isinstance(part, Result) or part.is_hosted)
    bodies = [tool_body(each, losses) for each in results]
    if others:
        bodies.append(message_body(message._replace(parts=others), losses))
    return [form.close(body, {}) for body in bodies]


def _unread(form: Form, message: Mapping[str, Any]) -> Losses:
    opened = form.open(message)
    return [] if opened is None or opened[0] == "remove" else unread(opened[1], langchain)


def _shape(form: Form) -> Shape:
    return Shape(
        form.name, partial(_is_mine, form), partial(_read, form), partial(_write, form), unread=partial(_unread, form)
    )


SHAPES: Final = tuple(map(_shape, FORMS))


def _result_in(body: Mapping[str, Any], name: str | None) -> Result:
    content = tuple(read_blocks(body.get("content")))
    return Result(text_or_none(body.get("tool_call_id")), name, content, body.get("status") == "error", raw=body)


def _said_in(body: Mapping[str, Any]) -> tuple[Part, ...]:
    """Return what a message says. A call is in the list of calls, and often in a block of the content as well."""
    calls = _calls_in(body)
    ids = {call.id for call in calls} - {None}
    content = [part for part in read_blocks(body.get("content")) if not _is_one_of(part, ids)]
    return (*_reasoning_in(body), *content, *_refusal_in(body), *calls)


def _is_one_of(part: Part, ids: set[str | None]) -> bool:
    return isinstance(part, Call) and not part.is_hosted and part.id in ids


def _more(body: Mapping[str, Any]) -> Mapping[str, Any]:
    given = body.get("additional_kwargs")
    return given if isinstance(given, Mapping) else {}


def _reasoning_in(body: Mapping[str, Any]) -> list[Part]:
    more = _more(body)
    text, item = text_or_none(more.get("reasoning_content")), more.get("reasoning")
    found: list[Part] = [] if text is None else [Reasoning(text, text)]
    if isinstance(item, Mapping):  # OpenAI's, as it was kept at first
        thoughts = read_item({**item, "type": "reasoning"})[1]
        found += [each._replace(raw=item) for each in thoughts]
    return found


def _refusal_in(body: Mapping[str, Any]) -> list[Part]:
    refusal = text_or_none(_more(body).get("refusal"))
    return [] if refusal is None else [Text(refusal, refusal)]


def _calls_in(body: Mapping[str, Any]) -> list[Call]:
    listed = [*mappings(body.get("tool_calls")), *mappings(body.get("invalid_tool_calls"))]
    if not listed:
        return calls_in(_more(body))
    given = _more(body).get(SIGNATURES)
    signatures = given if isinstance(given, Mapping) else {}
    return [_call_in(each, signatures) for each in listed]


def _call_in(call: Mapping[str, Any], signatures: Mapping[str, Any]) -> Call:
    call_id = text_or_none(call.get("id"))
    signature = None if call_id is None else text_or_none(signatures.get(call_id))
    return Call(call_id, str(call.get("name") or ""), call.get("args"), raw=call, signature=signature)


def _written_again(form: Form, message: Message) -> list[RawMessage]:
    """Return a message, without the parts that were taken out of it."""
    raw: RawMessage = message.raw
    if len(message.parts) == len(_read(form, raw).parts):
        return [raw]
    opened = form.open(raw)
    if not message.parts or opened is None:
        return []
    body = dict(opened[1])
    kept = {id(part.raw) for part in message.parts}
    ids = {part.id for part in message.parts if isinstance(part, Call)} - {None}
    for key in ("tool_calls", "invalid_tool_calls"):
        if isinstance(body.get(key), list):
            body[key] = [call for call in body[key] if id(call) in kept]
    content = body.get("content")
    if isinstance(content, list):
        body["content"] = [block for block in content if _is_kept(block, kept, ids)]
    elif id(content) not in kept:
        body["content"] = ""
    if isinstance(body.get("additional_kwargs"), dict):
        body["additional_kwargs"] = _more_again(body["additional_kwargs"], kept, ids)
    return [form.close(body, raw)]


def _is_kept(block: Any, kept: set[int], ids: set[str | None]) -> bool:
    if not isinstance(block, Mapping):
        return id(block) in kept
    return any(id(part.raw) in kept or _is_one_of(part, ids) for part in read_block(block))


def _more_again(more: dict[str, Any], kept: set[int], ids: set[str | None]) -> dict[str, Any]:
    calls = more.get("tool_calls")
    if isinstance(calls, list):
        some = [each for each in calls if id(each) in kept or (isinstance(each, Mapping) and each.get("id") in ids)]
        more = {**more, "tool_calls": some}
    said = ("reasoning_content", "reasoning", "refusal", "function_call")
    return {key: each for key, each in more.items() if key not in said or not each or id(each) in kept}
