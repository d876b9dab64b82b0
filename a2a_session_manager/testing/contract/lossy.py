"""LossyBackend: a backend whose writes can be held up, and whose replies can be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from a2a_session_manager.budgets.steps import BudgetReply, BudgetStep
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage import Backend, SessionPage
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, EventsKnown, Guard, Receipt
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.read_records import (
    HeadRecord,
    LoadedSession,
    LogPage,
    NamespacePage,
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.trusted_log import TrustedLog

ResultT = TypeVar("ResultT")


class LossyBackend(Backend):
    """Forwards everything to `backend`; while `replies_to_lose` is above 0, a write is made and its reply is lost.

    After `hold()`, a write that has `begun` waits for `go` before it is forwarded.
    """

    def __init__(self, backend: Backend) -> None:
        self._inner = backend
        self.replies_to_lose = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    def hold(self) -> None:
        self.begun.clear()
        self.go.clear()

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        return await self._answered(lambda: self._inner.create(key, creation, commit))

    async def fork_at_once(
        self, source: SessionKey, key: SessionKey, draft: ForkDraft
    ) -> HeadRecord | LoadedSession | None:
        self.begun.set()
        await self.go.wait()
        making = self._inner.fork_at_once(source, key, draft)
        found = None if making is None else await making
        if isinstance(found, HeadRecord):  # else nothing was made
            self._lose_reply(None)
        return found

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        return await self._answered(lambda: self._inner.commit(key, commit))

    async def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> None:
        await self._answered(lambda: self._inner.delete(key, creation_id, cascade=cascade, guard=guard))

    async def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> BudgetReply:
        async def stepped() -> BudgetReply:
            return await self._inner.step_budget(key, creation_id, step)

        return await self._answered(stepped)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        return await self._inner.load(keys, last=last, whole_head=whole_head)

    async def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
        return await self._inner.load_until(key, seq=seq, last=last)

    async def trusted_log(self, key: SessionKey) -> TrustedLog | None:
        return await self._inner.trusted_log(key)

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        return await self._inner.read_log(key, after=after, limit=limit, max_bytes=max_bytes)

    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        return await self._inner.children(key, cursor=cursor, limit=limit)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        return await self._inner.tree(key)

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        return await self._inner.tree_totals(key)

    async def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        return await self._inner.list_page(namespace, prefix=prefix, cursor=cursor, limit=limit, roots_only=roots_only)

    async def sizes(self, keys: Sequence[SessionKey]) -> list[int | None]:
        return await self._inner.sizes(keys)

    async def rebuild_index(self, namespace: Namespace) -> int | None:
        return await self._inner.rebuild_index(namespace)

    async def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> NamespacePage:
        return await self._inner.list_namespaces(namespace, cursor=cursor, limit=limit)

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        await self._inner.wait(key, creation_id, revision)

    async def aclose(self) -> None:
        """Do nothing: the inner backend belongs to the store that it was taken from."""

    async def _answered(self, write: Callable[[], Awaitable[ResultT]]) -> ResultT:
        self.begun.set()
        await self.go.wait()
        try:
            result = await write()
        except EventsKnown as known:  # this is a reply as well, and may be lost
            self._lose_reply(known)
            raise
        self._lose_reply(None)
        return result

    def _lose_reply(self, answer: EventsKnown | None) -> None:
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailable("the reply was lost") from answer
