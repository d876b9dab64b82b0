"""Compaction: a summary takes the place of what was said, in views; the log stays as it is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from typing import Any, Final

from a2a_session_manager.context.compacted import placed, summary_messages
from a2a_session_manager.context.conversion import shape_of_format
from a2a_session_manager.context.covering import Before, Covering, Wishes, covering
from a2a_session_manager.context.messages import message_from_event
from a2a_session_manager.context.prompt import prompt_of, said_in, view_of
from a2a_session_manager.context.reading import newest_messages, worked
from a2a_session_manager.context.summaries import Summarised, Summarizer, summarised
from a2a_session_manager.context.tail import newest
from a2a_session_manager.context.view import MessageView
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.models import arguments
from a2a_session_manager.models.compaction import Compaction, compaction_in
from a2a_session_manager.models.event_message import MessageColumns, message_of
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.protocols import ReadableStore, SessionStore
from a2a_session_manager.tokens.chat import PromptCounter, count_message
from a2a_session_manager.tokens.counting import TokenCounter, counting

# Each try costs a request: events that are retracted each time while they are summarised are somebody's loop.
_TRIES: Final = 3
# More are looked through in a thread: it would hold up the loop.
_MESSAGES_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class CompactionRequest:
    """What a compaction is to do; see ActiveSession.compact for each field."""

    summarize: Summarizer
    keep: int = 0
    format: str | None = None
    budget: int | None = None
    max_tokens: int | None = None
    minimum_gain: int = 1
    model: str | None = None
    counter: TokenCounter | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.summarize):
            raise InvalidSessionOperation(f"summarize={self.summarize!r} is no function: pass one that takes messages")
        for name in ("keep", "minimum_gain"):
            arguments.whole_number(name, getattr(self, name))
        for name in ("budget", "max_tokens"):
            arguments.limit(name, getattr(self, name))
        if self.format is not None:
            shape_of_format(self.format)


class NothingToGainError(InvalidSessionOperation):
    """A compaction would spare nothing, or less than was asked for; nothing was written."""


async def compact_session(store: SessionStore, session: Session[Any], request: CompactionRequest) -> SessionEvent[Any]:
    """Append the summary that `request` asks for, and return its event; see ActiveSession.compact."""
    known = await _known(store, session, request.id)
    if known is not None:
        return known
    for _ in range(_TRIES - 1):
        try:
            return await _compact_once(store, session, request)
        except SessionConflict:
            continue
    return await _compact_once(store, session, request)


async def expanded(
    store: ReadableStore, session: Session[Any], first: int, last: int, format: str | None
) -> MessageView:
    """Return what was said in the events `first` to `last`; see ActiveSession.expand."""
    first, last = arguments.whole_number("first", first), arguments.whole_number("last", last)
    if format is not None:
        shape_of_format(format)
    count = max(last - first + 1, 0)
    events = await store.events(session, after=max(first - 1, 0), limit=count)
    messages = MessageColumns.of(message_of(event) for event in events if (event.seq or 0) <= last)
    return await worked(partial(_view, format=format, session_id=session.id, repair=False), messages)


async def _known(store: SessionStore, session: Session[Any], event_id: str | None) -> SessionEvent[Any] | None:
    """Return the summary that was stored under an id before, so that a retry does not pay for another one."""
    if event_id is None:
        return None
    try:
        # No session gets to this revision: nothing is written, but what is stored answers.
        known = SessionEvent[Any](id=event_id)
        event = (await store.append(session, known, expected_revision=2**50, on_repeat="keep"))[0]
    except SessionConflict:
        return None
    if event.type != EventType.SUMMARY:
        raise InvalidSessionOperation(
            f"session {session.id!r}: id={event_id!r} is that of event {event.seq}, which is no summary: take another "
            "one; nothing was written",
            session_id=session.id,
        )
    return event


async def _compact_once(store: SessionStore, session: Session[Any], request: CompactionRequest) -> SessionEvent[Any]:
    tail = await newest_messages(store, session, last=None)
    before, wishes = await _before(store, session), await _wishes(store, session, request)
    found = await counting(
        partial(covering, placed(tail), tail.messages.seqs, before, wishes),
        request.model or "",
        counter=request.counter,
        is_heavy=len(tail.messages) > _MESSAGES_AT_ONCE,
    )
    if isinstance(found, str):
        _check_is_shown(session, tail.messages)
        raise NothingToGainError(f"session {session.id!r}: {found}; nothing was written", session_id=session.id)
    if found.tokens < request.minimum_gain:  # no summary takes less than nothing
        raise _too_little(session, found.tokens, request)
    view = await worked(partial(_view, format=request.format, session_id=session.id), found.source)
    answer = request.summarize(view)
    made = summarised(await answer if isawaitable(answer) else answer)
    await _check_size(session, request, found, made)
    event = _event(session, request, found, made)
    try:
        return (await store.append(session, event))[0]
    except SessionConflict:
        if made.usage is not None:  # whatever becomes of the next try, this one was paid for
            usage = SessionEvent[Any](source=EventSource.LLM, type=EventType.USAGE, token_usage=made.usage)
            await store.append(session, usage)
        raise


def _check_is_shown(session: Session[Any], messages: MessageColumns) -> None:
    """Refuse a session that has events of others' types alone, as most frameworks' have: no view shows them."""
    own = sorted({str(kind) for kind in messages.types if not isinstance(kind, EventType)})
    if own and all(message_from_event(message) is None for message in messages):
        raise InvalidSessionOperation(
            f"session {session.id!r} has no message that a view shows, but events of the type {', '.join(own)}, which "
            "only those read who write them: let them compact what they keep; nothing was written",
            session_id=session.id,
        )


def _view(events: MessageColumns, *, format: str | None, session_id: str, repair: bool = True) -> MessageView:
    return view_of(prompt_of(said_in(events), format, repair=repair), format, session_id)


async def _before(store: ReadableStore, session: Session[Any]) -> Before:
    """Return the compaction that counts now."""
    shown = await newest_messages(store, session, last=0, compacted=True)
    event = next((each for each in shown.messages if each.seq == shown.compaction), None)
    told = None if event is None else compaction_in(event.type, event.metadata)
    if event is None or told is None:
        return Before()
    plain = event._replace(type=EventType.MESSAGE, metadata={})
    messages = MessageColumns.of(plain._replace(message=message) for message in summary_messages(event))
    return Before(told.first, told.last, told.pins, messages, max(told.generation, 1))


async def _wishes(store: ReadableStore, session: Session[Any], request: CompactionRequest) -> Wishes:
    runs = (await newest(store, session, last=0)).runs
    return Wishes(request.keep, request.budget, {run.id for run in runs if not run.status.is_final})


async def _check_size(session: Session[Any], request: CompactionRequest, found: Covering, made: Summarised) -> None:
    def counted(counter: PromptCounter) -> int:
        return sum(count_message(message, counter)[0] for message in made.messages)

    tokens = await counting(counted, request.model or "", counter=request.counter)
    if request.max_tokens is not None and tokens > request.max_tokens:
        raise _too_long(session, tokens, f"more than max_tokens={request.max_tokens}")
    if tokens >= found.tokens:
        raise _too_long(session, tokens, f"and what it stands for {found.tokens}", NothingToGainError)
    if found.tokens - tokens < request.minimum_gain:
        raise _too_little(session, found.tokens - tokens, request)


def _too_long(
    session: Session[Any], tokens: int, limit: str, kind: type[InvalidSessionOperation] = InvalidSessionOperation
) -> InvalidSessionOperation:
    return kind(
        f"session {session.id!r}: the summary takes {tokens} tokens, {limit}: tell the summariser to be shorter; "
        "nothing was written",
        session_id=session.id,
    )


def _too_little(session: Session[Any], gain: int, request: CompactionRequest) -> NothingToGainError:
    return NothingToGainError(
        f"session {session.id!r}: a compaction would spare {gain} tokens at most, less than "
        f"minimum_gain={request.minimum_gain}; nothing was written",
        session_id=session.id,
    )


def _event(
    session: Session[Any],
    request: CompactionRequest,
    found: Covering,
    made: Summarised,
) -> SessionEvent[Any]:
    compaction = Compaction(
        found.first,
        found.last,
        found.pins,
        session.creation_id or "",
        found.hidden,
        found.events,
        found.generation,
        made.method,
    )
    return SessionEvent(
        id=new_id() if request.id is None else request.id,
        message=made.messages[0] if len(made.messages) == 1 else made.messages,
        source=EventSource.LLM,
        type=EventType.SUMMARY,
        metadata=compaction.as_metadata(),
        token_usage=made.usage,
    )
