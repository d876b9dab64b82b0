"""LangChain's messages in the three forms that they are written in: as dicts of a type and data, flat, and as objects.

The first is what `messages_to_dict` returns, the second `model_dump`, the third `dumpd`. A history is read again by
what belongs to its form, so each is a format of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from a2a_session_manager.shapes.framework_keys import LANGCHAIN_AROUND, SIGNATURES, langchain
from a2a_session_manager.shapes.langchain_blocks import CALL_SIGNATURE, read_block, read_blocks
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
    if opened is None or opened[0] == "remove":
        return []
    around = [] if opened[1] is message else unread(message, LANGCHAIN_AROUND)
    return [*around, *unread(opened[1], langchain)]


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
    content = read_blocks(body.get("content"))
    calls = _signed(_calls_in(body), content)
    ids, signatures = {call.id for call in calls} - {None}, {call.signature for call in calls} - {None}
    said = [part for part in content if not _is_one_of(part, ids) and not _is_signature(part, signatures)]
    if _is_geminis(body):  # whose thoughts look like Anthropic's here
        said = [part._replace(signer="google") if isinstance(part, Reasoning) else part for part in said]
    return (*_reasoning_in(body), *said, *_refusal_in(body), *calls)


def _signed(calls: Sequence[Call], content: Sequence[Part]) -> list[Call]:
    """Return calls with the signatures that blocks of the content have for them, by their place among the calls."""
    given: dict[int, str | None] = {}
    for at, part in enumerate(part for part in content if _is_signature(part)):
        index = part.raw.get("index")
        given[index if isinstance(index, int) else at] = text_or_none(part.raw.get("signature"))
    return [call._replace(signature=call.signature or given.get(at)) for at, call in enumerate(calls)]


def _is_signature(part: Part, known: Collection[str | None] | None = None) -> bool:
    """Tell whether a part is a call's signature, and one of those that are `known`."""
    if not isinstance(part, Opaque) or not _signs_call(part.raw):
        return False
    return known is None or text_or_none(part.raw.get("signature")) in known


def _is_geminis(body: Mapping[str, Any]) -> bool:
    about = body.get("response_metadata")
    given = about if isinstance(about, Mapping) else {}
    provider, model = str(given.get("model_provider") or ""), str(given.get("model_name") or "")
    return (provider.startswith("google") or not provider) and ("gemini" in model or provider == "google_genai")


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
    made = len(_calls_in(body))
    for key in ("tool_calls", "invalid_tool_calls"):
        if isinstance(body.get(key), list):
            body[key] = [call for call in body[key] if id(call) in kept]
    content = body.get("content")
    if isinstance(content, list):
        signs = len(_calls_in(body)) == made  # by a call's place among all
        body["content"] = [each for each in content if _signs_call(each) & signs or _is_kept(each, kept, ids)]
    elif id(content) not in kept:
        body["content"] = ""
    if isinstance(body.get("additional_kwargs"), dict):
        body["additional_kwargs"] = _more_again(body["additional_kwargs"], kept, ids)
    return [form.close(body, raw)]


def _signs_call(block: Any) -> bool:
    return isinstance(block, Mapping) and block.get("type") == CALL_SIGNATURE


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
