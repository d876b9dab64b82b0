"""The call of a write, which may go on without its caller: the span ends with the write, or with the caller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from a2a_session_manager.concurrency.cancellation import DoneWrite, QueuedWrite
from a2a_session_manager.integrations.opentelemetry.telemetry import ObservedCall
from a2a_session_manager.storage.commit_records import (
    EventsKnown,
)

ResultT = TypeVar("ResultT")


def until_done(
    call: ObservedCall, begin: Callable[[], Awaitable[ResultT]], note: Callable[[Any], object] = lambda _: None
) -> Awaitable[ResultT]:
    """Begin a write and return it; `call` ends with it, or when its caller is cancelled.

    `note` is told the answer: a result, or EventsKnown, which is one as well.
    """
    try:
        write = begin()
    except BaseException as error:
        if isinstance(error, EventsKnown):
            note(error)
        call.end(None if isinstance(error, EventsKnown) else error)
        raise
    if isinstance(write, DoneWrite):
        note(write.result)
        call.end()
        return write
    if isinstance(write, QueuedWrite):
        write.outcome.add_done_callback(partial(_settled, call, note, write))
        return write
    with call.current():
        begun = asyncio.ensure_future(write)  # as the caller of a backend does with each `async def`
    begun.add_done_callback(partial(_settled, call, note, None))
    return begun


def _settled(
    call: ObservedCall, note: Callable[[Any], object], queued: QueuedWrite[Any] | None, outcome: asyncio.Future[Any]
) -> None:
    if not outcome.cancelled():
        call.end(_noted(note, outcome))
        return
    call.end(asyncio.CancelledError())
    if queued is not None and queued.has_begun:  # then it goes on without its caller
        queued.outcome_again().add_done_callback(partial(_noted, note))


def _noted(note: Callable[[Any], object], outcome: asyncio.Future[Any]) -> BaseException | None:
    """Note how a write was answered; return the error that it failed with."""
    if outcome.cancelled():
        return None
    error = outcome.exception()
    if error is not None and not isinstance(error, EventsKnown):
        return error
    note(outcome.result() if error is None else error)
    return None
