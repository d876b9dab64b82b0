"""Rates: what one more token of each kind costs at a price that knows no tiers, so that a cost is a sum of integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext

from a2a_session_manager.pricing.prices import EXACT
from a2a_session_manager.pricing.usage_numbers import UsageNumbers

Counts = tuple[int, int, int, int, int, int]

# The kinds of tokens, by our name. Audio and media overlap with others: those are left to the list's own arithmetic.
KINDS = (
    "prompt_tokens",
    "completion_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "reasoning_tokens",
)
_MILLION = 10**6
# A request in which every part fits into its whole, and goes on doing so with a million more of any kind.
_PROBE = dict(zip(KINDS, (8 * _MILLION, 8 * _MILLION, _MILLION, 2 * _MILLION, _MILLION, _MILLION), strict=True))


def plain_counts(usage: UsageNumbers) -> Counts | None:
    """Return the counts of `usage` in the order of KINDS; None where it is not one request of parts that fit."""
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    read, write, long_write = usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    reasoning = usage.reasoning_tokens
    if usage.requests != 1 or usage.input_audio_tokens or usage.output_audio_tokens:
        return None
    if read < 0 or read + write > prompt or not 0 <= long_write <= write or not 0 <= reasoning <= completion:
        return None
    return prompt, completion, read, write, long_write, reasoning


@dataclass(frozen=True, slots=True)
class Rates:
    """What one more token of each of KINDS costs, and what a request costs besides, in 1/`scale` pico-dollars."""

    per_token: Counts
    request: int
    scale: int

    def pico_usd(self, counts: Counts) -> int:
        """Return what a request of `counts` costs in whole pico-dollars, half of one rounded to even."""
        per_token = self.per_token
        total = (
            self.request
            + counts[0] * per_token[0]
            + counts[1] * per_token[1]
            + counts[2] * per_token[2]
            + counts[3] * per_token[3]
            + counts[4] * per_token[4]
            + counts[5] * per_token[5]
        )
        if self.scale == 1:
            return total
        whole, rest = divmod(total, self.scale)
        return whole + (2 * rest > self.scale or (2 * rest == self.scale and whole % 2 == 1))


def rates_of(cost_in_usd: Callable[[Mapping[str, int]], Decimal], counts: Counts) -> Rates:
    """Return the rates behind `cost_in_usd`, which prices counts by their names, for requests like `counts`.

    They hold for requests that count something of the same kinds: a list's prices are a sum of products for these.
    """
    probe = {kind: _PROBE[kind] for kind, count in zip(KINDS, counts, strict=True) if count}
    with localcontext(EXACT):
        whole = cost_in_usd(probe)
        # The price of a million more in dollars, times a million, is the price of one in pico-dollars.
        rates = {kind: (cost_in_usd({**probe, kind: probe[kind] + _MILLION}) - whole) * _MILLION for kind in probe}
        request = whole.scaleb(12) - sum((rate * probe[kind] for kind, rate in rates.items()), Decimal(0))
        places = max((-_exponent(amount) for amount in (*rates.values(), request)), default=0)
        scale = 10 ** max(places, 0)
        scaled = [int(rates.get(kind, Decimal(0)) * scale) for kind in KINDS]
        return Rates((scaled[0], scaled[1], scaled[2], scaled[3], scaled[4], scaled[5]), int(request * scale), scale)


def _exponent(amount: Decimal) -> int:
    exponent = amount.normalize().as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0
