"""SessionReader: the verbs that only read, over any backend."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeVar, overload

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.hierarchy import depth_first
from a2a_session_manager.identifiers import ID_CHARACTERS, checked_id
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.models import arguments
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.protocols import EventsPage, SessionPage, SessionStore
from a2a_session_manager.storage import following
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.codec import event_model
from a2a_session_manager.storage.commit_rules import add_counters
from a2a_session_manager.storage.event_pages import read_events
from a2a_session_manager.storage.loading import decode_runs, load_session, summary
from a2a_session_manager.storage.records import HeadRecord, LoadedSession, SessionKey, Totals

MessageT = TypeVar("MessageT")

_SESSIONS_A_LOAD = 1_000


class SessionReader(ABC):
    """Reads sessions of one namespace from a backend."""

    def __init__(
        self,
        backend: Backend,
        *,
        namespace: str = "",
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
    ) -> None:
        self._open_backend = backend
        self._namespace = namespace
        self._limits = limits
        self._pricer = pricer

    @overload
    async def get(self, session_id: str, *, last: int | None = None) -> Session[Any] | None: ...
    @overload
    async def get(
        self, session_id: str, *, last: int | None = None, message_type: type[MessageT]
    ) -> Session[MessageT] | None: ...
    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Session[Any] | None:
        """Return the session with its visible events, or the newest `last` of them; None when absent."""
        key = self._key(session_id)
        event_model(message_type)  # before anything is read: it may be no type
        last = arguments.limit("last", last)
        loaded = (await self._backend.load([key], last=last, whole_head=last is None))[0]
        return None if loaded is None else await self._session(loaded, last, message_type)

    async def get_many(self, session_ids: Sequence[str], *, last: int | None = 0) -> list[Session[Any] | None]:
        """Return several sessions in the order asked, None for each that is absent."""
        keys = [self._key(session_id) for session_id in arguments.items("session_ids", session_ids)]
        last = arguments.limit("last", last)
        found: list[Session[Any] | None] = []
        for start in range(0, len(keys), _SESSIONS_A_LOAD):
            batch = keys[start : start + _SESSIONS_A_LOAD]
            many = await self._backend.load(batch, last=last, whole_head=last is None)
            found += [None if loaded is None else await self._session(loaded, last, None) for loaded in many]
        return found

    async def events(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
    ) -> list[SessionEvent[Any]]:
        """Return visible events with a seq above `after`, oldest first. Raises SessionNotFound."""
        key, creation_id = self._named(session)
        after = arguments.whole_number("after", after)
        limit = arguments.limit("limit", limit)
        event_model(message_type)
        if limit == 0:
            await self._head(key, creation_id)
            return []
        page = await read_events(
            self._backend,
            key,
            self._limits,
            creation_id=creation_id,
            after=after,
            limit=limit,
            include_retracted=include_retracted,
            message_type=message_type,
        )
        return page.events

    async def events_page(
        self, session: Session[Any] | str, *, after: int = 0, limit: int = 100, include_retracted: bool = False
    ) -> EventsPage:
        """Return a page of events: up to `limit`, fewer where they are large, one at least. Raises SessionNotFound."""
        key, creation_id = self._named(session)
        after, limit = arguments.whole_number("after", after), arguments.whole_number("limit", limit)
        if limit == 0:
            await self._head(key, creation_id)
            return EventsPage([], after)
        return await read_events(
            self._backend,
            key,
            self._limits,
            creation_id=creation_id,
            after=after,
            limit=limit,
            max_bytes=self._limits.page_bytes,
            include_retracted=include_retracted,
        )

    async def runs(self, session_id: str) -> list[SessionRun]:
        """Return all runs, in the order they were first committed. Raises SessionNotFound."""
        head = await self._head(self._key(session_id), whole_head=True)
        return await decode_runs(head.runs.values(), head.key.id)

    async def children(self, session_id: str) -> list[str]:
        """Return all child ids in creation order. Raises SessionNotFound."""
        child_ids: list[str] = []
        cursor = None
        while True:
            page = await self.children_page(session_id, cursor=cursor, limit=1_000)
            child_ids += page.session_ids
            cursor = page.cursor
            if cursor is None:
                return child_ids

    async def children_page(self, session_id: str, *, cursor: str | None = None, limit: int = 100) -> SessionPage:
        """Return one page of child ids in creation order; of a limit of 0 nothing, and the cursor as it was.

        Raises SessionNotFound.
        """
        key = self._key(session_id)
        limit, cursor = arguments.whole_number("limit", limit), arguments.cursor(cursor)
        if limit == 0:
            return SessionPage([], cursor)
        page = await self._backend.children(key, cursor=cursor, limit=limit)
        if page is None:
            raise SessionNotFound(key.id)
        return page

    async def tree(self, session_id: str) -> list[tuple[str, str | None]]:
        """Return (id, parent id) of every session of the tree that holds `session_id`, in creation order."""
        key = self._key(session_id)
        nodes = await self._backend.tree(key)
        if nodes is None:
            raise SessionNotFound(key.id)
        return [(node.id, node.parent_id) for node in nodes]

    async def usage(self, session: Session[Any] | str, *, tree: bool = False) -> TokenSummary:
        """Return what the session spent, with `tree` what it and all below it spent.

        A root's tree is one read; below the root, all heads below the session are read and added up.
        """
        key, creation_id = self._named(session)
        if not tree:
            head = await self._head(key, creation_id, whole_head=True)
            return await summary(head.totals, head.run_totals)
        root = await self._backend.tree_totals(key)
        if root is None:
            await self._head(key, creation_id)
            return await self._subtree_usage(key)
        if creation_id not in (None, root.creation_id):
            raise SessionNotFound(key.id)
        return await summary(root.totals)

    async def list_sessions(self, prefix: str = "") -> list[str]:
        """Return all ids that start with `prefix`, in the store's own stable order."""
        return [session_id async for session_id in self.iter_sessions(prefix, page_size=1_000)]

    async def list_page(
        self, prefix: str = "", *, cursor: str | None = None, limit: int = 100, roots_only: bool = False
    ) -> SessionPage:
        """Return one page of ids; of a limit of 0 nothing, and the cursor as it was."""
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
        """Iterate over all ids, a page at a time."""
        page_size = arguments.whole_number("page_size", page_size)
        if page_size < 1:
            raise InvalidSessionOperation(f"page_size={page_size} brings nothing: take 1 or more")
        return self._iterated(arguments.text("prefix", prefix), roots_only, page_size)

    def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event behind `after`, then each new one; see SessionStore.follow."""
        key, creation_id = self._named(session)
        after = arguments.whole_number("after", after)
        return following.follow(self._backend, key, self._limits, creation_id=creation_id, after=after)

    @property
    def _backend(self) -> Backend:
        self._open_backend.check_open()
        return self._open_backend

    def _key(self, session_id: str) -> SessionKey:
        return SessionKey(self._namespace, checked_id(session_id, "session id"))

    @abstractmethod
    def _as_store(self) -> SessionStore:
        """Return the store that sessions read here remember."""

    def _named(self, session: Session[Any] | str) -> tuple[SessionKey, str | None]:
        """Return which session is meant and, of one that was read, which life of its id."""
        # A str first: asking a model's class about one takes long.
        if isinstance(session, str) or not isinstance(session, Session):
            return self._key(session), None
        baseline = session._baseline
        if baseline is None:
            raise InvalidSessionOperation(
                f"session {session.id!r} was never stored: save it first, or pass its id to mean whichever has it",
                session_id=session.id,
            )
        return self._key(session.id), baseline.creation_id

    async def _head(self, key: SessionKey, creation_id: str | None = None, *, whole_head: bool = False) -> HeadRecord:
        loaded = (await self._backend.load([key], last=0, whole_head=whole_head))[0]
        if loaded is None or creation_id not in (None, loaded.head.creation_id):
            raise SessionNotFound(key.id)
        return loaded.head

    async def _session(self, loaded: LoadedSession, last: int | None, message_type: Any) -> Session[Any]:
        return await load_session(
            loaded, self._as_store(), self._limits, is_partial=last is not None, message_type=message_type
        )

    async def _iterated(self, prefix: str, roots_only: bool, page_size: int) -> AsyncGenerator[str, None]:
        cursor = None
        while True:
            page = await self.list_page(prefix, cursor=cursor, limit=page_size, roots_only=roots_only)
            for session_id in page.session_ids:
                yield session_id
            cursor = page.cursor
            if cursor is None:
                return

    async def _subtree_usage(self, key: SessionKey) -> TokenSummary:
        below = [key.id, *depth_first(key.id, await self.tree(key.id))]
        keys = [SessionKey(key.namespace, session_id) for session_id in below]
        total: Totals = {}
        for start in range(0, len(keys), _SESSIONS_A_LOAD):
            batch = keys[start : start + _SESSIONS_A_LOAD]
            loaded = await self._backend.load(batch, last=0, whole_head=False)
            for each in filter(None, loaded):
                for cell, counters in each.head.totals.items():
                    add_counters(total.setdefault(cell, {}), counters)
                await asyncio.sleep(0)
        return await summary(total)


def checked_namespace(name: str) -> str:
    """Return `name` if it may be a namespace: "" or anything an id may be."""
    return name if name == "" else checked_id(name, f"namespace (up to {ID_CHARACTERS} characters)")
