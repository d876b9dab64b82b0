"""Stores over memory that restore what was retracted with one planted fault each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage import BaseSessionStore, ranges
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.stored import StoredSession
from a2a_session_manager.storage.read_records import LoadedSession, LogPage
from a2a_session_manager.storage.records import Range, SessionKey

Write = Callable[[], Awaitable[Receipt]]


class _Restores(MemoryBackend):
    """Memory that makes the commits with a restoration in its own way."""

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        if stored is None or commit.restoration is None:
            return super().commit(key, commit)
        return self.restore(stored, commit, lambda: MemoryBackend.commit(self, key, commit))

    def restore(self, stored: StoredSession, commit: EncodedCommit, write: Write) -> Awaitable[Receipt]:
        return write()


class _All(_Restores):
    def restore(self, stored: StoredSession, commit: EncodedCommit, write: Write) -> Awaitable[Receipt]:
        receipt = write()
        stored.head.hidden.clear()
        return receipt


class RestoresTooMuch(BaseSessionStore):
    """Everything is visible again, whatever was to be restored."""

    def __init__(self) -> None:
        super().__init__(_All())


class _WithoutHistory(_Restores):
    def restore(self, stored: StoredSession, commit: EncodedCommit, write: Write) -> Awaitable[Receipt]:
        before, stored.retractions = stored.retractions, []
        try:
            return write()
        finally:
            stored.retractions = [*before, *stored.retractions]


class RestoresWhatAnotherHid(BaseSessionStore):
    """Restores all that a write hid, also what a later one has hidden since."""

    def __init__(self) -> None:
        super().__init__(_WithoutHistory())


class _KnowsNoPops(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        receipt = super().commit(key, commit)
        results = self._sessions[key].first_results
        if commit.write_id is not None:
            results[commit.write_id] = results[commit.write_id]._replace(is_pop=False)
        return receipt


class ForgetsWhatWasPopped(BaseSessionStore):
    """Takes a pop for any other retraction."""

    def __init__(self) -> None:
        super().__init__(_KnowsNoPops())


class _AtTheEnd(_Restores):
    def restore(self, stored: StoredSession, commit: EncodedCommit, write: Write) -> Awaitable[Receipt]:
        before = list(stored.head.hidden)
        receipt = write()
        for first, last in reversed(ranges.subtract(before, stored.head.hidden)):
            for seq in range(last, first - 1, -1):
                stored.log.append(stored.log.pop(seq - 1))
        return receipt


class MovesWhatItRestores(BaseSessionStore):
    """Restored events come to the end of the log, as if they were appended anew."""

    def __init__(self) -> None:
        super().__init__(_AtTheEnd())


class _TellsNoRestoration(MemoryBackend):
    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=limit, max_bytes=max_bytes)
        return page and page._replace(retractions=[each for each in page.retractions if not each.restored])


class FollowsWithoutRestorations(BaseSessionStore):
    """A follower hears of what was hidden, and never that it is back."""

    def __init__(self) -> None:
        super().__init__(_TellsNoRestoration())


class _KeepsHidden(_Restores):
    """Answers as if it had restored, and reads as if it had not."""

    def __init__(self) -> None:
        super().__init__()
        self._kept: dict[SessionKey, list[Range]] = {}

    def restore(self, stored: StoredSession, commit: EncodedCommit, write: Write) -> Awaitable[Receipt]:
        ranges.add(self._kept.setdefault(stored.head.key, []), stored.head.hidden)
        return write()

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        found = await super().load(keys, last=last, whole_head=whole_head)
        return [each and self._cut(key, each) for key, each in zip(keys, found, strict=True)]

    def _cut(self, key: SessionKey, loaded: LoadedSession) -> LoadedSession:
        kept = self._kept.get(key, [])
        return replace(loaded, events=[event for event in loaded.events if not ranges.contains(kept, event.seq)])


class ReadsWithoutRestorations(BaseSessionStore):
    """Who restores is told that it was done; who reads the session finds nothing of it."""

    def __init__(self) -> None:
        super().__init__(_KeepsHidden())


class _CountsAgain(_Restores):
    def restore(self, stored: StoredSession, commit: EncodedCommit, write: Write) -> Awaitable[Receipt]:
        receipt = write()
        for counters in stored.head.totals.values():
            counters |= {name: 2 * count for name, count in counters.items()}
        return receipt


class CountsRestoredUsageAgain(BaseSessionStore):
    """What restored events spent is counted as if it were spent once more."""

    def __init__(self) -> None:
        super().__init__(_CountsAgain())


class _PassesOver(_Restores):
    def restore(self, stored: StoredSession, commit: EncodedCommit, write: Write) -> Awaitable[Receipt]:
        try:
            return write()
        except InvalidSessionOperation:
            return super().commit(stored.head.key, replace(commit, restoration=None))


class PassesOverWhatCannotBeRestored(BaseSessionStore):
    """Makes the rest of a commit whose restoration makes no sense."""

    def __init__(self) -> None:
        super().__init__(_PassesOver())


class _RestoresAnew(_Restores):
    def restore(self, stored: StoredSession, commit: EncodedCommit, write: Write) -> Awaitable[Receipt]:
        stored.first_results.pop(commit.write_id or "", None)
        return write()


class RestoresOnRetry(BaseSessionStore):
    """A restoration that is sent again is made again."""

    def __init__(self) -> None:
        super().__init__(_RestoresAnew())
