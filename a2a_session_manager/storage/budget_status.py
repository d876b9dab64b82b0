"""How things stand with a budget, in the words of users."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from a2a_session_manager.budgets.amounts import Amounts, Some
from a2a_session_manager.budgets.figures import Figures
from a2a_session_manager.budgets.records import HoldRecord
from a2a_session_manager.budgets.windows import Window
from a2a_session_manager.models.budget import BudgetAmounts, BudgetStatus, BudgetWindow, HoldStatus
from a2a_session_manager.models.clock import moment
from a2a_session_manager.models.money import usd_from_pico


def status_of(figures: Figures, now: int) -> BudgetStatus:
    """Return the status of one budget, as of the store's time `now`."""
    budget, limits = figures.budget, figures.budget.limits
    left = [None if limit is None else max(limit - used, 0) for limit, used in zip(limits, figures.used, strict=True)]
    return BudgetStatus(
        id=budget.id,
        session_id=budget.session_id,
        mode="hard" if budget.is_hard else "warn",
        limit=_shown(limits),
        spent=_shown(figures.spent),
        held=_shown(figures.held),
        estimated=_shown(figures.estimated),
        remaining=_shown(Some(*left)),
        unpriced=_usd(budget.unpriced),
        unpriced_requests=figures.unpriced,
        is_grant=budget.is_grant,
        window=None if budget.window is None else _window(budget.window),
        timezone=None if budget.window is None else budget.window.zone or None,
        resets_at=None if figures.stretch is None else moment(figures.stretch.end * 1000),
        holds=_by_id(figures.holds, now),
    )


def _by_id(holds: Iterable[HoldRecord], now: int) -> dict[str, HoldStatus]:
    """Return holds by their ids; those of several sessions that have one id by the sessions' ids, too."""
    found: dict[str, HoldStatus] = {}
    for hold in holds:
        name = hold.id if hold.id not in found else f"{hold.session_id}/{hold.id}"
        found[name] = HoldStatus(
            hold.id,
            hold.session_id,
            _shown(hold.asked),
            moment(hold.made_at * 1000),
            moment(hold.expires_at * 1000),
            hold.is_estimated(now),
        )
    return found


def _shown(amounts: Amounts | Some) -> BudgetAmounts:
    return BudgetAmounts(_usd(amounts.pico_usd), amounts.tokens, amounts.requests)


def _usd(pico_usd: int | None) -> Decimal | None:
    return None if pico_usd is None else usd_from_pico(pico_usd)


def _window(window: Window) -> BudgetWindow:
    if window.unit == "span":
        return timedelta(milliseconds=window.length)
    unit: Literal["day", "month"] = "day" if window.unit == "day" else "month"
    return unit
