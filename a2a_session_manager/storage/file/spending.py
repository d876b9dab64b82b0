"""What is done to the budgets of a tree, whose file is held meanwhile: nobody else holds anything, or makes sessions.

What was spent is in the logs, and which holds are settled, too: each session's own is read in one look at its log.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from a2a_session_manager.budgets.amounts import NOTHING, Spent, spent_by, summed
from a2a_session_manager.budgets.blocks import Block, block_name, in_window
from a2a_session_manager.budgets.records import BudgetRecord, HoldRecord, Key, Ledger, PutBudget, PutHold, apply
from a2a_session_manager.budgets.step_rules import (
    StepOutcome,
    decide,
    reply_of,
)
from a2a_session_manager.budgets.steps import (
    BudgetReply,
    BudgetStep,
    ChargeHold,
    PlaceHold,
    ReadBudgets,
    ReleaseHold,
    RenewHold,
    SessionPath,
    SetBudget,
)
from a2a_session_manager.budgets.windows import Stretch
from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.storage import leases
from a2a_session_manager.storage.file.creation_records import CreationRecord
from a2a_session_manager.storage.file.existence import find_creation, lost_log, remembered_creation
from a2a_session_manager.storage.file.held_trees import held_tree, sync_tree
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import SeenSpent, TreeEntry, TreeFile
from a2a_session_manager.storage.records import SessionKey

# So many requests of one id are made in a millisecond at most; of an id that an event has, each moment is taken.
_MOST_IN_A_MOMENT: Final = 8


def step_budget(directory: StoreDirectory, key: SessionKey, creation_id: str | None, step: BudgetStep) -> BudgetReply:
    """Do a step to the budgets of the session's tree. Raises BusyError when somebody is in the way."""
    log = directory.log(key)
    known = log.creation
    if known is not None and creation_id in (None, known.creation_id):
        tree = directory.tree(SessionKey(key.namespace, known.root_id))
        if tree.budgets:
            with suppress(SessionNotFound):  # it was deleted, and perhaps made again
                return _step_held(directory, tree, known, step)  # which catches up with the tree, too
    creation = remembered_creation(directory, log) or find_creation(directory, log)
    if creation is None or creation_id not in (None, creation.creation_id):
        raise SessionNotFound(key.id)
    tree = directory.tree(SessionKey(key.namespace, creation.root_id))
    with tree:
        if not tree.budgets and not isinstance(step, SetBudget):  # as it was when the session was found
            place = SessionPath(key.id, tree.path_of(creation.creation_id))
            outcome = decide(Ledger(), step, place, _nothing_spent, leases.wall_clock())
            return reply_of(Ledger(), outcome, place, _nothing_spent, leases.wall_clock())
    return _step_held(directory, tree, creation, step)


def _step_held(directory: StoreDirectory, tree: TreeFile, creation: CreationRecord, step: BudgetStep) -> BudgetReply:
    """Hold the tree, and do a step. Raises SessionNotFound where the tree does not name the session."""
    with held_tree(directory, tree.root) as tree:
        if not tree.names(creation):
            raise SessionNotFound(creation.key.id)
        return _step(directory, tree, creation, step)


def _step(directory: StoreDirectory, tree: TreeFile, creation: CreationRecord, step: BudgetStep) -> BudgetReply:
    """Do a step, the tree being held."""
    root_creation_id = tree.sessions[tree.root.id].creation_id
    if not tree.budgets:
        tree.holds.begin(root_creation_id)  # it is there before the first budget
    stored = tree.holds.stored(root_creation_id)
    if isinstance(step, RenewHold | ChargeHold | ReleaseHold):
        return _step_hold(tree, creation, step, Ledger(dict(tree.budgets), dict(stored)))
    spending = TreeSpending(directory, tree, stored)
    seen = {budget.key: budget for budget in map(spending.with_window_seen, tree.budgets.values())}
    ledger = Ledger(seen, spending.open_holds)
    now = leases.wall_clock()
    place = SessionPath(creation.key.id, tree.path_of(creation.creation_id))
    outcome = decide(ledger, step, place, spending.of, now)
    if isinstance(step, PlaceHold):
        outcome = _told_apart(directory.log(creation.key), outcome)
    budgets = [change.budget for change in outcome.changes if isinstance(change, PutBudget)]
    if outcome.changes:
        newer = [budget for key, budget in seen.items() if budget != tree.budgets[key]]
        budgets = [*(each for each in newer if each.key not in {put.key for put in budgets}), *budgets]
    apply(ledger, outcome.changes)
    for budget in budgets:
        tree.put_budget(budget)
    if budgets:
        sync_tree(directory, tree)
    if ledger.holds != stored and (outcome.changes or not isinstance(step, ReadBudgets)):
        tree.holds.put(ledger.holds)
    return reply_of(ledger, outcome, place, spending.of, now)


def _told_apart(log: LogFile, outcome: StepOutcome) -> StepOutcome:
    """Return a hold that was made at another moment than an earlier one of its id, which its log says is settled."""
    put = next((change for change in outcome.changes if isinstance(change, PutHold)), None)
    if put is None:
        return outcome
    hold = put.hold
    with log:
        for made_at in range(hold.made_at, hold.made_at + _MOST_IN_A_MOMENT):
            if not log.settled({hold.id: made_at}):
                hold = hold._replace(made_at=made_at)
                break
    changes = [PutHold(hold) if change is put else change for change in outcome.changes]
    return replace(outcome, hold=hold, changes=changes)


def _step_hold(tree: TreeFile, creation: CreationRecord, step: BudgetStep, ledger: Ledger) -> BudgetReply:
    """Do a step to one hold, which needs no look at what was spent, and tells nothing of it."""
    place, now = SessionPath(creation.key.id, tree.path_of(creation.creation_id)), leases.wall_clock()
    outcome = decide(ledger, step, place, _nothing_spent, now)
    apply(ledger, outcome.changes)
    if outcome.changes:
        tree.holds.put(ledger.holds)
    return BudgetReply((), outcome.hold, now)


class TreeSpending:
    """What the sessions of a tree have spent, and which of some holds they have not settled, as of now."""

    def __init__(self, directory: StoreDirectory, tree: TreeFile, holds: Mapping[Key, HoldRecord]) -> None:
        self._directory = directory
        self._tree = tree
        self.open_holds = dict(holds)
        self._by_session: dict[str, Spent] = {}
        self._blocks: list[Mapping[str, Block]] = []
        self._of_root: Spent | None = None
        by_creation: dict[str, dict[str, int]] = {}
        for hold in holds.values():
            by_creation.setdefault(hold.creation_id, {})[hold.id] = hold.made_at
        known, tree.spent = tree.spent, {}
        for entry in (*tree.sessions.values(), *tree.deleted.values()):
            held = by_creation.get(entry.creation_id, {})
            self._by_session[entry.creation_id] = self._look(entry, held, known.get(entry.creation_id))

    def of(self, budget: BudgetRecord, stretch: Stretch | None) -> Spent:
        """Return what the scope of a budget has spent."""
        tree, spent = self._tree, NOTHING
        if budget.window is not None and stretch is not None:
            name = block_name(budget)
            for blocks in (tree.purged_blocks, *self._blocks):
                spent = spent.plus(in_window(blocks, name, stretch.begin))
            return spent
        if len(budget.path) == 1:
            if self._of_root is None:
                self._of_root = summed(self._by_session.values()).plus(spent_by(tree.purged_totals.values()))
            return self._of_root
        for creation_id, each in self._by_session.items():
            if each != NOTHING and budget.creation_id in tree.path_of(creation_id):
                spent = spent.plus(each)
        return spent.plus(tree.purged_below.get(budget.creation_id, NOTHING))

    def with_window_seen(self, budget: BudgetRecord) -> BudgetRecord:
        """Return a budget with the newest window that anything was spent in: none is left where a clock goes back."""
        if budget.window is None:
            return budget
        name = block_name(budget)
        begins = [blocks[name].begin for blocks in (self._tree.purged_blocks, *self._blocks) if name in blocks]
        return budget._replace(window_begin=max([budget.window_begin, *begins]))

    def _look(self, entry: TreeEntry, held: Mapping[str, int], seen: SeenSpent | None) -> Spent:
        """Return what a session has spent, and take out its holds that are settled, both as of one moment."""
        if seen is not None and not held and _stamp(seen.path) == seen.stamp:
            self._tree.spent[entry.creation_id] = seen
            self._note_blocks(seen.blocks)
            return seen.spent
        log = self._directory.log(SessionKey(self._tree.root.namespace, entry.id))
        with log:
            signature = None if held else log.handle.signature()  # one that has holds is looked at each time
            if not log.exists() or log.head is None or log.head.creation_id != entry.creation_id:
                if entry.creation_id in self._tree.deleted:
                    return NOTHING  # its log goes only once the tree has noted what it had spent
                raise lost_log(self._directory, log, self._tree)
            for hold_id in log.settled(held):
                self.open_holds.pop((entry.creation_id, hold_id))
            spent = spent_by(log.head.totals.values())
            if signature is not None and signature.is_settled and signature.size == log.offset:
                seen = SeenSpent(str(log.path), signature[:4], spent, dict(log.head.blocks))
                self._tree.spent[entry.creation_id] = seen
            self._note_blocks(log.head.blocks)
            return spent

    def _note_blocks(self, blocks: Mapping[str, Block]) -> None:
        if blocks:
            self._blocks.append(dict(blocks))


def _stamp(path: str) -> tuple[int, int, int, int] | None:
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_ctime_ns


def _nothing_spent(budget: BudgetRecord, stretch: Stretch | None) -> Spent:
    return NOTHING
