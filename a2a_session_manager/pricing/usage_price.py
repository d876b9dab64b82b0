"""A usage → its price: the one function that prices, for what is stored and for what is read alike."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, PricedCost, Pricer, SaysWhy
from a2a_session_manager.pricing.usage_numbers import UsageNumbers


class NamedUsage(UsageNumbers, Protocol):
    """The counts of a request and whose model made them: what a TokenUsage is."""

    @property
    def model(self) -> str: ...
    @property
    def provider(self) -> str | None: ...


class UsagePrice(NamedTuple):
    """A cost, or the reason why a known model's numbers have none; neither where the model is unknown."""

    cost: PricedCost | None = None
    reason: str | None = None


_UNKNOWN = UsagePrice()


def price_usage(usage: NamedUsage, at: datetime, pricer: Pricer = DEFAULT_PRICER) -> UsagePrice:
    """Return what the request of `usage`, made at `at`, costs by `pricer`: images, video and cached audio included."""
    if not usage.model:
        return _UNKNOWN
    cost = pricer.price(usage, usage.model, usage.provider, at)
    if cost is not None:
        return UsagePrice(cost)
    if isinstance(pricer, SaysWhy):
        return UsagePrice(reason=pricer.refusal(usage, usage.model, usage.provider, at))
    return _UNKNOWN
