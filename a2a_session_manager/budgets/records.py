"""What a store keeps of the budgets of one tree: limits, and holds beside what is spent, never on it.

A scope is a session with all below it, named by the session's creation id. What it has spent is not kept here: it is
the sum of the totals of its sessions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from a2a_session_manager.budgets.amounts import Amounts, Some
from a2a_session_manager.budgets.windows import Stretch, Window, stretch_at

# The creation id of a session, and the id of a budget or of a hold of it.
Key = tuple[str, str]


class BudgetRecord(NamedTuple):
    """A limit on a scope.

    Attributes:
        path: the creation ids from the root to the scope's own.
        is_hard: it refuses holds; else it only tells of what is spent.
        unpriced: the pico-dollars that a request counts of which nobody knows the price; None refuses holds then.
        is_grant: what is left of it is held out of the budgets above.
        settings: random texts, one for each time that it was set, raised or removed: a late copy changes nothing.
        window: None for a limit for good.
        window_begin: that of the newest window that was seen, for a clock may go back.
    """

    session_id: str
    creation_id: str
    id: str
    path: tuple[str, ...]
    limits: Some
    is_hard: bool
    unpriced: int | None
    is_grant: bool
    settings: tuple[str, ...]
    window: Window | None = None
    window_begin: int = 0
    is_removed: bool = False

    @property
    def key(self) -> Key:
        """Under what it is kept."""
        return self.creation_id, self.id

    def stretch(self, now: int) -> Stretch | None:
        """Return the window that counts now, never an earlier one than before; None for a limit for good."""
        return None if self.window is None else stretch_at(self.window, max(now, self.window_begin))


class HoldRecord(NamedTuple):
    """What was admitted and not spent yet.

    Attributes:
        path: the creation ids from the root to the session's own.
        asked: None of an axis is not known.
        made_at, expires_at: milliseconds since the epoch, by the store's clock.
        is_charged: its request went out, and nobody knows what that has cost: it counts until somebody knows.
    """

    id: str
    session_id: str
    path: tuple[str, ...]
    asked: Some
    made_at: int
    expires_at: int
    is_charged: bool = False

    @property
    def creation_id(self) -> str:
        return self.path[-1]

    @property
    def key(self) -> Key:
        """Under what it is kept: of two sessions, neither can settle the other's."""
        return self.creation_id, self.id

    def is_estimated(self, now: int) -> bool:
        """Tell whether it counts as an estimate of what was spent, and not as what may still be spent."""
        return self.is_charged or self.expires_at <= now


@dataclass(slots=True)
class Ledger:
    """The budgets of one tree, removed ones too, and the holds that were not settled."""

    budgets: dict[Key, BudgetRecord] = field(default_factory=dict)
    holds: dict[Key, HoldRecord] = field(default_factory=dict)

    def live(self) -> list[BudgetRecord]:
        """Return the budgets that count."""
        return [budget for budget in self.budgets.values() if not budget.is_removed]

    def on(self, path: Sequence[str]) -> list[BudgetRecord]:
        """Return the budgets that count for the session at the end of a path, the root's first."""
        found = [budget for budget in self.live() if budget.creation_id in path]
        return sorted(found, key=lambda budget: (len(budget.path), budget.id))


class PutBudget(NamedTuple):
    """A budget is kept as this."""

    budget: BudgetRecord


class PutHold(NamedTuple):
    """A hold is kept as this."""

    hold: HoldRecord


class DropHold(NamedTuple):
    """A hold is kept no more."""

    key: Key


Change = PutBudget | PutHold | DropHold


def apply(ledger: Ledger, changes: Sequence[Change]) -> None:
    """Bring the ledger to where the changes say."""
    for change in changes:
        if isinstance(change, PutBudget):
            ledger.budgets[change.budget.key] = change.budget
        elif isinstance(change, PutHold):
            ledger.holds[change.hold.key] = change.hold
        else:
            ledger.holds.pop(change.key, None)


def amounts_of(hold: HoldRecord, budget: BudgetRecord) -> Amounts:
    """Return what a hold counts for a budget."""
    pico_usd, tokens, requests = hold.asked
    if pico_usd is None:
        pico_usd = (budget.unpriced or 0) * (requests or 0)
    return Amounts(pico_usd, tokens or 0, requests or 0)
