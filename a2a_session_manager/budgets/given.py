"""What callers say of limits and holds, checked before anything is held."""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfoNotFoundError

from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.windows import Window, loaded_zone
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models import arguments
from a2a_session_manager.models.money import PICO_PER_USD, pico_from_usd

# A store counts whole numbers of 64 bits: nine million dollars in pico-dollars.
MOST_USD: Final = 9_000_000
_SHORTEST_WINDOW: Final = timedelta(minutes=1)
_LONGEST_HOLD: Final = 7 * 86_400.0


def limits(usd: Any, tokens: Any, requests: Any) -> Some:
    """Return the limits of a budget, one at least. Raises InvalidSessionOperation."""
    given = some(usd, tokens, requests)
    if given == Some():
        raise InvalidSessionOperation("a budget limits something: give usd=, tokens= or requests=")
    return given


def some(usd: Any, tokens: Any, requests: Any) -> Some:
    """Return amounts, each above 0; None of an axis is none. Raises InvalidSessionOperation."""
    return Some(None if usd is None else pico("usd", usd), _count("tokens", tokens), _count("requests", requests))


def pico(name: str, usd: Any, *, may_be_zero: bool = False) -> int:
    """Return dollars as pico-dollars. Raises InvalidSessionOperation for what is no exact amount above 0."""
    is_number = isinstance(usd, Decimal | int | float | str) and not isinstance(usd, bool)
    try:
        amount = Decimal(str(usd)) if is_number else Decimal("NaN")
    except ArithmeticError:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount < 0 or amount > MOST_USD or (amount == 0 and not may_be_zero):
        least = "0" if may_be_zero else "above 0"
        raise InvalidSessionOperation(
            f"{name}={shown(usd)} is no amount of US dollars: take a Decimal from {least} to {MOST_USD:,}"
        )
    if amount * PICO_PER_USD % 1:
        raise InvalidSessionOperation(
            f"{name}={shown(usd)} has more than 12 digits after the point, as sums of floats have: take a Decimal, "
            "rounded as you mean it"
        )
    return pico_from_usd(amount)


def unpriced(value: Any) -> int | None:
    """Return what a request without a price counts; None for "refuse"."""
    return None if value == "refuse" else pico("unpriced", value, may_be_zero=True)


def is_hard(mode: Any) -> bool:
    """Tell whether a budget of this mode refuses. Raises InvalidSessionOperation for what is none."""
    if mode not in ("hard", "warn"):
        raise InvalidSessionOperation(f"mode={shown(mode)} is unknown: take 'hard' or 'warn'")
    return bool(mode == "hard")


def window(value: Any, timezone: Any, now: int) -> Window | None:
    """Return the window of a budget that is set `now`; for a thread. Raises InvalidSessionOperation."""
    if value is None or isinstance(value, timedelta):
        if timezone is not None:
            raise InvalidSessionOperation(f"timezone={shown(timezone)} is for window='day' or 'month': leave it out")
        if value is None:
            return None
        if value < _SHORTEST_WINDOW:
            raise InvalidSessionOperation(f"window={shown(value)} is too short: take {_SHORTEST_WINDOW} or more")
        return Window("span", length=value // timedelta(milliseconds=1), begin=now)
    if value not in ("day", "month"):
        raise InvalidSessionOperation(f"window={shown(value)} is unknown: take 'day', 'month' or a timedelta")
    if not isinstance(timezone, str) or not timezone:
        raise InvalidSessionOperation(
            f"window={value!r} needs a time zone, whose {value}s are meant: timezone='Europe/Oslo', or 'UTC'"
        )
    try:
        loaded_zone(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidSessionOperation(
            f"timezone={shown(timezone)} is not known here: take a name such as 'Europe/Oslo'; where the system has "
            "no time zones, pip install tzdata"
        ) from error
    return Window(str(value), timezone)


def milliseconds(expires: Any) -> int:
    """Return how long a hold lasts, given in seconds. Raises InvalidSessionOperation."""
    is_time = isinstance(expires, int | float) and not isinstance(expires, bool) and math.isfinite(expires)
    if not is_time or not 1 <= expires <= _LONGEST_HOLD:
        raise InvalidSessionOperation(
            f"expires={shown(expires)} is no time for a hold: take seconds, from 1 to {_LONGEST_HOLD:g}; a little "
            "more than the request may take"
        )
    seconds: float = expires
    return round(seconds * 1000)


def _count(name: str, value: Any) -> int | None:
    if value is None:
        return None
    count: int = arguments.whole_number(name, value)
    if count == 0:
        raise InvalidSessionOperation(f"{name}=0 leaves nothing: take 1 or more, or leave it out")
    return count
