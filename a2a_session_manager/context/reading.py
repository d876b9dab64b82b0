"""Reading what a prompt is made of: the messages of a session, newest last, from any store."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeGuard, TypeVar

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.context.compacted import compacted_tail, placed
from a2a_session_manager.context.conversion import shape_of_format
from a2a_session_manager.context.prompt import prompt_of, said_in, view_at_once, view_of
from a2a_session_manager.context.tail import newest
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.models.event_message import EventMessage, MessageColumns, MessageTail, message_of
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session import Session
from a2a_session_manager.protocols import MessageReader, ReadableStore

T = TypeVar("T")

# More take longer than the loop may be held up for: where any has to be looked into, and where none has.
_MESSAGES_AT_ONCE: Final = 500
_IN_PLACE_AT_ONCE: Final = 2_000
_FIRST_MESSAGES: Final = 2


async def newest_messages(
    store: ReadableStore, session: Session[Any] | str, *, last: int | None, compacted: bool = False
) -> MessageTail:
    """Return the newest `last` visible messages of a session, None for all, as MessageReader does.

    Raises SessionNotFound.
    """
    if _reads_messages(store):
        if not compacted:
            return await store.read_messages(session, last=last)
        return await store.read_messages(session, last=last, compacted=True)
    found = await newest(store, session, last=last)
    messages = MessageColumns.of(map(message_of, found.events))
    if not compacted or EventType.SUMMARY not in messages.types:
        return MessageTail(messages, found.earlier_events)
    if found.earlier_events:
        found = await newest(store, session, last=None)
        messages = MessageColumns.of(map(message_of, found.events))
    inherited = 0 if found.forked_from is None else found.forked_from.seq
    return compacted_tail(messages, found.creation_id, inherited=inherited)


async def conversation(
    store: ReadableStore,
    session: Session[Any],
    *,
    format: str | None,
    repair: bool = True,
    compacted: bool = True,
    run_id: str | None = None,
) -> MessageView:
    """Return the whole visible conversation, with `run_id` that of one run alone; see ActiveSession.messages.

    What is one run's, and the log as it is, come without summaries of what they stand for. Raises SessionNotFound,
    InvalidSessionOperation for an unknown format.
    """
    if format is not None:
        shape_of_format(format)
    is_compacted = compacted and repair and run_id is None
    tail = await newest_messages(store, session, last=None, compacted=is_compacted)
    events = placed(tail) if repair else tail.messages
    if run_id is not None:
        events = events.where([each == run_id for each in events.task_ids])
    if repair and format is None and _MESSAGES_AT_ONCE < len(events) <= _IN_PLACE_AT_ONCE:
        found = view_at_once(events, session.id, compaction=tail.compaction)
        if found is not None:
            return found
    view = partial(_view, session_id=session.id, format=format, repair=repair, compaction=tail.compaction)
    return await worked(view, events)


async def worked(work: Callable[[MessageColumns], T], events: MessageColumns) -> T:
    """Return `work(events)`, done in a thread where it would hold up the loop."""
    return work(events) if len(events) <= _MESSAGES_AT_ONCE else await in_thread(work, events)


async def first_messages(store: ReadableStore, session: Session[Any] | str, *, after: int = 0) -> list[EventMessage]:
    """Return the few oldest visible messages with a seq above `after`, none after the last one."""
    events = await store.events(session, after=after, limit=_FIRST_MESSAGES)
    return [message_of(event) for event in events]


def _view(
    events: MessageColumns, *, session_id: str, format: str | None, repair: bool, compaction: int | None
) -> MessageView:
    at_once = view_at_once(events, session_id, compaction=compaction) if repair and format is None else None
    if at_once is not None:
        return at_once
    found = prompt_of(said_in(events), format, repair=repair, summary=compaction)
    return view_of(found, format, session_id, compaction=compaction)


def _reads_messages(store: ReadableStore) -> TypeGuard[MessageReader]:
    return hasattr(store, "read_messages")  # `isinstance` with a protocol takes forty times as long
