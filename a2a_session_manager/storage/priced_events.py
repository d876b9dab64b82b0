"""Events get their prices: once, each at its own time, before they are stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.models.fields_set import with_fields
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.sound_usage import is_sound
from a2a_session_manager.models.token_usage import TokenUsage, lacks_price, priced
from a2a_session_manager.pricing.list_prices import prices_are_loaded, warm_up_prices
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer

# Events. A price takes about a tenth of a millisecond.
_MOST_INLINE = 16

EventT = TypeVar("EventT", bound=SessionEvent[Any])


async def priced_events(events: Sequence[EventT], pricer: Pricer = DEFAULT_PRICER) -> Sequence[EventT]:
    """Return `events`, each priced at its timestamp; the same sequence when none needs a price.

    The first price, which imports the price list, and long batches are left to a thread: the event loop waits for no
    more than a few prices.
    """
    wanted = [needs_price(event) for event in events]
    if not any(wanted):
        return events
    if not prices_are_loaded():
        await warm_up_prices()

    def all_priced() -> Sequence[EventT]:
        pairs = zip(events, wanted, strict=True)
        return [_with_price(event, pricer) if is_wanted else event for event, is_wanted in pairs]

    return all_priced() if sum(wanted) <= _MOST_INLINE else await in_thread(all_priced)


def brings_usage(event: object) -> bool:
    """Tell at a glance whether an event has a usage, which may need a price."""
    return getattr(event, "token_usage", None) is not None


def needs_price(event: object) -> bool:
    """Tell whether `priced_events` would ask for a price: for a sound usage of a named model that has no cost.

    One with a reported cost has the list's put beside it.
    """
    usage: object = event.token_usage if isinstance(event, SessionEvent) else None
    # None is asked for first, because isinstance takes long with a model's class.
    if usage is None or not isinstance(usage, TokenUsage) or not lacks_price(usage):
        return False
    # A usage that is not sound is refused when it is encoded, and so is an event whose time is none.
    return is_sound(usage) and bool(usage.model) and isinstance(event.__dict__["timestamp"], datetime)


def _with_price(event: EventT, pricer: Pricer) -> EventT:
    usage = event.token_usage
    if usage is None or (with_cost := priced(usage, event.timestamp, pricer)) is usage:
        return event
    return with_fields(event, {"token_usage": with_cost})
