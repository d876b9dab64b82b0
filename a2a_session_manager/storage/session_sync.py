"""Bringing a session in step with its store after a commit that went through it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.baseline import Baseline
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent, spent_by, with_seq
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.token_summary import TokenSummary
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.known_events import KnownEvents, holds, put_in_place, without_hidden
from a2a_session_manager.storage.loading import decode_runs, decode_values, moment
from a2a_session_manager.storage.records import Creation, EncodedCommit, Receipt

_EVENTS_A_SLICE = 256
# A large batch that is overtaken so often by other tasks' commits is counted in one go.
MOST_TRIES = 3


async def place_events(events: Sequence[SessionEvent[Any]], receipt: Receipt) -> list[SessionEvent[Any]]:
    """Return `events`, which are new, with the seqs they were given; a large batch lets the loop breathe."""
    if len(events) <= _EVENTS_A_SLICE:
        return list(map(with_seq, events, receipt.seqs))
    new: list[SessionEvent[Any]] = []
    for start in range(0, len(events), _EVENTS_A_SLICE):
        await asyncio.sleep(0)
        end = start + _EVENTS_A_SLICE
        new += map(with_seq, events[start:end], receipt.seqs[start:end])
    return new


async def apply_receipt(
    session: Session[Any],
    commit: EncodedCommit,
    receipt: Receipt,
    events: Sequence[SessionEvent[Any]],
    limits: StoreLimits,
) -> None:
    """Put into `session` what was committed through it: events in their places, values, runs, no hidden event."""
    state: Mapping[str, Any] = {}
    properties: Mapping[str, Any] = {}
    runs: Sequence[SessionRun] = ()
    if not commit.is_append:
        state = await decode_values(_set(commit.state), session.id, "state", limits)
        properties = await decode_values(_set(commit.properties), session.id, "properties", limits)
        runs = await decode_runs(commit.runs.values(), session.id)
    baseline, totals = await _counted(session, events)
    # No await from here on: two tasks that write through one session must not meet halfway.
    baseline = advance(baseline, commit, receipt, totals, put_in_place(session, baseline, events))
    if receipt.hidden:
        baseline = without_hidden(session, baseline, receipt.hidden)
    if not commit.is_append:
        _merge(session.state, commit.state, state)
        _merge(session.metadata.properties, commit.properties, properties)
        _put_runs(session, runs)
    session._baseline = baseline
    put_times(session.metadata, baseline)


def new_baseline(session: Session[Any], creation: Creation, store: SessionStore) -> Baseline:
    """Return the baseline of a session in the moment of its creation, before its first commit."""
    parent = creation.parent
    return Baseline(
        store=store,
        session_id=session.id,
        creation_id=creation.creation_id,
        parent_id=session.parent_id,
        root_id=session.id if parent is None else parent.root_id,
        depth=1 if parent is None else parent.depth + 1,
        created_at=creation.created_at,
        updated_at=creation.active_at,
        revision=0,
        last_seq=0,
        events=[],
        event_count=0,
        hidden=(),
        state={},
        properties={},
        runs={},
        totals=TokenSummary(),
        is_partial=False,
    )


def put_times(metadata: SessionMetadata, baseline: Baseline) -> None:
    """Let `metadata` say the times that are stored; one that is assigned later by a user is among its fields set."""
    metadata.__dict__["created_at"] = moment(baseline.created_at)
    metadata.__dict__["updated_at"] = moment(baseline.updated_at)
    metadata.model_fields_set.discard("updated_at")


def tag_of(session: Session[Any] | str, revision: int | None) -> str:
    """Return the tag that the session's commit of this revision has left, "" where that is not known."""
    if isinstance(session, str) or session._baseline is None or session._baseline.revision != revision:
        return ""
    return session._baseline.tag


def advance(
    baseline: Baseline, commit: EncodedCommit, receipt: Receipt, totals: TokenSummary, known: KnownEvents
) -> Baseline:
    """Return the baseline after `commit`, with the new `totals` and the events that are known now."""
    # Only a step without a gap counts as seen: a guarded commit must not pass over another writer's.
    in_step = receipt.revision == baseline.revision + 1 and (receipt.is_change or _fills_gap(baseline, receipt))
    return replace(
        baseline,
        # Two tasks may write through one session and hear back in the other order.
        updated_at=max(baseline.updated_at, receipt.updated_at),
        revision=receipt.revision if in_step else baseline.revision,
        tag=receipt.tag if in_step else baseline.tag,
        last_seq=receipt.last_seq if in_step else baseline.last_seq,
        state=_merged(baseline.state, commit.state),
        properties=_merged(baseline.properties, commit.properties),
        runs=_merged(baseline.runs, {run_id: run.data for run_id, run in commit.runs.items()} if commit.runs else {}),
        totals=totals,
        events=known.events,
        event_count=known.event_count,
    )


async def _counted(session: Session[Any], events: Sequence[SessionEvent[Any]]) -> tuple[Baseline, TokenSummary]:
    """Return the session's baseline and its totals with `events` in them, both as they are when this returns."""
    for tries in count():
        baseline = session._baseline
        assert baseline is not None, "only a stored session is written through"
        totals = await totals_with(events, baseline, may_breathe=tries < MOST_TRIES)
        # Another task may write through the session while a large batch is counted.
        if session._baseline is baseline:
            return baseline, totals
    raise AssertionError("what does not breathe is not overtaken")


async def totals_with(
    events: Sequence[SessionEvent[Any]], baseline: Baseline, *, may_breathe: bool = True
) -> TokenSummary:
    """Return the baseline's totals with those of `events` that are not in them; many let the loop breathe."""
    totals = baseline.totals
    new = uncounted([event for event in events if event.token_usage is not None], baseline)
    for start in range(0, len(new), _EVENTS_A_SLICE):
        if start and may_breathe:
            await asyncio.sleep(0)
        totals = totals.plus_all(spent_by(new[start : start + _EVENTS_A_SLICE]))
    return totals


def _fills_gap(baseline: Baseline, receipt: Receipt) -> bool:
    """Tell whether all events since the baseline are this commit's own: then a lost reply had made them."""
    missing = range(baseline.last_seq + 1, receipt.last_seq + 1)
    return len(missing) > 0 and set(receipt.seqs) == set(missing)


def _merged(known: Mapping[str, bytes], changes: Mapping[str, bytes | None]) -> Mapping[str, bytes]:
    if not changes:
        return known
    merged = {**known, **_set(changes)}
    for key in [key for key, data in changes.items() if data is None]:
        merged.pop(key, None)
    return merged


def uncounted(events: Iterable[SessionEvent[Any]], baseline: Baseline) -> list[SessionEvent[Any]]:
    """Return those of `events` whose usage is not in the baseline's totals yet, each once."""
    by_seq: dict[int, SessionEvent[Any]] = {}
    for event in events:
        if not _is_counted(event, baseline):
            by_seq.setdefault(_seq(event), event)  # of two with one id, the first is the one that was stored
    return list(by_seq.values())


def _is_counted(event: SessionEvent[Any], baseline: Baseline) -> bool:
    seq = _seq(event)
    if seq <= baseline.last_seq or ranges.contains(baseline.hidden, seq):
        return True
    return holds(event, baseline)


def _set(changes: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {key: data for key, data in changes.items() if data is not None}


def _merge(values: dict[str, Any], changes: Mapping[str, bytes | None], decoded: Mapping[str, Any]) -> None:
    for key in changes.keys() - decoded.keys():
        values.pop(key, None)
    values.update(decoded)


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


def _seq(event: SessionEvent[Any]) -> int:
    return event.seq or 0
