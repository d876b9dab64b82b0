"""Events, runs and values to bytes and back: the one format that every store keeps.

Pydantic straight to bytes. Text with a lone surrogate, which UTF-8 has not, goes through `json` with ASCII
escapes. Every event and run begins with its format version; a value's is that of the head it belongs to.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, SchemaSerializer, to_json, to_jsonable_python

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, InvalidSessionOperation
from a2a_session_manager.models.fields_set import share_fields_set
from a2a_session_manager.models.identifier import checked_id
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage.json_check import JsonCheck
from a2a_session_manager.storage.plain_json import parsed
from a2a_session_manager.storage.records import EncodedEvent, StoredRun, UsageDelta

FORMAT = 1
_MARK = b'{"v":%d,' % FORMAT

# The bare class encodes a payload by what it is, not by the M of SessionEvent[M]: nothing gets lost.
_EVENT_SERIALIZER = SessionEvent.__pydantic_serializer__

# What reading bytes back may raise: the models' own checks raise our errors.
_UNREADABLE = (ValueError, InvalidSessionOperation)
# A place is the store's to give; bytes do not hold it.
_PLACE = {"seq", "retracted", "is_repeat"}
# What is left out of an event that has no metadata, no task id, no usage: ready made, for every append takes one.
_LEFT_OUT = {
    (no_metadata, no_task, no_usage): _PLACE.union(
        {"metadata"} if no_metadata else (), {"task_id"} if no_task else (), {"token_usage"} if no_usage else ()
    )
    for no_metadata in (False, True)
    for no_task in (False, True)
    for no_usage in (False, True)
}


def encode_event(event: SessionEvent[Any], check: JsonCheck, *path: str | int) -> EncodedEvent:
    """Return the event as bytes. Raises InvalidEvent; TooHeavy when `check` has walked enough."""
    # Each read once: a model's attributes are slow to read.
    metadata, task_id, usage = event.metadata, event.task_id, event.token_usage
    event_id = checked_id(event.id, "event id")
    check.check(event.message, *path, "message")
    if metadata:
        check.check(metadata, *path, "metadata")
    if task_id is not None:
        checked_id(task_id, "task id")
    delta = None
    if usage is not None:
        check.check(usage.details, *path, "token_usage", "details")
        delta = UsageDelta(usage.model, event.source.value, usage.counters())
    left_out = _LEFT_OUT[not metadata, task_id is None, usage is None]
    return EncodedEvent(event_id, _marked(_dumped(event, _EVENT_SERIALIZER, left_out)), task_id, delta)


def decode_event(
    data: bytes, session_id: str, seq: int, *, retracted: bool, model: type[SessionEvent[Any]] = SessionEvent
) -> SessionEvent[Any]:
    """Return the event that `data` holds, placed at `seq`. Raises CorruptSession, or InvalidEvent when
    only the payload is not what `model` wants.
    """
    try:
        event: SessionEvent[Any] = _loaded(data, model)
    except _UNREADABLE as error:
        raise _unreadable(data, session_id, seq, model, error) from error
    # Not through model_copy: nobody has seen this event yet, and loading is all about these microseconds.
    event.__dict__["seq"] = seq
    event.__dict__["retracted"] = retracted
    share_fields_set(event)
    if event.token_usage is not None:
        share_fields_set(event.token_usage)
    return event


def encode_run(run: SessionRun, check: JsonCheck) -> StoredRun:
    """Return the run as bytes. Raises InvalidEvent when its metadata is not JSON."""
    checked_id(run.id, "run id")
    check.check(run.metadata, f"runs[{run.id}]", "metadata")
    return StoredRun(run.status.value, _marked(_dumped(run, type(run).__pydantic_serializer__, set())))


def decode_run(run: StoredRun, session_id: str) -> SessionRun:
    """Return the run that was encoded. Raises CorruptSession."""
    try:
        decoded: SessionRun = _loaded(run.data, SessionRun)
    except _UNREADABLE as error:
        raise _damaged(session_id, "a run", run.data) from error
    return decoded


def encode_value(value: Any, check: JsonCheck, *path: str) -> bytes:
    """Return a state value or a property as JSON bytes. Raises InvalidEvent."""
    check.check(value, *path)
    try:
        return to_json(value)
    except PydanticSerializationError:
        return _escaped(value)


def decode_value(data: bytes, session_id: str, what: str) -> Any:
    """Return the value that was encoded. Raises CorruptSession, naming `what`."""
    try:
        return parsed(data)
    except ValueError as error:
        raise _damaged(session_id, what, data) from error


@lru_cache(maxsize=256)
def event_model(message_type: Any) -> type[SessionEvent[Any]]:
    """Return the event class whose messages come back as `message_type`; None leaves them plain JSON."""
    return SessionEvent if message_type is None else SessionEvent[message_type]


def _dumped(model: BaseModel, serializer: SchemaSerializer, left_out: set[str]) -> bytes:
    try:
        return serializer.to_json(model, exclude=left_out, warnings="error")
    except PydanticSerializationError:
        return _escaped(_python(serializer, model, left_out))


def _python(serializer: SchemaSerializer, model: BaseModel, left_out: set[str]) -> Any:
    try:
        fields = serializer.to_python(model, exclude=left_out, warnings="error")
        # Before 2.13, pydantic warns here of less than it refuses to read.
        type(model).model_validate(fields)
    except (PydanticSerializationError, ValidationError) as error:
        what = type(model).__name__
        raise InvalidEvent(f"a field of this {what} was changed to what it cannot hold: {error}", path=what) from error
    return fields


def _escaped(value: Any) -> bytes:
    """Return JSON in ASCII, where a lone surrogate is an escape like any other."""
    return json.dumps(value, default=_plain, separators=(",", ":")).encode("ascii")


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else to_jsonable_python(value)


def _loaded(data: bytes, model: type[Any]) -> Any:
    if not data.startswith(_MARK):
        raise ValueError("the format mark is missing")
    data = b"{" + data[len(_MARK) :]
    try:
        return model.__pydantic_validator__.validate_json(data)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
        # pydantic's parser knows no lone surrogates; if it is not that, json raises in its turn.
        return model.__pydantic_validator__.validate_python(json.loads(data))


def _marked(data: bytes) -> bytes:
    return _MARK + data[1:]


def _unreadable(
    data: bytes, session_id: str, seq: int, model: type[SessionEvent[Any]], error: Exception
) -> CorruptSession | InvalidEvent:
    if model is not SessionEvent and isinstance(error, ValidationError):
        event = decode_event(data, session_id, seq, retracted=False)
        return InvalidEvent(
            f"event {event.id!r} (seq {seq}) does not hold the message_type asked for: {error}; "
            "read it without message_type",
            path="message",
            event_id=event.id,
            session_id=session_id,
        )
    return _damaged(session_id, f"event {seq}", data, seq=seq)


def _damaged(session_id: str, what: str, data: bytes, *, seq: int | None = None) -> CorruptSession:
    version = _version(data)
    if version is not None and version > FORMAT:
        text = f"was written in format {version} by a newer release: upgrade a2a_session_manager"
    else:
        text = "is damaged: restore it from a backup; nothing was changed"
    return CorruptSession(session_id, f"session {session_id!r}: {what} {text}", seq=seq)


def _version(data: bytes) -> int | None:
    try:
        record = parsed(data)
    except ValueError:
        return None
    version = record.get("v") if isinstance(record, dict) else None
    return version if isinstance(version, int) else None
