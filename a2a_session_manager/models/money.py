"""US dollars as whole pico-dollars (10⁻¹²), so that sums of costs are exact."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal

PICO_PER_USD = 10**12
# It holds the digits of any sum. The caller's own decimal context must not change a cost.
_EXACT = Context(prec=200)
_ZERO = Decimal(0)
_PLACES = [Decimal(1).scaleb(-places) for places in range(13)]
# The most that one usage may cost: a trillion dollars. Sums may be larger.
MOST_PICO_USD = 10**24


def usd_from_pico(pico: int) -> Decimal:
    """Return pico-dollars as dollars, exact, without zeros at the end: 0 is `0`, not `0E-12`."""
    if pico == 0:
        return _ZERO
    digits, places = pico, 12
    while places and digits % 10 == 0:
        digits, places = digits // 10, places - 1
    return _EXACT.multiply(digits, _PLACES[places])


def pico_from_usd(usd: Decimal | float | str) -> int:
    """Return dollars as whole pico-dollars, rounded half to even. Raises ValueError for what is no amount."""
    try:
        pico = Decimal(str(usd)) * PICO_PER_USD
        if abs(pico) > MOST_PICO_USD:  # a huge exponent would become a number of a million digits
            raise ValueError("too much")
        return int(pico.to_integral_value(rounding=ROUND_HALF_EVEN))
    except (ArithmeticError, ValueError) as error:
        raise ValueError(f"{usd!r:.80} is not an amount of US dollars, up to a trillion") from error
