"""LogReadingVerbs: what is in the log of an open session: its events, its newest part, its state."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, TypeVar, Unpack, overload

from a2a_session_manager.active.base import ActiveBase
from a2a_session_manager.active.state_view import StateView
from a2a_session_manager.context.conversion import MessageFormat
from a2a_session_manager.context.tail import context_size
from a2a_session_manager.context.window import MessageWindow, message_window
from a2a_session_manager.models.event_filter import EventFilters
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.tokens.counting import TokenCounter

MessageT = TypeVar("MessageT")


class LogReadingVerbs(ActiveBase):
    """What the session holds, that of other writers included."""

    @property
    def state(self) -> Mapping[str, Any]:
        """The state as it was last read or written here, as a read-only copy; `set_state` changes it."""
        return StateView(self.session.state)

    async def window(
        self,
        *,
        max_tokens: int | None = None,
        model: str | None = None,
        counter: TokenCounter | None = None,
        format: MessageFormat | None = None,
        compacted: bool = True,
    ) -> MessageWindow:
        """Return the newest part of the conversation that takes at most `max_tokens` of a prompt for `model`.

        The system messages at the start stay, and the summary of a compaction. To them come whole turns, from the
        newest to the first that does not fit: what the user says, with all that follows to where the user speaks again.
        Of a turn that alone takes more, what is asked stays, with the newest exchanges that fit. The definitions of
        tools are not counted.

        Args:
            max_tokens: None returns the whole conversation.
            model: the model's name, which decides about the tokenizer. Without it, the count is an estimate.
            counter: counts the tokens in place of the library's own TiktokenCounter; see MediaTokens for pictures and
                other media.
            format, compacted: see ActiveSession.messages.

        Raises InvalidSessionOperation when the system messages, what the user asks and the newest exchange take more.
        """
        return await message_window(
            self._store,
            self.session,
            max_tokens=max_tokens,
            model=model,
            counter=counter,
            format=format,
            compacted=compacted,
        )

    async def context_size(self) -> int | None:
        """Return the input and output tokens of the newest request, which is how full the model's context is.

        That is not what was spent; see `usage`. None before the first usage, when the newest usage is a sum of several
        requests, and after a compaction until the next request has told.
        """
        return await context_size(self._store, self.session)

    @overload
    async def events(
        self,
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
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]: ...
    async def events(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
        **which: Unpack[EventFilters],
    ) -> list[SessionEvent[Any]]:
        """Return the visible events with a seq above `after`, oldest first, and at most the first `limit` of them.

        With `include_retracted`, the hidden ones come as well, marked `retracted`. `message_type` is the type to read
        messages as, such as a pydantic model; a message that does not fit it stays plain JSON, and its event's
        `message_error` says why. `which` are filters, `type`, `source`, `run`, `since` and `until`: they leave out all
        events but those that fit each that is given; see EventFilters.
        """
        return await self._store.events(
            self.session,
            after=after,
            limit=limit,
            include_retracted=include_retracted,
            message_type=message_type,
            **which,
        )

    @overload
    async def events_by_id(
        self, *event_ids: str, message_type: type[MessageT]
    ) -> list[SessionEvent[MessageT] | None]: ...
    @overload
    async def events_by_id(self, *event_ids: str, message_type: Any = None) -> list[SessionEvent[Any] | None]: ...
    async def events_by_id(self, *event_ids: str, message_type: Any = None) -> list[SessionEvent[Any] | None]:
        """Return the events of `event_ids` in the order given, None for each one that was never appended.

        A hidden event comes as well, marked `retracted`. `message_type` is that of `events`.
        """
        return await self._store.events_by_id(self.session, *event_ids, message_type=message_type)

    def follow(self, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one as it is committed; see SessionStore.follow."""
        return self._store.follow(self.session, after=after)
