"""The rules of steps: what one does to the budgets and holds of a tree, decided without I/O, and then written.

A step that was made already changes nothing: a setting is known by its random text, a hold by its id.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from a2a_session_manager.budgets.admission import Bound, admit_grant, admit_hold
from a2a_session_manager.budgets.amounts import AXES, Some
from a2a_session_manager.budgets.figures import FindSpent, figures
from a2a_session_manager.budgets.records import (
    BudgetRecord,
    Change,
    DropHold,
    HoldRecord,
    Key,
    Ledger,
    PutBudget,
    PutHold,
    apply,
)
from a2a_session_manager.budgets.steps import (
    BudgetReply,
    BudgetStep,
    ChargeHold,
    PlaceHold,
    RaiseBudget,
    ReadBudgets,
    ReleaseHold,
    RemoveBudget,
    RenewHold,
    SessionPath,
    SetBudget,
    VoidHold,
)
from a2a_session_manager.exceptions import InvalidSessionOperation


@dataclass(slots=True)
class StepOutcome:
    """What a step will do.

    Attributes:
        hold: the hold that the step is about, as it stands after it.
        bounds: what an admission rests on, for a store that decides by what it has read some time before.
    """

    changes: list[Change] = field(default_factory=list)
    hold: HoldRecord | None = None
    bounds: Mapping[Key, Bound] = field(default_factory=dict)


def decide(ledger: Ledger, step: BudgetStep, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    """Return what a step does to the ledger of the session's tree, or raise; nothing is changed.

    Raises BudgetExceeded, and InvalidSessionOperation for what is not there or cannot be.
    """
    outcome: StepOutcome = _DECIDE[type(step)](ledger, step, place, find_spent, now)
    return outcome


def reply_of(ledger: Ledger, outcome: StepOutcome, place: SessionPath, find_spent: FindSpent, now: int) -> BudgetReply:
    """Return the answer to a step, which was applied to the ledger."""
    shown = tuple(figures(ledger, budget, find_spent, now) for budget in ledger.on(place.path))
    return BudgetReply(shown, outcome.hold, now)


def take(ledger: Ledger, step: BudgetStep, place: SessionPath, find_spent: FindSpent, now: int) -> BudgetReply:
    """Decide a step, apply it, and answer it, for a store that does all of that at once."""
    outcome = decide(ledger, step, place, find_spent, now)
    apply(ledger, outcome.changes)
    return reply_of(ledger, outcome, place, find_spent, now)


def _set(ledger: Ledger, step: SetBudget, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    before = ledger.budgets.get((place.path[-1], step.id))
    if before is not None and step.setting in before.settings:
        return StepOutcome()
    is_there = before is not None and not before.is_removed
    settings = (*(() if before is None else before.settings), step.setting)
    budget = BudgetRecord(
        place.session_id,
        place.path[-1],
        step.id,
        place.path,
        step.limits,
        step.is_hard,
        step.unpriced,
        step.is_grant,
        settings,
        step.window,
    )
    if before is not None and is_there and not step.replaces:
        if _is_as_before(budget, before):
            return StepOutcome()
        raise InvalidSessionOperation(
            f"session {place.session_id!r} has a budget {step.id!r} already: raise_budget() raises it, and "
            "set_budget(…, replace=True) sets it anew",
            session_id=place.session_id,
        )
    if (stretch := budget.stretch(now)) is not None:
        budget = budget._replace(window_begin=stretch.begin)
    bounds: Mapping[Key, Bound] = {}
    if budget.is_grant:
        _check_grant(ledger, budget)
        bounds = admit_grant(ledger, budget, find_spent, now)
    return StepOutcome([PutBudget(budget)], bounds=bounds)


def _is_as_before(budget: BudgetRecord, before: BudgetRecord) -> bool:
    kinds = [None if each.window is None else each.window._replace(begin=0) for each in (budget, before)]
    same = before._replace(settings=budget.settings, window=budget.window, window_begin=budget.window_begin)
    return kinds[0] == kinds[1] and budget == same


def _check_grant(ledger: Ledger, grant: BudgetRecord) -> None:
    others = [each for each in ledger.live() if each.is_grant and each.creation_id == grant.creation_id]
    if any(each.id != grant.id for each in others):
        raise InvalidSessionOperation(
            f"session {grant.session_id!r} has a grant already: raise that one, or remove it first",
            session_id=grant.session_id,
        )
    if not ledger.on(grant.path[:-1]):
        raise InvalidSessionOperation(
            f"session {grant.session_id!r} has no budget above it that a grant could be held out of: set one there, or "
            "leave grant= out",
            session_id=grant.session_id,
        )


def _raise(ledger: Ledger, step: RaiseBudget, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    budget = _budget(ledger, step.id, place)
    if step.setting in budget.settings:
        return StepOutcome()
    spent = figures(ledger, budget, find_spent, now).spent
    limits = list(budget.limits)
    for axis, limit in enumerate(step.limits):
        if limit is None:
            continue
        before = budget.limits[axis]
        if before is None or limit <= before or limit <= spent[axis]:
            reason = "it has no such limit" if before is None else "that is not above it, and above what is spent"
            raise InvalidSessionOperation(
                f"budget {step.id!r} of session {place.session_id!r} cannot be raised in {AXES[axis]}: {reason}; "
                "set_budget(…, replace=True) sets any limit",
                session_id=place.session_id,
            )
        limits[axis] = limit
    raised = budget._replace(limits=Some(*limits), settings=(*budget.settings, step.setting))
    bounds = admit_grant(ledger, raised, find_spent, now) if raised.is_grant else {}
    return StepOutcome([PutBudget(raised)], bounds=bounds)


def _remove(ledger: Ledger, step: RemoveBudget, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    before = ledger.budgets.get((place.path[-1], step.id))
    if before is not None and step.setting in before.settings:
        return StepOutcome()
    budget = _budget(ledger, step.id, place)
    return StepOutcome([PutBudget(budget._replace(is_removed=True, settings=(*budget.settings, step.setting)))])


def _budget(ledger: Ledger, budget_id: str, place: SessionPath) -> BudgetRecord:
    found = ledger.budgets.get((place.path[-1], budget_id))
    if found is not None and not found.is_removed:
        return found
    above = [budget.session_id for budget in ledger.on(place.path) if budget.id == budget_id]
    remedy = f"it is session {above[-1]!r} that has one: name that" if above else "check the id, by budgets()"
    raise InvalidSessionOperation(
        f"session {place.session_id!r} has no budget {budget_id!r}: {remedy}", session_id=place.session_id
    )


def _hold(ledger: Ledger, step: PlaceHold, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    known = ledger.holds.get((place.path[-1], step.id))
    if known is not None:
        return StepOutcome(hold=known)
    above = ledger.on(place.path)
    if not above:
        return StepOutcome()
    # A window that was seen is never left for an earlier one, whatever the clock says.
    changes = _rolled_over(above, now)
    made_at = max([now, *(budget.window_begin for budget in above)])
    hold = HoldRecord(step.id, place.session_id, place.path, step.asked, made_at, now + step.milliseconds)
    bounds = admit_hold(ledger, hold, find_spent, now)
    return StepOutcome([*changes, PutHold(hold), *_freed(ledger, now)], hold, bounds)


def _rolled_over(budgets: Sequence[BudgetRecord], now: int) -> list[Change]:
    changes: list[Change] = []
    for budget in budgets:
        stretch = budget.stretch(now)
        if stretch is not None and stretch.begin > budget.window_begin:
            changes.append(PutBudget(budget._replace(window_begin=stretch.begin)))
    return changes


def _freed(ledger: Ledger, now: int) -> list[DropHold]:
    """Return what need not be kept any more: what is over, and counts for no budget that refuses."""
    over = [hold for hold in ledger.holds.values() if hold.expires_at <= now and not hold.is_charged]
    return [DropHold(hold.key) for hold in over if not any(budget.is_hard for budget in ledger.on(hold.path))]


def _renew(ledger: Ledger, step: RenewHold, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    hold = ledger.holds.get((place.path[-1], step.id))
    if hold is None or hold.is_charged:
        return StepOutcome(hold=hold)
    hold = hold._replace(expires_at=max(hold.expires_at, now + step.milliseconds))
    return StepOutcome([PutHold(hold)], hold)


def _charge(ledger: Ledger, step: ChargeHold, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    hold = ledger.holds.get((place.path[-1], step.id))
    if hold is None or hold.is_charged:
        return StepOutcome(hold=hold)
    hold = hold._replace(is_charged=True)
    return StepOutcome([PutHold(hold)], hold)


def _release(ledger: Ledger, step: ReleaseHold, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    key = (place.path[-1], step.id)
    return StepOutcome([DropHold(key)] if key in ledger.holds else [])


def _void(ledger: Ledger, step: VoidHold, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    found = [hold for hold in ledger.holds.values() if hold.id == step.id and place.path[-1] in hold.path]
    if not found and step.may_be_gone:
        return StepOutcome()
    if not found:
        raise InvalidSessionOperation(
            f"neither session {place.session_id!r} nor one below it has a hold {step.id!r} now: it was settled, "
            "released or voided, or its id is another one",
            session_id=place.session_id,
        )
    own = [hold for hold in found if hold.creation_id == place.path[-1]] or found
    if len(own) > 1:
        raise InvalidSessionOperation(
            f"several sessions below {place.session_id!r} have a hold {step.id!r}: name the session that it is of",
            session_id=place.session_id,
        )
    if not own[0].is_estimated(now):
        raise InvalidSessionOperation(
            f"hold {step.id!r} of session {own[0].session_id!r} is open: its block releases or settles it; what is "
            "left of it may be voided once it has expired",
            session_id=place.session_id,
        )
    return StepOutcome([] if step.only_looks else [DropHold(own[0].key)], own[0])


def _read(ledger: Ledger, step: ReadBudgets, place: SessionPath, find_spent: FindSpent, now: int) -> StepOutcome:
    return StepOutcome()


_DECIDE: Mapping[type, Callable[..., StepOutcome]] = {
    SetBudget: _set,
    RaiseBudget: _raise,
    RemoveBudget: _remove,
    PlaceHold: _hold,
    RenewHold: _renew,
    ChargeHold: _charge,
    ReleaseHold: _release,
    VoidHold: _void,
    ReadBudgets: _read,
}
