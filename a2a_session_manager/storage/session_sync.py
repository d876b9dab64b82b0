"""Bringing a session in step with its store after a commit that went through it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.models import sync_state
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent, spent_by, with_seq
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.sync_state import SyncState
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.known_events import hide, holds, put_in_place
from a2a_session_manager.storage.loading import decode_runs, decode_values, summary
from a2a_session_manager.storage.reads import load_head
from a2a_session_manager.storage.target import Target

# A large batch that is overtaken so often by other tasks' commits is counted in one go.
_MOST_TRIES = 3


class TotalsAfter(NamedTuple):
    """What a session has spent after a commit, and up to which seq the store was asked for it."""

    totals: TokenSummary
    counted_to: int


def new_sync_state(session: Session[Any], creation: Creation, store: SessionStore) -> SyncState:
    """Return the state of a session in the moment of its creation, before its first commit."""
    return SyncState(
        store=store,
        session_id=session.id,
        creation_id=creation.creation_id,
        parent_id=session.parent_id,
        root_id=session.id if creation.parent is None else creation.parent.root_id,
        created_at=creation.created_at,
        updated_at=creation.active_at,
    )


async def place_events(events: Sequence[SessionEvent[Any]], receipt: Receipt) -> list[SessionEvent[Any]]:
    """Return `events`, which are new, with the seqs they were given; a large batch gives way to the loop."""
    new: list[SessionEvent[Any]] = []
    for start in range(0, len(events), sync_state.EVENTS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        end = start + sync_state.EVENTS_AT_ONCE
        new += map(with_seq, events[start:end], receipt.seqs[start:end])
    return new


async def apply_receipt(
    session: Session[Any],
    commit: EncodedCommit,
    receipt: Receipt,
    events: Sequence[SessionEvent[Any]],
    target: Target,
) -> None:
    """Put into `session` what was committed through it: events in their places, values, runs, no hidden event."""
    sync = session._sync
    assert sync is not None, "only a stored session is written through"
    state: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    runs: Sequence[SessionRun] = ()
    if not commit.is_append:
        state = await decode_values(_set(commit.state), session.id, "state", target.limits)
        properties = await decode_values(_set(commit.properties), session.id, "properties", target.limits)
        runs = await decode_runs(commit.runs.values(), session.id)
    totals = await totals_after(target, sync, receipt, events)
    if session._sync is not sync or commit.creation_id not in (None, sync.creation_id):
        return  # saved to another place meanwhile, which knows nothing of this commit
    # No await from here on: two tasks that write through one session must not meet halfway.
    put_in_place(session, sync, events)
    if receipt.hidden:
        hide(session, sync, receipt.hidden)
    _merge(session.state, commit.state, state)
    _merge(session.metadata.properties, commit.properties, properties)
    _put_runs(session, runs)
    advance(sync, commit, receipt, totals)
    session._put_times(sync)


def is_next_to_hide(session: Session[Any], receipt: Receipt) -> bool:
    """Tell whether what a commit hid is hidden still, as far as this session has heard; what it restored is unread."""
    sync = session._sync
    is_late = sync is not None and receipt.revision < sync.restored_at
    return not (receipt.restored or receipt.is_repeat or is_late)


def begin_to_restore(session: Session[Any], receipt: Receipt) -> None:
    """Note before the first read of the log what a commit restored: what is hidden from now on is hidden later."""
    sync = session._sync
    if sync is not None and receipt.restored:
        sync.restored_at = max(sync.restored_at, receipt.revision)
        ranges.remove(sync.retracted, receipt.restored)


def advance(sync: SyncState, commit: EncodedCommit, receipt: Receipt, totals: TotalsAfter) -> None:
    """Bring `sync` to where `commit` has left the session, but for its events."""
    # Only a step without a gap counts as seen: a guarded commit must not pass over another writer's.
    if receipt.revision == sync.revision + 1 and (receipt.is_change or _fills_gap(sync, receipt)):
        sync.revision, sync.last_seq, sync.tag = receipt.revision, receipt.last_seq, receipt.tag
    # Two tasks may write through one session and hear back in the other order.
    sync.updated_at = max(sync.updated_at, receipt.updated_at)
    _merge(sync.state, commit.state, _set(commit.state))
    _merge(sync.properties, commit.properties, _set(commit.properties))
    sync.runs.update({run_id: run.data for run_id, run in commit.runs.items()})
    sync.totals, sync.counted_to = totals
    sync.changes += 1


def tag_of(session: Session[Any] | str, revision: int | None) -> str:
    """Return the tag that the session's commit of this revision has left, "" where that is not known."""
    sync = None if isinstance(session, str) else session._sync
    return "" if sync is None or sync.revision != revision else sync.tag


async def totals_after(
    target: Target, sync: SyncState, receipt: Receipt, events: Sequence[SessionEvent[Any]]
) -> TotalsAfter:
    """Return the totals after a commit of `events`, as they are when this returns.

    Where the usages of the events do not tell what they added, the store is asked.
    """
    if not receipt.is_recounted:
        return TotalsAfter(await totals_with(sync, events), sync.counted_to)
    # The commit is made, and does not fail for this; what is known here tells nearly always as much.
    with suppress(SessionManagerError):
        return await _stored_totals(target, sync)
    return TotalsAfter(sync.totals.plus_all(spent_by(_uncounted(sync, events), before=sync.events)), sync.counted_to)


async def _stored_totals(target: Target, sync: SyncState) -> TotalsAfter:
    while True:
        changes = sync.changes
        head = await load_head(target._replace(creation_id=sync.creation_id), whole_head=True)
        totals = await summary(head.totals, head.run_totals)
        if sync.changes == changes:  # else another task was faster, and may have counted what was not read yet
            return TotalsAfter(totals, max(head.last_seq, sync.counted_to))


async def totals_with(sync: SyncState, events: Sequence[SessionEvent[Any]]) -> TokenSummary:
    """Return the totals with the usage of those `events` that they do not count yet, as it is when this returns.

    Many events give way to the loop; then another task may write through the session, and they are counted anew.
    """
    for tries in count():
        changes = sync.changes
        totals = sync.totals
        new = _uncounted(sync, events)
        for start in range(0, len(new), sync_state.EVENTS_AT_ONCE):
            if start and tries < _MOST_TRIES:
                await asyncio.sleep(0)
            totals = totals.plus_all(spent_by(new[start : start + sync_state.EVENTS_AT_ONCE]))
        if sync.changes == changes:
            return totals
    raise AssertionError("what does not give way is not overtaken")


def _uncounted(sync: SyncState, events: Iterable[SessionEvent[Any]]) -> list[SessionEvent[Any]]:
    """Return those of `events` whose usage is not in the totals yet, each once."""
    by_seq: dict[int, SessionEvent[Any]] = {}
    for event in events:
        if event.token_usage is not None and not _is_counted(sync, event):
            by_seq.setdefault(event.seq or 0, event)  # of two with one id, the first is the one that was stored
    return list(by_seq.values())


def _is_counted(sync: SyncState, event: SessionEvent[Any]) -> bool:
    seq = event.seq or 0
    return seq <= max(sync.last_seq, sync.counted_to) or ranges.contains(sync.hidden, seq) or holds(sync, event)


def _fills_gap(sync: SyncState, receipt: Receipt) -> bool:
    """Tell whether all events since the last one seen are this commit's own: then a lost reply had made them."""
    missing = range(sync.last_seq + 1, receipt.last_seq + 1)
    return len(missing) > 0 and set(receipt.seqs) == set(missing)


def _set(changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {key: data for key, data in changes.items() if data is not None}


def _merge(values: dict[str, Any], changes: Mapping[str, bytes | None], new: Mapping[str, Any]) -> None:
    """Unset in `values` what `changes` unset, and set what they set to the `new` values."""
    for key in changes.keys() - new.keys():
        values.pop(key, None)
    values.update(new)


def _put_runs(session: Session[Any], runs: Sequence[SessionRun]) -> None:
    if len(runs) == 1:
        _put_run(session, runs[0])
        return
    places = {run.id: index for index, run in enumerate(session.runs)}
    for run in runs:
        if run.id in places:
            session.runs[places[run.id]] = run
        else:
            session.runs.append(run)


def _put_run(session: Session[Any], run: SessionRun) -> None:
    for index in range(len(session.runs) - 1, -1, -1):  # the run that moves is nearly always a late one
        if session.runs[index].id == run.id:
            session.runs[index] = run
            return
    session.runs.append(run)
