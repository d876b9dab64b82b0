"""OpeningVerbs: sessions that are opened, created and forked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from a2a_session_manager.active import ActiveSession
from a2a_session_manager.active.opening import open_session
from a2a_session_manager.context.forking import OpenPolicy, fork_conversation
from a2a_session_manager.manager.base import ManagerBase
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session import Session


class OpeningVerbs(ManagerBase):
    """Sessions to work with: opened for a block, created, or forked from another one."""

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
