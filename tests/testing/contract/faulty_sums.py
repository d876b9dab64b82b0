"""Stores over memory with one planted fault each, in what they sum up and tell of themselves."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence
from dataclasses import replace

from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey


class _CountsTwice(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        self._commits += 1
        return super().commit(key, commit)


class CountsEveryCommitTwice(BaseSessionStore):
    """Counts a commit when it comes and when it is answered."""

    def __init__(self) -> None:
        super().__init__(_CountsTwice())


class _Uncounting(MemoryBackend):
    def statistics(self) -> StoreStatistics:
        counted, self._commits = self._commits, 0
        return StoreStatistics(commits=counted, followers=self.followers)


class ForgetsWhatItHasCounted(BaseSessionStore):
    """Counts from 0 again once somebody has asked."""

    def __init__(self) -> None:
        super().__init__(_Uncounting())


class _SilentOnceClosed(MemoryBackend):
    def statistics(self) -> StoreStatistics:
        self.check_open()
        return super().statistics()


class TellsNothingOnceClosed(BaseSessionStore):
    """Takes its statistics for a verb, which a closed store refuses."""

    def __init__(self) -> None:
        super().__init__(_SilentOnceClosed())


class _Talkative(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        logging.getLogger("tests.storage.faulty").debug("%s gets %s", key.id, [each.data for each in commit.events])
        return super().commit(key, commit)


class LogsWhatItWrites(BaseSessionStore):
    """Logs the events of each commit, for whoever looks for a fault."""

    def __init__(self) -> None:
        super().__init__(_Talkative())


class _StillOpen(MemoryBackend):
    def statistics(self) -> StoreStatistics:
        return replace(super().statistics(), connections=1)


class StaysOpenWhenClosed(BaseSessionStore):
    """Leaves a connection open."""

    def __init__(self) -> None:
        super().__init__(_StillOpen())


class _Rounding(MemoryBackend):
    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        found = await super().load(keys, last=last, whole_head=whole_head)
        for loaded in found:
            for counters in loaded.head.run_totals.values() if loaded is not None else ():
                counters.update({name: int(float(count)) for name, count in counters.items()})
        return found


class RoundsLargeSums(BaseSessionStore):
    """Adds up in floating point."""

    def __init__(self) -> None:
        super().__init__(_Rounding())


class KnowsNoNewerCounters(MemoryBackend):
    def __init__(self, forgotten: str) -> None:
        super().__init__()
        self._forgotten = forgotten

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        found = await super().load(keys, last=last, whole_head=whole_head)
        for loaded in found:
            for counters in loaded.head.totals.values() if loaded is not None else ():
                counters.pop(self._forgotten, None)
        return found


class SumsLookExact(BaseSessionStore):
    """Reads totals without the count of what was priced in part."""

    def __init__(self) -> None:
        super().__init__(KnowsNoNewerCounters("partially_priced_requests"))


class SumsTokensAlone(BaseSessionStore):
    """Reads totals without the searches that were paid beside the tokens."""

    def __init__(self) -> None:
        super().__init__(KnowsNoNewerCounters("web_searches"))


class ForgetsMissingUsages(BaseSessionStore):
    """Reads totals without the count of requests of which nothing is known."""

    def __init__(self) -> None:
        super().__init__(KnowsNoNewerCounters("requests_without_usage"))
