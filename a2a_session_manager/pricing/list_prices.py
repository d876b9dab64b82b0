"""What genai-prices charges for a request, exact; imported on first use, because that takes a third of a second."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import datetime
from decimal import Context, Decimal, localcontext
from typing import TYPE_CHECKING, Any, NamedTuple

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.pricing.context import context_of, lower_bound
from a2a_session_manager.pricing.model_names import fine_tuned_id, offers
from a2a_session_manager.pricing.usage_numbers import UsageNumbers

if TYPE_CHECKING:
    from genai_prices.data_snapshot import DataSnapshot
    from genai_prices.types import ModelInfo, ModelPrice, Provider

    Sale = tuple[Provider, ModelInfo]

# It holds the digits of any count. The caller's own decimal context must not change a price.
EXACT = Context(prec=60)
_MOST_NAMES = 4_096
_MEDIA = ("audio", "image", "video")

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
    """A cost in US dollars; `priced_by` names the list, the seller and the model that it was read from.

    `missing` names what the list has no price for, so that the cost is a lower bound.
    """

    usd: Decimal
    priced_by: str
    missing: tuple[str, ...]


class ListPrices:
    """The price list that genai-prices brings along, or the newer one that its `UpdatePrices` has fetched."""

    def __init__(self) -> None:
        self._snapshot: DataSnapshot | None = None
        self._sales: dict[tuple[str, str | None], Sale | None] = {}

    def cost(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> ListedCost | None:
        """Return what `usage` costs at `at`, or None where nobody is known to sell the model.

        Raises ValueError where the model is known and its prices do not fit the numbers.
        """
        sale = self._sale(model, provider)
        if sale is None:
            return None
        seller, sold = sale
        media = dict(getattr(usage, "media", ()))
        context = context_of(usage)
        missing = lower_bound(_without_price(sold, context, at)) if context else ()
        _check_price_fits(sold.get_prices(at, context), usage, media)
        with localcontext(EXACT):
            calculated = sold.calc_price(
                _usage_of_theirs(usage, media), seller, genai_request_timestamp=at, price_context=context
            )
        return ListedCost(calculated.total_price, f"{self._list_name()} {seller.id}/{sold.id}", missing)

    def _sale(self, model: str, provider: str | None) -> Sale | None:
        snapshot = _current_list()
        if snapshot is not self._snapshot or len(self._sales) >= _MOST_NAMES:
            self._snapshot, self._sales = snapshot, {}
        # Another thread may replace the attribute at any moment, so this one goes on with the dict that it saw.
        sales, key = self._sales, (model, provider)
        if key not in sales:
            sales[key] = _found(snapshot, model, provider)
        return sales[key]

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

    genai_prices.calc_price(genai_prices.Usage(input_tokens=1), "gpt-4o")
    _LOADED.set()


def _current_list() -> DataSnapshot:
    from genai_prices import data_snapshot  # see the module's docstring

    snapshot = data_snapshot.get_snapshot()
    _LOADED.set()
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


def _without_price(sold: ModelInfo, context: Mapping[str, str], at: datetime) -> set[tuple[str, str]]:
    missing = set(context.items())
    for variant in sold.price_variants or ():
        if variant.when.items() <= context.items() and (variant.constraint is None or variant.constraint.active(at)):
            missing -= variant.when.items()
    return missing


def _usage_of_theirs(usage: UsageNumbers, media: Mapping[str, int]) -> Any:
    from genai_prices import Usage  # see the module's docstring

    numbers = {"input_tokens": usage.prompt_tokens, "output_tokens": usage.completion_tokens}
    for ours, theirs in _PARTS:
        if count := getattr(usage, ours):
            numbers[theirs] = count
    return Usage(**{**numbers, **media})


def _check_price_fits(price: ModelPrice, usage: UsageNumbers, media: Mapping[str, int]) -> None:
    """Raise ValueError where the price list would leave something out of the cost without saying so."""
    heard = {"input_audio_tokens": usage.input_audio_tokens, "output_audio_tokens": usage.output_audio_tokens}
    _check_side(price, "input", usage.prompt_tokens, {**heard, **media})
    _check_side(price, "output", usage.completion_tokens, {**heard, **media})
    if usage.requests == 1:
        return
    if price.requests_kcount is not None:
        raise ValueError(f"{usage.requests} requests in one usage, and each has a price: record them one by one")
    starts = [tier.start for part in price.__dict__.values() for tier in getattr(part, "tiers", ())]
    if starts and usage.prompt_tokens > min(starts):
        raise ValueError(
            f"{usage.requests} requests in one usage, and the price changes above {min(starts)} input tokens "
            "of a single one: record them one by one"
        )


def _check_side(price: ModelPrice, side: str, tokens: int, media: Mapping[str, int]) -> None:
    if getattr(price, f"{side}_mtok") is not None:
        return
    apart = [medium for medium in _MEDIA if getattr(price, f"{side}_{medium}_mtok") is not None]
    if tokens > sum(media.get(f"{side}_{medium}_tokens", 0) for medium in apart):
        raise ValueError(f"the list has no price for {side} tokens of this model")
