"""ObservedBackend: a backend around another one, which makes a span of each call and counts what was committed."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial

from a2a_session_manager.budgets.steps import BudgetReply, BudgetStep
from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.integrations.opentelemetry import names
from a2a_session_manager.integrations.opentelemetry.runs import RunSpans
from a2a_session_manager.integrations.opentelemetry.telemetry import ObservedCall, Telemetry
from a2a_session_manager.integrations.opentelemetry.write_calls import until_done
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.commit_records import (
    Creation,
    EncodedCommit,
    EventsKnown,
    Guard,
    LeaseRenewal,
    Receipt,
)
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.observer import QueueObserver
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
from a2a_session_manager.storage.records import HeldLease, SessionKey
from a2a_session_manager.storage.trusted_log import TrustedLog


class ObservedBackend(Backend):
    """Hands every call to `backend`, and what it returns back as it is; the wait of `follow` is no call."""

    def __init__(self, backend: Backend, telemetry: Telemetry) -> None:
        self._backend = backend
        self._telemetry = telemetry
        self._runs = self.run_observer = RunSpans(telemetry)
        backend.observe(telemetry.metrics)

    @property
    def is_closed(self) -> bool:  # type: ignore[override]  # that below says it
        return self._backend.is_closed

    @property
    def followers(self) -> int:
        return self._backend.followers

    @followers.setter
    def followers(self, count: int) -> None:
        self._backend.followers = count

    @property
    def place(self) -> object:
        return self._backend.place

    @property
    def shown_place(self) -> str:
        return self._backend.shown_place

    @property
    def indexed(self) -> Sequence[str]:
        return self._backend.indexed

    @indexed.setter
    def indexed(self, indexed: Sequence[str]) -> None:
        self._backend.indexed = indexed

    @property
    def told(self) -> set[tuple[str, str]]:
        return self._backend.told

    def statistics(self) -> StoreStatistics:
        return self._backend.statistics()

    def observe(self, observer: QueueObserver) -> None:
        self._backend.observe(observer)

    def check_open(self) -> None:
        self._backend.check_open()

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Awaitable[Receipt]:
        call = self._commit_call("create", key, commit)
        begin = partial(self._backend.create, key, creation, commit)
        return until_done(call, begin, partial(self._committed, call, key, commit))

    def fork_at_once(
        self, source: SessionKey, key: SessionKey, draft: ForkDraft
    ) -> Awaitable[HeadRecord | LoadedSession | None] | None:
        try:
            making = self._backend.fork_at_once(source, key, draft)
        except BaseException as error:
            self._telemetry.call("fork_at_once", key).end(error)
            raise
        if making is None:  # that backend does it in two calls, which have spans of their own
            return None
        return until_done(self._telemetry.call("fork_at_once", key), lambda: making)

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:
        call = self._commit_call("commit", key, commit)
        begin = partial(self._backend.commit, key, commit)
        return until_done(call, begin, partial(self._committed, call, key, commit))

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Awaitable[None]:
        begin = partial(self._backend.delete, key, creation_id, cascade=cascade, guard=guard)
        return until_done(self._telemetry.call("delete", key), begin)

    async def creation_id_of(self, key: SessionKey) -> str | None:
        with self._telemetry.block("creation_id_of", key):
            return await self._backend.creation_id_of(key)

    def cut_damaged_tail(self, key: SessionKey) -> Awaitable[int]:
        call = self._telemetry.call("cut_damaged_tail", key)
        return until_done(call, partial(self._backend.cut_damaged_tail, key))

    async def trusted_log(self, key: SessionKey) -> TrustedLog | None:
        with self._telemetry.block("trusted_log", key):
            return await self._backend.trusted_log(key)

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        with self._telemetry.block("load", keys[0] if len(keys) == 1 else None, count=len(keys)):
            return await self._backend.load(keys, last=last, whole_head=whole_head)

    async def load_until(self, key: SessionKey, *, seq: int | None, last: int) -> LoadedSession | None:
        with self._telemetry.block("load_until", key):
            return await self._backend.load_until(key, seq=seq, last=last)

    async def read_tail(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        with self._telemetry.block("read_tail", key) as span:
            tail = await self._backend.read_tail(key, last=last)
            span.set_attribute(names.ROWS, 0 if tail is None else len(tail.seqs))
            return tail

    async def read_compacted(self, key: SessionKey, *, last: int | None) -> LogTail | None:
        with self._telemetry.block("read_compacted", key) as span:
            tail = await self._backend.read_compacted(key, last=last)
            span.set_attribute(names.ROWS, 0 if tail is None else len(tail.seqs))
            return tail

    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        with self._telemetry.block("read_log", key) as span:
            page = await self._backend.read_log(key, after=after, limit=limit, max_bytes=max_bytes)
            span.set_attribute(names.ROWS, 0 if page is None else len(page.events))
            return page

    async def find_events(self, key: SessionKey, event_ids: Sequence[str], *, max_bytes: int) -> FoundEvents | None:
        with self._telemetry.block("find_events", key):
            return await self._backend.find_events(key, event_ids, max_bytes=max_bytes)

    async def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        with self._telemetry.block("children", key):
            return await self._backend.children(key, cursor=cursor, limit=limit)

    async def forks(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        with self._telemetry.block("forks", key):
            return await self._backend.forks(key, cursor=cursor, limit=limit)

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        with self._telemetry.block("tree", key):
            return await self._backend.tree(key)

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        with self._telemetry.block("tree_totals", key):
            return await self._backend.tree_totals(key)

    async def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        with self._telemetry.block("list_page") as span:
            page = await self._backend.list_page(
                namespace, prefix=prefix, cursor=cursor, limit=limit, roots_only=roots_only
            )
            span.set_attribute(names.ROWS, len(page.session_ids))
            return page

    async def page(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> HeadPage:
        with self._telemetry.block("page") as span:
            page = await self._backend.page(namespace, query, cursor=cursor, limit=limit, last=last)
            span.set_attribute(names.ROWS, len(page.sessions))
            return page

    async def count(self, namespace: Namespace, query: PageQuery) -> int:
        with self._telemetry.block("count"):
            return await self._backend.count(namespace, query)

    async def stamps(self, keys: Sequence[SessionKey]) -> list[str | None]:
        with self._telemetry.block("stamps", count=len(keys)):
            return await self._backend.stamps(keys)

    async def sizes(self, keys: Sequence[SessionKey]) -> list[int | None]:
        with self._telemetry.block("sizes", count=len(keys)):
            return await self._backend.sizes(keys)

    async def rebuild_index(self, namespace: Namespace) -> int | None:
        with self._telemetry.block("rebuild_index"):
            return await self._backend.rebuild_index(namespace)

    async def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> NamespacePage:
        with self._telemetry.block("list_namespaces"):
            return await self._backend.list_namespaces(namespace, cursor=cursor, limit=limit)

    async def held_leases(self, runs: Sequence[tuple[SessionKey, str]]) -> list[HeldLease | None]:
        with self._telemetry.block("held_leases", count=len(runs)):
            return await self._backend.held_leases(runs)

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool | None]:
        with self._telemetry.block("renew_leases", count=len(renewals)):
            return await self._backend.renew_leases(renewals)

    def step_budget(self, key: SessionKey, creation_id: str | None, step: BudgetStep) -> Awaitable[BudgetReply]:
        call = self._telemetry.call("step_budget", key)
        return until_done(call, partial(self._backend.step_budget, key, creation_id, step))

    async def ping(self) -> None:
        with self._telemetry.block("ping"):
            await self._backend.ping()

    async def diagnose(self) -> list[StoreFinding]:
        with self._telemetry.block("diagnose"):
            return await self._backend.diagnose()

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        await self._backend.wait(key, creation_id, revision)

    async def aclose(self) -> None:
        await self._backend.aclose()

    def _commit_call(self, operation: str, key: SessionKey, commit: EncodedCommit) -> ObservedCall:
        call = self._telemetry.call(operation, key)
        if call.span.is_recording():
            call.span.set_attributes({names.EVENTS: len(commit.events), names.BYTES: commit.size})
            run_ids = {event.run_id for event in commit.events if event.run_id is not None} | commit.runs.keys()
            if len(run_ids) == 1:
                call.span.set_attributes(self._telemetry.ids_of(key, run_ids.pop()))
        return call

    def _committed(
        self, call: ObservedCall, key: SessionKey, commit: EncodedCommit, answer: Receipt | EventsKnown
    ) -> None:
        """Note what a commit was answered with, and count the usages that it brought."""
        is_known = isinstance(answer, EventsKnown) or answer.is_repeat
        if call.span.is_recording():
            call.span.set_attributes({names.REVISION: answer.revision, names.IS_REPEAT: is_known})
        # What an earlier try of this very call has made, nobody has counted.
        if is_known and not (answer.was_sent_before and all(answer.seqs)):
            return
        is_recounted = isinstance(answer, Receipt) and answer.is_recounted
        for event in commit.events:
            # Of a response that was counted before, what this usage adds is known to the store alone.
            if event.usage is not None and not (is_recounted and event.usage.response_id is not None):
                self._telemetry.metrics.usage_committed(event.usage)
                self._runs.usage_committed(key, event.run_id, event.usage)
