"""What genai-prices charges for a request, exact; imported on first use, because that takes a third of a second."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.pricing.context import context_of, lower_bound
from a2a_session_manager.pricing.listed_models import (
    check_price_fits,
    is_linear,
    uses_of_theirs,
    uses_without_price,
    without_price,
)
from a2a_session_manager.pricing.model_names import fine_tuned_id, offers
from a2a_session_manager.pricing.prices import EXACT, whole_pico
from a2a_session_manager.pricing.rates import KINDS, Counts, Rates, plain_counts, rates_of
from a2a_session_manager.pricing.usage_numbers import UsageNumbers, tool_uses_of

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, Provider

    Sale = tuple[Provider, ModelInfo]
    RatesKey = tuple[str, str | None, int, tuple[tuple[str, str], ...], tuple[bool, ...]]

_MOST_NAMES = 4_096
_MOST_RATES = 16_384


# What is counted, by our name and by theirs. A count of 0 is left out, which to them is the same.
_PARTS = (
    ("cache_read_tokens", "cache_read_tokens"),
    ("cache_write_tokens", "cache_write_tokens"),
    ("cache_write_1h_tokens", "cache_write_1h_tokens"),
    ("reasoning_tokens", "output_reasoning_tokens"),
    ("input_audio_tokens", "input_audio_tokens"),
    ("output_audio_tokens", "output_audio_tokens"),
)


# Set once the import has ended; sys.modules cannot tell: there a module stands while its import still runs.
_LOADED = threading.Event()


class ListedCost(NamedTuple):
    """A cost in pico-dollars; `priced_by` names the list, the seller and the model that it was read from.

    `missing` names what the list has no price for, so that the cost is a lower bound.
    """

    pico_usd: int
    priced_by: str
    missing: tuple[str, ...]


class DerivedRates(NamedTuple):
    """Rates, and what a cost by them says of itself."""

    rates: Rates
    priced_by: str
    missing: tuple[str, ...]


class ListPrices:
    """The price list that genai-prices brings along, or the newer one that its `UpdatePrices` has fetched.

    Its own arithmetic takes several times as long as the rest of a write in memory. So rates are derived from it once
    for each model, seller, day, context and kinds of tokens; tiers, prices by the hour and media are left to it.
    """

    def __init__(self) -> None:
        self._snapshot: DataSnapshot | None = None
        self._sales: dict[tuple[str, str | None], Sale | None] = {}
        self._rates: dict[RatesKey, DerivedRates | None] = {}

    def cost(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> ListedCost | None:
        """Return what `usage` costs at `at`, or None where nobody is known to sell the model.

        Raises ValueError where the model is known and its prices do not fit the numbers.
        """
        media, uses, context = dict(getattr(usage, "media", ())), tool_uses_of(usage), context_of(usage)
        counts = None if media or uses else plain_counts(usage)
        if counts is None:
            return self._listed(usage, model, provider, at, media, uses, context)
        self._forget_an_older_list()
        # Another thread may replace the attribute at any moment, so this one goes on with the dict that it saw.
        known = self._rates
        key = (model, provider, _day(at), tuple(context.items()), tuple(map(bool, counts)))
        derived = known.get(key)
        if derived is not None:
            return ListedCost(derived.rates.pico_usd(counts), derived.priced_by, derived.missing)
        cost = self._listed(usage, model, provider, at, media, uses, context)
        if cost is not None and key not in known:
            known[key] = self._derived(cost, counts, model, provider, at, context)
        return cost

    def _listed(
        self,
        usage: UsageNumbers,
        model: str,
        provider: str | None,
        at: datetime,
        media: Mapping[str, int],
        uses: Mapping[str, int],
        context: Mapping[str, str],
    ) -> ListedCost | None:
        sale = self._sale(model, provider)
        if sale is None:
            return None
        seller, sold = sale
        price = sold.get_prices(at, context)
        missing = lower_bound(without_price(sold, context, at)) if context else ()
        missing += uses_without_price(price, seller.id, uses) if uses else ()
        check_price_fits(price, usage, media)
        with localcontext(EXACT):
            numbers = _usage_of_theirs(usage, {**media, **uses_of_theirs(uses)})
            calculated = sold.calc_price(numbers, seller, genai_request_timestamp=at, price_context=context)
            pico = whole_pico(calculated.total_price.scaleb(12))
        return ListedCost(pico, f"{self._list_name()} {seller.id}/{sold.id}", missing)

    def _derived(
        self,
        cost: ListedCost,
        counts: Counts,
        model: str,
        provider: str | None,
        at: datetime,
        context: Mapping[str, str],
    ) -> DerivedRates | None:
        """Return the rates behind `cost`, which is that of `counts`; None where one more token may change the price."""
        sale = self._sale(model, provider)
        if sale is None or not is_linear(sale[1], at, context):
            return None
        seller, sold = sale

        def in_usd(of: Mapping[str, int]) -> Decimal:
            return sold.calc_price(
                _numbers_of_theirs(of), seller, genai_request_timestamp=at, price_context=context
            ).total_price

        rates = rates_of(in_usd, counts)
        is_right = rates.pico_usd(counts) == cost.pico_usd
        return DerivedRates(rates, cost.priced_by, cost.missing) if is_right else None

    def _sale(self, model: str, provider: str | None) -> Sale | None:
        snapshot = self._forget_an_older_list()
        sales, key = self._sales, (model, provider)
        if key not in sales:
            sales[key] = _found(snapshot, model, provider)
        return sales[key]

    def _forget_an_older_list(self) -> DataSnapshot:
        snapshot = _current_list()
        if snapshot is not self._snapshot or len(self._sales) >= _MOST_NAMES or len(self._rates) >= _MOST_RATES:
            self._snapshot, self._sales, self._rates = snapshot, {}, {}
        return snapshot

    def _list_name(self) -> str:
        import genai_prices  # loaded already: see the module's docstring

        snapshot = self._snapshot
        fetched = f" of {snapshot.timestamp:%Y-%m-%d}" if snapshot is not None and snapshot.from_auto_update else ""
        return f"genai-prices {genai_prices.__version__}{fetched}"


def prices_are_loaded() -> bool:
    """Tell whether a price can be read here and now without importing anything."""
    return _LOADED.is_set()


async def warm_up_prices() -> None:
    """Load the price list in a thread, at a moment of the caller's choice; once is enough."""
    if not prices_are_loaded():
        await in_thread(load)


def load() -> None:
    """Import the price list, and price once, because the first price takes long too.

    This blocks for a third of a second: it is for a thread.
    """
    import genai_prices  # see the module's docstring

    with suppress(LookupError):  # of a list that the user has put in the place of theirs
        genai_prices.calc_price(genai_prices.Usage(input_tokens=1), "gpt-4o")
    _LOADED.set()


def _current_list() -> DataSnapshot:
    if not prices_are_loaded():
        load()
    # This is asked for every price, and an import statement takes as long as the rest of it.
    snapshot: DataSnapshot = sys.modules["genai_prices.data_snapshot"].get_snapshot()
    return snapshot


def _found(snapshot: DataSnapshot, model: str, provider: str | None) -> Sale | None:
    from genai_prices.data_snapshot import find_provider_by_id  # see the module's docstring

    def sells(name: str) -> str | None:
        found = find_provider_by_id(snapshot.providers, name.strip())
        return None if found is None else found.id

    for seller, name in offers(model, provider, sells):
        try:
            return snapshot.find_provider_model(name, None, seller, None)
        except LookupError:
            if (sale := _fine_tuned(snapshot, seller, name)) is not None:
                return sale
    return None


def _fine_tuned(snapshot: DataSnapshot, seller: str | None, name: str) -> Sale | None:
    # The list knows fine-tuned models by dated names, at prices of their own. The base model costs something else.
    wanted = fine_tuned_id(name)
    for provider in snapshot.providers:
        if wanted is not None and provider.id == seller:
            for model in provider.models:
                if model.id.rstrip("-") in wanted:
                    return provider, model
    return None


def _day(at: datetime) -> int:
    # A time without a zone is UTC to the list.
    return (at if at.tzinfo is None or at.tzinfo is UTC else at.astimezone(UTC)).toordinal()


def _numbers_of_theirs(counts: Mapping[str, int]) -> Any:
    return _theirs({kind: counts.get(kind, 0) for kind in KINDS}, {})


def _usage_of_theirs(usage: UsageNumbers, media: Mapping[str, int]) -> Any:
    sides = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    return _theirs({**sides, **{ours: getattr(usage, ours) for ours, _ in _PARTS}}, media)


def _theirs(counts: Mapping[str, int], media: Mapping[str, int]) -> Any:
    from genai_prices import Usage  # see the module's docstring

    numbers = {"input_tokens": counts["prompt_tokens"], "output_tokens": counts["completion_tokens"]}
    for ours, theirs in _PARTS:
        if count := counts.get(ours):
            numbers[theirs] = count
    return Usage(**{**numbers, **media})
