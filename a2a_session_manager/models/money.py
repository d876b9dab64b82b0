"""US dollars as whole pico-dollars (10⁻¹²), so that sums of costs are exact."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

PICO_PER_USD = 10**12


def usd_from_pico(pico: int) -> Decimal:
    """Return pico-dollars as dollars, exact."""
    return Decimal(pico).scaleb(-12)


def pico_from_usd(usd: Decimal | float | str) -> int:
    """Return dollars as whole pico-dollars, half to even. Raises ValueError for what is no amount."""
    try:
        return int((Decimal(str(usd)) * PICO_PER_USD).to_integral_value(rounding=ROUND_HALF_EVEN))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{usd!r} is not an amount of US dollars") from error
