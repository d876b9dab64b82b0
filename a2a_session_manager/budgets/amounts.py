"""What is limited and spent, in whole numbers: pico-dollars, tokens and requests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

AXES: Final = ("usd", "tokens", "requests")


class Amounts(NamedTuple):
    """An amount of each axis. Tokens are those of prompts, cached ones included, and of completions."""

    pico_usd: int = 0
    tokens: int = 0
    requests: int = 0

    def plus(self, other: Amounts) -> Amounts:
        """Return the sum."""
        return Amounts(self[0] + other[0], self[1] + other[1], self[2] + other[2])


class Some(NamedTuple):
    """An amount of some axes; None stands for no limit, or for what is not known."""

    pico_usd: int | None = None
    tokens: int | None = None
    requests: int | None = None


class Spent(NamedTuple):
    """What was spent: a sum of usages; of `unpriced` requests nobody knows what they cost."""

    amounts: Amounts = Amounts()
    unpriced: int = 0

    def plus(self, other: Spent) -> Spent:
        """Return the sum."""
        return Spent(self.amounts.plus(other.amounts), self.unpriced + other.unpriced)


NOTHING: Final = Spent()


def spent_in(counters: Mapping[str, int]) -> Spent:
    """Return what counters of usage say, which have the names of a TokenTally's fields."""
    get = counters.get
    tokens = get("prompt_tokens", 0) + get("completion_tokens", 0)
    return Spent(Amounts(get("cost_pico_usd", 0), tokens, get("requests", 0)), get("unpriced_requests", 0))


def summed(parts: Iterable[Spent]) -> Spent:
    """Return the sum of what many have spent."""
    pico_usd = tokens = requests = unpriced = 0
    for amounts, more in parts:
        if amounts[2] or amounts[0] or amounts[1] or more:
            pico_usd, tokens, requests = pico_usd + amounts[0], tokens + amounts[1], requests + amounts[2]
            unpriced += more
    return Spent(Amounts(pico_usd, tokens, requests), unpriced)


def spent_by(totals: Iterable[Mapping[str, int]]) -> Spent:
    """Return the sum of several counters."""
    spent = NOTHING
    for counters in totals:
        spent = spent.plus(spent_in(counters))
    return spent
