"""Settling: the commit that brings a usage ends its hold, in the same step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from a2a_session_manager.budgets.records import BudgetRecord, Key
from a2a_session_manager.budgets.windows import Stretch, stretch_at


class Settlement(NamedTuple):
    """The hold that a commit settles, and when that was made: its usage counts in the window of that moment."""

    hold_id: str
    made_at: int


def settled(creation_id: str, event_ids: Iterable[str], settlement: Settlement | None) -> Iterator[Key]:
    """Yield under what the holds may be kept that a commit of these new events settles.

    That is the one that it names, and each whose id is that of an event: a late usage finds its hold by it.
    """
    if settlement is not None:
        yield creation_id, settlement.hold_id
    for event_id in event_ids:
        yield creation_id, event_id


def counted_in(budget: BudgetRecord, settlement: Settlement | None, now: int) -> Stretch | None:
    """Return the window of a budget in which a usage counts; None for a limit for good.

    That is the one in which its hold was made, also when that is over by now.
    """
    if settlement is None or budget.window is None:
        return budget.stretch(now)
    return stretch_at(budget.window, settlement.made_at)
