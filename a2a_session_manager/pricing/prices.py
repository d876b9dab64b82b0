"""Prices that a user sets for a model: dollars per million tokens and per thousand uses, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.pricing.usage_numbers import TOOL_USES, UsageNumbers, tool_uses_of

# It holds the digits of any count. The caller's own decimal context must not change a price.
EXACT = Context(prec=60)
# A dollar per million tokens is a million pico-dollars per token.
_PICO_PER_TOKEN = 10**6
# A dollar per thousand uses is a billion pico-dollars per use.
_PICO_PER_USE = 10**9

Amount = Decimal | int | str | float


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens, and per thousand uses of what is paid by use.

    Written as `Decimal("0.15")`, an int or a string; a float counts as it prints. What is left out, or None, costs what
    it is a part of; a use without a price makes the cost a lower bound. Raises InvalidSessionOperation for what is no
    amount.

    Attributes:
        input: what is read, unless a price below says otherwise.
        output: what is generated, reasoning included.
        cache_read: input that was found in the provider's cache; else the price of `input`.
        cache_write: input that was put there; else the price of `input`.
        cache_write_1h: of that, what was put there for an hour; else the price of `cache_write`.
        input_audio: audio that is heard; else the price of `input`.
        output_audio: audio that is spoken; else the price of `output`.
        web_searches: per thousand, and so are all below.
        web_fetches: pages that are fetched.
        file_searches: searches in files, stores and collections.
        code_executions: programs that are run.
        social_searches: such as on X.
        map_searches: such as on Google Maps.
        rerank_searches: Cohere's search units.
        other_tool_uses: whatever else is counted by use.
    """

    input: Amount
    output: Amount
    cache_read: Amount | None = None
    cache_write: Amount | None = None
    cache_write_1h: Amount | None = None
    input_audio: Amount | None = None
    output_audio: Amount | None = None
    web_searches: Amount | None = None
    web_fetches: Amount | None = None
    file_searches: Amount | None = None
    code_executions: Amount | None = None
    social_searches: Amount | None = None
    map_searches: Amount | None = None
    rerank_searches: Amount | None = None
    other_tool_uses: Amount | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None or field.name in ("input", "output"):
                object.__setattr__(self, field.name, _checked(value, field.name))

    def pico_usd(self, usage: UsageNumbers) -> Decimal:
        """Return what `usage` costs in pico-dollars. Raises ValueError where audio may be cached and costs its own."""
        side = _first(self.input)
        write = _first(self.cache_write, side)
        long_write = _first(self.cache_write_1h, write)
        audio = _first(self.input_audio, side)
        plain = usage.prompt_tokens - usage.cache_read_tokens - usage.cache_write_tokens
        # Audio has to be told from the rest only where it has a price of its own.
        heard = usage.input_audio_tokens if audio != side else 0
        if heard and heard > plain:
            raise ValueError("audio tokens overlap cached ones, and no price tells them apart")
        said = usage.output_audio_tokens
        per_million = (
            (plain - heard) * side
            + heard * audio
            + usage.cache_read_tokens * _first(self.cache_read, side)
            + (usage.cache_write_tokens - usage.cache_write_1h_tokens) * write
            + usage.cache_write_1h_tokens * long_write
            + (usage.completion_tokens - said) * _first(self.output)
            + said * _first(self.output_audio, self.output)
        )
        uses = tool_uses_of(usage)
        per_thousand = sum(
            (uses.get(name, 0) * _first(getattr(self, name), Decimal(0)) for name in TOOL_USES if uses), Decimal(0)
        )
        return per_million * _PICO_PER_TOKEN + per_thousand * _PICO_PER_USE

    def without_price(self, uses: Mapping[str, int]) -> tuple[str, ...]:
        """Return, as text, what of `uses`, counts by the names of a TokenUsage, has no price here."""
        return tuple(
            f"{name}={count}" for name, count in uses.items() if name not in TOOL_USES or getattr(self, name) is None
        )


def whole_pico(pico: Decimal) -> int:
    """Return pico-dollars as whole ones, half of one rounded to even."""
    return int(pico.to_integral_value(rounding=ROUND_HALF_EVEN))


def _first(*amounts: Amount | None) -> Decimal:
    return next(amount for amount in amounts if isinstance(amount, Decimal))


def _checked(value: object, name: str) -> Decimal:
    try:
        if isinstance(value, bool) or not isinstance(value, Decimal | int | str | float):
            raise TypeError
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
    except (InvalidOperation, TypeError):
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0:
        raise InvalidSessionOperation(f"Prices.{name} is {value!r}: give US dollars, a Decimal of 0 or more")
    return amount
