"""Loading ahead, at a moment of the caller's choice, what counting and pricing would load on first use."""

from __future__ import annotations

from collections.abc import Iterable

from a2a_session_manager.pricing.pricer import warm_up_prices
from a2a_session_manager.tokens import counting


async def warm_up(models: str | Iterable[str] | None = None) -> list[str]:
    """Load the vocabularies of `models` (None: all that travel with us) and the price list.

    Returns the names of the vocabularies. Building one stops the event loop for about a tenth of a second, so
    a service calls this before it takes requests. Raises SessionManagerError when a file of ours is damaged.
    """
    names = await counting.warm_up(models)
    await warm_up_prices()
    return names
