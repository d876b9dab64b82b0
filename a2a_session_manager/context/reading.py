"""Reading what a prompt is made of: the messages of a session, newest last, from any store."""

from __future__ import annotations

from typing import Any, TypeGuard

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.context.messages import ChatMessage, chat_messages_of
from a2a_session_manager.context.tail import newest
from a2a_session_manager.models.event_message import EventMessage, MessageColumns, MessageTail, message_of
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import MessageReader, SessionStore

_MESSAGES_A_SLICE = 500
_FIRST_MESSAGES = 8


async def newest_messages(store: SessionStore, session: Session[Any] | str, *, last: int | None) -> MessageTail:
    """Return the newest `last` visible messages of a session, None for all. Raises SessionNotFound."""
    if _reads_messages(store):
        return await store.read_messages(session, last=last)
    found = await newest(store, session, last=last)
    return MessageTail(MessageColumns.of(map(message_of, found.events)), found.earlier_events)


async def conversation(store: SessionStore, session: Session[Any] | str) -> list[ChatMessage]:
    """Return the whole visible conversation as chat messages. Raises SessionNotFound."""
    found = (await newest_messages(store, session, last=None)).messages
    messages: list[ChatMessage] = []
    slices = Slices()
    for start in range(0, len(found), _MESSAGES_A_SLICE):
        messages += chat_messages_of(found[start : start + _MESSAGES_A_SLICE])
        if slices.is_over():
            await slices.give_way()
    return messages


async def first_messages(store: SessionStore, session: Session[Any] | str, *, after: int = 0) -> list[EventMessage]:
    """Return the few oldest visible messages with a seq above `after`, none after the last one."""
    events = await store.events(session, after=after, limit=_FIRST_MESSAGES)
    return [message_of(event) for event in events]


def _reads_messages(store: SessionStore) -> TypeGuard[MessageReader]:
    return hasattr(store, "read_messages")  # `isinstance` with a protocol takes forty times as long
