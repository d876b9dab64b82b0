"""TokenTally: a sum of usages, in integers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from a2a_session_manager.models.money import usd_from_pico
from a2a_session_manager.models.token_counts import Count, TokenCounts


class TokenTally(TokenCounts):
    """A sum of usages, integers only, the cost in 10⁻¹² US dollars; tallies are added and subtracted.

    `requests` counts all requests. With `unpriced_requests` of them above 0, or `partially_priced_requests`, of which
    something has no price that is known, the cost is a lower bound. Nothing is known of `requests_without_usage` of
    them, so that the tokens are a lower bound, too. `repeated_requests` are in no other sum, but for what they said
    beyond the usages before: so often came a usage of a response that was counted already.
    """

    requests: Count = 0
    unpriced_requests: Count = 0
    cost_pico_usd: Count = 0
    partially_priced_requests: Count = 0
    requests_without_usage: Count = 0
    repeated_requests: Count = 0

    @property
    def estimated_cost_usd(self) -> Decimal:
        """The sum of the known costs in US dollars, exact."""
        return usd_from_pico(self.cost_pico_usd)

    @property
    def is_lower_bound(self) -> bool:
        """True when a request is in the sum that has no price, or not for all of it, or whose usage is not known."""
        return bool(self.unpriced_requests or self.partially_priced_requests or self.requests_without_usage)

    @property
    def total_prompt_tokens(self) -> int:
        """`prompt_tokens`, by the name that sums had in 0.1."""
        return self.prompt_tokens

    @property
    def total_completion_tokens(self) -> int:
        """`completion_tokens`, by the name that sums had in 0.1."""
        return self.completion_tokens

    @property
    def total_estimated_cost_usd(self) -> Decimal:
        """`estimated_cost_usd`, by the name that sums had in 0.1."""
        return self.estimated_cost_usd

    def plus(self, counters: Mapping[str, int]) -> TokenTally:
        """Return this sum with `counters` added, counts by the names of the fields here."""
        return self.model_copy(update={name: getattr(self, name) + count for name, count in counters.items()})

    def __add__(self, other: TokenTally) -> TokenTally:
        return self.plus({name: getattr(other, name) for name in COUNTERS})

    def __sub__(self, other: TokenTally) -> TokenTally:
        return self.plus({name: -getattr(other, name) for name in COUNTERS})


# The integers that are summed, by name.
COUNTERS = tuple(TokenTally.model_fields)
NOTHING_SPENT = TokenTally()


def summed(tallies: Iterable[TokenTally]) -> TokenTally:
    """Return the sum of `tallies`; nothing spent when there are none."""
    total = dict.fromkeys(COUNTERS, 0)
    for tally in tallies:
        for name, count in tally.__dict__.items():
            total[name] += count
    return NOTHING_SPENT.plus(total)
