"""What a listed model's price holds for: whether it fits the numbers, knows the context, and is one all day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from a2a_session_manager.pricing.context import SEARCH_SIZE
from a2a_session_manager.pricing.usage_numbers import UsageNumbers

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

_MEDIA = ("audio", "image", "video")
# What is paid by use, by our name and by theirs. Of the others they know no prices.
_USES = {
    "web_searches": "web_searches",
    "file_searches": "storage_searches",
    "code_executions": "code_executions",
    "social_searches": "social_searches",
    "rerank_searches": "rerank_searches",
}
# The documentation says that these cost nothing but their tokens.
_FREE = frozenset({("anthropic", "web_fetches")})
# Where each request has a price, the search that it makes is in it.
_IN_A_REQUEST = frozenset({"web_searches"})


def check_price_fits(price: ModelPrice, usage: UsageNumbers, media: Mapping[str, int]) -> None:
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


def without_price(sold: ModelInfo, context: Mapping[str, str], at: datetime) -> set[tuple[str, str]]:
    """Return what of `context` the list has no price for at `at`."""
    missing = set(context.items())
    if sold.get_prices(at, context).requests_kcount is None:
        missing = {item for item in missing if item[0] != SEARCH_SIZE}
    for variant in sold.price_variants or ():
        if variant.when.items() <= context.items() and (variant.constraint is None or variant.constraint.active(at)):
            missing -= variant.when.items()
    return missing


def uses_of_theirs(uses: Mapping[str, int]) -> dict[str, int]:
    """Return what is paid by use by the list's names, without that of which it knows no prices."""
    return {_USES[name]: count for name, count in uses.items() if name in _USES}


def uses_without_price(price: ModelPrice, seller: str, uses: Mapping[str, int]) -> tuple[str, ...]:
    """Return, as text, what of `uses` costs something at `seller` that the list does not say."""
    return tuple(f"{name}={count}" for name, count in uses.items() if not _has_price(price, seller, name))


def is_linear(sold: ModelInfo, at: datetime, context: Mapping[str, str]) -> bool:
    """Tell whether a model has one price for a token all day, however many there are."""
    from genai_prices.types import StartDateConstraint  # imported on first use, because that takes long

    conditions = [each.constraint for each in sold.prices] if isinstance(sold.prices, list) else []
    conditions += [variant.constraint for variant in sold.price_variants or ()]
    is_by_day = all(each is None or isinstance(each, StartDateConstraint) for each in conditions)
    return is_by_day and not any(hasattr(part, "tiers") for part in sold.get_prices(at, context).__dict__.values())


def _has_price(price: ModelPrice, seller: str, name: str) -> bool:
    theirs = _USES.get(name)
    if (seller, name) in _FREE or (theirs is not None and getattr(price, f"{theirs}_kcount") is not None):
        return True
    return name in _IN_A_REQUEST and price.requests_kcount is not None


def _check_side(price: ModelPrice, side: str, tokens: int, media: Mapping[str, int]) -> None:
    if getattr(price, f"{side}_mtok") is not None:
        return
    apart = [medium for medium in _MEDIA if getattr(price, f"{side}_{medium}_mtok") is not None]
    if tokens > sum(media.get(f"{side}_{medium}_tokens", 0) for medium in apart):
        raise ValueError(f"the list has no price for {side} tokens of this model")
