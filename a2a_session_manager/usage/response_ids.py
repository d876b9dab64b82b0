"""The id that a provider gave to a response: it tells that two usages are of the same one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import checked_id, derived_id, shown

# These names say that the id is a response's. Dots lead inside, but for those of spans.
_NAMED: Final = (
    "response_id",
    "responseId",  # Gemini
    "provider_response_id",  # pydantic-ai
    "gen_ai.response.id",
    "response_metadata.id",  # LangChain
    "ResponseMetadata.RequestId",  # Bedrock, by boto3
)
_SPANS: Final = "gen_ai."
# What else is called `id` may be a message's, which a copy gets anew, a call's or an item's: it counts where the object
# is a response by its kind, or the id by its beginning.
_OBJECTS: Final = ("chat.completion", "text_completion", "response", "interaction")
_BEGINNINGS: Final = ("chatcmpl-", "cmpl-", "resp_", "msg_", "gen-")
_LANGCHAIN: Final = frozenset({"ai", "AIMessage"})
RESPONSE_KEYS: Final = frozenset(
    {*(path if path.startswith(_SPANS) else path.split(".")[0] for path in _NAMED), "id", "message_id", "response"}
    | {"requestId"}
)
# Ollama draws one of 999 ids, koboldcpp has one for all, and LMDeploy gave the number of the session.
_DRAWN: Final = "fp_ollama"
_SHARED: Final = re.compile(r"(?:chat)?cmpl-A1|\d{1,11}")
# What stands in the place of an id where there is none; openai-agents writes `__fake_id__` into each streamed answer.
_NO_ID: Final = re.compile(
    r"(?:(?:chat)?cmpl-|resp_|msg_|gen-)?(?:-?|unknown|none|null|nil|undefined|n/?a|default|string|__fake_id__|[0-]{8,})",
    re.IGNORECASE,
)


def response_id_of(holder: object, reply: object) -> str | None:
    """Return the id of the response whose usage lies in `holder`, a part of `reply` or all of it; None for none.

    An id that no store could keep, such as one that is too long, is made into one that is always the same for it.
    """
    found = _id_in(holder)
    if found is None and holder is not reply:
        # A line of Claude Code's log has the request's id beside the message.
        found = _id_in(reply) or _text(_at(reply, "requestId"))
    return kept_id(found)


def kept_id(response_id: str | None) -> str | None:
    """Return `response_id` as it can be kept; None for none, for which servers and frameworks have words of theirs."""
    if not isinstance(response_id, str | None):
        raise InvalidEvent(
            f"response_id={shown(response_id)} is no id of a response: give its text", path="response_id"
        )
    if response_id is None or _NO_ID.fullmatch(response_id) is not None:
        return None
    try:
        return checked_id(response_id)
    except InvalidSessionOperation:
        return derived_id(response_id)


def _id_in(reply: object) -> str | None:
    if isinstance(reply, Mapping) and RESPONSE_KEYS.isdisjoint(reply):
        return None  # a usage alone
    if reply is None or isinstance(reply, str | list | tuple) or _brings_differences(reply):
        return None
    for path in _NAMED:
        if (found := _text(_at(reply, path))) is not None:
            return found
    if (found := _text(_at(reply, "id"))) is not None and _is_responses(found, reply):
        return found
    if (found := _text(_at(reply, "message_id"))) is not None and found.startswith(_BEGINNINGS):
        return found  # of the Claude Agent SDK
    return _of_inner(_at(reply, "response"))


def _of_inner(response: object) -> str | None:
    """Return the id that the AI SDK puts beside the usage, or that the first event of a stream brings."""
    if response is None or isinstance(response, str | list):
        return None
    is_ai_sdk = any(_at(response, name) is not None for name in ("modelId", "model_id", "timestamp"))
    found = _text(_at(response, "id"))
    return found if found is not None and (is_ai_sdk or _is_responses(found, response)) else None


def _is_responses(value: str, reply: object) -> bool:
    if _SHARED.fullmatch(value) or _at(reply, "system_fingerprint") == _DRAWN:
        return False
    kind, of = _at(reply, "type"), _at(reply, "object")
    if isinstance(of, str) and of.startswith(_OBJECTS):
        return True
    if kind == "message" and _at(reply, "role") == "assistant":
        return True
    if (isinstance(kind, str) and kind in _LANGCHAIN) or _at(reply, "choices") is not None:
        return True
    if _at(reply, "finish_reason") is not None and _at(reply, "message") is not None:
        return True  # Cohere's
    return value.startswith(_BEGINNINGS) and _at(reply, "parts") is None


def _brings_differences(reply: object) -> bool:
    """Tell whether this is a chunk of LangChain's: its usage is what was added, not the total so far."""
    return bool(_at(reply, "type") == "AIMessageChunk")


def _at(holder: object, path: str) -> Any:
    for step in [path] if path.startswith(_SPANS) else path.split("."):
        if holder is None or isinstance(holder, str):
            return None
        holder = holder.get(step) if isinstance(holder, Mapping) else getattr(holder, step, None)
    return holder


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and _NO_ID.fullmatch(value) is None else None
