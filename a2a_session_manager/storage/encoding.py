"""A change to bytes: checked, within the limits, and off the loop when it is heavy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.clock import now_micros
from a2a_session_manager.models.identifier import checked_id, hidden_id
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage.codec import encode_event, encode_run, encode_value
from a2a_session_manager.storage.json_check import JsonCheck, TooHeavy
from a2a_session_manager.storage.limits import StoreLimits
from a2a_session_manager.storage.records import (
    EncodedCommit,
    EncodedEvent,
    EncodedRetraction,
    StoredRun,
)
from a2a_session_manager.threads import in_thread

EncodedT = TypeVar("EncodedT")

# Building and dumping an event takes about as long as copying this many bytes.
_EVENT_WEIGHT = 1_024


async def encode_change(
    change: SessionChange,
    limits: StoreLimits,
    *,
    expected_revision: int | None = None,
    creation_id: str | None = None,
    write_id: str | None = None,
) -> EncodedCommit:
    """Return the commit that makes `change`. Raises InvalidEvent, and InvalidSessionOperation over the limits."""
    commit = await inline_or_thread(lambda check: _encoded(change, check, limits), limits)
    commit.expected_revision = expected_revision
    commit.creation_id = creation_id
    commit.write_id = None if write_id is None else checked_id(write_id, "write id")
    if write_id is None and (expected_revision is not None or not commit.is_append):
        commit.write_id = hidden_id()
    return commit


async def encode_append(events: Sequence[SessionEvent[Any]], limits: StoreLimits) -> EncodedCommit:
    """Return the commit that appends `events`: the short way for the most frequent change."""
    try:
        encoded = encode_events(events, JsonCheck(limits.inline_bytes), limits)
    except TooHeavy:
        encoded = await in_thread(encode_events, events, JsonCheck(math.inf), limits)
    return EncodedCommit(events=encoded, written_at=now_micros())


async def inline_or_thread(encode: Callable[[JsonCheck], EncodedT], limits: StoreLimits) -> EncodedT:
    """Encode here what is light, and in a thread what would hold up the loop."""
    try:
        return encode(JsonCheck(limits.inline_bytes))
    except TooHeavy:
        return await in_thread(encode, JsonCheck(math.inf))


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
        check.add(_EVENT_WEIGHT)
        try:
            one = encode_event(event, check, "events", index)
        except InvalidEvent as error:
            error.event_id = event.id
            raise
        if len(one.data) > limits.event_bytes:
            raise _too_large(one.data, limits, f"events[{index}]", event.id)
        size += len(one.data)
        encoded.append(one)
    _check_commit(size, limits)
    return encoded


def encode_values(values: Mapping[str, Any], check: JsonCheck, limits: StoreLimits, what: str) -> dict[str, bytes]:
    """Return state or properties as bytes by key. Raises InvalidEvent, TooHeavy."""
    encoded = {}
    for key, value in values.items():
        _check_name(key, what)
        encoded[key] = encode_value(value, check, what, key)
        if len(encoded[key]) > limits.event_bytes:
            raise _too_large(encoded[key], limits, f"{what}.{key}")
    return encoded


def encode_runs(runs: Sequence[SessionRun], check: JsonCheck, limits: StoreLimits) -> dict[str, StoredRun]:
    """Return runs as bytes by id; of a run given twice the later one. Raises InvalidEvent, TooHeavy."""
    encoded = {}
    for run in runs:
        check.add(_EVENT_WEIGHT + len(run.error or ""))
        encoded[run.id] = encode_run(run, check)
        if len(encoded[run.id].data) > limits.event_bytes:
            raise _too_large(encoded[run.id].data, limits, f"runs[{run.id}]")
    return encoded


def encode_retraction(retraction: Retraction | None) -> EncodedRetraction | None:
    """Return the same choice, with its ids fixed."""
    if retraction is None:
        return None
    return EncodedRetraction(tuple(retraction.event_ids), retraction.last, retraction.after)


def _encoded(change: SessionChange, check: JsonCheck, limits: StoreLimits) -> EncodedCommit:
    for what, keys in (("state", change.unset_state), ("properties", change.unset_properties)):
        for key in keys:
            _check_name(key, what)
    state = encode_values(change.set_state, check, limits, "state")
    properties = encode_values(change.set_properties, check, limits, "properties")
    commit = EncodedCommit(
        events=encode_events(change.events, check, limits),
        state={**state, **dict.fromkeys(change.unset_state)},
        properties={**properties, **dict.fromkeys(change.unset_properties)},
        runs=encode_runs(change.runs, check, limits),
        retraction=encode_retraction(change.retraction),
        written_at=now_micros(),
    )
    check_commit(commit, limits)
    return commit


def check_commit(commit: EncodedCommit, limits: StoreLimits) -> None:
    """Raise InvalidSessionOperation when all of `commit` together is over the limit."""
    _check_commit(commit.size, limits)


def _check_name(key: object, what: str) -> None:
    if not isinstance(key, str):
        raise InvalidEvent(f"{what}: the key {key!r} is a {type(key).__name__}: JSON keys are strings", path=what)
    try:
        key.encode()
    except UnicodeEncodeError:
        raise InvalidEvent(f"{what}: the key {key!a} holds a lone surrogate: take valid Unicode", path=what) from None


def _no_event(value: object, index: int) -> InvalidEvent:
    path = f"events[{index}]"
    return InvalidEvent(f"{path} is a {type(value).__name__}: append SessionEvent(message=…, source=…)", path=path)


def _too_large(data: bytes, limits: StoreLimits, path: str, event_id: str | None = None) -> InvalidEvent:
    return InvalidEvent(
        f"{path}: {len(data)} bytes, more than {limits.event_bytes}: "
        "store large media elsewhere and a reference to it here",
        path=path,
        event_id=event_id,
        is_too_large=True,
    )


def _check_commit(size: int, limits: StoreLimits) -> None:
    if size > limits.commit_bytes:
        raise InvalidSessionOperation(
            f"{size} bytes in one commit, more than {limits.commit_bytes}: append in batches", is_too_large=True
        )
