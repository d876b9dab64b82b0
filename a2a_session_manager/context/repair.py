"""What is wrong with a stored conversation, and writing once what views assume."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple

from a2a_session_manager.context.arrangement import interrupted
from a2a_session_manager.context.findings import Finding
from a2a_session_manager.context.matching import Matching
from a2a_session_manager.context.messages import event_from_message
from a2a_session_manager.context.prompt import prompt_of, said_in
from a2a_session_manager.context.reading import newest_messages, worked
from a2a_session_manager.context.repeated_usage import repeated_usages
from a2a_session_manager.context.tail import newest
from a2a_session_manager.exceptions import CorruptSession, SessionConflict, SessionNotFound
from a2a_session_manager.models.event_message import EventMessage, MessageColumns
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.protocols import ReadableStore, SessionStore
from a2a_session_manager.shapes import ai_sdk
from a2a_session_manager.shapes.normal_form import Call
from a2a_session_manager.shapes.recognition import BY_NAME

_TRIES: Final = 8
# In the metadata of the events that repairing writes.
REPAIRED: Final = {"repair": "interrupted"}


class OpenToolCall(NamedTuple):
    """A tool call without a result.

    Args:
        call_id: the provider's id of the call; None where its format has none.
        name: the tool's.
        arguments: as they are stored: JSON text in OpenAI's formats, a JSON value in others.
        seq: of the event that holds the call.
        event_id: of that event.
        run_id: of the run that made the call.
    """

    call_id: str | None
    name: str
    arguments: Any
    seq: int
    event_id: str
    run_id: str | None


async def open_calls_of(store: ReadableStore, session: Session[Any] | str) -> list[OpenToolCall]:
    """Return the calls of a session that have no result. Raises SessionNotFound."""
    events = (await newest_messages(store, session, last=None)).messages
    return await worked(open_calls_in, events)


async def findings_of(store: ReadableStore, session_id: str) -> list[Finding]:
    """Return what a view does to messages of the session, runs that have not ended, and usages that came again.

    Raises SessionNotFound.
    """
    events = (await newest_messages(store, session_id, last=None)).messages
    unfinished = [run for run in await store.runs(session_id) if not run.status.is_final]
    found = await worked(_findings, events)
    repeated = await repeated_usages(store, session_id)
    return [*found, *(_unfinished(run, events) for run in unfinished), *repeated]


async def all_findings_of(store: SessionStore) -> AsyncGenerator[tuple[str, list[Finding]], None]:
    """Yield the sessions of a namespace of which there are findings, with these, in the order of ids.

    A damaged one is a finding of its own, and no error.
    """
    async for session_id in store.iter_sessions():
        try:
            found = await findings_of(store, session_id)
        except SessionNotFound:
            continue  # deleted meanwhile
        except CorruptSession as error:
            found = [Finding("damaged", (), str(error))]
        if found:
            yield session_id, found


async def repaired(store: SessionStore, session: Session[Any]) -> list[SessionEvent[Any]]:
    """Append what views assume for the open calls of a session, and return it.

    Raises SessionNotFound, and SessionConflict when others write all the time.
    """
    for attempt in range(_TRIES):
        revision = (await newest(store, session, last=0)).revision
        results = await worked(results_for, (await newest_messages(store, session, last=None)).messages)
        if not results:
            return []
        try:
            return await store.append(session, *results, expected_revision=revision)
        except SessionConflict:  # a result may have come meanwhile
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable")


def _matched(events: MessageColumns) -> tuple[Matching, dict[int, EventMessage]]:
    return Matching(said_in(events)).finish(), {each.seq: each for each in events}


def open_calls_in(events: MessageColumns) -> list[OpenToolCall]:
    """Return the calls among these messages that have no result among them."""
    matching, by_seq = _matched(events)
    return [_open_call(each.call, by_seq[matching.said.seqs[each.at]]) for each in matching.open_calls()]


def _findings(events: MessageColumns) -> list[Finding]:
    return prompt_of(said_in(events), None).findings


def _open_call(call: Call, event: EventMessage) -> OpenToolCall:
    return OpenToolCall(call.id, call.name, call.arguments, event.seq, event.id, event.task_id)


def results_for(events: MessageColumns) -> list[SessionEvent[Any]]:
    """Return the events that answer the open calls among these messages.

    Their ids are new each time: once retracted, an event is never written again under its id.
    """
    matching, by_seq = _matched(events)
    results: list[SessionEvent[Any]] = []
    for each in matching.open_calls():
        event, shape = by_seq[matching.said.seqs[each.at]], BY_NAME[matching.read[each.at].shape]
        if shape.holds_results:  # the call's message is stored, and its results come in messages of their own
            shape = ai_sdk.SHAPE
        messages = shape.write(interrupted(each.call, shape.name), [])
        results += (event_from_message(message, task_id=event.task_id, metadata=dict(REPAIRED)) for message in messages)
    return results


def _unfinished(run: SessionRun, events: MessageColumns) -> Finding:
    seqs = tuple(each.seq for each in events if each.task_id == run.id)
    return Finding("unfinished_run", seqs[-1:], f"run {run.id!r} is {run.status}: it has not ended")
