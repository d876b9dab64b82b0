"""Frameworks that put each token into one bucket: what was cached or thought comes on top of input and output."""

from __future__ import annotations

from a2a_session_manager.pricing.usage_reader import UsageReader
from a2a_session_manager.usage.counts import Counts

_LANGFUSE = {
    "cache_read_tokens": ("input_cached_tokens", "input_cache_read", "input_cached", "cache_read_input_tokens"),
    "cache_write_tokens": (
        "input_cache_creation",
        "input_cache_write",
        "cache_creation_input_tokens",
        "cache_write_input_tokens",
    ),
    "cache_write_1h_tokens": ("input_cache_creation_1h", "cache_creation_1h_input_tokens"),
    "reasoning_tokens": ("output_reasoning_tokens", "output_reasoning"),
    "input_audio_tokens": ("input_audio_tokens", "input_audio"),
    "output_audio_tokens": ("output_audio_tokens", "output_audio"),
}


def nested_sides(usage: UsageReader, provider: str | None) -> Counts:
    """Read what a model of the AI SDK 6 or 7 reports: each side with its total, and of what it is made."""
    parts = [usage.count_or_zero(f"input_tokens.{name}") for name in ("no_cache", "cache_read", "cache_write")]
    answer = [usage.count_or_zero(f"output_tokens.{name}") for name in ("text", "reasoning")]
    prompt, completion = usage.count("input_tokens.total"), usage.count("output_tokens.total")
    return Counts(
        prompt_tokens=sum(parts) if prompt is None else prompt,
        completion_tokens=sum(answer) if completion is None else completion,
        cache_read_tokens=parts[1],
        cache_write_tokens=parts[2],
        reasoning_tokens=answer[1],
    )


def opencode(usage: UsageReader, provider: str | None) -> Counts:
    """Read opencode's tokens: caches and reasoning come on top, unless the total says that reasoning does not."""
    read, written = usage.count_or_zero("cache.read"), usage.count_or_zero("cache.write")
    thought, answer = usage.count_or_zero("reasoning"), usage.count_or_zero("output")
    counts = Counts(
        prompt_tokens=usage.count_or_zero("input") + read + written,
        completion_tokens=answer,
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=thought,
    )
    total = usage.count("total")
    if total != counts.total or thought > answer:
        counts.completion_tokens += thought
    counts.check_total(total)
    return counts


def cline(usage: UsageReader, provider: str | None) -> Counts:
    """Read Cline's and Roo's metrics, whose tokens in leave both caches out."""
    read, written = usage.count_or_zero("cache_reads"), usage.count_or_zero("cache_writes")
    return Counts(
        prompt_tokens=usage.count_or_zero("tokens_in") + read + written,
        completion_tokens=usage.count_or_zero("tokens_out"),
        cache_read_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=usage.count_or_zero("reasoning_tokens"),
    )


def langfuse(usage: UsageReader, provider: str | None) -> Counts:
    """Read Langfuse's usage details: every name with "input" or "output" in it is a bucket of that side.

    Where the total is the sum of `input` and `output` alone, the others are parts of these.
    """
    sides = (usage.count_or_zero("input"), usage.count_or_zero("output"))
    total = usage.count("total")
    counts = Counts(*sides)
    for name, paths in _LANGFUSE.items():
        setattr(counts, name, usage.count_or_zero(*paths))
    counts.cache_write_tokens += counts.cache_write_1h_tokens
    if total != sum(sides):
        counts.prompt_tokens = _bucket_sum(usage, "input")
        counts.completion_tokens = _bucket_sum(usage, "output")
    counts.check_total(total)
    return counts


def _bucket_sum(usage: UsageReader, side: str) -> int:
    return sum(usage.count_or_zero(path) for path in usage.leaves if side in path and "cost" not in path)
