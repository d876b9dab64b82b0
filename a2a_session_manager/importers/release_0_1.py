"""Sessions of release 0.1 of this library, from its directories, or from Redis: one JSON object a session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.importers.records import (
    EventRecord,
    Record,
    RunRecord,
    SessionStart,
    UsedIds,
    opaque,
    safe_id,
    stray,
    without,
)
from a2a_session_manager.importers.source import SourceFile
from a2a_session_manager.importers.times import Clock, time_of
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.shapes.shape import mappings

NAME: Final = "0.1"
WHAT: Final = "sessions of release 0.1 of this library: its directory, or redis://…?key_prefix=session:"

_KEYS: Final = frozenset({"id", "metadata", "events", "runs", "child_ids"})
_HELD: Final = ("id", "parent_id", "metadata", "events", "runs", "state", "child_ids")
_KNOWN: Final = ("id", "message", "task_id", "type", "source", "metadata", "token_usage", "timestamp")


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are such sessions."""
    return all(isinstance(value, Mapping) and value.keys() >= _KEYS for value in values)


def read(source: SourceFile) -> Iterator[Record]:
    """Yield the session of a file."""
    for number, value in enumerate(source.values()):
        if not is_mine([value.data]):
            yield from stray(source, value, is_first=not number, what="session of release 0.1")
            continue
        yield from session_of(value.data, Clock(source.modified_at), value.weight)


def session_of(record: Mapping[str, Any], clock: Clock, weight: int) -> Iterator[Record]:
    """Yield a session, its runs and its events."""
    session_id = text_of(record["id"]) or "session"
    metadata = record["metadata"] if isinstance(record["metadata"], Mapping) else {}
    properties, state = metadata.get("properties"), record.get("state")
    at = clock.at(metadata.get("created_at"))
    yield SessionStart(
        session_id,
        text_of(record.get("parent_id")),
        created_at=at.time,
        updated_at=time_of(metadata.get("updated_at")),
        about={"id": session_id, "record": without(record, *_HELD)},
        properties=dict(properties) if isinstance(properties, Mapping) else {},
        state=dict(state) if isinstance(state, Mapping) else {},
    )
    for run in mappings(record["runs"]):
        if (made := _run(run)) is not None:
            yield RunRecord(session_id, made)
    events = record["events"] if isinstance(record["events"], list) else []
    used = UsedIds()
    for number, event in enumerate(events, start=1):
        named = text_of(event.get("id")) if isinstance(event, Mapping) else None
        event_id = used.of(named or str(number), event, number)
        yield _event(session_id, event, event_id, clock, weight // len(events))


def _run(run: Mapping[str, Any]) -> SessionRun | None:
    run_id = text_of(run.get("id"))
    if run_id is None:
        return None
    status = RunStatus.PENDING
    with suppress(ValueError):
        status = RunStatus(str(run.get("status")))
    metadata = run.get("metadata")
    return SessionRun(
        id=safe_id(run_id),
        status=status,
        # 0.1 gave a run that had not begun the time when it was made.
        started_at=None if status is RunStatus.PENDING else time_of(run.get("started_at")),
        ended_at=time_of(run.get("ended_at")) if status.is_final else None,
        metadata=dict(metadata) if isinstance(metadata, Mapping) else {},
    )


def _event(session_id: str, event: Any, event_id: str, clock: Clock, weight: int) -> EventRecord:
    at = clock.at(event.get("timestamp") if isinstance(event, Mapping) else None)
    sources = [each.value for each in EventSource]
    if not isinstance(event, Mapping) or event.get("source") not in sources or text_of(event.get("type")) is None:
        return opaque(session_id, event, "event", id=event_id, at=at, weight=weight)
    metadata, rest = event.get("metadata"), without(event, *_KNOWN)
    made: SessionEvent[Any] = SessionEvent(
        id=safe_id(event_id),
        message=event.get("message"),
        source=EventSource(event["source"]),
        type=event["type"],
        timestamp=at.time,
        task_id=safe_id(run_id) if (run_id := text_of(event.get("task_id"))) else None,
        metadata={**(metadata if isinstance(metadata, Mapping) else {}), **({"imported": rest} if rest else {})},
        token_usage=_usage(event.get("token_usage")),
    )
    return EventRecord(session_id, made, at.is_known, None, weight)


def _usage(usage: Any) -> TokenUsage | None:
    """Return the tokens that 0.1 has counted. Its price, which was often that of another model, is only kept."""
    if not isinstance(usage, Mapping):
        return None
    asked, answered = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not (isinstance(asked, int) and isinstance(answered, int)) or min(asked, answered) < 0:
        return None
    model = text_of(usage.get("model")) or ""
    details = dict(usage)
    return TokenUsage(prompt_tokens=asked, completion_tokens=answered, model=model, basis="estimated", details=details)
