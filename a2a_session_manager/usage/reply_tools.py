"""What a reply shows of the tools that its provider has run, where its usage does not count them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from a2a_session_manager.pricing.usage_reader import snake
from a2a_session_manager.serialization.plain_objects import fields_of, plain
from a2a_session_manager.usage.parts import at, part
from a2a_session_manager.usage.tool_names import counter_of_tool, is_tool

# Paths to counts in a reply, beside its usage.
_COUNTED = (
    "tool_usage",  # OpenAI's Responses
    "server_side_tool_usage",  # xAI's SDK
    "response_metadata.usage.server_tool_use",  # LangChain over Anthropic
    "providerMetadata.anthropic.usage.server_tool_use",  # AI SDK
    "provider_metadata.anthropic.usage.server_tool_use",
)
# Paths to lists in a reply of what a model said and did.
_ITEMS = (
    "output",  # OpenAI's Responses
    "outputs",  # Mistral's conversations
    "content",  # Anthropic, LangChain
    "parts",  # pydantic-ai
    "steps",  # Gemini's interactions
    "output.message.content",  # Bedrock
    "additional_kwargs.tool_outputs",  # LangChain over Responses
)
_GROUNDING = (
    "response_metadata.grounding_metadata",  # LangChain
    "providerMetadata.google.groundingMetadata",  # AI SDK
    "provider_metadata.google.grounding_metadata",
)
# The keys under which a reply shows what was run, or what leads to it.
TOOL_KEYS = frozenset(path.split(".")[0] for path in (*_COUNTED, *_ITEMS, *_GROUNDING)) | {"candidates", "choices"}
# What says in an item that the provider runs the tool, and which key names it.
_NAMED = {
    "tool-call": "toolName",  # AI SDK, where providerExecuted says so
    "server_tool_use": "name",  # Anthropic, Bedrock
    "server_tool_call": "name",  # LangChain
    "tool.execution": "name",  # Mistral
    "builtin-tool-call": "tool_name",  # pydantic-ai
    "native-tool-call": "tool_name",
}
_AI_SDK = "tool-call"
_CALL = "_call"
# Groq's names of the tools that it runs.
_EXECUTED = {"search": "web_searches", "visit": "web_fetches", "python": "code_executions"}
# These pay for a prompt that is grounded, however often it searches; later ones pay for each search.
_PAID_BY_PROMPT = re.compile(r"gemini-[12](?![0-9])")


def counted_beside(reply: object) -> dict[str, Any]:
    """Return what `reply` counts of tools beside its usage, as plain JSON by the last name of the path to it."""
    if isinstance(reply, Mapping) and TOOL_KEYS.isdisjoint(reply):
        return {}  # nearly all
    return {path.rpartition(".")[2]: plain(found) for path in _COUNTED if (found := at(reply, path)) is not None}


def tools_shown(reply: object, model: str | None) -> dict[str, int]:
    """Return what is paid by use, by the names of a TokenUsage, as far as what a model did is in `reply`.

    `model` tells what counts where Gemini has searched.
    """
    if isinstance(reply, Mapping) and TOOL_KEYS.isdisjoint(reply):
        return {}  # nearly all
    shown: dict[str, int] = {}
    for counter in _shown(reply, model):
        shown[counter] = shown.get(counter, 0) + 1
    return shown


def _shown(reply: object, model: str | None) -> Iterator[str]:
    for path in _ITEMS:
        for item in _items(at(reply, path)):
            # A step of the AI SDK has its own.
            for each in (item, *_items(part(item, "content"))):
                if (counter := _run_by_provider(each)) is not None:
                    yield counter
    for choice in _items(at(reply, "choices")):
        yield from _in_choice(choice)
    places = [at(reply, path) for path in _GROUNDING]
    for candidate in _items(at(reply, "candidates")):
        places += [part(candidate, "groundingMetadata"), part(candidate, "grounding_metadata")]
    for grounding in places:
        if grounding is not None:
            yield from _grounded(grounding, by_prompt=bool(model and _PAID_BY_PROMPT.search(model.lower())))


def _run_by_provider(item: object) -> str | None:
    kind = part(item, "type") or part(item, "part_kind")
    kind = getattr(kind, "value", kind)
    if not isinstance(kind, str):
        inner = part(item, "toolUse") or part(item, "tool_use")  # Bedrock
        return None if inner is None else _run_by_provider(inner)
    if part(item, "status") == "failed":
        return None
    if kind in _NAMED and (kind != _AI_SDK or part(item, "providerExecuted") is True):
        return _counter(part(item, _NAMED[kind]))
    if not kind.endswith(_CALL) or at(item, "environment.type") == "local":
        return None
    # Opening a page, and looking into one, is part of a search that is paid already.
    if at(item, "action.type") not in (None, "search") and kind == "web_search_call":
        return None
    return counter_of_tool(kind.removesuffix(_CALL))


def _counter(tool: object) -> str | None:
    name = snake(str(tool))
    return counter_of_tool(name) if is_tool(name) else "other_tool_uses"


def _in_choice(choice: object) -> Iterator[str]:
    for message in (part(choice, "message"), part(choice, "delta")):
        if any(part(note, "type") == "url_citation" for note in _items(part(message, "annotations"))):
            yield "web_searches"  # one at least
        for tool in _items(part(message, "executed_tools")):
            name = str(part(tool, "type"))
            counter = _EXECUTED.get(name) or _counter(name)
            if counter is not None:
                yield counter


def _grounded(grounding: object, *, by_prompt: bool) -> Iterator[str]:
    names = ("webSearchQueries", "web_search_queries", "imageSearchQueries", "image_search_queries")
    queries = {query for name in names for query in _items(part(grounding, name)) if isinstance(query, str) and query}
    found = part(grounding, "groundingChunks") or part(grounding, "grounding_chunks")
    chunks = [fields_of(chunk) or {} for chunk in _items(found)]
    kinds = {name for chunk in chunks for name, value in chunk.items() if value is not None}
    if queries or "web" in kinds:
        yield from ["web_searches"] * (1 if by_prompt else max(1, len(queries)))
    if "maps" in kinds:
        yield "map_searches"
    if kinds & {"retrievedContext", "retrieved_context"}:
        yield "file_searches"


def _items(value: Any) -> Sequence[Any]:
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()
