"""Events and values to bytes and back: the one format that every store keeps. `run_codec` does so with runs.

Pydantic straight to bytes. Text with a lone surrogate, which UTF-8 has not, goes through `json` with ASCII
escapes. Every event and run begins with its format version; a value's is that of the head it belongs to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, SchemaSerializer

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, InvalidSessionOperation
from a2a_session_manager.identifiers import ID_CHARACTERS, checked_id, shown
from a2a_session_manager.models.checked import exact_offset, invalid_fields
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.event_type import EventType
from a2a_session_manager.models.fields_set import share_fields_set
from a2a_session_manager.models.session_event import SessionEvent, counts
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.models.sound_usage import is_sound, silent_fields
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.serialization.values import escaped_whole
from a2a_session_manager.storage.records import EncodedEvent, UsageDelta

FORMAT = 1
_MINUTE = timedelta(minutes=1)
MARK = b'{"v":%d,' % FORMAT

# The bare class encodes a payload by what it is, not by the M of SessionEvent[M]: nothing gets lost.
_EVENT_SERIALIZER = SessionEvent.__pydantic_serializer__
_EVENT_FIELDS = len(SessionEvent.model_fields)
_USAGE_FIELDS = len(TokenUsage.model_fields)
# Other texts, such as a foreign enum's, are pydantic's to judge.
_PLAIN_TYPES = (EventType, str)
ModelT = TypeVar("ModelT", bound=BaseModel)
LeftOut = set[str] | dict[str, Any]

# A place is the store's to give; bytes do not hold it.
_PLACE = {"seq", "retracted", "restored", "is_repeat", "message_error"}


def encode_event(event: SessionEvent[Any], check: JsonCheck, *path: str | int) -> EncodedEvent:
    """Return the event as bytes. Raises InvalidEvent; TooHeavy when `check` has walked enough."""
    # From here: a model's attributes are slow to read.
    fields = event.__dict__
    if not _holds_its_fields(fields):
        validated(event, SessionEvent)
        raise InvalidEvent(f"a field of event {shown(event.id)} was changed to another type: make it anew, as an event")
    message, metadata, task_id, usage = fields["message"], fields["metadata"], fields["task_id"], fields["token_usage"]
    event_id = fields["id"]
    if type(event_id) is not str or not (event_id.isascii() and 0 < len(event_id) <= ID_CHARACTERS):
        checked_id(event_id, "event id")  # the plain ones, which most are, are not worth a call
    if fields["timestamp"].tzinfo is not UTC and is_inexact(fields["timestamp"]):
        event = event.model_copy(update={"timestamp": _exact(event)})
    plain = check.check(message, *path, "message")
    if plain is not message:
        event = event.model_copy(update={"message": plain})
    if metadata and (plain := check.check(metadata, *path, "metadata")) is not metadata:
        event = event.model_copy(update={"metadata": plain})
    if task_id is not None:
        checked_id(task_id, "task id")
    delta = None
    if usage is not None:
        details = usage.details
        if details is not None and (plain := check.check(details, *path, "token_usage", "details")) is not details:
            event = event.model_copy(update={"token_usage": usage.model_copy(update={"details": plain})})
        delta = usage_delta(event)
    left_out = _left_out(not metadata, task_id is None, None if usage is None else silent_fields(usage))
    # Nothing else was put in, and all that is written was looked at above: there is nothing to warn of.
    is_checked = (
        (usage is None or (type(usage) is TokenUsage and len(usage.__dict__) == _USAGE_FIELDS))
        and len(fields) == _EVENT_FIELDS
        and type(fields["type"]) in _PLAIN_TYPES
    )
    return EncodedEvent(event_id, dumped(event, _EVENT_SERIALIZER, left_out, is_checked), task_id, delta)


def usage_delta(event: SessionEvent[Any]) -> UsageDelta | None:
    """Return what an event adds to the totals of its session; None for nothing."""
    usage = event.token_usage
    if usage is None:
        return None
    delta = UsageDelta(usage.model, event.source.value, usage.counters(), usage.response_id)
    if event.metadata and not counts(event.metadata):
        return None if usage.response_id is None else delta._replace(is_counted=False)
    return delta


@lru_cache(maxsize=1_024)  # ready made, for every append takes one
def _left_out(no_metadata: bool, no_task: bool, of_usage: frozenset[str] | None) -> LeftOut:
    """Return what is not written of an event; `of_usage` are the fields of its usage, None where it has no usage."""
    names = _PLACE.union({"metadata"} if no_metadata else (), {"task_id"} if no_task else ())
    if of_usage is None:
        return {*names, "token_usage"}
    return {**dict.fromkeys(names, True), "token_usage": set(of_usage)}


def decode_event(
    data: bytes, session_id: str, seq: int, *, retracted: bool, model: type[SessionEvent[Any]] = SessionEvent
) -> SessionEvent[Any]:
    """Return the event that `data` holds, placed at `seq`. Raises CorruptSession.

    A payload that is not what `model` wants stays plain JSON, and `message_error` says why.
    """
    try:
        event: SessionEvent[Any] = loaded(data, model)
    except Exception as error:  # a validator of the caller's may raise anything
        event = _as_plain_json(data, session_id, seq, model, error)
    # This avoids model_copy: nobody has seen the event yet, and each microsecond counts once for every event loaded.
    event.__dict__["seq"] = seq
    event.__dict__["retracted"] = retracted
    share_fields_set(event)
    if event.token_usage is not None:
        share_fields_set(event.token_usage)
    return event


def decode_value(data: bytes, session_id: str, what: str) -> Any:
    """Return the value that was encoded. Raises CorruptSession, naming `what`."""
    try:
        return parsed(data)
    except ValueError as error:
        raise damaged(session_id, what, data) from error


def event_model(message_type: Any) -> type[SessionEvent[Any]]:
    """Return the event class whose messages come back as `message_type`; None leaves them plain JSON.

    Raises InvalidSessionOperation for what is no type.
    """
    if message_type is None:
        return SessionEvent
    try:
        return _event_model(message_type)
    except Exception as error:  # pydantic raises several, KeyError among them
        raise InvalidSessionOperation(
            f"message_type={shown(message_type)} is nothing that pydantic reads: take a model, or another type"
        ) from error


@lru_cache(maxsize=256)
def _event_model(message_type: Any) -> type[SessionEvent[Any]]:
    model = SessionEvent[message_type]
    if not model.__pydantic_complete__:
        raise TypeError("a name that is not known here")
    return model


def dumped(model: BaseModel, serializer: SchemaSerializer, left_out: LeftOut, is_checked: bool = False) -> bytes:
    """Return a model as JSON after the format's version; `is_checked`: pydantic need not warn. Raises InvalidEvent."""
    try:
        # `warnings="error"` takes a third of the whole call.
        data = serializer.to_json(model, exclude=left_out, warnings=False if is_checked else "error")
    except (PydanticSerializationError, UnicodeEncodeError):
        data = escaped_whole(_python(serializer, model, left_out), type(model).__name__)
    return MARK + data[1:]


def _python(serializer: SchemaSerializer, model: BaseModel, left_out: LeftOut) -> Any:
    try:
        fields = serializer.to_python(model, exclude=left_out, warnings="error")
        # Before 2.13, pydantic warns here of less than it refuses to read.
        (SessionEvent if isinstance(model, SessionEvent) else SessionRun).model_validate(fields)
    except (PydanticSerializationError, ValidationError) as error:
        raise _cannot_hold(model, error) from error
    return fields


def _holds_its_fields(fields: Mapping[str, Any]) -> bool:
    """Tell whether an event's fields are what they were when it was made: model_copy, for one, checks nothing."""
    usage = fields.get("token_usage")
    return (
        isinstance(moment := fields.get("timestamp"), datetime)
        and (moment.tzinfo is UTC or moment.utcoffset() is not None)
        and isinstance(fields.get("source"), EventSource)
        and isinstance(fields.get("type"), str)
        and isinstance(fields.get("metadata"), dict)
        and (usage is None or is_sound(usage))
    )


def is_inexact(moment: object) -> bool:
    """Tell whether a time is none, is naive, or has an offset that JSON cannot say; None is exact."""
    if moment is None:
        return False
    offset = moment.utcoffset() if isinstance(moment, datetime) else None
    return offset is None or bool(offset % _MINUTE)


def _exact(event: SessionEvent[Any]) -> datetime:
    try:
        return exact_offset(event.timestamp)
    except ValueError as error:
        raise InvalidEvent(f"the timestamp of event {shown(event.id)}: {error}", path="timestamp") from error


def validated(model: ModelT, kind: type[ModelT]) -> ModelT:
    """Return `model` with each field as its class holds it. Raises InvalidEvent for what that cannot hold."""
    fields = {name: value for name, value in model.__dict__.items() if name in kind.model_fields}
    usage = fields.get("token_usage")
    if isinstance(usage, TokenUsage):  # pydantic would take it as it is
        fields["token_usage"] = {
            name: value for name, value in usage.__dict__.items() if name in TokenUsage.model_fields
        }
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise _cannot_hold(model, error) from error


def _cannot_hold(model: BaseModel, error: Exception) -> InvalidEvent:
    what = type(model).__name__
    reason = invalid_fields(error) if isinstance(error, ValidationError) else error
    return InvalidEvent(f"a field of this {what} was changed to what it cannot hold: {reason}", path=what)


def loaded(data: bytes, model: type[Any]) -> Any:
    """Return the model in marked JSON. Raises ValueError, and whatever the model's own validators do."""
    if not data.startswith(MARK):
        raise ValueError("the format mark is missing")
    data = b"{" + data[len(MARK) :]
    try:
        return model.__pydantic_validator__.validate_json(data)
    except ValidationError as error:
        if error.errors(include_url=False)[0]["type"] != "json_invalid":
            raise
        # pydantic's parser knows no lone surrogates; if it is not that, json raises in its turn.
        return model.__pydantic_validator__.validate_python(json.loads(data))


def _as_plain_json(
    data: bytes, session_id: str, seq: int, model: type[SessionEvent[Any]], error: Exception
) -> SessionEvent[Any]:
    if model is SessionEvent:
        raise damaged(session_id, f"event {seq}", data, seq=seq) from error
    event = decode_event(data, session_id, seq, retracted=False)
    reason = invalid_fields(error) if isinstance(error, ValidationError) else f"{type(error).__name__}: {error}"
    event.__dict__["message_error"] = str(reason)
    return event


def damaged(session_id: str, what: str, data: bytes, *, seq: int | None = None) -> CorruptSession:
    """Return the error for bytes that cannot be read: they are of a newer release, or damaged."""
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
