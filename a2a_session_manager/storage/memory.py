"""InMemorySessionStore: encoded bytes in dictionaries, with the promises of every other store but durability."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TypeVar

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import ledger, ranges
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.base import BaseSessionStore
from a2a_session_manager.storage.gone import refuse_gone
from a2a_session_manager.storage.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.storage.records import (
    Creation,
    EncodedCommit,
    EncodedEvent,
    FirstResult,
    HeadRecord,
    LoadedSession,
    LogPage,
    Receipt,
    SessionKey,
    StoredEvent,
    StoredRetraction,
    Totals,
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.tokens.pricing import DEFAULT_PRICER, Pricer

ResultT = TypeVar("ResultT")


class InMemorySessionStore(BaseSessionStore):
    """Sessions for as long as the process lives: for tests, for scripts, and for trying things out.

    For one event loop at a time; nothing of it is safe among threads.
    """

    def __init__(
        self, *, limits: StoreLimits = DEFAULT_LIMITS, pricer: Pricer = DEFAULT_PRICER, **gone: object
    ) -> None:
        refuse_gone(gone)
        super().__init__(MemoryBackend(), limits=limits, pricer=pricer)


def from_url(url: str, limits: StoreLimits, pricer: Pricer) -> InMemorySessionStore:
    """Return a fresh store for `memory:`, which names no place."""
    if url.partition(":")[2].strip("/"):
        raise InvalidSessionOperation(f"store URL {url!r} names a place, but memory has none: take 'memory:'")
    return InMemorySessionStore(limits=limits, pricer=pricer)


@dataclass(slots=True)
class StoredSession:
    """One session: its head, its log, and what it remembers for ever.

    The log is bytes and, in step with it, the revisions that brought them: no object for the garbage collector.
    """

    head: HeadRecord
    tree: StoredTree
    log: list[bytes] = field(default_factory=list)
    revisions: array[int] = field(default_factory=partial(array, "Q"))
    seqs: dict[str, int] = field(default_factory=dict)
    first_results: dict[str, FirstResult] = field(default_factory=dict)
    retractions: list[StoredRetraction] = field(default_factory=list)
    children: dict[str, int] = field(default_factory=dict)  # id → ordinal in the tree
    waiters: set[asyncio.Future[None]] = field(default_factory=set)


@dataclass(slots=True)
class StoredTree:
    """What the sessions below one root share: their places and the sum of what they spent."""

    totals: Totals = field(default_factory=dict)
    nodes: dict[str, TreeNode] = field(default_factory=dict)
    created: int = 0


class MemoryBackend(Backend):
    """No lock: no method awaits between reading and writing, so every commit is atomic as it stands.

    Writes return futures that are done: they cannot be cut off, and need no task.
    """

    def __init__(self) -> None:
        self._sessions: dict[SessionKey, StoredSession] = {}
        self._ids: dict[str, list[str]] = {}  # by namespace, sorted

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> asyncio.Future[Receipt]:
        stored = self._sessions.get(key)
        if stored is not None:
            return _done(_first_receipt(stored, commit))
        stored = StoredSession(ledger.newborn(key, creation), StoredTree())
        outcome = ledger.decide(stored.head, commit, stored.seqs.get)
        self._link(stored, creation)
        return _done(_write(stored, commit, outcome))

    def commit(self, key: SessionKey, commit: EncodedCommit) -> asyncio.Future[Receipt]:
        stored = self._sessions.get(key)
        if stored is None:
            raise SessionNotFound(key.id)
        ledger.check_life(stored.head, commit)
        if commit.write_id is not None and (first := stored.first_results.get(commit.write_id)) is not None:
            return _done(ledger.repeat(stored.head, commit, first, stored.seqs.get))
        if ledger.is_one_append(commit) and commit.events[0].id not in stored.seqs:
            return _done(_append_one(stored, commit))
        return _done(_write(stored, commit, ledger.decide(stored.head, commit, stored.seqs.get)))

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool) -> asyncio.Future[None]:
        stored = self._sessions.get(key)
        if stored is None or stored.head.creation_id != creation_id:
            return _done(None)
        if stored.children and not cascade:
            raise InvalidSessionOperation(
                f"session {key.id!r} has {len(stored.children)} children: delete them first, "
                "or pass children='cascade'",
                session_id=key.id,
            )
        if stored.head.parent_id is not None:
            self._sessions[SessionKey(key.namespace, stored.head.parent_id)].children.pop(key.id)
        self._remove(stored)
        return _done(None)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        return [_loaded(self._sessions.get(key), last, whole_head) for key in keys]

    async def read_log(self, key: SessionKey, *, after: int, limit: int) -> LogPage | None:
        stored = self._sessions.get(key)
        if stored is None:
            return None
        head = stored.head
        events = list(_events(stored, after + 1, min(after + limit, head.last_seq)))
        is_last = after + len(events) >= head.last_seq
        retractions = ledger.retractions_of_page(stored.retractions, after, events, is_last=is_last)
        return LogPage(head.creation_id, head.revision, events, retractions, list(head.hidden), is_last)

    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        stored = self._sessions.get(key)
        if stored is None:
            return None
        start = ledger.ordinal_of(cursor)
        behind = (child_id for child_id, ordinal in stored.children.items() if ordinal > start)
        found = list(islice(behind, limit + 1))
        page = found[:limit]
        return SessionPage(page, str(stored.children[page[-1]]) if len(found) > limit else None)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        stored = self._sessions.get(key)
        return None if stored is None else list(stored.tree.nodes.values())

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        stored = self._sessions.get(key)
        if stored is None or stored.head.parent_id is not None:
            return None
        return TreeTotals(stored.head.creation_id, _copied(stored.tree.totals))

    async def list_page(
        self, namespace: str, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        ids = self._ids.get(namespace, [])
        start = bisect_left(ids, prefix) if cursor is None else bisect_right(ids, cursor)
        found = list(islice(self._matching(namespace, ids, start, prefix, roots_only), limit + 1))
        page = found[:limit]
        return SessionPage(page, page[-1] if len(found) > limit else None)

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
            _wake(stored)

    def _link(self, stored: StoredSession, creation: Creation) -> None:
        head = stored.head
        key = head.key
        if creation.parent is not None:
            parent = self._sessions.get(SessionKey(key.namespace, creation.parent.id))
            if parent is None or parent.head.creation_id != creation.parent.creation_id:
                raise SessionNotFound(creation.parent.id)
            stored.tree = parent.tree
            stored.tree.created += 1
            parent.children[key.id] = stored.tree.created
        stored.tree.nodes[key.id] = TreeNode(key.id, head.parent_id)
        self._sessions[key] = stored
        insort(self._ids.setdefault(key.namespace, []), key.id)

    def _remove(self, stored: StoredSession) -> None:
        key = stored.head.key
        for child_id in stored.children:
            self._remove(self._sessions[SessionKey(key.namespace, child_id)])
        del self._sessions[key]
        del stored.tree.nodes[key.id]
        ids = self._ids[key.namespace]
        del ids[bisect_left(ids, key.id)]
        _wake(stored)

    def _matching(self, namespace: str, ids: list[str], start: int, prefix: str, roots_only: bool) -> Iterator[str]:
        for session_id in islice(ids, start, None):
            if not session_id.startswith(prefix):
                return
            if not roots_only or self._sessions[SessionKey(namespace, session_id)].head.parent_id is None:
                yield session_id


def _done(result: ResultT) -> asyncio.Future[ResultT]:
    future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
    future.set_result(result)
    return future


def _first_receipt(stored: StoredSession, commit: EncodedCommit) -> Receipt:
    first = stored.first_results.get(commit.write_id or "")
    if first is None:
        raise SessionAlreadyExists(stored.head.key.id)
    return ledger.repeat(stored.head, commit, first, stored.seqs.get)


def _append_one(stored: StoredSession, commit: EncodedCommit) -> Receipt:
    receipt = ledger.append_one(stored.head, commit)
    _keep(stored, commit.events[0], receipt.revision, receipt.last_seq)
    if stored.waiters:
        _wake(stored)
    return receipt


def _write(stored: StoredSession, commit: EncodedCommit, outcome: ledger.Outcome) -> Receipt:
    head = stored.head
    after_seq = head.last_seq
    ledger.apply(head, commit, outcome)
    for seq, event in enumerate(outcome.fresh, after_seq + 1):
        _keep(stored, event, outcome.revision, seq)
    if outcome.hidden:
        stored.retractions.append(StoredRetraction(outcome.revision, after_seq, outcome.hidden))
    if commit.write_id is not None:
        stored.first_results[commit.write_id] = outcome.first_result
    if stored.waiters:
        _wake(stored)
    return outcome.receipt


def _keep(stored: StoredSession, event: EncodedEvent, revision: int, seq: int) -> None:
    stored.log.append(event.data)
    stored.revisions.append(revision)
    stored.seqs[event.id] = seq
    if event.usage is not None:
        ledger.add_usage(stored.tree.totals, event)


def _loaded(stored: StoredSession | None, last: int | None, whole_head: bool) -> LoadedSession | None:
    if stored is None:
        return None
    head = stored.head
    count = head.last_seq if last is None else last
    tail = ranges.visible_tail(head.last_seq, count, head.hidden)
    # Made one by one as they are taken: what is in the log stays there, as it is.
    events = (event for first, final in tail for event in _events(stored, first, final))
    return LoadedSession(
        ledger.copied(head, whole_head=whole_head), events, list(stored.children) if whole_head else ()
    )


def _events(stored: StoredSession, first: int, final: int) -> Iterator[StoredEvent]:
    return map(StoredEvent, range(first, final + 1), stored.revisions[first - 1 : final], stored.log[first - 1 : final])


def _copied(totals: Totals) -> Totals:
    return {cell: dict(counters) for cell, counters in totals.items()}


def _wake(stored: StoredSession) -> None:
    for waiter in stored.waiters:
        if not waiter.done():
            waiter.set_result(None)
    stored.waiters.clear()
