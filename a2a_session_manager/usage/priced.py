"""A usage gets its price: once, at the time of its request, before it is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidEvent
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_usage import TokenUsage, is_sound
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer, SaysWhy, prices_are_loaded, warm_up_prices
from a2a_session_manager.usage.media import media_counts

# The key in `details` for the reason why a known model's numbers have no price.
UNPRICED = "unpriced"

# A price takes about a tenth of a millisecond.
_MOST_INLINE = 16

EventT = TypeVar("EventT", bound=SessionEvent[Any])


def priced(usage: TokenUsage, at: datetime, pricer: Pricer = DEFAULT_PRICER) -> TokenUsage:
    """Return `usage` with its cost at `at`; the same object when it has one, or when nobody knows one.

    Where the model is known and its price does not fit the numbers, `details["unpriced"]` says why.
    """
    if usage.cost_pico_usd is not None or not usage.model:
        return usage
    numbers = _Numbers(usage)
    cost = pricer.price(numbers, usage.model, usage.provider, at)
    if cost is not None:
        return usage.model_copy(update={"cost_pico_usd": cost.cost_pico_usd, "priced_by": cost.priced_by})
    reason = pricer.refusal(numbers, usage.model, usage.provider, at) if isinstance(pricer, SaysWhy) else None
    if reason is None:
        return usage
    return usage.model_copy(update={"details": {**(usage.details or {}), UNPRICED: reason}})


def priced_event(event: EventT, pricer: Pricer = DEFAULT_PRICER) -> EventT:
    """Return `event` with its usage priced at its timestamp; the same object when nothing changes."""
    usage = event.token_usage
    if usage is None or not needs_price(event) or (with_cost := priced(usage, event.timestamp, pricer)) is usage:
        return event
    return event.model_copy(update={"token_usage": with_cost})


async def priced_events(events: Sequence[EventT], pricer: Pricer = DEFAULT_PRICER) -> Sequence[EventT]:
    """Return `events`, each priced at its timestamp; the same sequence when none needs a price.

    The loop waits for no import, and for no more than a few prices: the first time and long batches go to a thread.
    """
    count = sum(map(needs_price, events))
    if count == 0:
        return events
    if not prices_are_loaded():
        await warm_up_prices()
    if count <= _MOST_INLINE:
        return [priced_event(event, pricer) for event in events]
    return await in_thread(lambda: [priced_event(event, pricer) for event in events])


def needs_price(event: object) -> bool:
    """Tell whether `priced_event` would ask for a price; what is no event needs none."""
    usage: object = event.token_usage if isinstance(event, SessionEvent) else None
    # None first: asking a model's class about it takes long.
    if usage is None or not isinstance(usage, TokenUsage) or usage.__dict__.get("cost_pico_usd") is not None:
        return False
    # What is not sound is refused when it is encoded.
    return is_sound(usage) and bool(usage.model)


class _Numbers:
    """A usage as the pricer sees it: its numbers, and those that only the provider's object has."""

    def __init__(self, usage: TokenUsage) -> None:
        self._usage = usage

    @cached_property
    def media(self) -> dict[str, int]:
        try:
            return media_counts(self._usage.details)
        except InvalidEvent:  # a caller's own details need not hold counts
            return {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usage, name)
