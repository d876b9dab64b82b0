"""Loading vocabularies and prices at a moment of the caller's choice; otherwise they are loaded on first use."""

from __future__ import annotations

from collections.abc import Iterable

from a2a_session_manager.pricing.list_prices import warm_up_prices
from a2a_session_manager.tokens.counting import DEFAULT_COUNTER


async def warm_up(models: str | Iterable[str] | None = None) -> list[str]:
    """Load the vocabularies of `models` and the price list, and return the names of those vocabularies.

    `models` is a model's or an encoding's name, or several; None stands for all vocabularies that travel with the
    package. Building one stops the event loop for about a tenth of a second, so a service calls this before it takes
    requests. Raises SessionManagerError when a vocabulary that travels with the package is damaged; counting goes on
    then, with estimates.
    """
    names = await DEFAULT_COUNTER.warm_up(models)
    await warm_up_prices()
    return names
