"""What a store must show of budgets and holds, the slow and obvious way: the yardstick of the model-based test.

Sessions are named by their lives here, so that what was deleted still counts. The axes are dollars, tokens and
requests; nobody knows what a request costs, so that dollars are what a budget says that such a request counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

AXES = ("usd", "tokens", "requests")
# Clocks are changed in the one, and never in the other.
ZONES = {"day": "Europe/Oslo", "month": "UTC"}

Key = tuple[int, str]  # the life of a session, and the id of a budget or of a hold of it
Limits = tuple[int | None, int | None, int | None]


class Use(NamedTuple):
    """What a session has spent."""

    tokens: int = 0
    requests: int = 0


class PlainWindow(NamedTuple):
    """Windows of a kind; spans of so many milliseconds count from `begin` on."""

    kind: str
    length: int = 0
    begin: int = 0

    def begin_at(self, moment: int) -> int:
        """Return when the window began that a moment is in."""
        if self.kind == "span":
            return moment - (moment - self.begin) % self.length
        local = datetime.fromtimestamp(moment / 1000, ZoneInfo(ZONES[self.kind]))
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        return round((midnight if self.kind == "day" else midnight.replace(day=1)).timestamp() * 1000)


@dataclass
class PlainBudget:
    life: int
    id: str
    limits: Limits
    is_hard: bool
    unpriced: int | None  # dollars a request
    is_grant: bool
    setting: str
    window: PlainWindow | None = None

    @property
    def key(self) -> Key:
        return self.life, self.id

    def is_like(self, other: PlainBudget) -> bool:
        """Tell whether it limits the same: spans that begin now are like those that have begun."""
        kinds = [None if each.window is None else each.window._replace(begin=0) for each in (self, other)]
        return kinds[0] == kinds[1] and replace(self, setting="", window=None) == replace(
            other, setting="", window=None
        )


@dataclass
class PlainHold:
    life: int
    id: str
    tokens: int | None
    requests: int
    made_at: int
    expires_at: int
    is_expired: bool
    is_charged: bool = False

    @property
    def key(self) -> Key:
        return self.life, self.id

    @property
    def is_estimated(self) -> bool:
        return self.is_expired or self.is_charged

    def counts(self, axis: int, unpriced: int | None) -> int:
        return ((unpriced or 0) * self.requests, self.tokens or 0, self.requests)[axis]


class Standing(NamedTuple):
    """What stands against a limit, beside what is spent."""

    held: int = 0
    estimated: int = 0

    def plus(self, other: Standing) -> Standing:
        return Standing(self.held + other.held, self.estimated + other.estimated)


class Refusal(NamedTuple):
    """Who refuses a hold, or a grant, and in which axis; without a budget, it cannot be decided at all."""

    budget: Key
    axis: str
    reason: str


@dataclass
class PlainBudgets:
    """All budgets and holds of a store; `parents` and `uses` have every session that its tree ever had."""

    parents: dict[int, int | None] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    uses: dict[int, Use] = field(default_factory=dict)
    budgets: dict[Key, PlainBudget] = field(default_factory=dict)
    holds: dict[Key, PlainHold] = field(default_factory=dict)
    now: int = 0  # milliseconds since the epoch
    in_windows: dict[tuple[Key, PlainWindow, int], Use] = field(default_factory=dict)

    def path(self, life: int) -> list[int]:
        """Return the lives from the root to a session."""
        parent = self.parents[life]
        return [life] if parent is None else [*self.path(parent), life]

    def below(self, life: int) -> list[int]:
        """Return a session, and all that ever were below it."""
        return [each for each in self.parents if life in self.path(each)]

    def on(self, life: int) -> list[PlainBudget]:
        """Return the budgets that a session spends from, the root's first."""
        return [self.budgets[key] for above in self.path(life) for key in sorted(self.budgets) if key[0] == above]

    def delete(self, lives: Iterable[int]) -> None:
        """Let budgets of deleted sessions end; with a root goes all of its tree."""
        gone = set(lives)
        self.budgets = {key: budget for key, budget in self.budgets.items() if key[0] not in gone}
        for root in [life for life in gone if self.parents[life] is None]:
            for life in self.below(root):
                self.holds = {key: hold for key, hold in self.holds.items() if key[0] != life}
                del self.uses[life], self.parents[life]

    def spend(self, life: int, total: Use, made_at: int | None) -> None:
        """Note what a session has spent by now: since it last did, for a hold that was made then."""
        before, self.uses[life] = self.uses[life], total
        for budget in self.on(life):
            if budget.window is not None:
                begin = budget.window.begin_at(self.now if made_at is None else made_at)
                block = budget.key, budget.window, begin
                tokens, requests = self.in_windows.get(block, Use())
                more = (total.tokens - before.tokens, total.requests - before.requests)
                self.in_windows[block] = Use(tokens + more[0], requests + more[1])

    def settle(self, life: int, ids: Iterable[str]) -> None:
        for each in ids:
            self.holds.pop((life, each), None)

    def set_time(self, now: int) -> None:
        self.now = now
        for hold in self.holds.values():
            hold.is_expired = hold.expires_at <= now

    def spent(self, budget: PlainBudget) -> tuple[int, int, int]:
        """Return what all that ever was below a budget has spent, in the window that is now, for each axis."""
        if budget.window is not None:
            use = self.in_windows.get((budget.key, budget.window, budget.window.begin_at(self.now)), Use())
            return (budget.unpriced or 0) * use.requests, use.tokens, use.requests
        uses = [self.uses[life] for life in self.below(budget.life)]
        tokens, requests = sum(use.tokens for use in uses), sum(use.requests for use in uses)
        return (budget.unpriced or 0) * requests, tokens, requests

    def standing(self, budget: PlainBudget, axis: int) -> Standing:
        return self._standing(budget, budget.life, axis)

    def _standing(self, budget: PlainBudget, life: int, axis: int) -> Standing:
        """Return what is held and estimated for a budget in a session and below; grants stand for what is in them."""
        total = Standing()
        for hold in self.holds.values():
            if hold.life == life and self._counts(hold, budget):
                amount = hold.counts(axis, budget.unpriced)
                total = total.plus(Standing(0, amount) if hold.is_estimated else Standing(amount, 0))
        for child in [each for each, parent in self.parents.items() if parent == life]:
            grant = next((each for each in self.budgets.values() if each.life == child and each.is_grant), None)
            limit = None if grant is None else grant.limits[axis]
            if grant is None or limit is None:
                total = total.plus(self._standing(budget, child, axis))
            else:
                inside = self.standing(grant, axis)
                total = total.plus(Standing(max(limit - self.spent(grant)[axis], sum(inside)), 0))
        return total

    def holds_of(self, budget: PlainBudget) -> set[tuple[str, int, bool]]:
        """Return the id, the session's life and the state of each hold that counts for a budget."""
        inside = [hold for hold in self.holds.values() if budget.life in self.path(hold.life)]
        return {(hold.id, hold.life, hold.is_estimated) for hold in inside if self._counts(hold, budget)}

    def _counts(self, hold: PlainHold, budget: PlainBudget) -> bool:
        is_now = budget.window is None or budget.window.begin_at(hold.made_at) == budget.window.begin_at(self.now)
        return is_now and (budget.is_hard or not hold.is_estimated)

    def refusal_of_hold(self, hold: PlainHold) -> Refusal | None:
        after = replace(self, holds={**self.holds, hold.key: hold})
        asked = (None, hold.tokens, hold.requests)
        return next(after._refusals(reversed(self.on(hold.life)), asked, is_hold=True), None)

    def refusal_of_grant(self, grant: PlainBudget) -> Refusal | None:
        after = replace(self, budgets={**self.budgets, grant.key: grant})
        above = [budget for budget in self.on(grant.life) if budget.life != grant.life]
        return next(after._refusals(reversed(above), grant.limits, is_hold=False), None)

    def _refusals(self, budgets: Iterable[PlainBudget], asked: Limits, *, is_hold: bool) -> Iterator[Refusal]:
        """Yield who refuses what has been placed already, the nearest budget first."""
        for budget in budgets:
            for axis, limit in enumerate(budget.limits):
                if limit is None or not budget.is_hard or (not is_hold and asked[axis] is None):
                    continue
                is_unknown = is_hold and asked[axis] is None
                if axis == 0 and budget.unpriced is None and (is_unknown or self._has_unpriced(budget)):
                    yield Refusal(budget.key, AXES[axis], "unpriced")
                elif axis == 1 and is_unknown:
                    yield Refusal(budget.key, AXES[axis], "unknown")
                elif self.spent(budget)[axis] + sum(self.standing(budget, axis)) > limit:
                    yield Refusal(budget.key, AXES[axis], "limit")

    def _has_unpriced(self, budget: PlainBudget) -> bool:
        return self.spent(budget)[2] > 0

    def place(self, hold: PlainHold) -> None:
        """Hold what was not refused, and forget what of its tree counts for nobody any more."""
        for each in list(self.holds.values()):
            is_over = self.path(each.life)[0] == self.path(hold.life)[0] and each.is_expired and not each.is_charged
            if is_over and not any(budget.is_hard for budget in self.on(each.life)):
                del self.holds[each.key]
        self.holds[hold.key] = hold

    def crossings(self, life: int) -> Iterator[tuple[PlainBudget, int, int]]:
        """Yield the budget, the percentage and the axis of what the budgets of a session have crossed."""
        for budget in self.on(life):
            for percentage in (50, 80, 100):
                for axis, limit in enumerate(budget.limits):
                    if limit is not None and self.spent(budget)[axis] * 100 >= limit * percentage:
                        yield budget, percentage, axis
                        break
