"""ReadableStore: what a store promises of reading sessions, their events, runs and usage."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any, Protocol, TypeVar, Unpack, overload, runtime_checkable

from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.event_message import MessageTail
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.protocols.pages import EventsPage

MessageT = TypeVar("MessageT")


class ReadableStore(Protocol):
    """Gives sessions whose ids are known. SessionStore says what the parameters and errors of all verbs mean."""

    @overload
    async def get(self, session_id: str, *, last: int | None = None) -> Session[Any] | None: ...
    @overload
    async def get(
        self, session_id: str, *, last: int | None = None, message_type: type[MessageT]
    ) -> Session[MessageT] | None: ...
    async def get(self, session_id: str, *, last: int | None = None, message_type: Any = None) -> Session[Any] | None:
        """Return the session with its visible events, oldest first; None when there is no such session.

        `last=n` loads only the newest n events, and of the rest what stays small: the unfinished runs and the 20
        newest, and no child ids. `message_type` is the type to read messages as, such as a pydantic model; a message
        that does not fit it stays plain JSON, and its event's `message_error` says why.
        """

    async def get_many(self, session_ids: Sequence[str], *, last: int | None = 0) -> list[Session[Any] | None]:
        """Return several sessions in the order of `session_ids`, None for each one that does not exist.

        Of each, the newest `last` events are loaded: none unless asked for, None loads all.
        """

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
        events but those that fit each that is given; see EventFilters. They are applied page by page, so what is left
        out takes no memory; but it is read, however much it is.
        """

    async def events_page(
        self,
        session: Session[Any] | str,
        *,
        after: int = 0,
        limit: int = 100,
        include_retracted: bool = False,
        **which: Unpack[EventFilters],
    ) -> EventsPage:
        """Return a page of the visible events with a seq above `after`, oldest first.

        A page holds up to `limit` events, and fewer when they are large (`StoreLimits.page_bytes`), at least one. Its
        `next_after` is the `after` of the next page. With `include_retracted`, the hidden events come as well, marked
        `retracted`. `which` are the filters of `events`; a page holds `limit` events that fit, unless there are no
        more.
        """

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

        A hidden event comes as well, marked `retracted`. `message_type` is the type to read messages as; see `get`.
        """

    async def runs(self, session_id: str) -> list[SessionRun]:
        """Return all runs of the session, in the order they were first committed."""

    async def usage(self, session: Session[Any] | str, *, tree: bool = False) -> TokenSummary:
        """Return the tokens and the cost of the session; with `tree`, the sum of it and all sessions below it.

        What each run spent is in `by_run`, for the session alone. The tree of a root includes what sessions spent that
        are deleted by now; the tree of any other session does not.
        """

    def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one as it is committed, without gap or repetition.

        It never ends by itself. A retraction is yielded in its place among the events, as the hidden event with
        `retracted=True`, and so is a restoration, as the event that is visible again with `restored=True`; one that was
        made right after the event `after` may be yielded once more on resuming there.

        Raises SessionNotFound when the session is deleted or expires, SessionConflict when it goes back in time (a
        restore, a failover that lost commits) or never had an event `after`, StoreUnavailable when the store is closed.
        """


@runtime_checkable
class MessageReader(Protocol):
    """A store that can read messages without their events, as prompts need them. From other stores, events are read."""

    async def read_messages(
        self, session: Session[Any] | str, *, last: int | None = None, compacted: bool = False
    ) -> MessageTail:
        """Return the messages of the newest `last` visible events, oldest first; None returns all, 0 none.

        With `compacted`, what the compaction in force covers is not among them; what stands before that and is not
        covered, and the summaries, always are.

        The caller may change the messages, but not their metadata, which several may share. Raises SessionNotFound,
        CorruptSession for a damaged event, as `events` does, and StoreUnavailable.
        """
        ...
