"""Messages as the official client libraries return them, as the JSON objects that the shapes read.

No library is imported: an object is known by its class's name and package, and dumps itself.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias, TypeVar

from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.shapes import responses
from a2a_session_manager.shapes.shape import RawMessage

_Dump: TypeAlias = Callable[[Any], RawMessage | None]
_Found = TypeVar("_Found", _Dump, _Dump | str)

_PART_KEYS: Final = ("content", "parts", "tool_calls")
_JSON_TYPES: Final = frozenset({dict, str})


def plain_message(item: object) -> RawMessage | None:
    """Return a client library's message as a JSON object that can be given back to the library; None for no message.

    Raises InvalidEvent for a whole answer, which has messages in it, and for a message that JSON cannot hold.
    """
    kind: Any = type(item)
    found = _known(kind)
    if isinstance(found, str):
        raise InvalidEvent(f"{type(item).__name__} is no message, but has some in it: {found}")
    return None if found is None else _dump(found, item)


def plain_parts(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message with clients' objects among its parts, such as `reply.content`, as JSON; others as they are."""
    changed: dict[str, Any] = {}
    for key in _PART_KEYS:
        parts = message.get(key)
        if type(parts) is list and not _JSON_TYPES.issuperset(map(type, parts)):
            changed[key] = [each if type(each) in _JSON_TYPES else _plain_part(each) for each in parts]
    return {**message, **changed} if changed else message


def _plain_part(part: Any) -> Any:
    found = _named_in(_PART_CLASSES, type(part))
    return part if found is None else _dump(found, part)


def _dump(dump: _Dump, item: object) -> RawMessage | None:
    try:
        return dump(item)
    except Exception as error:  # what a user put into it may raise anything when it is dumped
        raise InvalidEvent(f"{type(item).__name__} cannot be dumped as JSON: {error}") from error


@lru_cache(maxsize=256)
def _known(kind: type[Any]) -> _Dump | str | None:
    """Return how objects of a class are dumped, or what is to be appended in place of one."""
    found = _named_in(_CLASSES, kind)
    return found or _PROTOBUF.get(getattr(getattr(kind, "DESCRIPTOR", None), "full_name", ""))


def _named_in(classes: Mapping[str, _Found], kind: type[Any]) -> _Found | None:
    names = (f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in kind.__mro__)
    return next((classes[name] for name in names if name in classes), None)


def _dumped(item: Any, **options: Any) -> RawMessage:
    plain: RawMessage = item.model_dump(mode="json", by_alias=True, warnings=False, **options)
    return plain


def _without_nulls(item: Any) -> RawMessage:
    return _dumped(item, exclude_none=True)


def _as_sent(item: Any) -> RawMessage:
    """Return a model of OpenAI's or Anthropic's client as it sends it: what was not set is refused by their APIs."""
    return _dumped(item, exclude_unset=True, exclude=getattr(item, "__api_exclude__", None))


def _openai_chat(item: Any) -> RawMessage:
    plain = _without_nulls(item)
    # These are in answers only. A request that has them is refused, by some of those who serve this format.
    for key in ("annotations", "parsed"):
        plain.pop(key, None)
    if isinstance(plain.get("audio"), Mapping):
        plain["audio"] = {"id": plain["audio"].get("id")}
    for call in plain.get("tool_calls", ()):
        _without_parsed(call)
    return {"role": plain.pop("role", "assistant"), "content": plain.pop("content", None), **plain}


def _openai_part(item: Any) -> RawMessage:
    return _without_parsed(_as_sent(item))


def _without_parsed(call: RawMessage) -> RawMessage:
    """Return a call of a tool without what the client has parsed out of it."""
    if isinstance(call.get("function"), dict):
        call["function"].pop("parsed_arguments", None)
    return call


def _openai_item(item: Any) -> RawMessage | None:
    plain = _as_sent(item)
    return plain if responses.SHAPE.is_mine(plain) else None


def _agents_item(item: Any) -> RawMessage:
    plain: RawMessage = item.to_input_item()
    return plain


def _anthropic(item: Any) -> RawMessage:
    return {"role": item.role, "content": [_block(each) for each in item.content]}


def _anthropic_block(item: Any) -> RawMessage | None:
    is_block = type(item).__name__.partition("[")[0].endswith("Block")
    return {"role": "assistant", "content": [_block(item)]} if is_block else None


def _block(block: Any) -> RawMessage:
    plain = _as_sent(block)
    if plain.get("citations", ()) is None:
        del plain["citations"]
    return plain


def _langchain(item: Any) -> RawMessage:
    """Return what LangChain's `messages_from_dict` takes."""
    return {"type": item.type, "data": _dumped(item)}


def _nothing(item: Any) -> None:
    """Return that an object is no message, though its class derives from one's."""


def _pydantic_ai(item: Any) -> RawMessage:
    adapter: Any = sys.modules["pydantic_ai.messages"].ModelMessagesTypeAdapter
    plain: RawMessage = adapter.dump_python([item], mode="json", warnings=False)[0]
    return plain


def _a2a_protobuf(item: Any) -> RawMessage:
    return {"role": "ROLE_UNSPECIFIED", "parts": [], **_protobuf_fields(item)}


def _protobuf_fields(message: Any) -> RawMessage:
    """Return what protobuf's own `MessageToDict` does; to import it would read files on the event loop."""
    return {field.json_name: _protobuf_value(value, field) for field, value in message.ListFields()}


def _protobuf_value(value: Any, field: Any = None) -> Any:
    kind = getattr(getattr(value, "DESCRIPTOR", None), "full_name", None)
    if kind == "google.protobuf.Struct":
        return {key: _protobuf_value(each) for key, each in value.fields.items()}
    if kind == "google.protobuf.ListValue":
        return [_protobuf_value(each) for each in value.values]
    if kind == "google.protobuf.Value":
        name = value.WhichOneof("kind")
        return None if name in (None, "null_value") else _protobuf_value(getattr(value, name))
    if kind is not None:
        return _protobuf_fields(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, float):
        return int(value) if value.is_integer() else value
    if isinstance(value, str | bool | int):
        enum = getattr(field, "enum_type", None)
        return value if enum is None else enum.values_by_number[value].name
    return [_protobuf_value(each, field) for each in value]


# By package and class, also for what is derived from it: how a message is dumped, or what to append of a whole answer.
_CLASSES: Final[Mapping[str, _Dump | str]] = {
    "openai.ChatCompletionMessage": _openai_chat,
    "openai.ChatCompletion": "append(reply.choices[0].message)",
    "openai.Choice": "append(choice.message)",
    "openai.ChatCompletionChunk": "append the message that its stream makes, such as {'role': …, 'content': …}",
    "openai.Response": "append(*response.output)",
    "openai.BaseModel": _openai_item,
    "agents.RunItemBase": _agents_item,
    "agents.RunResultBase": "append(*result.new_items)",
    "agents.ModelResponse": "append(*response.output)",
    "anthropic.Message": _anthropic,
    "anthropic.BetaMessage": _anthropic,
    "anthropic.BaseModel": _anthropic_block,
    "google.Content": _without_nulls,
    "google.Candidate": "append(candidate.content)",
    "google.GenerateContentResponse": "append(response.candidates[0].content)",
    "langchain_core.BaseMessage": _langchain,
    "langchain_core.RemoveMessage": _nothing,
    "langchain_core.ChatGeneration": "append(generation.message)",
    "langchain_core.ChatResult": "append(result.generations[0].message)",
    "langchain_core.LLMResult": "append(result.generations[0][0].message)",
    "langchain_core.PromptValue": "append(*prompt.to_messages())",
    "pydantic_ai.ModelRequest": _pydantic_ai,
    "pydantic_ai.ModelResponse": _pydantic_ai,
    "pydantic_ai.AgentRun": "append(*run.new_messages())",
    "pydantic_ai.AgentRunResult": "append(*result.new_messages())",
    "pydantic_ai.StreamedRunResult": "append(*result.new_messages())",
    "a2a.Message": _without_nulls,
    "a2a.Task": "append(*task.history)",
    **dict.fromkeys(
        (
            f"ag_ui.{role}Message"
            for role in ("Developer", "System", "Assistant", "User", "Tool", "Activity", "Reasoning")
        ),
        _without_nulls,
    ),
    "ag_ui.RunAgentInput": "append(*input.messages)",
    "ag_ui.MessagesSnapshotEvent": "append(*event.messages)",
    "strands.AgentResult": "append(result.message)",
}
_PART_CLASSES: Final[Mapping[str, _Dump]] = {
    "openai.BaseModel": _openai_part,
    "anthropic.BaseModel": _block,
    "google.Part": _without_nulls,
    "ag_ui.GeneratedBaseModel": _without_nulls,
}
_PROTOBUF: Final[Mapping[str, _Dump | str]] = {
    "lf.a2a.v1.Message": _a2a_protobuf,
    "lf.a2a.v1.SendMessageResponse": "append(response.message)",
    "lf.a2a.v1.StreamResponse": "append(response.message)",
    "lf.a2a.v1.Task": "append(*task.history)",
}
