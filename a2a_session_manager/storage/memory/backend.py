"""MemoryBackend: the primitives over dictionaries, on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from itertools import islice

from a2a_session_manager.budgets.steps import (
    BudgetReply,
    BudgetStep,
)
from a2a_session_manager.concurrency.cancellation import DoneWrite
from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage import commit_rules, forks, heads, leases, paging
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, LeaseRenewal, Parent, Receipt
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.memory import head_pages
from a2a_session_manager.storage.memory.budget_steps import take_step
from a2a_session_manager.storage.memory.head_index import HeadIndex
from a2a_session_manager.storage.memory.sorted_ids import SortedIds
from a2a_session_manager.storage.memory.stored import StoredSession, StoredTree
from a2a_session_manager.storage.page_records import HeadPage, PageQuery
from a2a_session_manager.storage.read_records import (
    FoundEvents,
    HeadRecord,
    LoadedSession,
    LogPage,
    LogTail,
    NamespacePage,
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.storage.records import HeldLease, SessionKey, Totals


class MemoryBackend(Backend):
    """No lock: no method awaits between reading and writing, so every commit is atomic as it stands.

    Writes are done when they return: they cannot be cut off, and need no task.
    """

    def __init__(self, *, indexed: Sequence[str] = ()) -> None:
        self.indexed = indexed
        self._sessions: dict[SessionKey, StoredSession] = {}
        self._ids = SortedIds()
        self._indexes: dict[Namespace, HeadIndex] = {}
        self._commits = 0

    @property
    def shown_place(self) -> str:
        return "memory:"

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(commits=self._commits, followers=self.followers)

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        stored = self._sessions.get(key)
        if stored is not None:
            return DoneWrite(stored.first_receipt(commit))
        parent = None if creation.parent is None else self._parent(key.namespace, creation.parent)
        path = (*(() if parent is None else parent.path), creation.creation_id)
        stored = StoredSession(heads.new_head(key, creation), StoredTree() if parent is None else parent.tree, path)
        if parent is not None and creation.fork is not None:
            stored.sources = {**parent.sources, parent.head.key.id: parent}
        if (retraction := forks.first_retraction(creation)) is not None:
            stored.retractions.append(retraction)
        receipt = stored.write(commit)  # what raises here leaves no line of the tree
        self._link(stored, parent)
        stored.groups = self._index_of(key.namespace).put(stored.head, (), None)
        return DoneWrite(receipt)

    def fork_at_once(
        self, source: SessionKey, key: SessionKey, draft: ForkDraft
    ) -> Awaitable[HeadRecord | LoadedSession | None] | None:
        stored = self._sessions.get(source)
        if stored is None:
            return DoneWrite(None)
        plan = draft.planned(stored.head, stored.records_in(draft.looks_at(stored.head)))
        if plan is None:
            return DoneWrite(stored.load_until(draft.seq, draft.last))
        written = self.create(key, *plan)
        assert isinstance(written, DoneWrite), "a write to memory is done when it returns"
        if written.result.is_repeat:
            return DoneWrite(heads.copied(self._sessions[key].head, whole_head=False))
        return DoneWrite(heads.made_head(key, *plan, written.result))

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        self._commits += 1
        stored = self._sessions.get(key)
        if stored is None:
            raise SessionNotFound(key.id)
        try:
            return DoneWrite(stored.write(commit))
        finally:  # also when a usage alone was written
            stored.groups = self._indexes[key.namespace].put(stored.head, stored.groups, commit.properties)

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        stored = self._sessions.get(key)
        if stored is None or stored.head.creation_id != creation_id:
            return DoneWrite(None)
        commit_rules.check_guard(stored.head, guard)
        if (stored.children or stored.forks) and not cascade:
            raise forks.still_needed(key.id, len(stored.children), list(stored.forks))
        if stored.head.parent_id is not None:
            parent = self._sessions[SessionKey(key.namespace, stored.head.parent_id)]
            (parent.children if stored.head.forked_from is None else parent.forks).pop(key.id)
        self._remove(stored)
        return DoneWrite(None)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        return [
            None if stored is None else stored.load(last, whole_head=whole_head)
            for stored in map(self._sessions.get, keys)
        ]

    async def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
        stored = self._sessions.get(key)
        return None if stored is None else stored.load_until(seq, last)

    async def read_tail(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        stored = self._sessions.get(key)
        return None if stored is None else stored.tail(last)

    async def read_compacted(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        stored = self._sessions.get(key)
        return None if stored is None else stored.compacted(last)

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        stored = self._sessions.get(key)
        if stored is None:
            return None
        head = stored.head
        fitting = paging.fitting(map(len, stored.records(after + 1, min(after + limit, head.last_seq))), max_bytes)
        events = list(stored.events(after + 1, after + fitting))
        is_last = after + len(events) >= head.last_seq
        retractions = paging.retractions_of_page(stored.retractions, after, events, is_last=is_last)
        return LogPage(head.creation_id, head.revision, events, retractions, list(head.hidden), is_last, head.tag)

    async def find_events(self, key: SessionKey, event_ids: Sequence[str], *, max_bytes: int) -> FoundEvents | None:
        stored = self._sessions.get(key)
        return None if stored is None else stored.find_events(event_ids, max_bytes)

    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        stored = self._sessions.get(key)
        return None if stored is None else _page_of(stored.children, cursor, limit)

    async def forks(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        stored = self._sessions.get(key)
        return None if stored is None else _page_of(stored.forks, cursor, limit)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        stored = self._sessions.get(key)
        return None if stored is None else list(stored.tree.nodes.values())

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        stored = self._sessions.get(key)
        if stored is None or stored.head.parent_id is not None:
            return None
        return TreeTotals(stored.head.creation_id, _copied(stored.tree.totals))

    async def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        ids = self._ids.matching(namespace, prefix, cursor)
        if roots_only:
            ids = (each for each in ids if self._sessions[SessionKey(namespace, each)].head.parent_id is None)
        found = list(islice(ids, limit + 1))
        page = found[:limit]
        return SessionPage(page, page[-1] if len(found) > limit else None)

    async def sizes(self, keys: Sequence[SessionKey]) -> list[int | None]:
        return [0 if stored is None else stored.size for stored in map(self._sessions.get, keys)]

    async def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> NamespacePage:
        return paging.names_page(sorted(self._ids.names_below(namespace)), cursor, limit)

    async def page(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> HeadPage:
        if query.order == "id":
            return await super().page(namespace, query, cursor=cursor, limit=limit, last=last)

        def load(session_id: str) -> LoadedSession:
            return self._sessions[SessionKey(namespace, session_id)].load(last, whole_head=False)

        return await head_pages.read_page(self._index_of(namespace), query, cursor, limit, load)

    async def count(self, namespace: Namespace, query: PageQuery) -> int:
        return await head_pages.count(self._index_of(namespace), query)

    async def stamps(self, keys: Sequence[SessionKey]) -> list[str | None]:
        heads = [self._sessions[key].head if key in self._sessions else None for key in keys]
        return [None if head is None else f"{head.creation_id} {head.revision}" for head in heads]

    async def held_leases(self, runs: Sequence[tuple[SessionKey, str]]) -> list[HeldLease | None]:
        found = [(self._sessions.get(key), run_id) for key, run_id in runs]
        return [
            None if stored is None else leases.held(stored.head.leases.get(run_id), leases.process_clock)
            for stored, run_id in found
        ]

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
        return list(map(self._renewed, renewals))

    def _renewed(self, renewal: LeaseRenewal) -> bool:
        stored = self._sessions.get(renewal.key)
        change = None if stored is None else leases.renewal_of(stored.head, renewal, leases.process_clock)
        if stored is None or change is None:
            return False
        leases.apply(stored.head, change)
        return True

    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        stored = self._sessions.get(key)
        if stored is None or creation_id not in (None, stored.head.creation_id):
            raise SessionNotFound(key.id)
        return DoneWrite(take_step(stored, step, self._sessions))

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        stored = self._sessions.get(key)
        if stored is None or (stored.head.creation_id, stored.head.revision) != (creation_id, revision):
            return
        waiter = asyncio.get_running_loop().create_future()
        stored.waiters.add(waiter)
        try:
            await waiter
        finally:
            stored.waiters.discard(waiter)

    async def aclose(self) -> None:
        self.is_closed = True
        for stored in self._sessions.values():
            stored.wake()

    def _parent(self, namespace: Namespace, named: Parent) -> StoredSession:
        parent = self._sessions.get(SessionKey(namespace, named.id))
        if parent is None or parent.head.creation_id != named.creation_id:
            raise SessionNotFound(named.id)
        return parent

    def _link(self, stored: StoredSession, parent: StoredSession | None) -> None:
        head = stored.head
        key = head.key
        if parent is not None:
            stored.tree.created += 1
            (parent.children if head.forked_from is None else parent.forks)[key.id] = stored.tree.created
        stored.tree.nodes[key.id] = TreeNode(key.id, head.parent_id, head.forked_from)
        self._sessions[key] = stored
        self._ids.add(key)

    def _remove(self, stored: StoredSession) -> None:
        key = stored.head.key
        stored.tree.spending.note_deletion(stored.path, stored.head.totals.values())
        for child_id in (*stored.children, *stored.forks):
            self._remove(self._sessions[SessionKey(key.namespace, child_id)])
        del self._sessions[key]
        del stored.tree.nodes[key.id]
        self._indexes[key.namespace].remove(key.id, stored.groups)
        if not self._ids.remove(key):
            del self._indexes[key.namespace]
        stored.wake()

    def _index_of(self, namespace: Namespace) -> HeadIndex:
        index = self._indexes.get(namespace)
        if index is None:

            def find_head(session_id: str) -> HeadRecord | None:
                stored = self._sessions.get(SessionKey(namespace, session_id))
                return None if stored is None else stored.head

            index = self._indexes[namespace] = HeadIndex(find_head, self.indexed)
        return index


def _page_of(ordinals: Mapping[str, int], cursor: str | None, limit: int) -> SessionPage:
    """Return a page of the sessions right below another one, which are in the order of their creation."""
    start = paging.ordinal_of(cursor)
    later = ((session_id, str(ordinal)) for session_id, ordinal in ordinals.items() if ordinal > start)
    return paging.page_of(list(islice(later, limit + 1)), limit)


def _copied(totals: Totals) -> Totals:
    return {cell: dict(counters) for cell, counters in totals.items()}
