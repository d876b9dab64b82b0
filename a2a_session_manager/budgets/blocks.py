"""Blocks: what was spent in the newest window of a budget, for a store that keeps that with each session.

A block is named by a text that tells the budget and its window apart from all others of the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import NamedTuple

from a2a_session_manager.budgets.amounts import NOTHING, Amounts, Spent
from a2a_session_manager.budgets.records import BudgetRecord
from a2a_session_manager.budgets.settling import Settlement, counted_in

# The name of a block, and when the window began in which something counts.
BlockBegin = tuple[str, int]


class Block(NamedTuple):
    """What was spent in the window that began at `begin`."""

    begin: int
    pico_usd: int = 0
    tokens: int = 0
    requests: int = 0
    unpriced: int = 0

    @property
    def spent(self) -> Spent:
        return Spent(Amounts(*self[1:4]), self.unpriced)


def block_name(budget: BudgetRecord) -> str:
    """Return the name of the block of a budget that has a window."""
    assert budget.window is not None, "only windows have blocks"
    unit, zone, length, begin = budget.window
    return f"{budget.creation_id} {unit} {zone} {length} {begin} {budget.id}"


def block_begins(
    budgets: Iterable[BudgetRecord], blocks: Mapping[str, Block], settlement: Settlement | None, now: int
) -> tuple[BlockBegin, ...]:
    """Return in which windows a usage counts that comes now, or settles a hold; never in an earlier one than before."""
    found = []
    for budget in budgets:
        stretch = counted_in(budget, settlement, now)
        if budget.window is not None and stretch is not None:
            name = block_name(budget)
            newest = blocks[name].begin if name in blocks and settlement is None else stretch.begin
            found.append((name, max(stretch.begin, newest)))
    return tuple(found)


def count_in(blocks: MutableMapping[str, Block], begins: Iterable[BlockBegin], spent: Spent) -> None:
    """Count what was spent in these windows; what belongs to one that is over is counted nowhere any more."""
    for name, begin in begins:
        block = blocks.get(name)
        if block is None or block.begin < begin:
            block = Block(begin)
        if block.begin == begin:
            total = block.spent.plus(spent)
            blocks[name] = Block(begin, *total.amounts, total.unpriced)


def in_window(blocks: Mapping[str, Block], name: str, begin: int) -> Spent:
    """Return what a block has of the window that began then."""
    block = blocks.get(name)
    return NOTHING if block is None or block.begin != begin else block.spent
