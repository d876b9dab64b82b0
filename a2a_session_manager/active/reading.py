"""ActiveReader: the verbs that read a session in use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from a2a_session_manager.active.state_view import StateView
from a2a_session_manager.context.messages import ChatMessage, chat_messages
from a2a_session_manager.context.tail import context_size
from a2a_session_manager.context.window import MessageWindow, message_window
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.tokens.counting import TokenCounter

_EVENTS_A_SLICE = 500


class ActiveReader:
    """Reads a session from its store, other writers' events too."""

    def __init__(self, store: SessionStore, session: Session[Any], run_id: str | None = None) -> None:
        self._store = store
        self._run_id = run_id
        self.session = session

    @property
    def state(self) -> Mapping[str, Any]:
        """A read-only copy of the state as last seen here; `set_state` writes. A value is copied when it is read."""
        return StateView(self.session.state)

    async def messages(self, *, max_tokens: int | None = None, model: str | None = None) -> list[ChatMessage]:
        """Return the visible conversation as chat messages, as they were given; with `max_tokens` its newest part.

        See `window`, which also says what was left out.
        """
        if max_tokens is not None:
            return (await self.window(max_tokens=max_tokens, model=model)).messages
        messages: list[ChatMessage] = []
        events = await self._store.events(self.session)
        for start in range(0, len(events), _EVENTS_A_SLICE):
            messages += chat_messages(events[start : start + _EVENTS_A_SLICE])
            await asyncio.sleep(0)  # a long conversation must not hold up the loop
        return messages

    async def window(
        self, *, max_tokens: int | None = None, model: str | None = None, counter: TokenCounter | None = None
    ) -> MessageWindow:
        """Return the newest part of the conversation that takes at most `max_tokens` of a prompt for `model`.

        The system messages at its start stay. Then whole exchanges, newest first, up to the first that does not
        fit: a tool call with all its results, or any other message. Without `model` the count is an estimate;
        definitions of tools are not in it. The same log gives the same window. Raises InvalidSessionOperation
        when the system messages and the newest exchange take more.
        """
        return await message_window(self._store, self.session, max_tokens=max_tokens, model=model, counter=counter)

    async def context_size(self) -> int | None:
        """Return the input and output tokens of the newest request: how full the model's context is by now.

        Not what was spent (`usage`). None before the first usage, and when the newest one sums several requests.
        """
        return await context_size(self._store, self.session)

    async def events(
        self,
        *,
        after: int = 0,
        limit: int | None = None,
        include_retracted: bool = False,
        message_type: Any = None,
    ) -> list[SessionEvent[Any]]:
        """Return visible events with a seq above `after`, oldest first, other writers' too; None as limit: all.

        `include_retracted` brings the hidden ones as well; `message_type`, a pydantic model, is what messages are
        read as.
        """
        return await self._store.events(
            self.session, after=after, limit=limit, include_retracted=include_retracted, message_type=message_type
        )

    async def usage(self, *, tree: bool = False) -> TokenSummary:
        """Return what the session spent, all its runs, with `tree` what it and all below it spent.

        What each run spent is in `by_run` of the session's own.
        """
        return await self._store.usage(self.session, tree=tree)

    def follow(self, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        """Yield every event with a seq above `after`, then each new one; see SessionStore.follow."""
        return self._store.follow(self.session, after=after)
