"""SessionManager: what applications use. It opens stores, sessions and namespaces."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar, overload

from anyio.abc import AsyncResource

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.active.opening import open_session
from a2a_session_manager.active.titles import TitleBy, set_title
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.forking import OpenPolicy, fork_conversation
from a2a_session_manager.context.repair import all_findings_of, findings_of, repaired
from a2a_session_manager.context.tail import context_size
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.limits import DEFAULT_LIMITS, StoreLimits
from a2a_session_manager.manager.moving import MovingVerbs
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, Pricer
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.provider import SessionStoreProvider
from a2a_session_manager.storage.url import store_from_url

MessageT = TypeVar("MessageT")
SessionEdit = Callable[[Session[Any]], Awaitable[None] | None]

EDIT_TRIES = 8
_FIRST_PAUSE_SECONDS = 0.005


class SessionManager(MovingVerbs, AsyncResource):
    """The sessions of one store: of `store`, or of SessionStoreProvider's current one when that is None.

    Its verbs are the store's, and `open`, `edit` and some more besides. They raise what SessionStore says, and `get`
    raises SessionNotFound where the store's `get` returns None. `aclose`, and `async with`, close only a store that the
    manager has opened, which is one made by `from_url`.
    """

    def __init__(self, store: SessionStore | None = None) -> None:
        if isinstance(store, str):
            raise InvalidSessionOperation("SessionManager takes a store: for a URL, SessionManager.from_url(…)")
        super().__init__(SessionStoreProvider.get_store() if store is None else store)
        self._owns_store = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {getattr(self, '_store', None)!r}>"

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        limits: StoreLimits = DEFAULT_LIMITS,
        pricer: Pricer = DEFAULT_PRICER,
        indexed: Sequence[str] = (),
    ) -> Self:
        """Return a manager that opens and closes a store of its own.

        `url` is such as `memory:`, `file:./sessions` or `redis://localhost:6379/0`; see `store_from_url`. `limits` says
        how large events and commits may be. `pricer` gives a usage without a cost one when it is stored, such as
        `ListPricer({"our-model": Prices(…)})`. `indexed` are the properties that `page` and `count` find sessions by,
        such as `("owner",)`. Raises InvalidSessionOperation for a bad URL.
        """
        manager = cls(store_from_url(url, limits=limits, pricer=pricer, indexed=indexed))
        manager._owns_store = True
        return manager

    def namespace(self, name: str) -> Self:
        """Return a manager of one namespace, over the same store; it needs no closing.

        `name` is anything that an id may be. On a manager of a namespace it names one inside that, up to 8 deep; "" is
        the namespace of the manager itself. Raises InvalidSessionOperation for anything else.
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
        """Open the session of this id, or create it, for `async with`: the block gets an ActiveSession.

        Leaving the block closes nothing and saves nothing, as each verb of the ActiveSession has written by itself.

        Args:
            id: None creates a session with a random id.
            last: how many of the newest events are read into `chat.session`; None reads all. `messages()` and
                `window()` read what they need, whatever was read here.
            parent_id: the session that a new one is put below.
            properties: those of a new session; one that exists keeps its own.

        Raises InvalidSessionOperation when the session exists below another parent than `parent_id`.
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
        expires: bool = True,
    ) -> Session[Any]:
        """Create a session, and return it.

        `id=None` makes a random one. `parent_id` puts the session below another one, for good; `state` and `properties`
        are what it begins with. `write_id` needs an `id`: creating again with both returns what the first call created.
        With `expires=False`, it stays until it is deleted, though others of the store expire by its
        `expiration_seconds`; those made below it do, unless that is said of them, too. Raises SessionAlreadyExists when
        the id is taken, SessionNotFound when there is no such parent, and InvalidSessionOperation for `expires=False`
        below a parent that expires.
        """
        change = SessionChange(
            set_state={} if state is None else state, set_properties={} if properties is None else properties
        )
        return await self._store.create(id, parent_id=parent_id, change=change, write_id=write_id, expires=expires)

    async def fork(
        self,
        id: str,
        *,
        at: int | str | None = None,
        new_id: str | None = None,
        on_open: OpenPolicy = "refuse",
        properties: Mapping[str, Any] | None = None,
        detached: bool = False,
    ) -> Session[Any]:
        """Create a session that goes on from an event of this one, the original intact, and return its head.

        Nothing is copied, so it takes as long whatever the length. The fork shows the events up to `at` under their
        ids and seqs, with what is hidden, the compactions, the state and the properties as they are now; what either
        does from here on, the other never shows. Its usage begins at 0. See SessionStore.fork.

        To edit a message and have it answered anew, fork at the event before it and say something else.

        Args:
            at: the seq or the id of a visible event, which is the last one that the fork shares. None means the newest.
            new_id: the id of the fork; None makes a random one. A retry with it returns the same fork.
            on_open: what to do about tool calls that have no result up to `at`, among the 16 newest messages there, or
                further back while only results follow: "refuse" them by name, or let the fork begin with results that
                say "interrupted".
            properties: those that the fork has beside the source's, or in their place.
            detached: copy the events into a new root instead, which needs its source no more; what they used was spent
                in the source. It takes as long as they are many; the property `copied_from` says whether it is `whole`,
                and a call with the same `new_id` goes on with a copy that is not.

        Raises InvalidSessionOperation for an event that is not there, hidden, or inside an exchange, and for a fork
        that would be deeper than 256 levels; SessionAlreadyExists when `new_id` is taken by anything else.
        """
        return await fork_conversation(
            self._store, id, at=at, new_id=new_id, on_open=on_open, properties=properties, detached=detached
        )

    @overload
    async def get(self, id: str, *, last: int | None = None) -> Session[Any]: ...
    @overload
    async def get(self, id: str, *, last: int | None = None, message_type: type[MessageT]) -> Session[MessageT]: ...
    async def get(self, id: str, *, last: int | None = None, message_type: Any = None) -> Session[Any]:
        """Return the session with its visible events, oldest first.

        `last=n` loads only the newest n events, 0 none; see SessionStore.get. `message_type` is the type to read
        messages as, such as a pydantic model; a message that does not fit it stays plain JSON, and its event's
        `message_error` says why. Raises SessionNotFound.
        """
        session = await self._store.get(id, last=last, message_type=message_type)
        if session is None:
            raise SessionNotFound(id)
        return session

    async def get_or_create(
        self,
        id: str,
        *,
        last: int | None = None,
        parent_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
    ) -> Session[Any]:
        """Return the session of this id, or create it; two callers at once get the same one.

        Of one that exists, the newest `last` events are loaded, all of them by default. A new one is put below
        `parent_id`, and `properties` are its own; one that exists keeps those that it has. Raises
        InvalidSessionOperation when the session exists below another parent.
        """
        change = SessionChange(set_properties={} if properties is None else properties)
        return await open_session(self._store, id, parent=parent_id, last=last, change=change)

    async def set_properties(
        self,
        session: Session[Any] | str,
        values: Mapping[str, Any] | None = None,
        /,
        *,
        write_id: str | None = None,
        **keys: Any,
    ) -> None:
        """Set properties, given as `values` or as keyword arguments, each as a whole; other keys stay.

        A session does not count as active by it: its `updated_at` stays. A retry with the same `write_id` undoes
        nothing that others have set since. A key that is called `write_id` goes into `values`.
        """
        given = {} if values is None else arguments.values("values", values)
        await self._store.commit(session, SessionChange(set_properties={**given, **keys}), write_id=write_id)

    async def unset_properties(self, session: Session[Any] | str, *keys: str, write_id: str | None = None) -> None:
        """Remove `keys` from the properties; one that is not there is fine. A retry takes the same `write_id`."""
        await self._store.commit(session, SessionChange(unset_properties=keys), write_id=write_id)

    async def set_title(
        self, session: Session[Any] | str, text: str, *, by: TitleBy = "user", write_id: str | None = None
    ) -> bool:
        """Set the title, unless a stronger one is there; return whether it was set. See ActiveSession.set_title."""
        return await set_title(self._store, session, text, by=by, write_id=write_id)

    async def edit(self, id: str, change: SessionEdit, *, last: int | None = 0) -> Session[Any]:
        """Read the session, call `change(session)`, and save what it changed; return what was saved.

        `change` is a plain or an async function. When somebody else commits meanwhile, it is called again on a fresh
        read, up to 8 times in all; then SessionConflict is raised. The read loads the newest `last` events, none unless
        asked for. After StoreUnavailable the change may have been saved: edit again only if it may be made twice.
        """
        for attempt in range(1, EDIT_TRIES):
            try:
                return await self._edit_once(id, change, last)
            except SessionConflict:
                await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))
        return await self._edit_once(id, change, last)

    async def context_size(self, id: str) -> int | None:
        """Return the input and output tokens of the newest request; see ActiveSession.context_size."""
        return await context_size(self._store, id)

    async def check(self, id: str) -> list[Finding]:
        """Return what a model would not be given as it is stored, and more that is not as it looks.

        That is what `ActiveSession.check` returns, and nothing is written.
        An empty list says that the conversation is sound. Raises SessionNotFound.
        """
        return await findings_of(self.store, id)

    def check_all(self) -> AsyncGenerator[tuple[str, list[Finding]], None]:
        """Yield each session of the namespace of which `check` has findings, as its id and these.

        They come in the order of ids. A damaged session is yielded with a finding `damaged`. Every session is read as a
        whole, one at a time.
        """
        return all_findings_of(self.store)

    async def repair(self, id: str) -> list[SessionEvent[Any]]:
        """Append a result that says "interrupted" to each open call, as views show it, and return these events.

        Doing it twice changes nothing. Raises SessionNotFound.
        """
        return await repaired(self.store, await self.get(id, last=0))

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
