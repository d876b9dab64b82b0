"""Where LiteLLM keeps what Gemini signed a call or an answer with: in fields of the provider, and in calls' ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.shapes.normal_form import Call, Message, Part, Result, Text
from a2a_session_manager.shapes.shape import text_or_none

FIELDS: Final = "provider_specific_fields"
_OF_CALL: Final = "thought_signature"
_OF_ANSWER: Final = "thought_signatures"
_IN_ID: Final = "__thought__"


class LiteLLMSignature(str):
    """A signature that LiteLLM reads where it has put it, and nowhere else."""

    __slots__ = ()


def signature_of(call: Mapping[str, Any], function: Mapping[str, Any]) -> str | None:
    """Return what a call was signed with, looked for where LiteLLM does, in its order."""
    for holder in (call, function):
        fields = holder.get(FIELDS)
        if isinstance(fields, Mapping) and (signature := text_or_none(fields.get(_OF_CALL))):
            return LiteLLMSignature(signature)
    return signature_in_id(call.get("id"))


def signature_in_id(call_id: Any) -> str | None:
    """Return what stands in a call's id after LiteLLM's mark."""
    is_marked = isinstance(call_id, str) and _IN_ID in call_id
    return LiteLLMSignature(call_id.split(_IN_ID, 1)[1]) if is_marked and not call_id.endswith(_IN_ID) else None


def signature_of_answer(message: Mapping[str, Any], calls: Sequence[Call]) -> str | None:
    """Return what the text of an answer was signed with. LiteLLM lists all signatures, those of the calls as well."""
    given = _signatures(message.get(FIELDS))
    is_texts = bool(given) and isinstance(message.get("content"), str)
    return given[0] if is_texts and given[0] not in [call.signature for call in calls] else None


def signed_fields(signature: str) -> dict[str, Any]:
    """Return what a call has that LiteLLM finds the signature in."""
    return {FIELDS: {_OF_CALL: str(signature)}}


def fields_of_answer(parts: Sequence[Part]) -> dict[str, Any]:
    """Return what an answer has that LiteLLM finds the signatures of its parts in."""
    found = [part.signature for part in parts if isinstance(part, Text | Call) and part.signature]
    return {FIELDS: {_OF_ANSWER: list(map(str, found))}}


def unsigned_call(call: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a call, or its function, without the signature among its fields."""
    fields = call.get(FIELDS)
    if not isinstance(fields, Mapping) or not text_or_none(fields.get(_OF_CALL)):
        return call
    return {**call, FIELDS: {key: value for key, value in fields.items() if key != _OF_CALL}}


def fields_beside(message: Mapping[str, Any], calls: Sequence[Call]) -> Any:
    """Return the fields of a message without the signatures that are read from them."""
    fields = message[FIELDS]
    if not _signatures(fields):
        return fields
    read = {signature_of_answer(message, calls), *(call.signature for call in calls)}
    rest = [each for each in fields[_OF_ANSWER] if each not in read]
    return {
        **{key: value for key, value in fields.items() if key != _OF_ANSWER},
        **({_OF_ANSWER: rest} if rest else {}),
    }


def with_plain_ids(message: Message) -> Message:
    """Return a message whose calls have their signatures apart from their ids; mostly that is itself."""
    for part in message.parts:
        if _is_signed(part):
            parts = (_with_plain_id(each) if _is_signed(each) else each for each in message.parts)
            return message._replace(parts=tuple(parts))
    return message


def _is_signed(part: Part) -> bool:
    named = part.id if isinstance(part, Call) else part.call_id if isinstance(part, Result) else None
    return named is not None and _IN_ID in named


def _with_plain_id(part: Any) -> Any:
    if isinstance(part, Result):
        return part._replace(call_id=_plain(part.call_id), raw=None)
    return part._replace(id=_plain(part.id), signature=part.signature or signature_in_id(part.id), raw=None)


def _plain(call_id: str | None) -> str | None:
    return None if call_id is None else call_id.split(_IN_ID, 1)[0] or call_id


def _signatures(fields: Any) -> list[str]:
    given = fields.get(_OF_ANSWER) if isinstance(fields, Mapping) else None
    is_listed = isinstance(given, list) and all(isinstance(each, str) and each for each in given)
    return given if is_listed and given else []
