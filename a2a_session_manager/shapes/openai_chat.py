"""OpenAI's chat format, and what others add to it: DeepSeek, OpenRouter, vLLM, Mistral, Cohere and Ollama.

Plain messages of other formats, of a role and a text, are read as this one: there they are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.shapes.litellm import (
    FIELDS,
    LiteLLMSignature,
    fields_of_answer,
    signature_of_answer,
    signed_fields,
)
from a2a_session_manager.shapes.normal_form import (
    Call,
    Instruction,
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
from a2a_session_manager.shapes.openai_input import as_input
from a2a_session_manager.shapes.openai_keys import CALLS, REASONING_KEYS, REASONING_LISTS, REASONING_TEXTS, unread
from a2a_session_manager.shapes.openai_parts import (
    EXTRA_CONTENT,
    FIRST_FORM,
    are_listed,
    calls_in,
    extra_content,
    is_more_than_calls,
    media_in,
    read_part,
    spoken_in,
)
from a2a_session_manager.shapes.shape import (
    Losses,
    RawMessage,
    Shape,
    base64_of,
    data_url,
    id_or_none,
    is_openai_file,
    mappings,
    parts_of,
    role_named,
    text_for,
    text_or_none,
)

NAME: Final = "openai"

_KEYS: Final = frozenset({"content", CALLS, "function_call", "refusal", "images", "audio", *REASONING_KEYS})
_OF_REASONING: Final = frozenset({*REASONING_KEYS, *REASONING_LISTS})
_URLS: Final = ("https://", "http://", "data:")
_SAID: Final = (Text, Instruction, Media)  # what a user says, whether or not it can be written
_AUDIO_FORMATS: Final = {"audio/mpeg": "mp3", "audio/mp3": "mp3"}


def _is_mine(message: Mapping[str, Any]) -> bool:
    return isinstance(message.get("role"), str) and not _KEYS.isdisjoint(message)


def _read(message: Mapping[str, Any]) -> Message:
    role = role_named(message.get("role"))
    content = parts_of(message.get("content"), read_part, lambda text: Text(text, text))
    name = text_or_none(message.get("name"))
    if role == "tool":
        call_id = id_or_none(message.get("tool_call_id"))
        result = Result(call_id, name or text_or_none(message.get("tool_name")), tuple(content), raw=message)
        return Message(role, (result,), NAME, name, message)
    calls = calls_in(message) if role == "assistant" else []
    if FIELDS in message and role == "assistant":
        content = _signed_text(content, signature_of_answer(message, calls))
    parts = [*_reasoning_in(message), *content]
    if refusal := text_or_none(message.get("refusal")):
        parts.append(Text(refusal, {"refusal": refusal}))
    # OpenRouter's are parts of the content, Ollama's base64.
    parts += parts_of(message.get("images"), media_in, lambda data: Media("image", data=data, raw=data))
    if role == "assistant":
        parts += [*spoken_in(message), *calls]
        if is_more_than_calls(listed := message.get(CALLS)):
            parts.append(Opaque(CALLS, {CALLS: listed}))
    return Message(role, tuple(parts), NAME, name, message)


def _write(message: Message, losses: Losses) -> list[RawMessage]:
    if message.shape == NAME and message.raw is not None:
        return _written_again(message)
    results = [part for part in message.parts if isinstance(part, Result) and not part.is_hosted]
    if results:
        rest = message._replace(
            parts=tuple(part for part in message.parts if not isinstance(part, Result) or part.is_hosted)
        )
        return [*(_result_message(each, losses) for each in results), *(_write(rest, losses) if rest.parts else [])]
    role = message.role if message.role in ("system", "user", "assistant") else "user"
    written: RawMessage = {"role": role, "content": _content(message.parts, role, losses)}
    if written["content"] == "" and not any(isinstance(part, _SAID) for part in message.parts):
        return []  # all of it is lost, or for people alone
    if message.name is not None:
        written["name"] = message.name
    calls = [part for part in message.parts if isinstance(part, Call) and not part.is_hosted]
    if calls and role == "assistant":
        written |= _calls(calls, is_own=message.shape == NAME)
    if message.shape == NAME and any(isinstance(part, Text) and part.signature for part in message.parts):
        written |= fields_of_answer(message.parts)
    return [written]


def _as_input(message: RawMessage) -> RawMessage:
    is_listed = message.get(CALLS) is None or are_listed(message[CALLS])
    return as_input(message if is_listed else with_listed_calls(_read(message)).raw)


SHAPE: Final = Shape(NAME, _is_mine, _read, _write, refuses_blank_text=True, as_input=_as_input, unread=unread)


def with_listed_calls(message: Message) -> Message:
    """Return a message of this format whose calls are a list, as providers demand; what is no call is left out."""
    raw = message.raw
    if message.role != "assistant" or raw.get(CALLS) is None or are_listed(raw[CALLS]):
        return message
    parts = tuple(part for part in message.parts if not isinstance(part, Opaque))
    calls = [part.raw for part in parts if isinstance(part, Call) and part.kind != FIRST_FORM]
    rest = {key: value for key, value in raw.items() if key != CALLS}
    return message._replace(parts=parts, raw={**rest, CALLS: calls} if calls else rest)


def _signed_text(content: Sequence[Part], signature: str | None) -> list[Part]:
    return [part._replace(signature=signature) if isinstance(part, Text) else part for part in content]


def _reasoning_in(message: Mapping[str, Any]) -> list[Part]:
    if _OF_REASONING.isdisjoint(message):  # as in most
        return []
    found = ((key, text_or_none(message.get(key))) for key in REASONING_KEYS)
    told: list[Part] = [Reasoning(text, {key: text}) for key, text in found if text is not None]
    for key in () if told else REASONING_LISTS:
        if isinstance(details := message.get(key), list) and details:
            return [Reasoning("\n".join(_texts_in(details)), {key: details})]
    return told


def _texts_in(details: Sequence[Any]) -> Iterator[str]:
    for each in mappings(details):
        yield from (each[key] for key in REASONING_TEXTS if isinstance(each.get(key), str))


def _written_again(message: Message) -> list[RawMessage]:
    """Return a message of this format, without the parts that were taken out of it."""
    if len(message.parts) == len(_read(message.raw).parts):
        return [message.raw]
    raw: RawMessage = dict(message.raw)
    kept = {id(part.raw) for part in message.parts}
    beside = {key for part in message.parts if isinstance(part.raw, dict) and len(part.raw) == 1 for key in part.raw}
    for key in ("refusal", *REASONING_KEYS):
        if text_or_none(raw.get(key)) and key not in beside:
            del raw[key]
    if not any(isinstance(part, Reasoning) for part in message.parts):
        raw = {key: value for key, value in raw.items() if key not in REASONING_LISTS}
    if raw.get(CALLS) is not None and not isinstance(raw[CALLS], list):
        raw[CALLS] = [part.raw for part in message.parts if isinstance(part, Call) and part.kind != FIRST_FORM]
    for key in ("content", CALLS, "images"):
        if isinstance(raw.get(key), list):
            raw[key] = [each for each in raw[key] if id(each) in kept]
    if not raw.get(CALLS, True):
        del raw[CALLS]
    if isinstance(raw.get("content"), str) and not any(part.raw is raw["content"] for part in message.parts):
        raw["content"] = None if message.role == "assistant" else ""
    if "function_call" in raw and id(raw["function_call"]) not in kept:
        del raw["function_call"]
    return [raw] if message.role != "tool" else []


def _result_message(result: Result, losses: Losses) -> RawMessage:
    content = _content(result.content, "tool", losses)
    if result.kind == FIRST_FORM:
        return {"role": "function", "name": result.name or result.call_id or "", "content": text_for(content)}
    written: RawMessage = {"role": "tool", "tool_call_id": result.call_id or result.name or "", "content": content}
    if result.name is not None:
        written["name"] = result.name
    return written


def _calls(calls: Sequence[Call], *, is_own: bool) -> RawMessage:
    if len(calls) == 1 and calls[0].kind == FIRST_FORM:
        signed = _signed(calls[0]) if is_own else {}
        return {"function_call": _tool_call(calls[0])["function"] | signed}
    return {CALLS: [_tool_call(call) | (_signed(call) if is_own else {}) for call in calls]}


def _signed(call: Call) -> RawMessage:
    """Return what Gemini's endpoint signs a call with. OpenAI's own refuses it: no other format's call may get it."""
    if isinstance(call.signature, LiteLLMSignature):
        return signed_fields(call.signature)
    return {} if call.signature is None else {EXTRA_CONTENT: extra_content(call.signature)}


def _tool_call(call: Call) -> RawMessage:
    arguments = "{}" if call.arguments is None else text_for(call.arguments)
    if call.kind == "custom":
        return {
            "id": call.id or call.name,
            "type": "custom",
            "custom": {"name": call.name, "input": text_for(call.arguments or "")},
        }
    return {
        "id": call.id or call.name,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _content(parts: Sequence[Part], role: str, losses: Losses) -> Any:
    """Return the content that the parts make: a text where that is enough, None where there is nothing to say."""
    written = [content for part in parts if (content := _content_part(part, role, losses)) is not None]
    if not written:
        return None if role == "assistant" else ""
    if len(written) == 1 and set(written[0]) == {"type", "text"}:
        return written[0]["text"]
    return written


def _content_part(part: Part, role: str, losses: Losses) -> RawMessage | None:
    if isinstance(part, Text | Instruction):
        return {"type": "text", "text": part.text}
    if isinstance(part, Json):
        return {"type": "text", "text": text_for(part.value)}
    if isinstance(part, Media):
        if part.text is not None:
            return {"type": "text", "text": part.text}
        if role == "user":
            return _media_part(part, losses)
    if isinstance(part, Call | Result):
        if part.is_hosted:
            losses.append(f"hosted {type(part).__name__.lower()} {part.name or ''}".rstrip())
        return None
    if isinstance(part, Opaque):
        losses.append(part.what)
        return None
    if isinstance(part, Other):
        losses.append("unknown part")
        return {"type": "text", "text": text_for(part.raw)}
    if not isinstance(part, Reasoning) or part.text or part.raw:
        losses.append(part.kind if isinstance(part, Media) else type(part).__name__.lower())
    return None


def _media_part(media: Media, losses: Losses) -> RawMessage | None:
    url = data_url(media)
    if media.kind == "image" and url is not None and url.startswith(_URLS):
        return {"type": "image_url", "image_url": {"url": url}}
    if media.kind == "audio" and media.data is not None:
        kind = media.mime_type or "audio/wav"
        sound = {"data": base64_of(media), "format": _AUDIO_FORMATS.get(kind, kind.rpartition("/")[2])}
        return {"type": "input_audio", "input_audio": sound}
    if media.kind == "file" and (media.data is not None or is_openai_file(media)):
        name = {} if media.name is None else {"filename": media.name}
        return {"type": "file", "file": {**name, **({"file_id": url} if media.data is None else {"file_data": url})}}
    losses.append(media.kind)
    return None
