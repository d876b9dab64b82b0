"""Stores over memory with one planted fault each, which a compaction shows."""

from __future__ import annotations

from dataclasses import replace

from a2a_session_manager.storage import BaseSessionStore, compactions
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.stored import StoredSession
from a2a_session_manager.storage.read_records import HeadRecord, LogTail
from a2a_session_manager.storage.records import SessionKey, StoredCompaction


class _Changed(MemoryBackend):
    """Reads views of a head as `changed` makes it."""

    def changed(self, head: HeadRecord) -> HeadRecord:
        raise NotImplementedError

    async def read_compacted(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        stored = self._sessions.get(key)
        if stored is None:
            return None
        shown = replace(stored, head=self.changed(stored.head))
        return shown.compacted(last)


class _ForgetsPins(_Changed):
    def changed(self, head: HeadRecord) -> HeadRecord:
        return replace(head, compactions=[each._replace(pins=()) for each in head.compactions])


class ForgetsPins(BaseSessionStore):
    """A compaction covers open calls and what the system says, too."""

    def __init__(self) -> None:
        super().__init__(_ForgetsPins())


class _CoversWhatLandedMeanwhile(_Changed):
    def changed(self, head: HeadRecord) -> HeadRecord:
        return replace(head, compactions=[each._replace(last=each.seq - 1) for each in head.compactions])


class CoversWhatLandedMeanwhile(BaseSessionStore):
    """A compaction covers all that stands before its event."""

    def __init__(self) -> None:
        super().__init__(_CoversWhatLandedMeanwhile())


class _KeepsTheFirst(_Changed):
    def changed(self, head: HeadRecord) -> HeadRecord:
        return replace(head, compactions=sorted(head.compactions)[:1])


class KeepsTheFirstCompaction(BaseSessionStore):
    """The pointer is not moved to a compaction that reaches further."""

    def __init__(self) -> None:
        super().__init__(_KeepsTheFirst())


class _TakesTheNewest(_Changed):
    def changed(self, head: HeadRecord) -> HeadRecord:
        return replace(head, compactions=sorted(head.compactions, reverse=True))


class TakesTheNewestCompaction(BaseSessionStore):
    """Of two compactions, the later one counts."""

    def __init__(self) -> None:
        super().__init__(_TakesTheNewest())


class _ShowsTwo(MemoryBackend):
    async def read_compacted(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        tail = await super().read_compacted(key, last=last)
        stored = self._sessions.get(key)
        if tail is None or stored is None:
            return tail
        known = [each for each in stored.head.compactions if each.seq in tail.seqs]
        return tail._replace(summaries={**tail.summaries, **{each.seq: each.first for each in known}})


class ShowsTwoSummaries(BaseSessionStore):
    """Every compaction that was not ended is shown."""

    def __init__(self) -> None:
        super().__init__(_ShowsTwo())


class _LivesOn(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:  # type: ignore[override]  # it awaits nothing
        stored = self._sessions.get(key)
        known = [] if stored is None else list(stored.head.compactions)
        receipt = super().commit(key, commit)
        if stored is not None:
            _bring_back(stored, known)
        return receipt  # type: ignore[return-value]  # as above


def _bring_back(stored: StoredSession, known: list[StoredCompaction]) -> None:
    now = stored.head.compactions
    now += [each for each in known if each not in now]
    now.sort(key=lambda each: (-each.last, -each.seq))


class RevivesCompactions(BaseSessionStore):
    """A compaction lives on when what it stands for was retracted."""

    def __init__(self) -> None:
        super().__init__(_LivesOn())


class _Unguarded(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit):  # type: ignore[no-untyped-def]  # that of the base
        stored = self._sessions[key]
        made = [
            each._replace(hidden=compactions.hidden_digest(stored.head.hidden, each.first, each.last))
            for each in commit.compactions
        ]
        return super().commit(key, replace(commit, compactions=made))


class TakesOutdatedSummaries(BaseSessionStore):
    """Stores a summary whatever was retracted while it was made."""

    def __init__(self) -> None:
        super().__init__(_Unguarded())


class _CountsCovered(MemoryBackend):
    async def read_compacted(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        tail = await super().read_compacted(key, last=last)
        return tail if tail is None else tail._replace(earlier_events=tail.earlier_events + 1)


class CountsCoveredEvents(BaseSessionStore):
    """What a compaction stands for counts as earlier events."""

    def __init__(self) -> None:
        super().__init__(_CountsCovered())


class _PlacesNothing(_Changed):
    def changed(self, head: HeadRecord) -> HeadRecord:
        return replace(head, placed=[])


class LeavesSummariesWhereTheyAre(BaseSessionStore):
    """A summary without a range stands in its own place."""

    def __init__(self) -> None:
        super().__init__(_PlacesNothing())
