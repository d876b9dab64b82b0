"""Windows: days and months of a named zone, also where clocks are changed, and stretches of any length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.budgets import given as checked
from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.windows import Window, stretch_at
from tests.draws import few


def millis(*date: int) -> int:
    return round(datetime(*date, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]  # year, month, day …


@pytest.mark.parametrize(
    ("unit", "zone", "now", "begin", "end"),
    [
        ("day", "UTC", (2026, 5, 3, 12), (2026, 5, 3), (2026, 5, 4)),
        ("day", "Europe/Oslo", (2026, 3, 29, 12), (2026, 3, 28, 23), (2026, 3, 29, 22)),  # 23 hours
        ("day", "Europe/Oslo", (2026, 10, 25, 12), (2026, 10, 24, 22), (2026, 10, 25, 23)),  # 25 hours
        ("day", "America/New_York", (2026, 5, 3, 3, 59), (2026, 5, 2, 4), (2026, 5, 3, 4)),
        ("day", "Asia/Beirut", (2026, 3, 29, 1), (2026, 3, 28, 22), (2026, 3, 29, 21)),  # no midnight: it begins at 1
        ("month", "UTC", (2026, 12, 31, 23), (2026, 12, 1), (2027, 1, 1)),
        ("month", "Europe/Oslo", (2026, 3, 31, 22), (2026, 3, 31, 22), (2026, 4, 30, 22)),
    ],
)
def test_days_and_months_are_those_of_the_zone(
    unit: str, zone: str, now: tuple[int, ...], begin: tuple[int, ...], end: tuple[int, ...]
) -> None:
    assert stretch_at(Window(unit, zone), millis(*now)) == (millis(*begin), millis(*end))


@settings(max_examples=few(30, of=2000), deadline=None)
@given(
    st.sampled_from(
        [
            Window("day", "Europe/Oslo"),
            Window("month", "America/Sao_Paulo"),
            Window("day", "Asia/Beirut"),
            Window("day", "Australia/Lord_Howe"),
            Window("span", length=86_400_000, begin=12_345),
        ]
    ),
    st.integers(0, 4_000_000_000_000),
)
def test_each_moment_is_in_one_window_and_the_next_one_begins_where_it_ends(window: Window, moment: int) -> None:
    stretch = stretch_at(window, moment)

    assert stretch.begin <= moment < stretch.end
    assert stretch_at(window, stretch.begin) == stretch_at(window, stretch.end - 1) == stretch
    assert stretch_at(window, stretch.end).begin == stretch.end


@pytest.mark.parametrize(
    ("window", "timezone", "why"),
    [
        ("day", None, "needs a time zone"),
        ("month", "", "needs a time zone"),
        ("month", "Europe/Atlantis", "is not known here"),
        ("day", "../../etc/passwd", "is not known here"),
        ("week", "UTC", "is unknown"),
        (86_400, None, "is unknown"),
        (timedelta(seconds=1), None, "too short"),
        (timedelta(days=1), "UTC", "leave it out"),
        (None, "UTC", "leave it out"),
    ],
)
def test_what_is_no_window_is_refused(window: Any, timezone: Any, why: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=why):
        checked.window(window, timezone, 0)


@pytest.mark.parametrize(
    "usd", [-1, 0, "0", Decimal("NaN"), float("inf"), "-0.5", 0.1 + 0.2, Decimal("1e-13"), 1e300, True, b"1", "1 USD"]
)
def test_amounts_that_are_none_or_not_exact_are_refused(usd: Any) -> None:
    with pytest.raises(InvalidSessionOperation):
        checked.some(usd, None, None)


def test_amounts_are_exact() -> None:
    assert checked.some(0.1, 5, 1) == Some(100_000_000_000, 5, 1)
    assert checked.some(Decimal("0.000000000001"), None, None).pico_usd == 1
    assert checked.unpriced("0") == 0
    assert checked.unpriced("refuse") is None
    for name, value in (("tokens", 0), ("tokens", 1.5), ("requests", -1), ("requests", True)):
        with pytest.raises(InvalidSessionOperation):
            checked.some(None, **{"tokens": None, "requests": None, name: value})
    with pytest.raises(InvalidSessionOperation, match="limits something"):
        checked.limits(None, None, None)
    for expires in (0, -1, float("nan"), "soon", 10**9):
        with pytest.raises(InvalidSessionOperation):
            checked.milliseconds(expires)
