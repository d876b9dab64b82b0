"""Encoding a commit: the change is checked, held to the limits, and encoded in a thread when it is heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation, SessionManagerError
from a2a_session_manager.identifiers import checked_id, hidden_id, shown
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models import arguments
from a2a_session_manager.models.change import Restoration, Retraction, SessionChange
from a2a_session_manager.models.clock import now_micros
from a2a_session_manager.models.compaction import compaction_in
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.serialization.json_check import JsonCheck, SizeCheck, TooHeavy
from a2a_session_manager.serialization.plain_json import has_split_character
from a2a_session_manager.serialization.values import encode_value
from a2a_session_manager.storage.codec import encode_event
from a2a_session_manager.storage.commit_records import EncodedCommit, append_of
from a2a_session_manager.storage.records import (
    EncodedCompaction,
    EncodedEvent,
    EncodedRestoration,
    EncodedRetraction,
    StoredRun,
)
from a2a_session_manager.storage.run_codec import encode_run
from a2a_session_manager.storage.target import Target
from a2a_session_manager.storage.usage_events import usage_of

EncodedT = TypeVar("EncodedT")
Encoded = Mapping[str, bytes]

NOTHING_KNOWN: Encoded = {}

# Building and dumping an event, or a run, takes about as long as walking so many values.
EVENT_VALUES = 32
_EVENT_WEIGHT: Final = EVENT_VALUES * JsonCheck.VALUE_WEIGHT

_SUMMARY: Final = EventType.SUMMARY


async def encode_commit(
    target: Target,
    events: Sequence[SessionEvent[Any]],
    change: SessionChange | None,
    *,
    expected_revision: int | None = None,
    write_id: str | None = None,
) -> EncodedCommit:
    """Return the commit that appends `events` and makes the rest of `change`, whose own events are not looked at.

    `change` is None for a commit of nothing but events. Without a `write_id` the commit gets one when it needs it.
    Raises InvalidEvent, and InvalidSessionOperation over the limits.
    """
    try:
        return encode_at_once(target, events, change, expected_revision, write_id)
    except TooHeavy:
        return await encode_in_thread(target, events, change, expected_revision, write_id)


def encode_at_once(
    target: Target,
    events: Sequence[SessionEvent[Any]],
    change: SessionChange | None,
    expected_revision: int | None,
    write_id: str | None,
    check: JsonCheck | None = None,
) -> EncodedCommit:
    """Return the commit as `encode_commit` does. Raises TooHeavy for one that would hold up the event loop.

    In a thread, another `check` takes its place, which raises no TooHeavy.
    """
    limits = target.limits
    if check is None:
        check = JsonCheck(limits.inline_bytes - _EVENT_WEIGHT * len(events))
    try:
        if change is None:
            encoded = encode_events(events, check, limits)
            commit = append_of(encoded, now_micros(), target.creation_id, target.settles)
        else:
            commit = _encoded_change(target, events, change, check)
        for event in events:  # here and not by a call, since hardly any commit has a summary
            if event.type == _SUMMARY:
                commit.compactions = encode_compactions(events, commit)
                break
        if target.lease is not None:
            commit.lease, commit.usage_of = target.lease, usage_of(events, limits)
        if change is not None or expected_revision is not None:
            commit.expected_revision = arguments.limit("expected_revision", expected_revision)
            commit.write_id = None if write_id is None else checked_id(write_id, "write id")
            if write_id is None and (expected_revision is not None or not commit.is_append):
                commit.write_id = hidden_id()
    except SessionManagerError as error:
        error.session_id = target.key.id
        raise
    return commit


async def encode_in_thread(
    target: Target,
    events: Sequence[SessionEvent[Any]],
    change: SessionChange | None,
    expected_revision: int | None,
    write_id: str | None,
) -> EncodedCommit:
    """Return the commit as `encode_commit` does, by a thread."""
    check = SizeCheck(target.limits.event_bytes)
    return await in_thread(encode_at_once, target, events, change, expected_revision, write_id, check)


def encode_events(events: Sequence[SessionEvent[Any]], check: JsonCheck, limits: StoreLimits) -> list[EncodedEvent]:
    """Return `events` as bytes. Raises InvalidEvent, InvalidSessionOperation over the limits, TooHeavy."""
    if len(events) > limits.commit_events:
        raise InvalidSessionOperation(
            f"{len(events)} events in one commit, more than {limits.commit_events}: append in batches",
            is_too_large=True,
        )
    encoded = []
    size = 0
    for index, event in enumerate(events):
        if not isinstance(event, SessionEvent):
            raise _no_event(event, index)
        try:
            one = encode_event(event, check, "events", index)
        except InvalidEvent as error:
            error.event_id = event.id
            raise
        if len(one.data) > limits.event_bytes:
            raise _too_large(len(one.data), limits, f"events[{index}]", event.id)
        size += len(one.data)
        if size > limits.commit_bytes:  # before the next one is encoded: 4,096 events may be far more
            raise _too_large_commit(size, limits)
        encoded.append(one)
    return encoded


def encode_values(
    values: Mapping[str, Any], check: JsonCheck, limits: StoreLimits, what: str, *, known: Encoded = NOTHING_KNOWN
) -> dict[str, bytes]:
    """Return state or properties as bytes by key. Raises InvalidEvent, InvalidSessionOperation, TooHeavy.

    What is as it is `known` goes into no commit, and counts towards no limit of one.
    """
    encoded = {}
    size = 0
    for key, value in values.items():
        name_bytes = _check_name(key, check, limits, what)
        encoded[key] = encode_value(value, check, what, key)
        value_bytes = name_bytes + len(encoded[key])
        if value_bytes > limits.event_bytes:
            raise _too_large(value_bytes, limits, f"{what}.{key}")
        size += value_bytes if encoded[key] != known.get(key) else 0
        _check_commit(size, limits)
    return encoded


def encode_runs(
    runs: Sequence[SessionRun], check: JsonCheck, limits: StoreLimits, *, known: Encoded = NOTHING_KNOWN
) -> dict[str, StoredRun]:
    """Return runs as bytes by id; of a run given twice the later one. Raises like encode_values."""
    encoded: dict[str, StoredRun] = {}
    size = 0
    for run in runs:
        if not isinstance(run, SessionRun):
            raise InvalidEvent(f"runs: a {type(run).__name__} is no run: give SessionRun(…)", path="runs")
        check.add_unchecked(0, EVENT_VALUES)
        checked_id(run.id, "run id")
        check.check(run.error, f"runs[{run.id}]", "error")
        encoded[run.id] = encode_run(run, check)
        if len(encoded[run.id].data) > limits.event_bytes:
            raise _too_large(len(encoded[run.id].data), limits, f"runs[{run.id}]")
        size += len(run.id) + len(data) if (data := encoded[run.id].data) != known.get(run.id) else 0
        _check_commit(size, limits)
    return encoded


def encode_compactions(events: Sequence[SessionEvent[Any]], commit: EncodedCommit) -> list[EncodedCompaction]:
    """Return what those of `events` stand for that are summaries, for their commit to the session that it names."""
    found: list[EncodedCompaction] = []
    for event in events:
        if event.type != _SUMMARY:
            continue
        told = compaction_in(event.type, event.metadata)
        if told is not None and told.session == commit.creation_id:
            found.append(EncodedCompaction(event.id, told.first, told.last, told.pins, told.hidden))
        elif told is None and commit.retraction is not None:
            found.append(EncodedCompaction(event.id))
    return found


def encode_retraction(retraction: Retraction | None) -> EncodedRetraction | None:
    """Return the retraction as it goes to a backend."""
    if retraction is None:
        return None
    return EncodedRetraction(tuple(retraction.event_ids), retraction.last, retraction.after)


def encode_restoration(restoration: Restoration | None) -> EncodedRestoration | None:
    """Return the restoration as it goes to a backend."""
    return None if restoration is None else EncodedRestoration(tuple(restoration.event_ids), restoration.write_id)


def _encoded_change(
    target: Target, events: Sequence[SessionEvent[Any]], change: SessionChange, check: JsonCheck
) -> EncodedCommit:
    written_at, limits = now_micros(), target.limits
    for what, keys in (("state", change.unset_state), ("properties", change.unset_properties)):
        size = 0
        for key in keys:
            size += _check_name(key, check, limits, what)
            _check_commit(size, limits)
    state = encode_values(change.set_state, check, limits, "state")
    properties = encode_values(change.set_properties, check, limits, "properties")
    commit = EncodedCommit(
        events=encode_events(events, check, limits),
        state={**state, **dict.fromkeys(change.unset_state)},
        properties={**properties, **dict.fromkeys(change.unset_properties)},
        runs=encode_runs(change.runs, check, limits),
        retraction=encode_retraction(change.retraction),
        restoration=encode_restoration(change.restoration),
        written_at=written_at,
        creation_id=target.creation_id,
        settles=target.settles,
    )
    check_commit(commit, limits)
    return commit


def check_commit(commit: EncodedCommit, limits: StoreLimits) -> None:
    """Raise InvalidSessionOperation when all of `commit` together is over the limit."""
    _check_commit(commit.size, limits)


def _check_name(key: object, check: JsonCheck, limits: StoreLimits, what: str) -> int:
    """Return the least bytes that a key of state or properties takes."""
    if not isinstance(key, str):
        text = f"{what}: the key {shown(key)} is a {type(key).__name__}: JSON keys are strings"
        raise InvalidEvent(text, path=what)
    if len(key) > limits.event_bytes:
        raise _too_large(len(key), limits, f"{what}.{key[:80]}…")
    check.add_unchecked(len(key), 1)
    if key.isascii():
        return len(key)
    if has_split_character(key):
        raise InvalidEvent(f"{what}: the key {shown(key)} holds a character in two halves: join them", path=what)
    return len(key.encode("utf-8", "surrogatepass"))


def _no_event(value: object, index: int) -> InvalidEvent:
    path = f"events[{index}]"
    return InvalidEvent(f"{path} is a {type(value).__name__}: append SessionEvent(message=…, source=…)", path=path)


def _too_large(size: int, limits: StoreLimits, path: str, event_id: str | None = None) -> InvalidEvent:
    return InvalidEvent(
        f"{path}: {size} bytes, more than {limits.event_bytes}: store large media elsewhere and a reference to it here",
        path=path,
        event_id=event_id,
        is_too_large=True,
    )


def _check_commit(size: int, limits: StoreLimits) -> None:
    if size > limits.commit_bytes:
        raise _too_large_commit(size, limits)


def _too_large_commit(size: int, limits: StoreLimits) -> InvalidSessionOperation:
    return InvalidSessionOperation(
        f"{size} bytes in one commit, more than {limits.commit_bytes}: append in batches", is_too_large=True
    )
