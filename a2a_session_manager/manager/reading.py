"""ReadingVerbs: what is in a session: its events, runs and usage."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, TypeVar, Unpack, overload

from a2a_session_manager.context.tail import context_size
from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.manager.base import ManagerBase
from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.protocols import EventsPage

MessageT = TypeVar("MessageT")


class ReadingVerbs(ManagerBase):
    """Sessions whose ids are known, and what is in them."""

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

    async def get_many(self, ids: Sequence[str], *, last: int | None = 0) -> list[Session[Any] | None]:
        """Return several sessions in the order of `ids`, None for each one that does not exist.

        Of each, the newest `last` events are loaded: none unless asked for, None loads all.
        """
        return await self._store.get_many(ids, last=last)

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
        """Return the visible events with a seq above `after`, oldest first, and at most the first `limit` of them.

        With `include_retracted`, the hidden ones come as well, marked `retracted`. `message_type` is the type to read
        messages as; see `get`. `which` are filters, `type`, `source`, `run`, `since` and `until`: they leave out all
        events but those that fit each that is given; see EventFilters.
        """
        return await self._store.events(
            session,
            after=after,
            limit=limit,
            include_retracted=include_retracted,
            message_type=message_type,
            **which,
        )

    async def events_page(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int = 100,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> EventsPage:
        """Return a page of the visible events with a seq above `after`, oldest first; see SessionStore.events_page.

        It holds up to `limit` events. With `include_retracted`, the hidden ones come as well, marked `retracted`.
        `which` are the filters of `events`.
        """
        return await self._store.events_page(
            session, after=after, limit=limit, include_retracted=include_retracted, **which
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
        """Return the events of `event_ids` in the order given, None for each one that was never appended.

        A hidden event comes as well, marked `retracted`. `message_type` is that of `get`.
        """
        return await self._store.events_by_id(session, *event_ids, message_type=message_type)

    async def runs(self, id: str) -> list[SessionRun]:
        """Return all runs of the session, in the order they were first committed. Raises SessionNotFound."""
        return await self._store.runs(id)

    def follow(self, id: str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one as it is committed; see SessionStore.follow."""
        return self._store.follow(id, after=after)

    async def usage(self, id: str, *, tree: bool = False) -> TokenSummary:
        """Return the tokens and the cost of the session; with `tree`, the sum of it and all sessions below it."""
        return await self._store.usage(id, tree=tree)

    async def context_size(self, id: str) -> int | None:
        """Return the input and output tokens of the newest request; see ActiveSession.context_size."""
        return await context_size(self._store, id)
