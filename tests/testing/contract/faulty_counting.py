"""Stores over memory that do not count each response once, in one way each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.commit_rules import add_counters
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.counting import CountedResponses
from a2a_session_manager.storage.memory.stored import StoredSession
from a2a_session_manager.storage.read_records import LoadedSession, TreeTotals
from a2a_session_manager.storage.records import SessionKey, UsageDelta
from tests.testing.contract.faulty_sums import KnowsNoNewerCounters

Said = Callable[[StoredSession, UsageDelta], UsageDelta]


class _Hears(MemoryBackend):
    """Memory that takes each usage of an append for what `said` makes of it."""

    def __init__(self, said: Said) -> None:
        super().__init__()
        self._said = said

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        if stored is not None:
            events = [
                event if event.usage is None else event._replace(usage=self._said(stored, event.usage))
                for event in commit.events
            ]
            commit = replace(commit, events=events)
        return super().commit(key, commit)


class CountsEveryUsage(BaseSessionStore):
    """Knows of no response that it was counted before."""

    def __init__(self) -> None:
        super().__init__(_Hears(lambda stored, usage: usage._replace(response_id=None)))


def _nothing_more(stored: StoredSession, usage: UsageDelta) -> UsageDelta:
    return usage._replace(counters={}) if usage.response_id in stored.responses else usage


class LosesTheExcess(BaseSessionStore):
    """Counts the first usage of a response, and nothing of a later one that says more."""

    def __init__(self) -> None:
        super().__init__(_Hears(_nothing_more))


class _ComparesWithTheLast(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        written = super().commit(key, commit)
        for event in commit.events:
            if event.usage is not None and event.usage.response_id is not None:
                counted = CountedResponse(event.usage.model, event.usage.counters)
                self._sessions[key].responses[event.usage.response_id] = counted
        return written


class ComparesWithTheLastUsage(BaseSessionStore):
    """Adds what exceeds the usage before, be that smaller than one before it."""

    def __init__(self) -> None:
        super().__init__(_ComparesWithTheLast())


class _TakesBack(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        written = super().commit(key, commit)
        stored = self._sessions[key]
        for event in commit.events:
            usage = event.usage
            before = None if usage is None else stored.responses.get(usage.response_id or "")
            if usage is not None and before is not None:
                cell = stored.head.totals[usage.model, usage.source]
                cost = usage.counters.get("cost_pico_usd", 0)
                cell["cost_pico_usd"] = cell.get("cost_pico_usd", 0) + min(
                    0, cost - before.counters.get("cost_pico_usd", 0)
                )
        return written


class TakesBackWhatWasLess(BaseSessionStore):
    """A later usage that says less lowers the cost."""

    def __init__(self) -> None:
        super().__init__(_TakesBack())


class _Forgets(MemoryBackend):
    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        for stored in filter(None, map(self._sessions.get, keys)):
            stored.responses.clear()
        return await super().load(keys, last=last, whole_head=whole_head)


class ForgetsWhatItCounted(BaseSessionStore):
    """Whoever reads a session makes it forget which responses it has counted."""

    def __init__(self) -> None:
        super().__init__(_Forgets())


class _RemembersOne(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        written = super().commit(key, commit)
        responses = self._sessions[key].responses
        for response_id in list(responses)[:-1]:
            del responses[response_id]
        return written


class RemembersTheNewestResponse(BaseSessionStore):
    """Remembers one response, the newest."""

    def __init__(self) -> None:
        super().__init__(_RemembersOne())


def _of_nobody(stored: StoredSession, usage: UsageDelta) -> UsageDelta:
    return usage._replace(model="m") if usage.response_id in stored.responses else usage


class GivesTheExcessToAnotherModel(BaseSessionStore):
    """What exceeds the usages before goes to a model of its own choice."""

    def __init__(self) -> None:
        super().__init__(_Hears(_of_nobody))


class SaysNothingOfRepeats(BaseSessionStore):
    """Reads totals without the count of usages that came again."""

    def __init__(self) -> None:
        super().__init__(KnowsNoNewerCounters("repeated_requests"))


class _TellsNobody(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        return _Plain(super().commit(key, commit))


class _Plain(Awaitable[Receipt]):
    def __init__(self, written: Awaitable[Receipt]) -> None:
        self._written = written

    def __await__(self):  # type: ignore[no-untyped-def]  # a generator, whatever it yields
        receipt = yield from self._written.__await__()
        return receipt._replace(is_recounted=False)


class TellsNoWriterWhatItCounted(BaseSessionStore):
    """Its receipts do not say that a response was counted before, so that a session counts it again."""

    def __init__(self) -> None:
        super().__init__(_TellsNobody())


class _ForgetsNoResponse(MemoryBackend):
    def __init__(self) -> None:
        super().__init__()
        self._counted: dict[SessionKey, CountedResponses] = {}

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        done = super().create(key, creation, commit)
        self._sessions[key].responses = self._counted.setdefault(key, self._sessions[key].responses)
        return done


class ForgetsNoResponse(BaseSessionStore):
    """Keeps the responses that were counted by the id of their session, whichever session that is."""

    def __init__(self) -> None:
        super().__init__(_ForgetsNoResponse())


class _CountsTheRootAgain(MemoryBackend):
    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        found = await super().tree_totals(key)
        if found is not None:
            for cell, counters in self._sessions[key].head.totals.items():
                add_counters(found.totals[cell], counters)
        return found


class CountsTheRootAgain(BaseSessionStore):
    """Adds what a root has spent to the sum of its tree, which has it."""

    def __init__(self) -> None:
        super().__init__(_CountsTheRootAgain())
