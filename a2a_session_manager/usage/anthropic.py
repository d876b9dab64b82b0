"""Anthropic and Bedrock, whose input leaves both caches out, and the iterations that Anthropic bills."""

from __future__ import annotations

from collections.abc import Mapping

from a2a_session_manager.pricing.usage_reader import UsageReader
from a2a_session_manager.usage.counts import TOKENS, Counts
from a2a_session_manager.usage.names import ANTHROPIC_WRITE, CACHES_APART

# Others, such as an advisor's, are another model's, at its price: they stay unread, and are flagged.
_OWN_ITERATIONS = ("message", "compaction")


def caches_apart(usage: UsageReader, *, is_inclusive: bool | None) -> Counts:
    """Return the counts of a usage with Anthropic's names.

    `is_inclusive` tells whether the input has the caches inside, as litellm has; with None, the total tells.
    """
    counts = _with_caches(usage, is_inclusive)
    iterations = usage.value("iterations")
    if isinstance(iterations, list) and iterations:
        _sum_up(counts, usage, iterations)
    return counts


def _with_caches(usage: UsageReader, is_inclusive: bool | None) -> Counts:
    short = usage.count_or_zero("cache_creation.ephemeral_5m_input_tokens")
    short += usage.among("cache_details", "ttl", "5m", "input_tokens") or 0
    by_ttl = usage.among("cache_details", "ttl", "1h", "input_tokens")
    long = usage.count_or_zero("cache_creation.ephemeral_1h_input_tokens") if by_ttl is None else by_ttl
    written = usage.count(*ANTHROPIC_WRITE)
    counts = Counts.of(usage, CACHES_APART)
    counts.cache_write_tokens = short + long if written is None else written
    counts.cache_write_1h_tokens = long
    if written is not None and short and short + long != written:
        counts.problems.append(f"the cache writes add up to {short + long}, but their total is {written}")
    total = usage.count("total_tokens")
    if is_inclusive is None:
        is_inclusive = total is not None and total == counts.total
    if not is_inclusive:
        counts.prompt_tokens += counts.caches
    counts.check_total(total)
    return counts


def _sum_up(counts: Counts, usage: UsageReader, iterations: list[object]) -> None:
    """Make `counts` the sum of all own iterations, of which the top leaves compactions out; the last is the context."""
    own = [each for each in iterations if isinstance(each, Mapping) and each.get("type") in _OWN_ITERATIONS]
    if len(own) == len(iterations):
        usage.read.add("iterations[]")
    if not own:
        return
    total = Counts()
    for iteration in own:
        part = _with_caches(UsageReader(iteration), False)
        total.context_tokens = part.total
        total.add(part)
    for name in TOKENS:
        if getattr(total, name) < getattr(counts, name):
            # Iterations say less of some counts than the top does, such as nothing about thinking.
            setattr(total, name, getattr(counts, name))
    counts.__dict__.update({name: getattr(total, name) for name in (*TOKENS, "context_tokens")})
    counts.problems += total.problems
