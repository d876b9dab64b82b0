"""Steps of budgets in memory: what a budget's session and all below it have spent is summed when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from a2a_session_manager.budgets.amounts import NOTHING, Spent, spent_by
from a2a_session_manager.budgets.records import BudgetRecord
from a2a_session_manager.budgets.step_rules import take
from a2a_session_manager.budgets.steps import BudgetReply, BudgetStep, PlaceHold, SessionPath
from a2a_session_manager.budgets.windows import Stretch
from a2a_session_manager.storage import leases
from a2a_session_manager.storage.memory.stored import StoredSession
from a2a_session_manager.storage.records import SessionKey


def take_step(stored: StoredSession, step: BudgetStep, sessions: Mapping[SessionKey, StoredSession]) -> BudgetReply:
    """Do a step to the budgets of a session's tree; `sessions` are all that there are."""
    key, tree = stored.head.key, stored.tree

    def find_spent(budget: BudgetRecord, stretch: Stretch | None) -> Spent:
        if budget.window is not None and stretch is not None:
            return tree.spending.in_window(budget.key, budget.window, stretch.begin)
        if len(budget.path) == 1:
            return spent_by(tree.totals.values())
        return _spent_below(sessions[SessionKey(key.namespace, budget.session_id)], sessions)

    place = SessionPath(key.id, stored.path)
    reply = take(tree.spending.ledger, step, place, find_spent, leases.wall_clock())
    if isinstance(step, PlaceHold) and step.id in stored.seqs:
        tree.spending.ledger.holds.pop((stored.path[-1], step.id), None)  # its usage is there already
    return reply


def _spent_below(stored: StoredSession, sessions: Mapping[SessionKey, StoredSession]) -> Spent:
    """Return what a session has spent, and all that are or were below it."""
    spent = spent_by(stored.head.totals.values()).plus(stored.tree.spending.left.get(stored.path[-1], NOTHING))
    for child_id in (*stored.children, *stored.forks):
        spent = spent.plus(_spent_below(sessions[SessionKey(stored.head.key.namespace, child_id)], sessions))
    return spent
