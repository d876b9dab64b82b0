"""Tasks of A2A: those of one context are one session, in which each is a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from a2a_session_manager.foreign_records import a2a_tasks
from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.importers.records import (
    Record,
    RunRecord,
    SessionStart,
    UsedIds,
    opaque,
    safe_id,
    said,
    stray,
    without,
)
from a2a_session_manager.importers.source import SourceFile
from a2a_session_manager.importers.times import Clock, Moment
from a2a_session_manager.models.session_run import RunStatus, SessionRun
from a2a_session_manager.shapes.shape import mappings

NAME: Final = "a2a"
WHAT: Final = "tasks of A2A, also in answers of JSON-RPC"

_STATES: Final = {
    "submitted": RunStatus.PENDING,
    "working": RunStatus.RUNNING,
    "input-required": RunStatus.WAITING,
    "auth-required": RunStatus.WAITING,
    "completed": RunStatus.COMPLETED,
    "failed": RunStatus.FAILED,
    "rejected": RunStatus.FAILED,
    "canceled": RunStatus.CANCELLED,
    "cancelled": RunStatus.CANCELLED,
}


def is_mine(values: Sequence[Any]) -> bool:
    """Tell whether the first values of a file are tasks."""
    return all(_task_in(value) is not None for value in values)


def read(source: SourceFile) -> Iterator[Record]:
    """Yield the sessions of the tasks in a file, named by their contexts; a task without one is its own session."""
    for number, value in enumerate(source.values()):
        task = _task_in(value.data)
        if task is None:
            yield from stray(source, value, is_first=not number, what="task of A2A")
            continue
        yield from _task(task, value.weight, Clock(source.modified_at))


def _task_in(value: Any) -> Mapping[str, Any] | None:
    for _ in range(3):  # an answer of JSON-RPC has it in `result`, and 1.0 in `task` there
        if not isinstance(value, Mapping):
            return None
        if a2a_tasks.is_task(value):
            return value
        value = value.get("result", value.get("task"))
    return None


def _task(task: Mapping[str, Any], weight: int, clock: Clock) -> Iterator[Record]:
    task_id = safe_id(task["id"])
    session_id = a2a_tasks.context_of(task) or task_id
    held = list(a2a_tasks.messages_of(task))
    moments = [clock.at(each.time) for each in held]
    ended = clock.at(task["status"].get("timestamp"))
    yield SessionStart(session_id, about={"id": session_id})
    yield RunRecord(session_id, _run(task, moments, ended))
    share = weight // max(1, len(held))
    used = UsedIds()
    for number, (each, at) in enumerate(zip(held, moments, strict=True), start=1):
        about: dict[str, Any] = {
            "id": used.of(f"{task_id}/{each.id or number}"[:512], each.message, number),
            "at": at,
            "run_id": task_id,
            "weight": share,
        }
        rest = {} if each.id is None else {"id": each.id}
        yield said(session_id, each.message, rest=rest, **about)
    if not held:
        yield opaque(session_id, dict(task), "task", id=f"{task_id}/task", at=ended, run_id=task_id, weight=weight)


def _run(task: Mapping[str, Any], moments: Sequence[Moment], ended: Moment) -> SessionRun:
    state = a2a_tasks.state_of(task)
    status = _STATES.get(state, RunStatus.PENDING)
    told = without(task, "history", "artifacts", "id", "contextId", "context_id", "kind")
    return SessionRun(
        id=safe_id(task["id"]),
        status=status,
        started_at=None if status is RunStatus.PENDING else (moments[0] if moments else ended).time,
        ended_at=ended.time if status.is_final else None,
        error=_reason(task) if status is RunStatus.FAILED else None,
        metadata={"imported": {"state": state, **told}},
    )


def _reason(task: Mapping[str, Any]) -> str | None:
    message = task["status"].get("message")
    parts = message.get("parts") if isinstance(message, Mapping) else None
    texts = (text_of(part.get("text")) for part in mappings(parts))
    return "\n".join(text for text in texts if text is not None) or None
