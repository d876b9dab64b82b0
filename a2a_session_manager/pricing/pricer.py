"""Numbers of one request in, its cost out: the user's prices first, then the list prices of its time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import localcontext
from types import MappingProxyType
from typing import Protocol, Self, runtime_checkable

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.pricing.context import SEARCH_SIZE, context_of, lower_bound
from a2a_session_manager.pricing.list_prices import ListPrices
from a2a_session_manager.pricing.model_names import override_names
from a2a_session_manager.pricing.prices import EXACT, Prices, whole_pico
from a2a_session_manager.pricing.usage_numbers import UsageNumbers, tool_uses_of


@dataclass(frozen=True, slots=True)
class PricedCost:
    """What a request cost.

    Attributes:
        cost_pico_usd: whole pico-dollars, which are 10⁻¹² US dollars.
        priced_by: names the source of the price; it is stored with the cost.
        missing: names what in the request has no price that is known, such as `service_tier=priority`: then the cost is
            a lower bound, and the usage becomes `partially_priced`.
    """

    cost_pico_usd: int
    priced_by: str
    missing: tuple[str, ...] = ()


class Pricer(Protocol):
    """What says the cost of a request. It is called on the event loop for every unpriced usage: it must not block."""

    def price(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> PricedCost | None:
        """Return the cost of a request that used `usage` at `at`, or None where it is unknown: never 0, never a guess.

        `model` is the name that the caller or the reply gave, `provider` who served it, None where nobody said so.
        """
        ...


@runtime_checkable
class SaysWhy(Protocol):
    """What a Pricer may offer besides: why the numbers of a model that it knows have no price."""

    def refusal(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> str | None:
        """Return the reason why `price` is None although the model is known; None for an unknown model."""
        ...


class ListPricer:
    """Prices by the user's own `overrides`, and by the list of genai-prices for every other model.

    `overrides` are Prices by model name. Each holds for every spelling of its model: `{"gpt-4o": …}` for
    `openai/gpt-4o` too, and `{"azure/gpt-4o": …}` goes before it; `{"ft:gpt-4.1": …}` holds for all models tuned from
    gpt-4.1.
    """

    def __init__(self, overrides: Mapping[str, Prices] | None = None) -> None:
        self._overrides = {_name(model, prices): prices for model, prices in (overrides or {}).items()}
        self._list = ListPrices()

    @property
    def overrides(self) -> Mapping[str, Prices]:
        """The user's own prices by model name, lower case."""
        return MappingProxyType(self._overrides)

    def __deepcopy__(self, memo: object) -> Self:
        # A pricer never changes, and the price list that it holds weighs megabytes.
        return self

    def __reduce__(self) -> tuple[type[ListPricer], tuple[dict[str, Prices]]]:
        return ListPricer, (self._overrides,)

    def price(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> PricedCost | None:
        """Return the cost of one request made at `at`, or None where it is unknown.

        `model` is found under any spelling (`gpt-4o`, `openai/gpt-4o`, a Bedrock ARN). `provider` is who served it:
        with an unknown one the cost is unknown, with None the seller is told from the name. `usage` may bring `media`,
        `tool_uses` and a `price_context`. What is dearer than the standard and has no price of its own costs the
        standard's, and is `missing`, and so is what is paid by use and has no price; what may be cheaper has no cost.
        The first call imports the price list, unless `warm_up` has; after that it takes microseconds.
        """
        try:
            return self._cost(usage, model, provider, at)
        except (ValueError, ArithmeticError):
            return None

    def refusal(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> str | None:
        """Return the reason why `price`, asked the same, is None although the model is known; else None.

        The arguments `usage`, `model`, `provider` and `at` are those of `price`.
        """
        try:
            self._cost(usage, model, provider, at)
        except (ValueError, ArithmeticError) as error:
            return str(error) or type(error).__name__
        return None

    def _cost(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> PricedCost | None:
        if not model.strip():
            return None
        if self._overrides:
            for name in override_names(model, provider):
                if name in self._overrides:
                    return _own_cost(self._overrides[name], usage, name)
        listed = self._list.cost(usage, model, provider, at)
        if listed is None:
            return None
        return PricedCost(listed.pico_usd, listed.priced_by, listed.missing)


def _own_cost(prices: Prices, usage: UsageNumbers, name: str) -> PricedCost:
    missing = lower_bound(item for item in context_of(usage).items() if item[0] != SEARCH_SIZE)
    missing += prices.without_price(tool_uses_of(usage))
    with localcontext(EXACT):
        return PricedCost(whole_pico(prices.pico_usd(usage)), f"override {name}", missing)


def _name(model: object, prices: object) -> str:
    if not isinstance(model, str) or not model.strip():
        raise InvalidSessionOperation(f"overrides: {model!r} is no model's name")
    if not isinstance(prices, Prices):
        raise InvalidSessionOperation(f"overrides[{model!r}] is {prices!r}: pass Prices(input=…, output=…)")
    return model.strip().lower()


DEFAULT_PRICER = ListPricer()
