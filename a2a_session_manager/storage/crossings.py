"""What the log of a budget's session tells of it: each percentage that is crossed, once, and what was voided.

These are commits of their own, after the step that found it; one that is lost is made up for by the next admission.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from typing import Any, Final

from a2a_session_manager.budgets.amounts import AXES, Amounts
from a2a_session_manager.budgets.figures import Figures
from a2a_session_manager.budgets.records import BudgetRecord, HoldRecord
from a2a_session_manager.budgets.steps import BudgetReply, ReleaseHold
from a2a_session_manager.concurrency.cancellation import wait_out
from a2a_session_manager.exceptions import SessionManagerError, SessionNotFound
from a2a_session_manager.identifiers import ID_CHARACTERS, derived_id, shown
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.money import usd_from_pico
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.pricing.pricer import Pricer
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.target import Target
from a2a_session_manager.storage.writes import commit_change

_log = logging.getLogger("a2a_session_manager.storage")

PERCENTAGES: Final = (50, 80, 100)
_MOST_REMEMBERED: Final = 10_000


def is_near(figures: Figures) -> bool:
    """Tell whether what is held may bring the budget over its next percentage, once it is spent."""
    crossed = len(list(_crossed(figures.budget, figures.spent)))
    return len(list(_crossed(figures.budget, figures.used))) > crossed


async def note(target: Target, reply: BudgetReply, pricer: Pricer) -> None:
    """Tell of each percentage of a budget that is crossed, in the log of its session; of each once per setting."""
    for figures in reply.figures:
        budget = figures.budget
        for percentage, axis in _crossed(budget, figures.spent):
            limit, spent = budget.limits[axis] or 0, figures.spent[axis]
            message = {
                "budget": budget.id,
                "crossed": percentage,
                "axis": AXES[axis],
                "limit": _shown(axis, limit),
                "spent": _shown(axis, spent),
            }
            window = [] if figures.stretch is None else [str(figures.stretch.begin)]
            event_id = _id_of(budget.id, budget.settings[-1], *window, str(percentage))
            await _tell(target, budget.session_id, budget.creation_id, event_id, message, pricer)


async def note_voided(target: Target, hold: HoldRecord, reason: str, pricer: Pricer) -> None:
    """Tell that a hold was voided, and why, in the log of the session that was named."""
    asked = {"usd": hold.asked.pico_usd, "tokens": hold.asked.tokens, "requests": hold.asked.requests}
    shown_asked = {name: _shown(0 if name == "usd" else 1, amount) for name, amount in asked.items() if amount}
    message = {"voided": hold.id, "session": hold.session_id, "asked": shown_asked, "reason": reason}
    event_id = _id_of("voided", hold.creation_id, str(hold.made_at), hold.id)
    event: SessionEvent[Any] = SessionEvent(
        id=event_id, message=message, source=EventSource.SYSTEM, type=EventType.BUDGET
    )
    await _append(target, target.key.id, event, pricer)


async def release_quietly(target: Target, hold_id: str, error: BaseException) -> None:
    """Give a hold back of which nobody knows whether it was made; when that fails, the hold expires by itself."""
    release = asyncio.ensure_future(
        _awaited(target.backend.step_budget(target.key, target.creation_id, ReleaseHold(hold_id)))
    )
    await wait_out(release, target.limits.cancel_seconds)
    if not release.done() or release.cancelled() or release.exception() is not None:
        _log.info("hold %s may be left, and expires by itself: %s", shown(hold_id), error)


async def _awaited(step: Awaitable[BudgetReply]) -> BudgetReply:
    return await step


async def _tell(
    target: Target, session_id: str, creation_id: str, event_id: str, message: dict[str, Any], pricer: Pricer
) -> None:
    told = target.backend.told
    if (creation_id, event_id) in told:
        return
    event: SessionEvent[Any] = SessionEvent(
        id=event_id, message=message, source=EventSource.SYSTEM, type=EventType.BUDGET
    )
    try:
        await _append(target._replace(creation_id=creation_id), session_id, event, pricer)
    except SessionNotFound:
        return
    except SessionManagerError as error:
        _log.info("what a budget of session %s has crossed will be told later: %s", shown(session_id), error)
        return
    if len(told) >= _MOST_REMEMBERED:
        told.clear()
    told.add((creation_id, event_id))


async def _append(target: Target, session_id: str, event: SessionEvent[Any], pricer: Pricer) -> None:
    there = target._replace(key=SessionKey(target.key.namespace, session_id), lease=None, settles=None)
    await commit_change(there, session_id, [event], None, pricer, expected_revision=None, on_repeat="keep")


def _id_of(*parts: str) -> str:
    """Return the id of an event that is told once; ids of users in it may be as long as an id can be."""
    plain = ":".join(("budget", *parts))
    return plain if len(plain) <= ID_CHARACTERS else f"budget:{derived_id(plain)}"


def _crossed(budget: BudgetRecord, spent: Amounts) -> Iterator[tuple[int, int]]:
    """Yield each percentage of a budget that is reached, with the first axis that has."""
    for percentage in PERCENTAGES:
        for axis, limit in enumerate(budget.limits):
            if limit is not None and spent[axis] * 100 >= limit * percentage:
                yield percentage, axis
                break


def _shown(axis: int, amount: int | None) -> str | int | None:
    return str(usd_from_pico(amount)) if AXES[axis] == "usd" and amount is not None else amount
