"""The message history of a run in and out of any session, without a conversation store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic_ai.messages import ModelMessage

from a2a_session_manager.active.log import ActiveLog
from a2a_session_manager.context.compacted import placed
from a2a_session_manager.context.reading import newest_messages
from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.integrations.pydantic_ai.border import user_errors
from a2a_session_manager.integrations.pydantic_ai.messages import event_of, is_message, message_of
from a2a_session_manager.models.event_message import EventMessage
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.shapes import pydantic_ai
from a2a_session_manager.shapes.recognition import read_message
from a2a_session_manager.shapes.shape import Losses


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


async def message_history(chat: ActiveLog, *, last: int | None = None, compacted: bool = True) -> list[ModelMessage]:
    """Return the messages of a session, for `agent.run(prompt, message_history=…)`; the newest `last`, or all.

    A summary stands in the place of what it stands for, unless `compacted` is False. Raises UserError for a message
    that this release of pydantic-ai cannot read, and for a summary that it cannot hold.
    """
    with user_errors():
        tail = await newest_messages(chat._store, chat.session, last=None, compacted=compacted)
        found = [
            _message(event, chat.session.id)
            for event in (placed(tail) if compacted else tail.messages)
            if is_message(event) or event.seq == tail.compaction
        ]
        return found if last is None else found[max(len(found) - last, 0) :]


def _message(event: EventMessage, session_id: str) -> ModelMessage:
    if is_message(event):
        return message_of(event, session_id)
    losses: Losses = []
    written = pydantic_ai.SHAPE.write(read_message(event.message), losses)
    if losses or len(written) != 1:
        raise InvalidSessionOperation(
            f"session {session_id!r}: the summary in event {event.seq} says what pydantic-ai has no message for: pass "
            "compacted=False for what was said itself, or let a text be the summary",
            session_id=session_id,
        )
    return message_of(event._replace(message=written[0]), session_id)
