"""A healthy store over memory that yields to the loop at every step of its writes, so that races can happen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import replace
from weakref import WeakKeyDictionary

from a2a_session_manager.budgets.steps import BudgetReply, BudgetStep
from a2a_session_manager.exceptions import LeaseLost, SessionNotFound
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import BaseSessionStore, commit_rules, heads
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, LeaseRenewal, Receipt
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.memory.stored import StoredSession, StoredTree
from a2a_session_manager.storage.read_records import LoadedSession, LogPage
from a2a_session_manager.storage.records import SessionKey


def damage_first_event(store: BaseSessionStore, session_id: str) -> None:
    """Overwrite the first event's bytes, as a bad disk would."""
    backend = store._open_backend
    assert isinstance(backend, MemoryBackend)
    log = backend._sessions[SessionKey((), session_id)].log
    log[0] = log[0][: len(log[0]) // 2]


async def turn() -> None:
    """Let everybody else have a go."""
    await asyncio.sleep(0)


class YieldingBackend(MemoryBackend):
    """Reads, yields, works on a draft, yields, puts the draft in place: under a lock, that is safe."""

    def __init__(self) -> None:
        super().__init__()
        self._locks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        async with self.alone():
            await turn()
            receipt = await super().create(key, creation, commit)
            await turn()
            return receipt

    def fork_at_once(self, source: SessionKey, key: SessionKey, draft: ForkDraft) -> None:
        return None  # it reads, and others have a go, before it creates

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        async with self.alone():
            await turn()
            stored = self._sessions.get(key)
            if stored is None:
                raise SessionNotFound(key.id)
            commit_rules.check_incarnation(stored.head, commit)
            await turn()
            if commit.write_id is not None and (first := stored.first_results.get(commit.write_id)) is not None:
                return commit_rules.repeat(stored.head, commit, first, stored.seqs.get)
            draft = _draft(stored)
            await turn()
            try:
                receipt = draft.write(commit)
            except LeaseLost:
                self._put(key, stored, draft)  # with the usage of what is refused
                raise
            await turn()
            self._put(key, stored, draft)
            await turn()
            return receipt

    async def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> None:
        async with self.alone():
            await turn()
            await super().delete(key, creation_id, cascade=cascade, guard=guard)
            await turn()

    async def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> BudgetReply:
        async with self.alone():
            await turn()
            return await super().step_budget(key, creation_id, step)

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
        async with self.alone():
            await turn()
            return await super().renew_leases(renewals)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        await turn()
        return await super().load(keys, last=last, whole_head=whole_head)

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        await turn()
        return await super().read_log(key, after=after, limit=limit, max_bytes=max_bytes)

    async def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        await turn()
        return await super().list_page(namespace, prefix=prefix, cursor=cursor, limit=limit, roots_only=roots_only)

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Keep other writers of this loop out."""
        async with self._locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            yield

    def _put(self, key: SessionKey, stored: StoredSession, draft: StoredSession) -> None:
        for event_totals in draft.tree.totals.items():
            cell, counters = event_totals
            commit_rules.add_counters(stored.tree.totals.setdefault(cell, {}), counters)
        stored.tree.spending = draft.tree.spending
        draft.tree = stored.tree
        self._sessions[key] = draft
        draft.groups = self._indexes[key.namespace].put(draft.head, stored.groups, self.indexed)
        for waiter in stored.waiters:
            if not waiter.done():
                waiter.set_result(None)
        stored.waiters.clear()


def _draft(stored: StoredSession) -> StoredSession:
    return replace(
        stored,
        head=heads.copied(stored.head, whole_head=True),
        tree=StoredTree(spending=deepcopy(stored.tree.spending)),
        log=list(stored.log),
        revisions=stored.revisions[:],
        seqs=dict(stored.seqs),
        first_results=dict(stored.first_results),
        retractions=list(stored.retractions),
        waiters=set(),
    )


class YieldingStore(BaseSessionStore):
    """Healthy."""

    def __init__(self) -> None:
        super().__init__(YieldingBackend())
