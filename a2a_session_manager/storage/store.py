"""BaseSessionStore: a store over a backend. All its verbs are here, over plain functions beside them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import timedelta
from functools import lru_cache
from typing import Any, Self, TypeVar, Unpack, overload

from anyio.abc import AsyncResource

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.hierarchy import TreeReader
from a2a_session_manager.identifiers import checked_id, hidden_id, new_id, shown
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.models import arguments
from a2a_session_manager.models.budget import PlacedHold
from a2a_session_manager.models.change import CommitResult, Restoration, Retraction, SessionChange
from a2a_session_manager.models.clock import moment
from a2a_session_manager.models.event_filter import EventFilters, event_filter
from a2a_session_manager.models.event_message import MessageTail
from a2a_session_manager.models.forked_from import TreeNode
from a2a_session_manager.models.lease import LeaseClaim
from a2a_session_manager.models.namespace_change import NamespaceChange
from a2a_session_manager.models.pruning import PruneResult
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.models.unfinished_run import UnfinishedRun, checked_age
from a2a_session_manager.namespaces import Namespace, below, path_of
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.protocols import (
    ChildPolicy,
    EventsPage,
    ForkEnding,
    HeadsPage,
    LeaseKeeper,
    MessageReader,
    PageOrder,
    RepeatPolicy,
    SessionPage,
    SessionStore,
)
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage import following, reads, writes
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.budget_verbs import BudgetVerbs
from a2a_session_manager.storage.codec import event_model
from a2a_session_manager.storage.commit_records import Creation, Guard, LeaseRenewal
from a2a_session_manager.storage.conflicts import add_missed_events
from a2a_session_manager.storage.differences import check_shape
from a2a_session_manager.storage.encoding import encode_commit
from a2a_session_manager.storage.event_pages import read_events
from a2a_session_manager.storage.events_by_id import read_events_by_id
from a2a_session_manager.storage.forking import ForkRequest, fork_session
from a2a_session_manager.storage.heartbeats import Heartbeat, heartbeats_of
from a2a_session_manager.storage.loading import decode_runs, load_session, load_sessions, load_tail, summary
from a2a_session_manager.storage.namespace_following import follow_namespace
from a2a_session_manager.storage.observer import WatchedRun
from a2a_session_manager.storage.pages import page_query, read_page
from a2a_session_manager.storage.priced_events import priced_events
from a2a_session_manager.storage.pruning import Pruner, checked_properties, checked_prune_limits
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.saving import SessionSaver
from a2a_session_manager.storage.session_sync import apply_receipt, new_sync_state, tag_of
from a2a_session_manager.storage.target import Target, target_of
from a2a_session_manager.storage.unfinished import unfinished_runs

MessageT = TypeVar("MessageT")
ResultT = TypeVar("ResultT")

_IDS_A_PAGE = 1_000
_NAMES_A_PAGE = 1_000


class BaseSessionStore(AsyncResource, BudgetVerbs, SessionStore, MessageReader, LeaseKeeper):
    """A store over a backend; SessionStore says what each of its verbs promises.

    Args:
        backend: keeps the sessions. The store closes it.
        namespace: the one whose sessions the verbs mean, by its names from the outermost on; () is the default one.
        limits: how large events and commits may be.
        pricer: gives a usage without a cost one when it is stored.
    """

    # What every write to a session that was read claims of the lease of its run.
    _claim: LeaseClaim | None = None

    def __init__(
        self,
        backend: Backend,
        *,
        namespace: Namespace = (),
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
    ) -> None:
        self._open_backend = backend
        self._namespace = namespace
        self._limits = limits
        self._pricer = pricer

    def __repr__(self) -> str:
        backend = getattr(self, "_open_backend", None)  # a debugger may show a store whose `__init__` has failed
        if backend is None:
            return f"<{type(self).__name__}>"
        namespace = f"namespace={shown(path_of(self._namespace))}" if self._namespace else ""
        parts = [type(self).__name__, backend.shown_place, namespace, "closed" if backend.is_closed else ""]
        return f"<{' '.join(filter(None, parts))}>"

    def namespace(self, name: str) -> BaseSessionStore:
        inner = below(self._namespace, name)
        return NamespaceView(self._backend, namespace=inner, limits=self._limits, pricer=self._pricer)

    async def namespaces(self) -> list[str]:
        names, cursor = await self._backend.list_namespaces(self._namespace, cursor=None, limit=_NAMES_A_PAGE)
        while cursor is not None:
            page = await self._backend.list_namespaces(self._namespace, cursor=cursor, limit=_NAMES_A_PAGE)
            names, cursor = [*names, *page.names], page.cursor
        return names

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: Session[Any] | str | None = None,
        change: SessionChange | None = None,
        write_id: str | None = None,
        expires: bool = True,
    ) -> Session[Any]:
        if id is None and write_id is not None:
            raise InvalidSessionOperation("a write_id without an id makes another session each time: give both")
        target = self._target(new_id() if id is None else id)
        change = SessionChange() if change is None else _checked_change(change)
        events = await priced_events(change.events, self._pricer)
        commit = await encode_commit(target, events, change, write_id=hidden_id() if write_id is None else write_id)
        parent = None if parent_id is None else await reads.load_parent(self._target(parent_id))
        creation = Creation(hidden_id(), commit.written_at, parent, expires=arguments.flag("expires", expires))
        receipt, new = await writes.send(target, commit, events, creation=creation)
        if receipt.is_repeat:
            head = await reads.load_head(target)
            creation = Creation(head.creation_id, head.created_at, parent)
        session: Session[Any] = Session(id=target.key.id, parent_id=None if parent is None else parent.id)
        session.metadata.created_at = moment(creation.created_at)
        session._sync = new_sync_state(session, creation, self)
        await apply_receipt(session, commit, receipt, new, target)
        return session

    async def fork(
        self,
        session: Session[Any] | str,
        *,
        at: int | str | None = None,
        new_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        ending: ForkEnding | None = None,
        detached: bool = False,
    ) -> Session[Any]:
        request = ForkRequest(at, new_id, properties, ending, detached)
        return await fork_session(self, self._target(session), request)

    @overload
    async def get(self, session_id: str, *, last: int | None = None) -> Session[Any] | None: ...
    @overload
    async def get(
        self, session_id: str, *, last: int | None = None, message_type: type[MessageT]
    ) -> Session[MessageT] | None: ...
    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Session[Any] | None:
        key = self._key(session_id)
        event_model(message_type)  # before anything is read: it may be no type
        last = arguments.limit("last", last)
        loaded = (await self._backend.load([key], last=last, whole_head=last is None))[0]
        if loaded is None:
            return None
        return await load_session(loaded, self, self._limits, is_partial=last is not None, message_type=message_type)

    async def get_many(self, session_ids: Sequence[str], *, last: int | None = 0) -> list[Session[Any] | None]:
        keys = [self._key(session_id) for session_id in arguments.items("session_ids", session_ids)]
        last = arguments.limit("last", last)
        found: list[Session[Any] | None] = []
        async for batch in reads.load_batches(self._backend, keys, last=last, whole_head=last is None):
            found += await load_sessions(batch, self, self._limits, is_partial=last is not None)
        return found

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        check_shape(session)
        target = Target(self._backend, self._key(session.id), self._limits)
        saver = SessionSaver(self, target, self._pricer, self.is_same_place)
        await saver.save(session, arguments.limit("expected_revision", expected_revision))

    async def commit(
        self,
        session: Session[Any] | str,
        change: SessionChange,
        *,
        expected_revision: int | None = None,
        write_id: str | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> CommitResult:
        target, events = self._target(session), _checked_change(change).events
        receipt, new, changed = await writes.commit_change(
            target,
            session,
            events,
            change,
            self._pricer,
            expected_revision=expected_revision,
            write_id=write_id,
            on_repeat=on_repeat,
        )
        return CommitResult(receipt.revision, receipt.last_seq, new, [*changed.retracted], [*changed.restored])

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        target, revision = self._target(session), expected_revision
        _, new, _ = await writes.commit_change(
            target, session, events, None, self._pricer, expected_revision=revision, on_repeat=on_repeat
        )
        return new

    async def retract(
        self,
        session: Session[Any] | str,
        *event_ids: str,
        last: int | None = None,
        after: int | None = None,
        write_id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        change = SessionChange(retraction=Retraction(event_ids, last, after))
        return (await self.commit(session, change, write_id=write_id)).retracted

    async def restore(
        self, session: Session[Any] | str, *event_ids: str, write_id: str | None = None, id: str | None = None
    ) -> list[SessionEvent[Any]]:
        change = SessionChange(restoration=Restoration(event_ids, write_id))
        return (await self.commit(session, change, write_id=id)).restored

    async def delete(
        self,
        session: Session[Any] | str,
        *,
        children: ChildPolicy = "refuse",
        expected_revision: int | None = None,
    ) -> None:
        if children not in ("refuse", "cascade"):
            raise InvalidSessionOperation(f"children={shown(children)} is unknown: take 'refuse' or 'cascade'")
        expected_revision = arguments.limit("expected_revision", expected_revision)
        backend, key, limits, creation_id = self._target(session)[:4]
        creation_id = creation_id or await backend.creation_id_of(key)
        if creation_id is None:
            return
        guard = None if expected_revision is None else Guard(expected_revision, tag_of(session, expected_revision))
        try:
            deletion = backend.delete(key, creation_id, cascade=children == "cascade", guard=guard)
            await finish(deletion, patience=limits.cancel_seconds)
        except SessionConflict as conflict:
            await add_missed_events(conflict, backend, key, limits)
            raise

    async def cut_damaged_tail(self, session_id: str) -> int:
        target = self._target(session_id)
        count = await finish(target.backend.cut_damaged_tail(target.key), patience=self._limits.cancel_seconds)
        await reads.load_head(target)
        return count

    async def list_sessions(self, prefix: str = "") -> list[str]:
        return [session_id async for session_id in self.iter_sessions(prefix, page_size=_IDS_A_PAGE)]

    async def list_page(
        self, prefix: str = "", *, cursor: str | None = None, limit: int = 100, roots_only: bool = False
    ) -> SessionPage:
        limit, cursor = arguments.whole_number("limit", limit), arguments.cursor(cursor)
        if limit == 0:
            return SessionPage([], cursor)
        prefix = arguments.text("prefix", prefix)
        return await self._backend.list_page(
            self._namespace, prefix=prefix, cursor=cursor, limit=limit, roots_only=roots_only
        )

    def iter_sessions(
        self, prefix: str = "", *, roots_only: bool = False, page_size: int = 100
    ) -> AsyncGenerator[str, None]:
        page_size = arguments.whole_number("page_size", page_size)
        if page_size < 1:
            raise InvalidSessionOperation(f"page_size={page_size} brings nothing: take 1 or more")
        prefix = arguments.text("prefix", prefix)
        return reads.all_ids(
            lambda cursor: self.list_page(prefix, cursor=cursor, limit=page_size, roots_only=roots_only)
        )

    async def page(
        self,
        *,
        order: PageOrder = "updated",
        newest_first: bool = True,
        properties: Mapping[str, Any] | None = None,
        title: str | None = None,
        roots_only: bool = False,
        limit: int = 50,
        cursor: str | None = None,
        last: int = 0,
    ) -> HeadsPage:
        query = page_query(
            self._backend,
            order=order,
            newest_first=newest_first,
            properties=properties,
            title=title,
            roots_only=roots_only,
        )
        return await read_page(
            self._backend,
            self._namespace,
            query,
            self._limits,
            cursor=cursor,
            limit=arguments.whole_number("limit", limit),
            last=arguments.whole_number("last", last),
        )

    async def count(self, *, properties: Mapping[str, Any] | None = None, roots_only: bool = False) -> int:
        query = page_query(self._backend, properties=properties, roots_only=roots_only)
        return await self._backend.count(self._namespace, query)

    @overload
    async def events(
        self,
        session: Session[Any] | str,
        *,
        message_type: type[MessageT],
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[MessageT]]: ...
    @overload
    async def events(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]: ...
    async def events(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]:
        page = await read_events(
            self._target(session),
            after=arguments.whole_number("after", after),
            limit=arguments.limit("limit", limit),
            include_retracted=include_retracted,
            only=event_filter(which),
            message_type=message_type,
        )
        return page.events

    async def events_page(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int = 100,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> EventsPage:
        return await read_events(
            self._target(session),
            after=arguments.whole_number("after", after),
            limit=arguments.whole_number("limit", limit),
            max_bytes=self._limits.page_bytes,
            include_retracted=include_retracted,
            only=event_filter(which),
        )

    @overload
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: type[MessageT]
    ) -> list[SessionEvent[MessageT] | None]: ...
    @overload
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: Any = None
    ) -> list[SessionEvent[Any] | None]: ...
    async def events_by_id(
        self, session: Session[Any] | str, *event_ids: str, message_type: Any = None
    ) -> list[SessionEvent[Any] | None]:
        return await read_events_by_id(self._target(session), event_ids, message_type=message_type)

    async def read_messages(
        self, session: Session[Any] | str, *, last: int | None = None, compacted: bool = False
    ) -> MessageTail:
        backend, key, limits, creation_id = self._target(session)[:4]
        read = backend.read_compacted if compacted else backend.read_tail
        tail = await read(key, last=arguments.limit("last", last))
        if tail is None or creation_id not in (None, tail.creation_id):
            raise SessionNotFound(key.id)
        messages = await load_tail(tail, key.id, limits)
        in_force = tail.compaction
        told = (None, 0) if in_force is None else (in_force.seq, in_force.last)
        return MessageTail(messages, tail.earlier_events, tail.summaries, *told)

    async def runs(self, session_id: str) -> list[SessionRun]:
        head = await reads.load_head(self._target(session_id), whole_head=True)
        return await decode_runs(head.runs.values(), head.key.id)

    async def children(self, session_id: str) -> list[str]:
        found = reads.all_ids(lambda cursor: self.children_page(session_id, cursor=cursor, limit=_IDS_A_PAGE))
        return [child_id async for child_id in found]

    async def children_page(self, session_id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        return await reads.page_below(self._key(session_id), self._backend.children, cursor, limit)

    async def forks(self, session_id: str) -> list[str]:
        found = reads.all_ids(lambda cursor: self.forks_page(session_id, cursor=cursor, limit=_IDS_A_PAGE))
        return [fork_id async for fork_id in found]

    async def forks_page(self, session_id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        return await reads.page_below(self._key(session_id), self._backend.forks, cursor, limit)

    async def tree(self, session_id: str) -> list[TreeNode]:
        return await reads.load_tree(self._target(session_id))

    async def usage(self, session: Session[Any] | str, *, tree: bool = False) -> TokenSummary:
        target = self._target(session)
        if tree:
            return await summary(await reads.totals_below(target))
        head = await reads.load_head(target, whole_head=True)
        return await summary(head.totals, head.run_totals)

    def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        backend, key, limits, creation_id = self._target(session)[:4]
        after = arguments.whole_number("after", after)
        return following.follow(backend, key, limits, creation_id=creation_id, after=after)

    def follow_namespace(
        self, *, since: Iterable[SessionHead] = (), last: int = 0
    ) -> AsyncGenerator[NamespaceChange, None]:
        heads = [_checked_head(head) for head in arguments.items("since", since)]
        last = arguments.whole_number("last", last)
        return follow_namespace(self._open_backend, self._namespace, self._limits, since=heads, last=last)

    def claiming(self, claim: LeaseClaim) -> Self:
        # A copy, so that what a subclass does with a write is done with those of runs, too.
        store = copy(self)
        store._claim = claim
        return store

    def settling(self, hold: PlacedHold) -> Self:
        store = copy(self)
        store._settles = hold
        return store

    async def claim(self, session: Session[Any], claim: LeaseClaim) -> None:
        await writes.write_claim(self._target(session)._replace(lease=claim))

    def keep_alive(self, session: Session[Any], claim: LeaseClaim) -> Heartbeat:
        backend, key, _, creation_id = self._target(session)[:4]
        assert creation_id is not None, "a session that was never stored has no runs"
        renewal = LeaseRenewal(key, creation_id, claim.run_id, claim.token)
        return heartbeats_of(backend).start(renewal, claim.milliseconds)

    def unfinished_runs(self, *, older_than: float | timedelta | None = None) -> AsyncGenerator[UnfinishedRun, None]:
        return unfinished_runs(self._backend, self._namespace, older_than=checked_age(older_than))

    async def prune(
        self,
        *,
        older_than: float | timedelta | None = None,
        keep_last: int | None = None,
        max_bytes: int | None = None,
        properties: Mapping[str, Any] | None = None,
        branches: bool = False,
        dry_run: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> PruneResult:
        limits = checked_prune_limits(older_than, keep_last, max_bytes, branches=branches)
        wanted = checked_properties(properties)
        patience = self._limits.cancel_seconds
        pruner = Pruner(self._backend, self._namespace, cancel_seconds=patience, progress=progress)
        return await pruner.prune(limits, wanted, dry_run=dry_run)

    async def rebuild_index(self) -> int | None:
        return await self._backend.rebuild_index(self._namespace)

    async def ping(self) -> None:
        await self._backend.ping()

    async def diagnose(self) -> list[StoreFinding]:
        return await self._backend.diagnose()

    def target(self, session_id: str) -> Target:
        """Return where a session of this id is kept, or would be: for what moves sessions as they are stored."""
        return Target(self._backend, self._key(session_id), self._limits)

    @property
    def pricer(self) -> Pricer:
        """What gives a usage without a cost one when it is stored."""
        return self._pricer

    def wrap_backend(self, wrap: Callable[[Backend], Backend]) -> None:
        """Put a backend around the store's, such as one that measures its calls: what `wrap` makes of it.

        Namespaces that were taken from the store before stay without it.
        """
        self._open_backend = wrap(self._open_backend)

    def watch_run(self, session_id: str, run: SessionRun) -> WatchedRun | None:
        """Return what watches a block of the run that begins now; None where nobody does."""
        observer = self._open_backend.run_observer
        return None if observer is None else observer.begin_run(SessionKey(self._namespace, session_id), run)

    def statistics(self) -> StoreStatistics:
        return self._open_backend.statistics()

    async def aclose(self) -> None:
        await self._open_backend.aclose()

    @property
    def _backend(self) -> Backend:
        self._open_backend.check_open()
        return self._open_backend

    def _key(self, session_id: str) -> SessionKey:
        # What is no plain text may have no hash, and is refused by the check.
        return (_key_again if type(session_id) is str else _key_of)(self._namespace, session_id)

    def _target(self, session: Session[Any] | str) -> Target:
        """Return which session is meant: the one that was read, or whichever has the id now."""
        # A str first: asking a model's class about one takes long.
        if isinstance(session, str) or not isinstance(session, Session):
            backend = self._open_backend
            backend.check_open()
            if self._settles is None:
                key = (_key_again if type(session) is str else _key_of)(self._namespace, session)
                return target_of((backend, key, self._limits, None, None, None))
            return Target(backend, self._key(session), self._limits, settles=self._settlement(session, None))
        sync = session._sync
        if sync is None:
            raise InvalidSessionOperation(
                f"session {session.id!r} was never stored: save it first, or pass its id to mean whichever has it",
                session_id=session.id,
            )
        # An id that is stored was checked.
        is_checked = session.id == sync.session_id
        key = SessionKey(self._namespace, session.id) if is_checked else self._key(session.id)
        settles = None if self._settles is None else self._settlement(session.id, sync.creation_id)
        return target_of((self._backend, key, self._limits, sync.creation_id, self._claim, settles))

    def is_same_place(self, store: TreeReader) -> bool:
        """Tell whether `store` keeps the same sessions as this one: another view of them, or itself."""
        if not isinstance(store, BaseSessionStore) or store._namespace != self._namespace:
            return False
        mine, other = self._open_backend, store._open_backend
        return other is mine or (mine.place is not None and other.place == mine.place)


class NamespaceView(BaseSessionStore):
    """A store's view of one namespace; the store that made it does the closing.

    It leads to what lies below, and never to another tenant's: no name means the one above, or one beside it.
    """

    async def aclose(self) -> None:
        """Do nothing: the backend belongs to the store that made this view."""


def _key_of(namespace: Namespace, session_id: str) -> SessionKey:
    return SessionKey(namespace, checked_id(session_id, "session id"))


# A conversation appends to its session again and again.
_key_again = lru_cache(maxsize=1_024)(_key_of)


def _checked_head(head: Any) -> SessionHead:
    if not isinstance(head, SessionHead):
        raise InvalidSessionOperation(f"since= has {shown(head)} in it, which is no head: pass a page")
    return head


def _checked_change(change: Any) -> SessionChange:
    if not isinstance(change, SessionChange):
        raise InvalidSessionOperation(f"change={shown(change)} is none: pass a SessionChange")
    return change
