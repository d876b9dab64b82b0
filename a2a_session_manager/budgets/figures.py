"""What stands against a limit: what is spent, what is held, and what is estimated of what nobody has reported."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from a2a_session_manager.budgets.amounts import AXES, Amounts, Spent
from a2a_session_manager.budgets.records import BudgetRecord, HoldRecord, Ledger, amounts_of
from a2a_session_manager.budgets.windows import Stretch, stretch_at

# What the scope of a budget has spent, for one with a window in the one that counts now.
FindSpent = Callable[[BudgetRecord, Stretch | None], Spent]


class Figures(NamedTuple):
    """How things stand with one budget.

    `spent` has what unpriced requests count; `holds` are those that are in the sums, but for those inside a grant.
    """

    budget: BudgetRecord
    spent: Amounts
    held: Amounts
    estimated: Amounts
    unpriced: int
    stretch: Stretch | None
    holds: tuple[HoldRecord, ...]

    @property
    def used(self) -> Amounts:
        """What is not there for another hold."""
        return self.spent.plus(self.held).plus(self.estimated)


def figures(ledger: Ledger, budget: BudgetRecord, find_spent: FindSpent, now: int) -> Figures:
    """Return how things stand with a budget.

    A hold counts for all budgets above its session, in the window that it was made in. Where a grant lies between, it
    counts for the grant, which is held as a whole out of what is above: as much as is left of it, or as it holds, where
    that is more. An expired hold counts for a limit that refuses, since nobody can tell whether its money is gone.
    """
    stretch = budget.stretch(now)
    spent = find_spent(budget, stretch)
    grants = _grants_below(ledger, budget)
    outermost = [_outermost(grants, axis) for axis in range(len(AXES))]
    inside = [{grant.creation_id for grant in outer} for outer in outermost]
    counting = tuple(_counting(ledger, budget, stretch, now))
    held, estimated = [0, 0, 0], [0, 0, 0]
    for hold in counting:
        sums = estimated if hold.is_estimated(now) else held
        for axis, amount in enumerate(amounts_of(hold, budget)):
            if inside[axis].isdisjoint(hold.path):
                sums[axis] += amount
    for axis, outer in enumerate(outermost):
        held[axis] += sum(_left_of(ledger, grant, axis, find_spent, now) for grant in outer)
    pico_usd = spent.amounts.pico_usd + spent.unpriced * (budget.unpriced or 0)
    amounts = spent.amounts._replace(pico_usd=pico_usd)
    return Figures(budget, amounts, Amounts(*held), Amounts(*estimated), spent.unpriced, stretch, counting)


def _counting(ledger: Ledger, budget: BudgetRecord, stretch: Stretch | None, now: int) -> Iterator[HoldRecord]:
    for hold in ledger.holds.values():
        if budget.creation_id not in hold.path or (not budget.is_hard and hold.is_estimated(now)):
            continue
        if budget.window is None or stretch_at(budget.window, hold.made_at) == stretch:
            yield hold


def _grants_below(ledger: Ledger, budget: BudgetRecord) -> list[BudgetRecord]:
    above = budget.creation_id
    return [each for each in ledger.live() if each.is_grant and above in each.path[:-1]]


def _outermost(grants: Sequence[BudgetRecord], axis: int) -> list[BudgetRecord]:
    """Return the grants that limit an axis, but for those inside another one."""
    limiting = {grant.creation_id: grant for grant in grants if grant.limits[axis] is not None}
    return [grant for grant in limiting.values() if limiting.keys().isdisjoint(grant.path[:-1])]


def _left_of(ledger: Ledger, grant: BudgetRecord, axis: int, find_spent: FindSpent, now: int) -> int:
    inner = figures(ledger, grant, find_spent, now)
    return max((grant.limits[axis] or 0) - inner.spent[axis], inner.held[axis] + inner.estimated[axis])
