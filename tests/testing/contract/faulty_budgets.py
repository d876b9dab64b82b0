"""Stores over memory that keep budgets wrongly, in one way each."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import replace

from a2a_session_manager.budgets.amounts import spent_by
from a2a_session_manager.budgets.records import Key
from a2a_session_manager.budgets.settling import Settlement, settled
from a2a_session_manager.budgets.steps import (
    BudgetReply,
    BudgetStep,
    ChargeHold,
    PlaceHold,
    ReadBudgets,
    ReleaseHold,
    SetBudget,
    VoidHold,
)
from a2a_session_manager.exceptions import LeaseLost
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.leases import wall_clock
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.spending import TreeSpending
from a2a_session_manager.storage.records import Counters, EncodedEvent, SessionKey
from tests.storage.yielding import YieldingBackend


class _SpendsBy(MemoryBackend):
    """Memory whose trees remember budgets by another class."""

    def __init__(self, kind: type[TreeSpending]) -> None:
        super().__init__()
        self._kind = kind

    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        stored = self._sessions.get(key)
        if stored is not None and type(stored.tree.spending) is not self._kind:
            before = stored.tree.spending
            stored.tree.spending = self._kind(before.ledger, before.left, before.blocks)
        return super().step_budget(key, creation_id, step)


class _Leaking(TreeSpending):
    def note_commit(
        self, path: Sequence[str], fresh: Iterable[EncodedEvent], settlement: Settlement | None, now: int
    ) -> None:
        pass


class LeaksHolds(BaseSessionStore):
    """Lets holds stand whose usage has come."""

    def __init__(self) -> None:
        super().__init__(_SpendsBy(_Leaking))


class _Doubling(TreeSpending):
    def note_commit(
        self, path: Sequence[str], fresh: Iterable[EncodedEvent], settlement: Settlement | None, now: int
    ) -> None:
        fresh = list(fresh)
        if any(key in self.ledger.holds for key in settled(path[-1], [event.id for event in fresh], settlement)):
            spent = spent_by(event.usage.counters for event in fresh if event.usage is not None)
            for each in path:
                self.left[each] = self.left.get(each, spent_by([])).plus(spent)
            self.ledger.holds = {key: hold for key, hold in self.ledger.holds.items() if key[0] != path[-1]}
        super().note_commit(path, fresh, settlement, now)


class SettlesTwice(BaseSessionStore):
    """Settles all holds of a session by one usage."""

    def __init__(self) -> None:
        super().__init__(_SpendsBy(_Doubling))


class _Losing(TreeSpending):
    def note_commit(
        self, path: Sequence[str], fresh: Iterable[EncodedEvent], settlement: Settlement | None, now: int
    ) -> None:
        self.ledger.holds.clear()
        super().note_commit(path, fresh, settlement, now)


class LosesHolds(BaseSessionStore):
    """Knows of no hold any more once anything was appended to the tree."""

    def __init__(self) -> None:
        super().__init__(_SpendsBy(_Losing))


class _Refunding(TreeSpending):
    def note_deletion(self, path: Sequence[str], totals: Iterable[Counters]) -> None:
        super().note_deletion(path, ())


class RefundsDeletedSessions(BaseSessionStore):
    """Gives back what a session has spent that is deleted."""

    def __init__(self) -> None:
        super().__init__(_SpendsBy(_Refunding))


class _KeepsGrants(TreeSpending):
    def note_deletion(self, path: Sequence[str], totals: Iterable[Counters]) -> None:
        budgets = dict(self.ledger.budgets)
        super().note_deletion(path, totals)
        self.ledger.budgets = budgets


class KeepsGrantsOfTheDeleted(BaseSessionStore):
    """Holds a grant on that nobody can spend any more."""

    def __init__(self) -> None:
        super().__init__(_SpendsBy(_KeepsGrants))


class _Frees(MemoryBackend):
    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        if (stored := self._sessions.get(key)) is not None:
            ledger = stored.tree.spending.ledger
            ledger.holds = {key: hold for key, hold in ledger.holds.items() if hold.expires_at > wall_clock()}
        return super().step_budget(key, creation_id, step)


class FreesWhatExpired(BaseSessionStore):
    """Takes an expired hold for one that was never sent."""

    def __init__(self) -> None:
        super().__init__(_Frees())


class _Skips(MemoryBackend):
    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        stored = self._sessions.get(key)
        if stored is None or not isinstance(step, PlaceHold) or len(stored.path) < 3:
            return super().step_budget(key, creation_id, step)
        ledger = stored.tree.spending.ledger
        hidden: dict[Key, bool] = {}
        for name, budget in ledger.budgets.items():
            if budget.creation_id in stored.path[1:-1]:
                hidden[name] = budget.is_hard
                ledger.budgets[name] = budget._replace(is_hard=False)
        try:
            return super().step_budget(key, creation_id, step)
        finally:
            for name, is_hard in hidden.items():
                ledger.budgets[name] = ledger.budgets[name]._replace(is_hard=is_hard)


class SkipsALevel(BaseSessionStore):
    """Asks the session and its root alone."""

    def __init__(self) -> None:
        super().__init__(_Skips())


class _Again(MemoryBackend):
    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        stored = self._sessions.get(key)
        if isinstance(step, PlaceHold) and stored is not None:
            known = (stored.path[-1], step.id) in stored.tree.spending.ledger.holds
            step = step._replace(id=new_id()) if known else step
        return super().step_budget(key, creation_id, step)


class HoldsTwice(BaseSessionStore):
    """Takes the same hold again for another one."""

    def __init__(self) -> None:
        super().__init__(_Again())


class HoldsAgainAfterALostReply(HoldsTwice):
    """The same; it shows where the reply to a hold is lost, too: the first one stays, and nobody knows of it."""


class _Ignores(YieldingBackend):
    """Memory that does not do steps of one kind, and says that it has; it can be cancelled on the way."""

    def __init__(self, ignored: type[BudgetStep]) -> None:
        super().__init__()
        self._ignored = ignored

    async def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> BudgetReply:
        return await super().step_budget(key, creation_id, ReadBudgets() if isinstance(step, self._ignored) else step)


class GivesNothingBack(BaseSessionStore):
    """Lets the holds of blocks stand that were left before their request went out."""

    def __init__(self) -> None:
        super().__init__(_Ignores(ReleaseHold))


class ForgetsWhatWasSent(BaseSessionStore):
    """Takes what was sent, and never told of, for what is open still."""

    def __init__(self) -> None:
        super().__init__(_Ignores(ChargeHold))


class _VoidsAtOnce(YieldingBackend):
    async def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> BudgetReply:
        step = step._replace(only_looks=False) if isinstance(step, VoidHold) else step
        return await super().step_budget(key, creation_id, step)


class VoidsBeforeItTells(BaseSessionStore):
    """Lets a hold count no more when somebody only looks which one is meant."""

    def __init__(self) -> None:
        super().__init__(_VoidsAtOnce())


class _FreesCharged(MemoryBackend):
    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        return super().step_budget(key, creation_id, ReleaseHold(step.id) if isinstance(step, ChargeHold) else step)


class FreesWhatWasSent(BaseSessionStore):
    """Gives the room of a request back that went out, so that its late usage comes on top of what others spend."""

    def __init__(self) -> None:
        super().__init__(_FreesCharged())


class _ByEvents(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        return super().commit(key, replace(commit, settles=None))


class SettlesByEventsAlone(BaseSessionStore):
    """Does not hear which hold a commit names."""

    def __init__(self) -> None:
        super().__init__(_ByEvents())


class _BeginsAnew(MemoryBackend):
    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        stored = self._sessions.get(key)
        if isinstance(step, SetBudget) and stored is not None:
            ledger = stored.tree.spending.ledger
            if all(budget.is_removed for budget in ledger.budgets.values()):
                ledger.holds.clear()
        return super().step_budget(key, creation_id, step)


class BeginsAnewWithoutBudgets(BaseSessionStore):
    """Knows of no hold any more when a tree gets a budget whose others have all gone with their sessions."""

    def __init__(self) -> None:
        super().__init__(_BeginsAnew())


class _LateOutsideWindows(MemoryBackend):
    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        spending = self._sessions[key].tree.spending
        before = dict(spending.blocks)
        try:
            return await super().commit(key, commit)
        except LeaseLost:
            spending.blocks = before
            raise


class CountsLateUsageInNoWindow(BaseSessionStore):
    """Counts what a run spends that was taken over in the totals alone."""

    def __init__(self) -> None:
        super().__init__(_LateOutsideWindows())


class _PricesAtNothing(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        events = [
            each
            if each.usage is None
            else each._replace(
                usage=each.usage._replace(
                    counters={name: n for name, n in each.usage.counters.items() if name != "unpriced_requests"}
                )
            )
            for each in commit.events
        ]
        return super().commit(key, replace(commit, events=events))


class TakesUnknownPricesForNothing(BaseSessionStore):
    """Counts requests as free whose price nobody knows."""

    def __init__(self) -> None:
        super().__init__(_PricesAtNothing())
