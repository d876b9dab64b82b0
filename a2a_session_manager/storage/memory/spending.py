"""The budgets of a tree in memory: what stands against them, and what a commit does to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from a2a_session_manager.budgets.amounts import NOTHING, Spent, spent_by
from a2a_session_manager.budgets.records import Key, Ledger
from a2a_session_manager.budgets.settling import Settlement, counted_in, settled
from a2a_session_manager.budgets.windows import Window
from a2a_session_manager.storage.records import EncodedEvent


@dataclass(slots=True)
class TreeSpending:
    """What a tree remembers of budgets.

    Attributes:
        left: what the deleted sessions below each session had spent, by its creation id.
        blocks: what was spent in the newest window of a budget, and when that began.
    """

    ledger: Ledger = field(default_factory=Ledger)
    left: dict[str, Spent] = field(default_factory=dict)
    blocks: dict[tuple[Key, Window], tuple[int, Spent]] = field(default_factory=dict)

    def note_commit(
        self, path: Sequence[str], fresh: Iterable[EncodedEvent], settlement: Settlement | None, now: int
    ) -> None:
        """Let a commit to the session at the end of `path` end its hold, and count it in the windows it is in."""
        fresh = list(fresh)
        for key in settled(path[-1], [event.id for event in fresh], settlement):
            self.ledger.holds.pop(key, None)
        spent = spent_by(event.usage.counters for event in fresh if event.usage is not None)
        if spent == NOTHING:
            return
        for budget in self.ledger.on(path):
            stretch = counted_in(budget, settlement, now)
            if budget.window is not None and stretch is not None:
                block = budget.key, budget.window
                begin, before = self.blocks.get(block, (0, NOTHING))
                if stretch.begin > begin:
                    self.blocks[block] = (stretch.begin, spent)
                    # From now on it is this window that counts, also where the clock goes back.
                    newest = max(budget.window_begin, stretch.begin)
                    self.ledger.budgets[budget.key] = budget._replace(window_begin=newest)
                elif stretch.begin == begin or settlement is None:
                    self.blocks[block] = (begin, before.plus(spent))

    def note_deletion(self, path: Sequence[str], totals: Iterable[dict[str, int]]) -> None:
        """Keep what a session had spent that is deleted, for those above it; its budgets end with it."""
        spent = spent_by(totals)
        if spent != NOTHING:
            for above in path[:-1]:
                self.left[above] = self.left.get(above, NOTHING).plus(spent)
        for key, budget in self.ledger.budgets.items():
            if budget.creation_id == path[-1]:
                self.ledger.budgets[key] = budget._replace(is_removed=True)

    def in_window(self, key: Key, window: Window, begin: int) -> Spent:
        """Return what was spent of a budget in the window that began then."""
        newest, spent = self.blocks.get((key, window), (0, NOTHING))
        return spent if newest == begin else NOTHING
