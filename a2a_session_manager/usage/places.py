"""Where in a reply its usage lies, and where its model is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from a2a_session_manager.pricing.usage_reader import UsageReader
from a2a_session_manager.serialization.plain_objects import fields_of
from a2a_session_manager.usage.conventions import Convention, convention_of, ollama
from a2a_session_manager.usage.parts import part

# A line of batch results keeps it at one of these: OpenAI's, Anthropic's, Gemini's.
_BATCH_PLACES = (
    ("response", "body", "usage"),
    ("result", "message", "usage"),
    ("response", "usageMetadata"),
    ("response", "usage_metadata"),
)
# A whole reply, or an event of a stream, keeps its usage at one of these places.
_PLACES = (
    ("totalUsage",),  # AI SDK: of all steps, where `usage` is that of the last
    ("total_usage",),
    ("usage",),
    ("usage_metadata",),
    ("usageMetadata",),
    ("message", "usage"),
    ("response", "usage"),
    ("metadata", "usage"),
    ("result", "usage"),
    ("response_metadata", "token_usage"),  # LangChain
    ("response_metadata", "usage"),
    ("llm_output", "token_usage"),
    ("token_usage",),
    *_BATCH_PLACES,
    ("payload", "info", "last_token_usage"),  # Codex
    ("info", "last_token_usage"),
    ("last_token_usage",),
    ("amazon-bedrock-invocationMetrics",),
    ("usageDetails",),  # Langfuse
    ("usage_details",),
    ("tokens",),  # opencode
    ("info", "tokens"),
)
# Cohere's first API and spans keep it here, under names that stand for other things as well.
_PERHAPS = ("meta", "attributes")
_OLLAMAS_ANSWER = frozenset({"message", "response", "thinking", "context", "logprobs"})
_MODEL_NAMES = (
    "model",
    "model_name",
    "model_version",
    "modelVersion",
    "modelId",
    "modelID",
    "gen_ai.response.model",
    "gen_ai.request.model",
    "llm.model_name",
)


# The keys of a reply under which a model's name lies.
MODEL_KEYS = frozenset((*_MODEL_NAMES, "response_metadata"))


class Located(NamedTuple):
    """A usage, what holds it, and how many requests it is of; both are the whole thing where that is one, or has none.

    `is_batch` tells whether it is a line of batch results. `convention` is what reads the usage, None where nobody has
    looked for it.
    """

    usage: object
    holder: object
    requests: int = 1
    is_batch: bool = False
    convention: Convention | None = None


def located(thing: object) -> Located:
    """Return the usage inside `thing`."""
    if (convention := _convention(thing)) is not None:
        usage = _without_answer(thing) if convention is ollama else thing
        return Located(usage, thing, convention=convention)
    empty: Located | None = None
    for place in _PLACES:
        holder, found = thing, thing
        for step in place:
            holder, found = found, part(found, step)
        if found is not None and fields_of(found):
            requests = _steps(thing) if place[0].startswith("total") else 1
            return Located(found, holder, requests, place in _BATCH_PLACES)
        if empty is None and _has(holder, place[-1]):
            empty = Located(found, holder)
    for name in _PERHAPS:
        found = part(thing, name)
        if (convention := _convention(found)) is not None:
            return Located(found, thing, convention=convention)
    return empty or Located(thing, thing)


def model_of(reply: object, raw: Mapping[str, Any]) -> str | None:
    """Return the model that is named by a reply, by the usage `raw` itself, or by LangChain beside it."""
    for holder in (reply, raw, part(reply, "response_metadata")):
        for name in _MODEL_NAMES:
            found = part(holder, name)
            if isinstance(found, str) and found:
                return found
    return None


def _has(holder: object, name: str) -> bool:
    return name in holder if isinstance(holder, Mapping) else hasattr(holder, name)


def _steps(reply: object) -> int:
    steps = part(reply, "steps")
    return max(1, len(steps)) if isinstance(steps, Sequence) and not isinstance(steps, str) else 1


def _convention(thing: object) -> Convention | None:
    fields = fields_of(thing)
    return None if fields is None else convention_of(UsageReader(fields))


def _without_answer(reply: object) -> object:
    """Return Ollama's reply, in which the counts lie at the top, without the answer itself."""
    return {name: value for name, value in (fields_of(reply) or {}).items() if name not in _OLLAMAS_ANSWER}
