"""What each provider's names mean: which counts are inside others, and which come on top."""

from __future__ import annotations

from collections.abc import Callable

from a2a_session_manager.pricing.usage_reader import UsageReader
from a2a_session_manager.usage.counts import Counts
from a2a_session_manager.usage.names import (
    ANTHROPIC_WRITE,
    APART,
    CACHES_APART,
    CHAT,
    INPUT_OUTPUT,
    OTEL,
)

Convention = Callable[[UsageReader, str | None], Counts]

# One provider goes by several names. Those that are not known here change nothing: the names of the counts decide.
_ALIASES = {
    "x-ai": "xai",
    "aws": "bedrock",
    "amazon": "bedrock",
    "opentelemetry": "otel",
}
# These count caches inside the input, even under Anthropic's names; the others count them apart.
_INCLUSIVE = frozenset({"azure", "databricks", "langchain", "litellm", "openai", "otel", "pydantic-ai"})
_EXCLUSIVE = frozenset({"anthropic", "bedrock"})


def convention_of(usage: UsageReader) -> Convention | None:
    """Return what reads a usage with such names as `usage` has, or None when no provider has them."""
    return next((read for names, read in _CONVENTIONS if any(usage.has(name) for name in names)), None)


def canonical_provider(provider: str | None) -> str | None:
    """Return `provider` by the one name that it has in this module."""
    name = None if provider is None else provider.strip().lower().replace("_", "-")
    return None if name is None else _ALIASES.get(name, name)


def _chat(usage: UsageReader, provider: str | None) -> Counts:
    """Read OpenAI's chat completions, and all that copied their names: inclusive, with the exceptions below."""
    counts = Counts.of(usage, CHAT)
    total = usage.count("total_tokens")
    if provider == "perplexity" or usage.has("citation_tokens") or usage.has("num_search_queries"):
        return _with_perplexity_extras(counts, usage, total)
    _let_total_place_reasoning(counts, total, usually_outside=provider == "xai")
    if provider not in _INCLUSIVE and APART & usage.keys and total == _sum(counts, with_caches=True):
        counts.prompt_tokens += counts.cache_read_tokens + counts.cache_write_tokens
    counts.check_total(total)
    return counts


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
    return _caches_apart(usage, provider) if APART & usage.keys else _input_output(usage)


def _caches_apart(usage: UsageReader, provider: str | None) -> Counts:
    """Read Anthropic and Bedrock, whose input leaves both caches out; litellm has the same names and puts them in."""
    short = usage.count_or_zero("cache_creation.ephemeral_5m_input_tokens")
    by_ttl = usage.among("cache_details", "ttl", "1h", "input_tokens")
    long = usage.count_or_zero("cache_creation.ephemeral_1h_input_tokens") if by_ttl is None else by_ttl
    written = usage.count(*ANTHROPIC_WRITE)
    counts = Counts.of(usage, CACHES_APART)
    counts.cache_write_tokens = short + long if written is None else written
    counts.cache_write_1h_tokens = long
    if written is not None and short and short + long != written:
        counts.problems.append(f"the cache writes add up to {short + long}, but their total is {written}")
    total = usage.count("total_tokens")
    says_inclusive = total is not None and total == _sum(counts, with_caches=False)
    if provider in _EXCLUSIVE or not (provider in _INCLUSIVE or says_inclusive):
        counts.prompt_tokens += counts.cache_read_tokens + counts.cache_write_tokens
    counts.check_total(total)
    return counts


def _input_output(usage: UsageReader) -> Counts:
    """Read OpenAI Responses and Realtime, LangChain, pydantic-ai and our own: everything is inside its side."""
    counts = Counts.of(usage, INPUT_OUTPUT)
    # LangChain's Anthropic puts the writes by duration beside a cache_creation of 0, so that sums do not double.
    short = usage.count_or_zero("input_token_details.ephemeral_5m_input_tokens")
    counts.cache_write_tokens = max(counts.cache_write_tokens, short + counts.cache_write_1h_tokens)
    if not counts.reasoning_tokens:
        # pydantic-ai has it here, beside a 0 of its own.
        counts.reasoning_tokens = usage.count_or_zero("details.reasoning_tokens")
    requests = usage.count("requests")
    counts.requests = 1 if requests is None else requests
    counts.check_total(usage.count("total_tokens"))
    return counts


def _gemini(usage: UsageReader, provider: str | None) -> Counts:
    """Read Gemini: cached content is inside the prompt; thoughts and the tools' prompt come on top."""
    prompt = usage.count_or_zero("prompt_token_count") + usage.count_or_zero("tool_use_prompt_token_count")
    answer = usage.count_or_zero("candidates_token_count", "response_token_count")
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


def _audio(usage: UsageReader, path: str) -> int:
    return usage.among(path, "modality", "audio", "token_count") or 0


def _cohere(usage: UsageReader, provider: str | None) -> Counts:
    """Read Cohere: what is billed, where it says so; else what the model saw."""
    side = "billed_units" if usage.has("billed_units") else "tokens"
    return Counts(
        prompt_tokens=usage.count_or_zero(f"{side}.input_tokens"),
        completion_tokens=usage.count_or_zero(f"{side}.output_tokens"),
        cache_read_tokens=usage.count_or_zero("cached_tokens"),
    )


def _otel(usage: UsageReader, provider: str | None) -> Counts:
    """Read OpenTelemetry's attributes, whose input includes caches by the semantic conventions."""
    return Counts.of(usage, OTEL)


def _sum(counts: Counts, *, with_caches: bool) -> int:
    caches = counts.cache_read_tokens + counts.cache_write_tokens if with_caches else 0
    return counts.prompt_tokens + counts.completion_tokens + caches


# The first of these of whose names one is there reads the usage.
_CONVENTIONS: tuple[tuple[tuple[str, ...], Convention], ...] = (
    ((*OTEL["prompt_tokens"], *OTEL["completion_tokens"]), _otel),
    (("prompt_token_count", "candidates_token_count", "response_token_count"), _gemini),
    (
        ("billed_units.input_tokens", "billed_units.output_tokens", "tokens.input_tokens", "tokens.output_tokens"),
        _cohere,
    ),
    (("prompt_tokens", "completion_tokens"), _chat),
    (("input_tokens", "output_tokens"), _sides),
)
