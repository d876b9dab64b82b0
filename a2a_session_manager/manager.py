"""SessionManager: the front door. It opens stores, sessions and namespaces."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar, overload

from anyio.abc import AsyncResource

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.active.opening import open_session
from a2a_session_manager.context.tail import context_size
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.protocols import ChildPolicy, RepeatPolicy, SessionStore
from a2a_session_manager.provider import SessionStoreProvider
from a2a_session_manager.storage.url import store_from_url

MessageT = TypeVar("MessageT")
SessionEdit = Callable[[Session[Any]], Awaitable[None] | None]

EDIT_TRIES = 8
_FIRST_PAUSE_SECONDS = 0.005


class SessionManager(AsyncResource):
    """Sessions over one store: the one given, else the current one of SessionStoreProvider.

    Its verbs are the store's, with `open` and `edit` besides: they raise what SessionStore says, and SessionNotFound
    where `get` of the store returns None. It closes only what it opened: a store made by `from_url`.
    """

    def __init__(self, store: SessionStore | None = None) -> None:
        if isinstance(store, str):
            raise InvalidSessionOperation("SessionManager takes a store: for a URL, SessionManager.from_url(…)")
        self._store = SessionStoreProvider.get_store() if store is None else store
        self._owns_store = False

    @classmethod
    def from_url(cls, url: str, *, limits: StoreLimits = DEFAULT_LIMITS, pricer: Pricer = DEFAULT_PRICER) -> Self:
        """Return a manager with a store of its own, such as `memory:` or `file:./sessions`.

        A usage without a cost gets it from `pricer`, such as `ListPricer({"our-model": Prices(…)})`. Raises
        InvalidSessionOperation for a bad URL.
        """
        manager = cls(store_from_url(url, limits=limits, pricer=pricer))
        manager._owns_store = True
        return manager

    @property
    def store(self) -> SessionStore:
        """The store behind all verbs."""
        return self._store

    def namespace(self, name: str) -> Self:
        """Return a manager of one namespace, over the same store; it needs no closing.

        Raises InvalidSessionOperation for what is no name, and on a manager that has a namespace already.
        """
        return type(self)(self._store.namespace(name))

    @asynccontextmanager
    async def open(
        self,
        id: str | None = None,
        *,
        last: int | None = 0,
        parent_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[ActiveSession]:
        """Open a session for writing through: its head and newest `last` events are read, or it is created.

        `properties` are those of a new one. Raises InvalidSessionOperation when it exists below another parent.
        """
        change = SessionChange(set_properties={} if properties is None else properties)
        session = await open_session(self._store, id, parent=parent_id, last=last, change=change)
        yield ActiveSession(self._store, session)

    async def create(
        self,
        id: str | None = None,
        *,
        parent_id: str | None = None,
        state: Mapping[str, Any] | None = None,
        properties: Mapping[str, Any] | None = None,
        write_id: str | None = None,
    ) -> Session[Any]:
        """Create a session. Raises SessionAlreadyExists, or SessionNotFound for the parent."""
        change = SessionChange(
            set_state={} if state is None else state, set_properties={} if properties is None else properties
        )
        return await self._store.create(id, parent_id=parent_id, change=change, write_id=write_id)

    @overload
    async def get(self, id: str, *, last: int | None = None) -> Session[Any]: ...
    @overload
    async def get(self, id: str, *, last: int | None = None, message_type: type[MessageT]) -> Session[MessageT]: ...
    async def get(self, id: str, *, last: int | None = None, message_type: Any = None) -> Session[Any]:
        """Return the session with its visible events, or the newest `last`. Raises SessionNotFound."""
        session = await self._store.get(id, last=last, message_type=message_type)
        if session is None:
            raise SessionNotFound(id)
        return session

    async def get_or_create(self, id: str, *, last: int | None = None, parent_id: str | None = None) -> Session[Any]:
        """Return the session of this id, or create it; two callers at once get the same one.

        Raises InvalidSessionOperation when it exists below another parent.
        """
        return await open_session(self._store, id, parent=parent_id, last=last)

    async def append(
        self,
        session: Session[Any] | str,
        *events: SessionEvent[Any],
        expected_revision: int | None = None,
        on_repeat: RepeatPolicy = "refuse",
    ) -> list[SessionEvent[Any]]:
        """Append events at a cost that does not grow with the session; return them as stored, with their `seq`.

        `on_repeat` says what is done about an id that is stored already with other content: see SessionStore.
        """
        return await self._store.append(session, *events, expected_revision=expected_revision, on_repeat=on_repeat)

    async def save(self, session: Session[Any], *, expected_revision: int | None = None) -> None:
        """Commit what changed since the session was read, or create it; see SessionStore.save."""
        await self._store.save(session, expected_revision=expected_revision)

    async def retract(
        self,
        session: Session[Any] | str,
        *event_ids: str,
        last: int | None = None,
        after: int | None = None,
        write_id: str | None = None,
    ) -> list[SessionEvent[Any]]:
        """Hide events and return those this call hid, oldest first; see SessionStore.retract."""
        return await self._store.retract(session, *event_ids, last=last, after=after, write_id=write_id)

    async def edit(self, id: str, change: SessionEdit, *, last: int | None = 0) -> Session[Any]:
        """Run `change(session)`, plain or async, on a fresh read and save it guarded; return what was saved.

        After a conflict it runs again, on the next fresh read, up to 8 times in all; then SessionConflict.
        The read brings no events unless `last` asks for them. When the store became unavailable meanwhile,
        the change may have been saved: run it again only if it may be made twice.
        """
        for attempt in range(1, EDIT_TRIES):
            try:
                return await self._edit_once(id, change, last)
            except SessionConflict:
                await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))
        return await self._edit_once(id, change, last)

    async def delete(
        self,
        session: Session[Any] | str,
        *,
        children: ChildPolicy = "refuse",
        expected_revision: int | None = None,
    ) -> None:
        """Delete the session, and with `cascade` all below it; absent is fine. Nothing brings it back.

        `refuse` raises InvalidSessionOperation when it has children. `expected_revision` guards the session itself,
        not those below it: SessionConflict, and nothing is deleted, when it has another one by then.
        """
        await self._store.delete(session, children=children, expected_revision=expected_revision)

    async def cut_damaged_tail(self, id: str) -> int:
        """Go on without the damaged end of a session; see SessionStore.cut_damaged_tail. Returns how many bytes."""
        return await self._store.cut_damaged_tail(id)

    async def list_sessions(self, prefix: str = "") -> list[str]:
        """Return all ids that start with `prefix`, in the store's own stable order."""
        return await self._store.list_sessions(prefix)

    def iter_sessions(
        self, prefix: str = "", *, roots_only: bool = False, page_size: int = 100
    ) -> AsyncGenerator[str, None]:
        """Iterate over all ids, a page at a time."""
        return self._store.iter_sessions(prefix, roots_only=roots_only, page_size=page_size)

    async def runs(self, id: str) -> list[SessionRun]:
        """Return all runs, in the order they were first committed. Raises SessionNotFound."""
        return await self._store.runs(id)

    async def children(self, id: str) -> list[str]:
        """Return all child ids in creation order. Raises SessionNotFound."""
        return await self._store.children(id)

    def follow(self, id: str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one; see SessionStore.follow."""
        return self._store.follow(id, after=after)

    async def usage(self, id: str, *, tree: bool = False) -> TokenSummary:
        """Return what the session spent, with `tree` what it and all below it spent."""
        return await self._store.usage(id, tree=tree)

    async def context_size(self, id: str) -> int | None:
        """Return the tokens of the newest request, input and output; see ActiveSession.context_size."""
        return await context_size(self._store, id)

    async def aclose(self) -> None:
        """Close the store if this manager opened it."""
        if self._owns_store:
            await self._store.aclose()

    async def _edit_once(self, id: str, change: SessionEdit, last: int | None) -> Session[Any]:
        session = await self.get(id, last=last)
        outcome = change(session)
        if inspect.isawaitable(outcome):
            await outcome
        await self._store.save(session, expected_revision=session.revision)
        return session
