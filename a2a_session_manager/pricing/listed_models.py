"""What a listed model's price holds for: whether it fits the numbers, knows the context, and is one all day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from a2a_session_manager.pricing.usage_numbers import UsageNumbers

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

_MEDIA = ("audio", "image", "video")


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
    for variant in sold.price_variants or ():
        if variant.when.items() <= context.items() and (variant.constraint is None or variant.constraint.active(at)):
            missing -= variant.when.items()
    return missing


def is_linear(sold: ModelInfo, at: datetime, context: Mapping[str, str]) -> bool:
    """Tell whether a model has one price for a token all day, however many there are."""
    from genai_prices.types import StartDateConstraint  # imported on first use, because that takes long

    conditions = [each.constraint for each in sold.prices] if isinstance(sold.prices, list) else []
    conditions += [variant.constraint for variant in sold.price_variants or ()]
    is_by_day = all(each is None or isinstance(each, StartDateConstraint) for each in conditions)
    return is_by_day and not any(hasattr(part, "tiers") for part in sold.get_prices(at, context).__dict__.values())


def _check_side(price: ModelPrice, side: str, tokens: int, media: Mapping[str, int]) -> None:
    if getattr(price, f"{side}_mtok") is not None:
        return
    apart = [medium for medium in _MEDIA if getattr(price, f"{side}_{medium}_mtok") is not None]
    if tokens > sum(media.get(f"{side}_{medium}_tokens", 0) for medium in apart):
        raise ValueError(f"the list has no price for {side} tokens of this model")
