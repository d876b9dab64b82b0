"""Budgets on Redis: a step is decided here, by what was last seen of its tree, and written if all that still holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

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
    ReleaseHold,
    RenewHold,
    SetBudget,
)
from a2a_session_manager.budgets.windows import loaded_zone
from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import (
    BudgetExceeded,
    InvalidSessionOperation,
    SessionManagerError,
    SessionNotFound,
    StoreUnavailable,
)
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.budget_calls import read_call, write_call
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import CallAt, Locator
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.script import ScriptCall
from a2a_session_manager.storage.redis.tree_budgets import TreeBudgets, tree_budgets

KeyT = TypeVar("KeyT")

# What is done for each request; all else is rare, and begins by a look.
_FREQUENT: Final = (PlaceHold, RenewHold, ChargeHold, ReleaseHold)
# How wrong this process may be about the server's time, in milliseconds: a hold is kept for minutes.
_TOLERANCE: Final = 1_000
_SESSIONS_REMEMBERED: Final = 1_024
# A try fails only where another process's step went through.
_ATTEMPTS: Final = 500
_QUICK_ATTEMPTS: Final = 3
_LONGEST_PAUSE: Final = 0.02


@dataclass(slots=True)
class _Turn:
    """Whose turn it is in a tree, and how many wait for theirs."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Budgets:
    """Does steps: those of one tree one after the other within a process, and in any order among processes."""

    def __init__(self, locator: Locator, reaper: Reaper) -> None:
        self._locator = locator
        self._reaper = reaper
        self._seen: dict[SessionKey, TreeBudgets] = {}  # what was told last to a session of its tree
        self._newest: dict[bytes, TreeBudgets] = {}  # what was told last of a tree
        self._zones: set[str] = set()  # that are loaded
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bytes, _Turn]] = WeakKeyDictionary()

    async def step(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> BudgetReply:
        """Do a step; see `Backend.step_budget`."""
        async with self._turn(self._locator.keys_of(key).tree):
            seen = self._remembered(key, creation_id) if isinstance(step, _FREQUENT) else None
            is_current = is_swept = False
            measures = isinstance(step, SetBudget)
            # What was spent before is asked for twice for a grant alone, which is decided by it: that takes long in a
            # large tree.
            is_asked = isinstance(step, SetBudget) and step.is_grant
            for attempt in range(1, _ATTEMPTS + 1):
                if seen is None:
                    _, seen = await self._told(key, lambda keys: read_call(keys, creation_id, measures=is_asked))
                    is_current = True
                now = seen.now if is_current else seen.time()
                outcome = _decided(seen, step, now)
                if isinstance(outcome, StepOutcome) and outcome.changes:
                    if attempt > _QUICK_ATTEMPTS:
                        await asyncio.sleep(random.random() * _LONGEST_PAUSE)
                    decided = _Decided(seen, outcome, now, _TOLERANCE * attempt)
                    is_done, seen = await self._told(key, decided.call_at(creation_id, measures=measures))
                    if is_done:
                        return _reply(seen, outcome)
                    is_current = True
                elif not is_current:
                    seen = None  # what was seen before may be no more: another look decides
                elif not is_swept and await self._end_expired_grants(key, seen):
                    is_swept, seen = True, None
                elif isinstance(outcome, StepOutcome):
                    return _reply(seen, outcome)
                else:
                    raise outcome
        raise StoreUnavailable(
            f"other processes changed the budgets above session {key.id!r} all the time: try again with the same ids"
        )

    async def _told(self, key: SessionKey, call_at: CallAt) -> tuple[bool, TreeBudgets]:
        """Run the script; return whether it has written, and how things stand. Raises SessionNotFound."""
        found = await self._locator.ask(key, call_at)
        if found is None:
            raise SessionNotFound(key.id)
        status, *reply = found.reply
        told = tree_budgets(key, reply)
        await self._load_zones(key, told)
        _remember(self._seen, key, told)
        _remember(self._newest, found.keys.tree, told)
        return status == b"DONE", told

    def _remembered(self, key: SessionKey, creation_id: str | None) -> TreeBudgets | None:
        """Return what was told last of the session's tree, if the session was seen there."""
        own, newest = self._seen.get(key), self._newest.get(self._locator.keys_of(key).tree)
        if own is None or newest is None or creation_id not in (None, own.place.path[-1]):
            return None
        return newest._replace(place=own.place)

    async def _end_expired_grants(self, key: SessionKey, seen: TreeBudgets) -> bool:
        """Take sessions that have expired, and hold a grant, out of the tree; tell whether there were any."""
        keys = self._locator.keys_of(key)
        grants = [keys.of(budget.session_id) for budget in seen.ledger.live() if budget.is_grant]
        alive = await self._reaper.are_alive(grants) if grants else []
        expired = [each for each, is_alive in zip(grants, alive, strict=True) if not is_alive]
        await self._reaper.remove_expired(expired)
        return bool(expired)

    async def _load_zones(self, key: SessionKey, told: TreeBudgets) -> None:
        """Read the time zones of the tree's budgets, which others have set; a file is for a thread."""
        windows = [budget.window for budget in told.ledger.live() if budget.window is not None]
        for zone in {window.zone for window in windows if window.zone} - self._zones:
            try:
                await in_thread(loaded_zone, zone)
            except (ValueError, LookupError, OSError) as error:
                raise InvalidSessionOperation(
                    f"a budget of the tree of session {key.id!r} has the time zone {zone!r}, which is not known here: "
                    "pip install tzdata",
                    session_id=key.id,
                ) from error
            self._zones.add(zone)

    @asynccontextmanager
    async def _turn(self, tree: bytes) -> AsyncIterator[None]:
        turns = self._turns.setdefault(asyncio.get_running_loop(), {})
        turn = turns.setdefault(tree, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del turns[tree]


def _remember(seen: dict[KeyT, TreeBudgets], key: KeyT, told: TreeBudgets) -> None:
    seen.pop(key, None)
    while len(seen) >= _SESSIONS_REMEMBERED:
        del seen[next(iter(seen))]
    seen[key] = told


@dataclass(frozen=True, slots=True)
class _Decided:
    """What was decided by what was seen, at a time that is wrong by so many milliseconds at most."""

    seen: TreeBudgets
    outcome: StepOutcome
    now: int
    tolerance: int

    def call_at(self, creation_id: str | None, *, measures: bool) -> CallAt:
        def call_at(keys: SessionKeys) -> ScriptCall:
            return write_call(
                keys, creation_id, self.seen, self.outcome, now=self.now, tolerance=self.tolerance, measures=measures
            )

        return call_at


def _decided(seen: TreeBudgets, step: BudgetStep, now: int) -> StepOutcome | SessionManagerError:
    """Return what a step does, or why it is refused."""
    try:
        return decide(seen.ledger, step, seen.place, seen.find_spent, now)
    except (BudgetExceeded, InvalidSessionOperation) as error:
        return error


def _reply(seen: TreeBudgets, outcome: StepOutcome) -> BudgetReply:
    return reply_of(seen.ledger, outcome, seen.place, seen.find_spent, seen.now)
