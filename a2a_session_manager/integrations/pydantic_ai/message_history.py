"""The message history of a run in and out of any session, without a conversation store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic_ai.messages import ModelMessage

from a2a_session_manager.active.log import ActiveLog
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.integrations.pydantic_ai.border import user_errors
from a2a_session_manager.integrations.pydantic_ai.messages import event_of, is_message, message_of
from a2a_session_manager.models.session_event import SessionEvent


async def append_messages(
    chat: ActiveLog, messages: Iterable[ModelMessage], *, id: str | None = None
) -> list[SessionEvent[Any]]:
    """Append messages in one commit, such as `result.new_messages()`, with the usage of each response.

    `chat` is an open session or run. The ids of the events are derived from `id`, so that a call with the same one
    changes nothing. Raises UserError for what cannot be stored.
    """
    first = new_id() if id is None else id
    with user_errors():
        return await chat.append(
            *(event_of(message, f"{first}:{number}") for number, message in enumerate(messages, 1))
        )


async def message_history(chat: ActiveLog, *, last: int | None = None) -> list[ModelMessage]:
    """Return the messages of a session, for `agent.run(prompt, message_history=…)`; the newest `last`, or all.

    Raises UserError for a message that this release of pydantic-ai cannot read.
    """
    with user_errors():
        events = [event for event in await chat.events() if is_message(event)]
        newest = events if last is None else events[max(len(events) - last, 0) :]
        return [message_of(event, chat.session.id) for event in newest]
