"""How a commit is made and sent: its conflict is completed, and of its events those that are stored already answer."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from a2a_session_manager.concurrency.cancellation import DoneWrite, finish
from a2a_session_manager.exceptions import InvalidSessionOperation, LeaseLost, SessionConflict
from a2a_session_manager.identifiers import shown
from a2a_session_manager.models import sync_state
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.clock import now_micros
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent, names_responses, with_seq
from a2a_session_manager.pricing.pricer import Pricer
from a2a_session_manager.protocols import RepeatPolicy
from a2a_session_manager.serialization.json_check import TooHeavy
from a2a_session_manager.storage import conflicts, leases, repeats
from a2a_session_manager.storage.changed_events import ChangedEvents, read_changed
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, EventsKnown, Receipt
from a2a_session_manager.storage.encoding import encode_at_once, encode_in_thread
from a2a_session_manager.storage.priced_events import brings_usage, priced_events
from a2a_session_manager.storage.session_sync import (
    apply_receipt,
    begin_to_restore,
    is_next_to_hide,
    place_events,
    tag_of,
)
from a2a_session_manager.storage.target import Target

NOTHING_CHANGED: Final = ChangedEvents()


async def commit_change(
    target: Target,
    session: Session[Any] | str,
    events: Sequence[SessionEvent[Any]],
    change: SessionChange | None,
    pricer: Pricer,
    *,
    expected_revision: int | None,
    write_id: str | None = None,
    on_repeat: RepeatPolicy,
) -> tuple[Receipt, list[SessionEvent[Any]], ChangedEvents]:
    """Commit `events` and what else `change` says, and bring the session in step.

    Returns the receipt, the events as they are stored, and those that the commit hid and restored.
    """
    if on_repeat not in ("refuse", "keep"):
        raise InvalidSessionOperation(f"on_repeat={shown(on_repeat)} is unknown: take 'refuse' or 'keep'")
    priced = events
    for event in events:
        if brings_usage(event):
            priced = await priced_events(events, pricer)
            break
    try:  # as encode_commit does; its coroutine would be felt in each append
        commit = encode_at_once(target, priced, change, expected_revision, write_id)
    except TooHeavy:
        commit = await encode_in_thread(target, priced, change, expected_revision, write_id)
    if expected_revision is not None:
        commit.expected_tag = tag_of(session, expected_revision)
    receipt, new = await send(target, commit, priced, keeps=on_repeat == "keep")
    if receipt.hidden or receipt.restored:
        return receipt, new, await _with_changed(target, session, commit, receipt, new)
    # A session that was saved to another place meanwhile knows nothing of this commit.
    if isinstance(session, str) or session.creation_id != target.creation_id:
        return receipt, new, NOTHING_CHANGED
    revision, last_seq, tag, updated_at = receipt.revision, receipt.last_seq, receipt.tag, receipt.updated_at
    may_be_next = change is None and not commit.compactions and receipt.is_change and not receipt.is_recounted
    if not may_be_next or not session._take_next(
        new, revision=revision, last_seq=last_seq, tag=tag, updated_at=updated_at
    ):
        await apply_receipt(session, commit, receipt, new, target)
    return receipt, new, NOTHING_CHANGED


async def _with_changed(
    target: Target,
    session: Session[Any] | str,
    commit: EncodedCommit,
    receipt: Receipt,
    new: Sequence[SessionEvent[Any]],
) -> ChangedEvents:
    """Bring the session in step with a commit that hid or restored events; return these."""
    if isinstance(session, str) or session.creation_id != target.creation_id:
        return await read_changed(target, receipt)
    if is_next_to_hide(session, receipt):
        await apply_receipt(session, commit, receipt, new, target)
        return await read_changed(target, receipt)
    begin_to_restore(session, receipt)
    changed = await read_changed(target, receipt)
    # What the usages of older events added when they came, they do not tell.
    is_recounted = receipt.is_recounted or names_responses(changed.shown)
    now = receipt._replace(hidden=changed.hidden, is_recounted=is_recounted)
    await apply_receipt(session, commit, now, [*new, *changed.shown], target)
    return changed


async def send(
    target: Target,
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
    try:
        if len(events) <= 1 or not repeats.has_twins(commit.events):
            try:
                write = _write(target, creation, commit)
                answer = write.result if isinstance(write, DoneWrite) else await write
            except EventsKnown as known:
                answer = known
            else:
                if not (answer.is_repeat and events):
                    few = len(events) <= sync_state.EVENTS_AT_ONCE
                    return answer, [*map(with_seq, events, answer.seqs)] if few else await place_events(events, answer)
        known_before = repeats.Repeats(target.backend, target.key, target.limits, commit, events, keeps=keeps)
        return await known_before.send(partial(_write, target, creation), answer)
    except SessionConflict as conflict:
        await conflicts.add_missed_events(conflict, target.backend, target.key, target.limits)
        raise


def _write(target: Target, creation: Creation | None, commit: EncodedCommit) -> Awaitable[Receipt]:
    """Begin to write the commit; awaiting it finishes that, however the caller is cancelled."""
    if commit.lease is not None:
        return _write_of_run(target, commit)
    backend, key = target.backend, target.key
    begun = backend.commit(key, commit) if creation is None else backend.create(key, creation, commit)
    return begun if isinstance(begun, DoneWrite) else finish(begun, patience=target.limits.cancel_seconds)


async def _write_of_run(target: Target, commit: EncodedCommit) -> Receipt:
    """Write a commit that claims a lease. Raises LeaseLost, when at least what was paid for is stored."""
    backend, key, limits = target[:3]
    try:
        return await finish(backend.commit(key, commit), patience=limits.cancel_seconds)
    except LeaseLost as lost:
        if not lost.is_usage_stored:  # a backend that leaves this to us, in a second step
            usage = leases.usage_commit(commit, _is_new)
            if usage is not None:
                with suppress(EventsKnown):
                    await finish(backend.commit(key, usage), patience=limits.cancel_seconds)
            lost.is_usage_stored = True
        raise


def _is_new(_: str) -> None:
    """Answer for an event of which it is not known whether it is stored: the backend will say so."""


async def write_claim(target: Target) -> None:
    """Write what the target claims of the lease of a run, and nothing else. Raises RunBusy, LeaseLost."""
    commit = EncodedCommit(written_at=now_micros(), creation_id=target.creation_id, lease=target.lease)
    await _write_of_run(target, commit)
