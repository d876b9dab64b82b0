"""BudgetStatus: how things stand with a budget, as plain data; SpendEstimate: what a request may cost at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple, TypedDict

BudgetMode = Literal["hard", "warn"]
BudgetWindow = Literal["day", "month"] | timedelta


class BudgetOptions(TypedDict, total=False):
    """What `set_budget` takes besides the session and the id; see BudgetKeeper."""

    usd: Decimal | float | str | None
    tokens: int | None
    requests: int | None
    mode: BudgetMode
    window: BudgetWindow | None
    timezone: str | None
    unpriced: Decimal | float | str | Literal["refuse"]
    grant: bool
    replace: bool
    write_id: str | None


class BudgetAmounts(NamedTuple):
    """An amount of each axis: US dollars, tokens, and requests; None where the budget limits none, or it is unknown.

    A request is one response of a provider with a usage. Tokens are those of prompts, cached ones included, and of
    completions.
    """

    usd: Decimal | None = None
    tokens: int | None = None
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class HoldStatus:
    """A hold: what was admitted, and is not spent yet.

    Attributes:
        id: that of the hold, and of the event that its usage comes with.
        session_id: the session that asked for it.
        asked: how much it takes.
        made_at, expires_at: by the store's clock.
        is_estimated: its request went out, or may have, and nobody has said what it cost.
    """

    id: str
    session_id: str
    asked: BudgetAmounts
    made_at: datetime
    expires_at: datetime
    is_estimated: bool


@dataclass(frozen=True, slots=True)
class BudgetStatus:
    """A budget, and how things stand with it.

    Attributes:
        id, session_id: the budget is of this session, and limits it and all below it together.
        mode: "hard" refuses holds for which there is no room; "warn" only tells.
        limit: None of an axis is no limit.
        spent: what the sessions have spent, deleted ones and forks included; in a window, since that has begun.
        held: what open holds and grants may still take.
        estimated: what was sent, or may have been, without anybody having reported what it cost. A late usage with the
            id of the hold takes its place, and `void_hold` ends it.
        remaining: what is left of the limit, 0 at least.
        unpriced: what a request counts whose price nobody knows; None refuses holds then.
        unpriced_requests: how many such requests were spent.
        is_grant: what is left of it is held out of the budgets above it.
        window, timezone, resets_at: the window, and when the next one begins; None for a limit for good.
        holds: the open and the estimated ones by id, of this session and those below it.
    """

    id: str
    session_id: str
    mode: BudgetMode
    limit: BudgetAmounts
    spent: BudgetAmounts
    held: BudgetAmounts
    estimated: BudgetAmounts
    remaining: BudgetAmounts
    unpriced: Decimal | None = None
    unpriced_requests: int = 0
    is_grant: bool = False
    window: BudgetWindow | None = None
    timezone: str | None = None
    resets_at: datetime | None = None
    holds: Mapping[str, HoldStatus] = field(default_factory=dict)


class SpendEstimate(NamedTuple):
    """What a request may cost at most; `usd` is None where nobody knows the model's price.

    `basis` is `counted` when the tokens of all that is sent are exact: those of tools' definitions never are.
    """

    usd: Decimal | None
    tokens: int | None
    requests: int = 1
    basis: Literal["counted", "estimated"] = "estimated"


class PlacedHold(NamedTuple):
    """The answer to a hold that was asked for.

    Attributes:
        id: that of the hold.
        is_held: False where nothing is limited, so that nothing has to be held.
        made_at, expires_at: milliseconds since the epoch, by the store's clock.
        pico_usd, tokens: what is held; None of what is not known.
        is_near_crossing: its usage may bring a budget over one of the percentages that are told.
        session_id, creation_id: the session that asked, which alone can settle it; "" is not known.
    """

    id: str
    is_held: bool
    made_at: int
    expires_at: int
    pico_usd: int | None
    tokens: int | None
    is_near_crossing: bool
    session_id: str = ""
    creation_id: str = ""
