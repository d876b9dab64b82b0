"""Stores over memory with one planted fault each, which shows when sessions move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey


class _ForgetsActivity(MemoryBackend):
    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        return super().create(key, creation._replace(updated_at=None), commit)


class ForgetsWhenImportsWereActive(BaseSessionStore):
    """An imported session was last active when it was created."""

    def __init__(self) -> None:
        super().__init__(_ForgetsActivity())


class _TellsLater(MemoryBackend):
    async def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
        before = (await self.load([key], last=0, whole_head=False))[0]
        await asyncio.sleep(0.001)
        later = await super().load_until(key, seq=seq, last=last)
        if before is None or later is None:
            return later
        before.head.hidden = later.head.hidden
        return before


class TellsOfLaterRetractions(BaseSessionStore):
    """What is hidden is told of a later moment than the revision beside it."""

    def __init__(self) -> None:
        super().__init__(_TellsLater())


class _Unguarded(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        return asyncio.ensure_future(self._later(key, commit))

    async def _later(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        commit.expected_revision = None
        return await super().commit(key, commit)


class LetsSeveralClaim(BaseSessionStore):
    """A guard guards nothing."""

    def __init__(self) -> None:
        super().__init__(_Unguarded())


class _DeletesLater(MemoryBackend):
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        return asyncio.ensure_future(self._later(key, creation_id, cascade))

    async def _later(self, key: SessionKey, creation_id: str, cascade: bool) -> None:
        await asyncio.sleep(0.005)
        await super().delete(key, creation_id, cascade=cascade, guard=None)


class DeletesWhatCameMeanwhile(BaseSessionStore):
    """A deletion takes what was written since its session was read along."""

    def __init__(self) -> None:
        super().__init__(_DeletesLater())


class _Doubling(MemoryBackend):
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        if stored is not None and commit.events and commit.write_id is not None:
            for event in commit.events:
                if event.usage is not None:
                    for name, count in event.usage.counters.items():
                        stored.tree.totals.setdefault((event.usage.model, event.usage.source), {}).setdefault(name, 0)
                        stored.tree.totals[event.usage.model, event.usage.source][name] += count
        return super().commit(key, commit)


class DoublesWhatWasBroughtBefore(BaseSessionStore):
    """What a commit with a write id spends counts twice in its tree."""

    def __init__(self) -> None:
        super().__init__(_Doubling())
