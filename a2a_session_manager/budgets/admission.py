"""Whether there is room: the one rule by which a hold, or a grant, is admitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from a2a_session_manager.budgets.amounts import AXES, Some
from a2a_session_manager.budgets.figures import Figures, FindSpent, figures
from a2a_session_manager.budgets.records import BudgetRecord, HoldRecord, Key, Ledger
from a2a_session_manager.exceptions import BudgetExceeded, InvalidSessionOperation
from a2a_session_manager.models.money import usd_from_pico


class Bound(NamedTuple):
    """The most that the scope of a budget may have spent for an admission to hold; None where it does not matter."""

    spent: Some
    unpriced: int | None


def admit_hold(ledger: Ledger, hold: HoldRecord, find_spent: FindSpent, now: int) -> Mapping[Key, Bound]:
    """Return what the admission rests on, or raise BudgetExceeded: every budget has room for a hold, or none takes it.

    The budgets nearest to the session are asked first.
    """
    after = Ledger(ledger.budgets, {**ledger.holds, hold.key: hold})
    request = _Request(hold.session_id, hold.asked, is_hold=True)
    bounds: dict[Key, Bound] = {}
    for budget in reversed(ledger.on(hold.path)):
        if budget.is_hard:
            bounds[budget.key] = _room(ledger, after, budget, request, find_spent, now)
    return bounds


def admit_grant(ledger: Ledger, grant: BudgetRecord, find_spent: FindSpent, now: int) -> Mapping[Key, Bound]:
    """Return what a grant rests on, as for a hold: it is held out of the budgets above its session."""
    after = Ledger({**ledger.budgets, grant.key: grant}, ledger.holds)
    request = _Request(grant.session_id, grant.limits, is_hold=False)
    bounds: dict[Key, Bound] = {}
    for budget in reversed(ledger.on(grant.path[:-1])):
        if budget.is_hard:
            bounds[budget.key] = _room(ledger, after, budget, request, find_spent, now)
    return bounds


class _Request(NamedTuple):
    """What is asked for: a hold, or a grant, which asks for nothing but what it limits."""

    session_id: str
    asked: Some
    is_hold: bool


def _room(
    ledger: Ledger, after: Ledger, budget: BudgetRecord, request: _Request, find_spent: FindSpent, now: int
) -> Bound:
    then = figures(after, budget, find_spent, now)
    most: list[int | None] = []
    for axis, limit in enumerate(budget.limits):
        asked = request.asked[axis]
        if limit is None or (asked is None and not request.is_hold):
            most.append(None)
            continue
        reason = _unknown(then, axis, asked) or "limit"
        if reason == "tokens":
            raise _no_tokens(budget, request.session_id)
        room = limit - then.held[axis] - then.estimated[axis]
        if reason == "unpriced" or then.spent[axis] > room:
            before = figures(ledger, budget, find_spent, now)
            raise _exceeded(before, request.session_id, axis, asked, reason=reason)
        most.append(room - (then.unpriced * (budget.unpriced or 0) if axis == 0 else 0))
    return Bound(Some(*most), None if most[0] is None else then.unpriced)


def _unknown(then: Figures, axis: int, asked: int | None) -> str | None:
    """Return what nobody knows of what is asked, or of what was spent: an unknown price is never 0."""
    if AXES[axis] == "usd" and then.budget.unpriced is None and (then.unpriced or asked is None):
        return "unpriced"
    return "tokens" if AXES[axis] == "tokens" and asked is None else None


def _no_tokens(budget: BudgetRecord, session_id: str) -> InvalidSessionOperation:
    return InvalidSessionOperation(
        f"budget {budget.id!r} of session {budget.session_id!r} limits tokens: say how many the request may use, by "
        "tokens= or an estimate with max_output_tokens=",
        session_id=session_id,
    )


def _exceeded(
    before: Figures, session_id: str, axis: int, asked: int | None, *, reason: str = "limit"
) -> BudgetExceeded:
    budget, stretch = before.budget, before.stretch

    def shown(amount: int) -> Decimal | int:
        return usd_from_pico(amount) if AXES[axis] == "usd" else amount

    return BudgetExceeded(
        session_id,
        budget_id=budget.id,
        budget_session_id=budget.session_id,
        axis=AXES[axis],
        limit=shown(budget.limits[axis] or 0),
        spent=shown(before.spent[axis]),
        held=shown(before.held[axis]),
        estimated=shown(before.estimated[axis]),
        asked=None if asked is None else shown(asked),
        reason=reason,
        holds=_ids(before.holds),
        resets_at=None if stretch is None else datetime.fromtimestamp(stretch.end / 1000, UTC),
    )


def _ids(holds: Sequence[HoldRecord]) -> list[str]:
    return [hold.id for hold in holds]
