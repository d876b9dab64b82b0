"""What each provider's names mean: which counts are inside others, and which come on top."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

from a2a_session_manager.pricing.media import media_tokens
from a2a_session_manager.pricing.usage_reader import UsageReader
from a2a_session_manager.usage.anthropic import caches_apart
from a2a_session_manager.usage.buckets import cline, langfuse, nested_sides, opencode
from a2a_session_manager.usage.counts import Counts
from a2a_session_manager.usage.names import (
    APART,
    CHAT,
    EARLIER_PYDANTIC_AI,
    INPUT_OUTPUT,
    SHORT_WRITES,
    SPAN_TOTALS,
    SPANS,
)

Convention = Callable[[UsageReader, str | None], Counts]

# One provider goes by several names. Those that are not known here change nothing: the names of the counts decide.
_ALIASES = {
    "x-ai": "xai",
    "aws": "bedrock",
    "amazon": "bedrock",
    "opentelemetry": "otel",
}
# These count caches inside the input, even under Anthropic's names.
_INCLUSIVE = frozenset({"azure", "databricks", "langchain", "litellm", "openai", "otel", "pydantic-ai"})
# These count them apart; of others, the names and totals tell.
_EXCLUSIVE = frozenset({"anthropic", "bedrock"})


def convention_of(usage: UsageReader) -> Convention | None:
    """Return what reads a usage with such names as `usage` has, or None when no provider has them."""
    # Gateways mix the names of several providers, and put 0 under those that they do not mean.
    possible = _possible(tuple(usage.keys))
    for is_there in (_is_above_0, UsageReader.has):
        for names, read in possible:
            if any(is_there(usage, name) for name in names):
                return read
    if _is_number(usage, "input", "output"):  # a run has its texts under these names
        return opencode if usage.has("cache.read") or usage.has("cache.write") else langfuse
    return None


def canonical_provider(provider: str | None) -> str | None:
    """Return `provider` by the one name that it has in this module."""
    name = None if provider is None else provider.strip().lower().replace("_", "-")
    return None if name is None else _ALIASES.get(name, name)


def _chat(usage: UsageReader, provider: str | None) -> Counts:
    """Read OpenAI's chat completions, and all that copied their names: inclusive, with the exceptions below."""
    counts = Counts.of(usage, CHAT)
    _let_durations_make_writes(counts, usage)
    total = usage.count("total_tokens")
    if provider == "perplexity" or usage.has("citation_tokens") or usage.has("num_search_queries"):
        return _with_perplexity_extras(counts, usage, total)
    _let_total_place_reasoning(counts, total, usually_outside=provider == "xai")
    if provider == "mistral" or usage.has("connector_tokens"):
        # What a connector, such as a web search, put into the prompt is billed as such, and in the total alone.
        counts.prompt_tokens += usage.count_or_zero("connector_tokens")
    if provider not in _INCLUSIVE and counts.caches and total == counts.total + counts.caches:
        counts.prompt_tokens += counts.caches
    counts.requests = usage.count("requests", "successful_requests") or 1
    counts.check_total(total)
    return counts


def _let_durations_make_writes(counts: Counts, usage: UsageReader) -> None:
    # LangChain's Anthropic puts the writes by duration beside a cache_creation of 0, so that sums do not double.
    short = usage.count_or_zero(*SHORT_WRITES)
    counts.cache_write_tokens = max(counts.cache_write_tokens, short + counts.cache_write_1h_tokens)


def _with_perplexity_extras(counts: Counts, usage: UsageReader, total: int | None) -> Counts:
    # Citations and reasoning at the top are billed besides the answer; Perplexity's total leaves them out.
    answer = counts.completion_tokens
    outside = usage.count_or_zero("citation_tokens") + usage.count_or_zero("reasoning_tokens")
    counts.completion_tokens += outside
    counts.check_total(total, counts.prompt_tokens + answer)
    return counts


def _let_total_place_reasoning(counts: Counts, total: int | None, *, usually_outside: bool) -> None:
    """Add reasoning to the output where the total says that it comes on top, as xAI's usually does."""
    inside = counts.prompt_tokens + counts.completion_tokens
    if total == inside:
        return
    if total == inside + counts.reasoning_tokens or (total is None and usually_outside):
        counts.completion_tokens += counts.reasoning_tokens


def _sides(usage: UsageReader, provider: str | None) -> Counts:
    """Read what has input_tokens and output_tokens; the names of its caches tell whose it is."""
    if not APART & usage.keys:
        return _input_output(usage, provider)
    is_inclusive = None if provider not in _INCLUSIVE | _EXCLUSIVE else provider in _INCLUSIVE
    return caches_apart(usage, is_inclusive=is_inclusive)


def _input_output(usage: UsageReader, provider: str | None) -> Counts:
    """Read OpenAI Responses and Realtime, LangChain, pydantic-ai and our own: everything is inside its side."""
    counts = Counts.of(usage, INPUT_OUTPUT)
    _let_durations_make_writes(counts, usage)
    total = usage.count("total_tokens")
    if provider not in _INCLUSIVE and counts.caches and total == counts.total + counts.caches:
        counts.prompt_tokens += counts.caches  # so ccusage counts
    requests = usage.count("requests")
    counts.requests = 1 if requests is None else requests
    counts.check_total(total)
    return counts


def _earlier_pydantic_ai(usage: UsageReader, provider: str | None) -> Counts:
    counts = Counts.of(usage, EARLIER_PYDANTIC_AI)
    requests = usage.count("requests")
    counts.requests = 1 if requests is None else requests
    counts.check_total(usage.count("total_tokens"))
    return counts


def _gemini(usage: UsageReader, provider: str | None) -> Counts:
    """Read Gemini: cached content is inside the prompt; thoughts and the tools' prompt come on top."""
    prompt = usage.count_or_zero("prompt_token_count") + usage.count_or_zero("tool_use_prompt_token_count")
    answer = usage.count_or_zero("candidates_token_count", "response_token_count", "generation_token_count")
    thoughts = usage.count_or_zero("thoughts_token_count")
    total = usage.count("total_token_count")
    are_inside = total == prompt + answer and thoughts <= answer
    counts = Counts(
        prompt_tokens=prompt,
        completion_tokens=answer if are_inside else answer + thoughts,
        cache_read_tokens=usage.count_or_zero("cached_content_token_count"),
        reasoning_tokens=thoughts,
        input_audio_tokens=_audio(usage, "prompt_tokens_details") + _audio(usage, "tool_use_prompt_tokens_details"),
        output_audio_tokens=_audio(usage, "candidates_tokens_details") or _audio(usage, "response_tokens_details"),
    )
    counts.check_total(total)
    return counts


def _interactions(usage: UsageReader, provider: str | None) -> Counts:
    """Read Gemini's interactions: as above, by other names."""
    prompt = usage.count_or_zero("total_input_tokens") + usage.count_or_zero("total_tool_use_tokens")
    answer, thoughts = usage.count_or_zero("total_output_tokens"), usage.count_or_zero("total_thought_tokens")
    total = usage.count("total_tokens")
    are_inside = total == prompt + answer and thoughts <= answer
    counts = Counts(
        prompt_tokens=prompt,
        completion_tokens=answer if are_inside else answer + thoughts,
        cache_read_tokens=usage.count_or_zero("total_cached_tokens"),
        reasoning_tokens=thoughts,
        input_audio_tokens=_audio(usage, "input_tokens_by_modality") + _audio(usage, "tool_use_tokens_by_modality"),
        output_audio_tokens=_audio(usage, "output_tokens_by_modality"),
    )
    counts.check_total(total)
    return counts


def _audio(usage: UsageReader, path: str) -> int:
    return media_tokens(usage, path, "audio")


def _cohere(usage: UsageReader, provider: str | None) -> Counts:
    """Read Cohere: what is billed, where it says so; else what the model saw."""
    billed = usage.has("billed_units.input_tokens") or usage.has("billed_units.output_tokens")
    side, other = ("billed_units", "tokens") if billed else ("tokens", "billed_units")
    # What the model saw is another count of the same tokens.
    usage.read.update((f"{other}.input_tokens", f"{other}.output_tokens"))
    return Counts(
        prompt_tokens=usage.count_or_zero(f"{side}.input_tokens"),
        completion_tokens=usage.count_or_zero(f"{side}.output_tokens"),
        cache_read_tokens=usage.count_or_zero("cached_tokens"),
    )


def ollama(usage: UsageReader, provider: str | None) -> Counts:
    """Read Ollama's reply: what was evaluated; a cached prompt is left out, and costs nothing."""
    return Counts(
        prompt_tokens=usage.count_or_zero("prompt_eval_count"), completion_tokens=usage.count_or_zero("eval_count")
    )


def _spans(usage: UsageReader, provider: str | None) -> Counts:
    """Read the attributes of spans, whose input includes caches by the semantic conventions."""
    counts = Counts.of(usage, SPANS)
    counts.check_total(usage.count(*SPAN_TOTALS))
    return counts


@lru_cache(maxsize=1_024)
def _possible(names: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], Convention], ...]:
    return tuple(row for row in _CONVENTIONS if not _first_steps(row[0]).isdisjoint(names))


@cache
def _first_steps(names: tuple[str, ...]) -> frozenset[str]:
    """Return what leads to `names` at the top of a usage; those of spans may be keys with dots."""
    return frozenset(step for name in names for step in (name, name.partition(".")[0]))


def _is_above_0(usage: UsageReader, path: str) -> bool:
    return usage.anything(path) not in (None, 0)


def _is_number(usage: UsageReader, *names: str) -> bool:
    return any(isinstance(usage.anything(name), int | float) for name in names)


# The first of these of whose names one has a count reads the usage, or else the first of whose names one is there.
_CONVENTIONS: tuple[tuple[tuple[str, ...], Convention], ...] = (
    ((*SPANS.paths["prompt_tokens"], *SPANS.paths["completion_tokens"]), _spans),
    (("input_tokens.total", "output_tokens.total"), nested_sides),
    (("prompt_token_count", "candidates_token_count", "response_token_count", "generation_token_count"), _gemini),
    (
        ("total_thought_tokens", "total_cached_tokens", "total_tool_use_tokens", "input_tokens_by_modality"),
        _interactions,
    ),
    (
        ("billed_units.input_tokens", "billed_units.output_tokens", "tokens.input_tokens", "tokens.output_tokens"),
        _cohere,
    ),
    (("prompt_tokens", "completion_tokens"), _chat),
    (("input_tokens", "output_tokens", "input_token_count", "output_token_count", "generated_token_count"), _sides),
    (("request_tokens", "response_tokens"), _earlier_pydantic_ai),
    (("prompt_eval_count", "eval_count"), ollama),
    (("tokens_in", "tokens_out"), cline),
)
