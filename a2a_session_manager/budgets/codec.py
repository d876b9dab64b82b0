"""Budgets and holds as JSON arrays and back, the same on every store that keeps bytes."""

from __future__ import annotations

from typing import Any

from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.records import BudgetRecord, HoldRecord
from a2a_session_manager.budgets.windows import Window
from a2a_session_manager.serialization.plain_json import dumped, parsed

# Each record begins with it. A newer one is refused: a limit must not be overlooked.
FORMAT = 1


def encode_budget(budget: BudgetRecord) -> bytes:
    """Return a budget as bytes."""
    return dumped([FORMAT, *budget])


def encode_hold(hold: HoldRecord) -> bytes:
    """Return a hold as bytes."""
    return dumped([FORMAT, *hold])


def decode_budget(data: bytes) -> BudgetRecord:
    """Return the budget that was encoded. Raises ValueError, TypeError or LookupError for anything else."""
    return budget_from(_fields(data))


def decode_hold(data: bytes) -> HoldRecord:
    """Return the hold that was encoded. Raises ValueError, TypeError or LookupError for anything else."""
    return hold_from(_fields(data))


def budget_from(fields: list[Any]) -> BudgetRecord:
    """Return the budget of these fields. Raises ValueError or TypeError for what is none."""
    session_id, creation_id, budget_id, path, limits, is_hard, unpriced, is_grant, settings, *times, gone = fields
    window, begin = times
    is_sound = (
        _all_text(session_id, creation_id, budget_id, *path, *settings)
        and path[-1] == creation_id
        and all(_is_amount(amount) for amount in (*limits, unpriced))
        and all(type(flag) is bool for flag in (is_hard, is_grant, gone))
        and type(begin) is int
    )
    if not is_sound:
        raise ValueError("no budget")
    return BudgetRecord(
        session_id,
        creation_id,
        budget_id,
        tuple(path),
        Some(*limits),
        is_hard,
        unpriced,
        is_grant,
        tuple(settings),
        None if window is None else _window_from(*window),
        begin,
        gone,
    )


def hold_from(fields: list[Any]) -> HoldRecord:
    """Return the hold of these fields. Raises ValueError or TypeError for what is none."""
    hold_id, session_id, path, asked, made_at, expires_at, is_charged = fields
    is_sound = (
        _all_text(hold_id, session_id, *path)
        and bool(path)
        and all(_is_amount(amount) for amount in asked)
        and type(made_at) is int
        and type(expires_at) is int
        and type(is_charged) is bool
    )
    if not is_sound:
        raise ValueError("no hold")
    return HoldRecord(hold_id, session_id, tuple(path), Some(*asked), made_at, expires_at, is_charged)


def _fields(data: bytes) -> list[Any]:
    version, *fields = parsed(data)
    if version != FORMAT:
        raise ValueError(f"format {version!r} of a newer release")
    return list(fields)


def _window_from(unit: Any, zone: Any, length: Any, begin: Any) -> Window:
    if not _all_text(unit, zone) or type(length) is not int or type(begin) is not int:
        raise ValueError("no window")
    if unit not in ("day", "month", "span") or (unit == "span" and length < 1):
        raise ValueError("no window")
    return Window(unit, zone, length, begin)


def _all_text(*values: Any) -> bool:
    return all(type(value) is str for value in values)


def _is_amount(value: Any) -> bool:
    return value is None or (type(value) is int and value >= 0)
