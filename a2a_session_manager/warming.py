"""Loading vocabularies and prices at a moment of the caller's choice; otherwise they are loaded on first use."""

from __future__ import annotations

from collections.abc import Iterable

from a2a_session_manager.pricing.pricer import warm_up_prices
from a2a_session_manager.tokens import counting


async def warm_up(models: str | Iterable[str] | None = None) -> list[str]:
    """Load the vocabularies of `models` and the price list; return the names of the vocabularies.

    `models` are names of models, None means every vocabulary that comes with this package. Building one stops the event
    loop for about a tenth of a second, so a service calls this before it takes requests. Raises SessionManagerError
    when a file of this package is damaged.
    """
    names = await counting.warm_up(models)
    await warm_up_prices()
    return names
