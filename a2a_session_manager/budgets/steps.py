"""What can be done to the budgets and holds of a tree, each as one step, and what a step is answered with."""

from __future__ import annotations

from typing import NamedTuple

from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.figures import Figures
from a2a_session_manager.budgets.records import (
    HoldRecord,
)
from a2a_session_manager.budgets.windows import Window


class SessionPath(NamedTuple):
    """The session that a step is of; `path` has the creation ids from the root to its own."""

    session_id: str
    path: tuple[str, ...]


class SetBudget(NamedTuple):
    """Sets a budget of the session; one that is there only with `replaces`."""

    id: str
    limits: Some
    is_hard: bool
    unpriced: int | None
    is_grant: bool
    window: Window | None
    setting: str
    replaces: bool = False


class RaiseBudget(NamedTuple):
    """Raises the limits that are given, each above what it is, and above what is spent."""

    id: str
    limits: Some
    setting: str


class RemoveBudget(NamedTuple):
    """Lets a budget count no more."""

    id: str
    setting: str


class PlaceHold(NamedTuple):
    """Asks for room, which is held for so many milliseconds."""

    id: str
    asked: Some
    milliseconds: int


class RenewHold(NamedTuple):
    """Lets the time of a hold begin anew."""

    id: str
    milliseconds: int


class ChargeHold(NamedTuple):
    """Counts a hold as estimated: its request went out, and nobody said what it cost."""

    id: str


class ReleaseHold(NamedTuple):
    """Gives a hold back: its request never went out, or its usage is stored."""

    id: str


class VoidHold(NamedTuple):
    """Lets an estimated hold count no more, by somebody's word; it is of the session, or of one below it.

    With `only_looks`, it is told which one that is, and stays; with `may_be_gone`, it is no error that there is none.
    """

    id: str
    only_looks: bool = False
    may_be_gone: bool = False


class ReadBudgets(NamedTuple):
    """Changes nothing."""


BudgetStep = (
    SetBudget | RaiseBudget | RemoveBudget | PlaceHold | RenewHold | ChargeHold | ReleaseHold | VoidHold | ReadBudgets
)


class BudgetReply(NamedTuple):
    """How things stand after a step, with the budgets of the session and of those above it, the root's first.

    A step to one hold that is there may be answered without them. `hold` is None where no hold is needed, since nothing
    is limited. `now` is the store's time, in milliseconds.
    """

    figures: tuple[Figures, ...]
    hold: HoldRecord | None
    now: int
