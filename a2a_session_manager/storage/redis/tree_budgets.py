"""The budgets of a tree as the scripts tell of them: what is limited and held, and what each scope has spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import quote

from a2a_session_manager.budgets.amounts import NOTHING, Amounts, Spent
from a2a_session_manager.budgets.codec import decode_budget, decode_hold
from a2a_session_manager.budgets.records import BudgetRecord, HoldRecord, Ledger
from a2a_session_manager.budgets.steps import SessionPath
from a2a_session_manager.budgets.windows import Stretch
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.heads import damaged
from a2a_session_manager.storage.redis.replies import Flat, hash_of

# Behind the end of a window that is known, the server tells times apart in such steps: clocks of all zones change, and
# days begin, at a quarter of an hour.
_QUARTER: Final = 15 * 60 * 1000
_RECORDS_REMEMBERED: Final = 4_096


class WindowSpent(NamedTuple):
    """What was spent in a window of a budget."""

    stretch: Stretch
    spent: Spent


class Scope(NamedTuple):
    """What a session and all below it have spent; `waiting` has by name what lies after the ends of the windows."""

    spent: Spent
    blocks: dict[str, WindowSpent]
    waiting: dict[str, list[tuple[int, Spent]]]

    def in_window(self, name: str, stretch: Stretch) -> Spent:
        """Return what was spent in a window of a budget."""
        block = self.blocks.get(name)
        if block is not None and block.stretch.begin >= stretch.begin:
            return block.spent if block.stretch.begin == stretch.begin else NOTHING
        spent = NOTHING
        for begin, each in self.waiting.get(name, ()):
            if stretch.begin <= begin < stretch.end:
                spent = spent.plus(each)
        return spent


class TreeBudgets(NamedTuple):
    """What a script has told of the budgets of a tree, of which `place` is one session.

    `now` is the server's time in milliseconds, and `told_at` this process's when it was told.
    """

    place: SessionPath
    now: int
    told_at: float
    version: str
    ledger: Ledger
    scopes: dict[str, Scope]

    def time(self) -> int:
        """Return the server's time, as far as this process can tell."""
        return self.now + round((time.monotonic() - self.told_at) * 1000)

    def find_spent(self, budget: BudgetRecord, stretch: Stretch | None) -> Spent:
        """Return what the scope of a budget has spent; see `budgets.figures`."""
        scope = self.scopes.get(budget.creation_id, _EMPTY)
        return scope.spent if stretch is None else scope.in_window(window_name(budget), stretch)


_EMPTY: Final = Scope(NOTHING, {}, {})


def tree_budgets(key: SessionKey, reply: Flat) -> TreeBudgets:
    """Return what `step_budget.lua` has told of a session's tree, after its first word.

    Raises CorruptSession for what cannot be read.
    """
    now, up, fields, measured = reply
    told_at = time.monotonic()
    path = tuple(creation_id.decode() for creation_id in reversed(up))
    try:
        version, ledger, scopes = _contents(hash_of(fields))
        if measured:
            scopes[path[-1]] = _scope(measured)
    except (ValueError, TypeError, LookupError) as error:
        raise damaged(key.id, f"what is kept of the budgets of its tree ({error})") from error
    return TreeBudgets(SessionPath(key.id, path), int(now), told_at, version, ledger, scopes)


def window_name(budget: BudgetRecord) -> str:
    """Return the name of the windows of a budget in its scope: another one for windows of another kind."""
    assert budget.window is not None, "only windows have names"
    unit, zone, length, begin = budget.window
    return f"{unit},{quote(zone, safe='/')},{length},{begin}:{quote(budget.id, safe='', errors='surrogatepass')}"


def window_line(budget: BudgetRecord, scope: Scope | None) -> str:
    """Return how a window is put into its scope: what was spent in it is told where an earlier one ends by it."""
    assert budget.window is not None, "only windows have lines"
    name, stretch = window_name(budget), budget.stretch(budget.window_begin)
    assert stretch is not None, "a window has a begin"
    origin, step = (budget.window.begin, budget.window.length) if budget.window.unit == "span" else (0, _QUARTER)
    before = None if scope is None else scope.blocks.get(name)
    spent = "-"
    if scope is not None and before is not None and before.stretch.begin < stretch.begin:
        spent = _written(scope.in_window(name, stretch))
    return f"{name} {stretch.begin} {stretch.end} {origin} {step} {spent}"


def _contents(fields: dict[bytes, bytes]) -> tuple[str, Ledger, dict[str, Scope]]:
    ledger, scopes = Ledger(), {}
    for name, value in fields.items():
        if name.startswith(b"b:"):
            budget = _budget(value)
            ledger.budgets[budget.key] = budget
        elif name.startswith(b"h:"):
            hold = _hold(value)
            ledger.holds[hold.key] = hold
        elif name.startswith(b"s:"):
            scopes[name[2:].decode()] = _scope(value)
    return fields.get(b"v", b"0").decode(), ledger, scopes


@lru_cache(maxsize=_RECORDS_REMEMBERED)
def _budget(data: bytes) -> BudgetRecord:
    return decode_budget(data)


@lru_cache(maxsize=_RECORDS_REMEMBERED)
def _hold(data: bytes) -> HoldRecord:
    return decode_hold(data)


def _scope(value: bytes) -> Scope:
    first, *lines = value.decode().split("\n")
    scope = Scope(_sum(first.split(" ")), {}, {})
    for line in lines:
        kind, name, begin, end, _, _, *numbers = line.split(" ")
        if kind == "q":
            scope.waiting.setdefault(name, []).append((int(begin), _sum(numbers)))
        else:
            scope.blocks[name] = WindowSpent(Stretch(int(begin), int(end)), _sum(numbers))
    return scope


def _sum(numbers: Sequence[str]) -> Spent:
    pico_usd, tokens, requests, unpriced = map(int, numbers)
    return Spent(Amounts(pico_usd, tokens, requests), unpriced)


def _written(spent: Spent) -> str:
    return " ".join(map(str, (*spent.amounts, spent.unpriced)))
