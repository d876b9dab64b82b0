"""Steps of budgets as calls of a script: what was decided, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from a2a_session_manager.budgets.admission import Bound
from a2a_session_manager.budgets.codec import encode_budget, encode_hold
from a2a_session_manager.budgets.records import BudgetRecord, DropHold, Key, Ledger, PutBudget, PutHold, apply
from a2a_session_manager.budgets.step_rules import StepOutcome
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import ScriptCall, Value
from a2a_session_manager.storage.redis.tree_budgets import TreeBudgets, window_line, window_name


def read_call(keys: SessionKeys, creation_id: str | None, *, measures: bool) -> ScriptCall:
    """Return the call that reads the budgets of a tree.

    `measures`: it also tells what the session and all below it have spent, where no budget of it has counted that yet.
    """
    return _call(keys, creation_id, measures=measures)


def write_call(
    keys: SessionKeys,
    creation_id: str | None,
    seen: TreeBudgets,
    outcome: StepOutcome,
    *,
    now: int,
    tolerance: int,
    measures: bool,
) -> ScriptCall:
    """Return the call that writes what was decided at `now` by what was seen.

    `tolerance`: by how many milliseconds that time may be wrong. `measures` is as in `read_call`.
    """
    puts = [change.budget for change in outcome.changes if isinstance(change, PutBudget)]
    holds = [change.hold for change in outcome.changes if isinstance(change, PutHold)]
    drops = [change.key for change in outcome.changes if isinstance(change, DropHold)]
    fields: list[Value] = []
    for budget in puts:
        fields += (_field(b"b:", budget.key), encode_budget(budget))
    for hold in holds:
        fields += (_field(b"h:", hold.key), encode_hold(hold))
    arguments: list[Value] = [
        seen.place.path[-1],
        seen.version,
        now,
        tolerance,
        _there(seen, outcome),
        int(bool(puts or holds)),
    ]
    rolled = {budget.key for budget in puts}
    for values in (
        [line for key, bound in outcome.bounds.items() if (line := _bound(seen, key, bound, rolled)) is not None],
        list(_windows(seen, puts, outcome)),
        fields,
        [_field(b"h:", key) for key in drops],
    ):
        arguments += (len(values), *values)
    return _call(keys, creation_id, arguments, measures=measures)


def _call(
    keys: SessionKeys, creation_id: str | None, arguments: Sequence[Value] = (), *, measures: bool = False
) -> ScriptCall:
    about: list[Value] = [keys.key.id, int(keys.is_root), creation_id or "-", int(measures)]
    return ScriptCall(scripts.STEP_BUDGET, (*keys.core, keys.budgets, keys.totals), [*about, *arguments], keys.key.id)


def _there(seen: TreeBudgets, outcome: StepOutcome) -> bytes:
    """Return the field of the hold that a step changes or voids: a commit may have settled it meanwhile."""
    hold = outcome.hold
    return b"" if hold is None or hold.key not in seen.ledger.holds else _field(b"h:", hold.key)


def _bound(seen: TreeBudgets, key: Key, bound: Bound, rolled: set[Key]) -> Value | None:
    """Return a bound as the script reads it; None where the version tells, for a window that begins only now."""
    budget = seen.ledger.budgets[key]
    most = " ".join("-" if each is None else str(each) for each in (*bound.spent, bound.unpriced))
    if budget.window is None:
        return f"{key[0]} - 0 {most}"
    return None if key in rolled else f"{key[0]} {window_name(budget)} {budget.window_begin} {most}"


def _windows(seen: TreeBudgets, puts: Sequence[BudgetRecord], outcome: StepOutcome) -> Iterator[Value]:
    """Yield each scope of which budgets are put, and the lines of all windows that count in it from now on."""
    after = Ledger(dict(seen.ledger.budgets))
    apply(after, [change for change in outcome.changes if isinstance(change, PutBudget)])
    for creation_id in {budget.creation_id: None for budget in puts}:
        here = [each for each in after.live() if each.creation_id == creation_id and each.window is not None]
        yield creation_id
        yield "\n".join(window_line(budget, seen.scopes.get(creation_id)) for budget in here)


def _field(kind: bytes, key: Key) -> bytes:
    return kind + f"{key[0]}:{key[1]}".encode("utf-8", "surrogatepass")
