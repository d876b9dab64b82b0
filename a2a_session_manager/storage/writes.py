"""How a commit is sent: its conflict is completed, and of its events those that are stored already answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import SessionConflict
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models import sync_state
from a2a_session_manager.models.session_event import SessionEvent, with_seq
from a2a_session_manager.storage import conflicts, following, repeats
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.records import (
    Creation,
    EncodedCommit,
    EventsKnown,
    Receipt,
    SessionKey,
    StoredRetraction,
)
from a2a_session_manager.storage.session_sync import place_events


async def send(
    backend: Backend,
    key: SessionKey,
    limits: StoreLimits,
    commit: EncodedCommit,
    events: Sequence[SessionEvent[Any]],
    *,
    creation: Creation | None = None,
    keeps: bool = False,
) -> tuple[Receipt, list[SessionEvent[Any]]]:
    """Send `commit`, which brings `events`; return its receipt and the events as they are stored.

    With `creation`, it is the one that creates the session. With `keeps`, what is stored under the id of an event
    counts, whatever it says; without, other content raises InvalidEvent. Raises SessionConflict with what was missed.
    """

    answer: Receipt | EventsKnown | None = None
    if len(events) <= 1 or not repeats.has_twins(commit.events):
        try:
            answer = await _write(backend, key, limits, creation, commit)
        except EventsKnown as known:
            answer = known
        else:
            if not (answer.is_repeat and events):
                few = len(events) <= sync_state.EVENTS_AT_ONCE
                return answer, [*map(with_seq, events, answer.seqs)] if few else await place_events(events, answer)
    known_before = repeats.Repeats(backend, key, limits, commit, events, keeps=keeps)
    return await known_before.send(partial(_write, backend, key, limits, creation), answer)


async def _write(
    backend: Backend, key: SessionKey, limits: StoreLimits, creation: Creation | None, commit: EncodedCommit
) -> Receipt:
    """Have the commit written, and finish it, however the caller is cancelled."""
    try:
        begun = backend.commit(key, commit) if creation is None else backend.create(key, creation, commit)
        return await finish(begun, patience=limits.cancel_seconds)
    except SessionConflict as conflict:
        await conflicts.add_missed_events(conflict, backend, key, limits)
        raise


async def hidden_events(
    backend: Backend, key: SessionKey, limits: StoreLimits, receipt: Receipt
) -> list[SessionEvent[Any]]:
    """Return the events that a commit hid, oldest first."""
    retraction = StoredRetraction(receipt.revision, receipt.last_seq, tuple(receipt.hidden))
    return [event async for event in following.read_ranges(backend, key, limits, retraction)]
