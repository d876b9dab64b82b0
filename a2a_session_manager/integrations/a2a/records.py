"""What one save of a task is stored as: what is new in it, and how tasks are made of such records again.

A record is a JSON object with one of these keys. The first two are the A2A event that led to the save, which is all
there is to say; the others stand where a task was changed in another way, and then the event may be beside them.

- `artifact`, `status`: an update event, without the ids that the whole session is about.
- `task`: the whole task. What was recorded before it counts no more.
- `change`: the fields that differ, and of lists that grew what was added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from a2a.server.events.event_queue import Event
from a2a.types.a2a_pb2 import (
    Artifact,
    Message,
    StreamResponse,
    Task,
    TaskArtifactUpdateEvent,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

from a2a_session_manager.exceptions import CorruptSession

Record = dict[str, Any]

# The field of StreamResponse that an event is in, and the key of a record whose event is all that it says.
_FIELD_OF: Mapping[type[Any], str] = {
    Task: "task",
    Message: "message",
    TaskStatusUpdateEvent: "status_update",
    TaskArtifactUpdateEvent: "artifact_update",
}


def record_of(task: Task, before: Task | None, event: Event | None = None) -> tuple[Record, Task]:
    """Return what to store of `task`, which was stored as `before`, and the task that this is read back as.

    `event` is what led from one to the other, as far as that is known; it can be read back by `event_of`.
    """
    if before is not None:
        for record in _short_records(task, before, event):
            after = Task()
            after.CopyFrom(before)
            _apply(after, record)
            if after == task:  # whatever the caller did to the task, nothing else is stored than what it is now
                return record, after
    whole: Record = {"task": MessageToDict(task)}
    after = _parsed(whole["task"], Task())
    return _with_event(whole, event, says_it=isinstance(event, Task) and event == task), after


def is_whole(record: Record) -> bool:
    """Tell whether a record says all of the task, so that those before it count no more."""
    return "task" in record


def task_of(session_id: str, task_id: str, records: Iterable[Any]) -> Task:
    """Return the task that the records of a session add up to. Raises CorruptSession for what is none."""
    task = Task(id=task_id)
    seq = 0
    for seq, record in enumerate(records, 1):
        try:
            _apply(task, record)
        except (ParseError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise _damaged(session_id, seq, error) from error
    if not seq:
        raise CorruptSession(session_id, f"session {session_id!r} holds no record of its task")
    return task


def event_of(session_id: str, task: Task, record: Any) -> Event | None:
    """Return the A2A event that led to a record, None where there was none; `task` has the ids.

    Raises CorruptSession for what is none.
    """
    try:
        if isinstance(event := record.get("event"), dict):
            response = _parsed(event, StreamResponse())
            told: Event = getattr(response, str(response.WhichOneof("payload")))
            return told
        if event is not None:  # the record is the event
            return task_of(session_id, task.id, [record])
        ids = {"taskId": task.id, "contextId": task.context_id}
        if "artifact" in record:
            artifact: Event = _parsed({**record["artifact"], **ids}, TaskArtifactUpdateEvent())
            return artifact
        if "status" in record:
            status: Event = _parsed({**record["status"], **ids}, TaskStatusUpdateEvent())
            return status
    except (ParseError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(session_id, None, error) from error
    return None


def _short_records(task: Task, before: Task, event: Event | None) -> Iterable[Record]:
    """Yield records that may say what is new in `task`, the shortest first."""
    if isinstance(event, TaskArtifactUpdateEvent | TaskStatusUpdateEvent):
        is_artifact = isinstance(event, TaskArtifactUpdateEvent)
        if event.task_id == task.id and event.context_id == task.context_id:
            says = MessageToDict(event)
            del says["taskId"]
            says.pop("contextId", None)
            yield {"artifact" if is_artifact else "status": says}
    if isinstance(event, Task) and event == task:
        return
    if (change := _change(task, before)) is not None:
        yield _with_event({"change": change}, event)


def _with_event(record: Record, event: Event | None, *, says_it: bool = False) -> Record:
    if event is None:
        return record
    if says_it:
        return {**record, "event": True}
    response = StreamResponse()
    getattr(response, _FIELD_OF[type(event)]).CopyFrom(event)
    return {**record, "event": MessageToDict(response)}


def _change(task: Task, before: Task) -> Record | None:
    """Return the fields of `task` that differ; None where a list is not what it was with something after it."""
    change: Record = {}
    if task.context_id != before.context_id:
        change["contextId"] = task.context_id
    if task.status != before.status or task.HasField("status") != before.HasField("status"):
        change["status"] = MessageToDict(task.status) if task.HasField("status") else None
    if task.metadata != before.metadata or task.HasField("metadata") != before.HasField("metadata"):
        change["metadata"] = MessageToDict(task.metadata) if task.HasField("metadata") else None
    known = len(before.history)
    if list(task.history[:known]) != list(before.history):
        return None
    if new := task.history[known:]:
        change["history"] = [MessageToDict(message) for message in new]
    if len(task.artifacts) < len(before.artifacts):
        return None
    if artifacts := _changed_artifacts(task, before):
        change["artifacts"] = artifacts
    return change


def _changed_artifacts(task: Task, before: Task) -> list[Record]:
    """Return the artifacts that are new or differ, each with its place, and of one that grew its new parts."""
    changed: list[Record] = []
    for place, artifact in enumerate(task.artifacts):
        old = before.artifacts[place] if place < len(before.artifacts) else None
        if old == artifact:
            continue
        if old is not None and len(artifact.parts) > len(old.parts):
            shorter = Artifact()
            shorter.CopyFrom(artifact)
            del shorter.parts[len(old.parts) :]
            if shorter == old:
                new = artifact.parts[len(old.parts) :]
                changed.append({"at": place, "parts": [MessageToDict(part) for part in new]})
                continue
        changed.append({"at": place, "is": MessageToDict(artifact)})
    return changed


def _apply(task: Task, record: Any) -> None:
    """Make `task` what a record says that it became."""
    if "task" in record:
        task.CopyFrom(_parsed(record["task"], Task()))
    elif "artifact" in record:
        _apply_artifact(task, _parsed(record["artifact"], TaskArtifactUpdateEvent()))
    elif "status" in record:
        _apply_status(task, _parsed(record["status"], TaskStatusUpdateEvent()))
    else:
        _apply_change(task, record["change"])


def _apply_artifact(task: Task, event: TaskArtifactUpdateEvent) -> None:
    same = [artifact for artifact in task.artifacts if artifact.artifact_id == event.artifact.artifact_id]
    if not same:
        task.artifacts.append(event.artifact)
    elif event.append:
        same[0].parts.extend(event.artifact.parts)
        same[0].metadata.update(dict(event.artifact.metadata.items()))
    else:
        same[0].CopyFrom(event.artifact)


def _apply_status(task: Task, event: TaskStatusUpdateEvent) -> None:
    if task.status.HasField("message"):
        task.history.append(task.status.message)
    if event.HasField("metadata"):
        task.metadata.MergeFrom(event.metadata)
    task.status.CopyFrom(event.status)


def _apply_change(task: Task, change: Record) -> None:
    if "contextId" in change:
        task.context_id = change["contextId"]
    for name, empty in (("status", TaskStatus()), ("metadata", type(task.metadata)())):
        if name in change:
            task.ClearField(name)
            if change[name] is not None:
                getattr(task, name).CopyFrom(_parsed(change[name], empty))
    task.history.extend(_parsed(message, Message()) for message in change.get("history", ()))
    for changed in change.get("artifacts", ()):
        place = changed["at"]
        if "parts" in changed:
            for part in changed["parts"]:
                _parsed(part, task.artifacts[place].parts.add())
        elif place == len(task.artifacts):
            task.artifacts.append(_parsed(changed["is"], Artifact()))
        else:
            task.artifacts[place].CopyFrom(_parsed(changed["is"], Artifact()))


def _parsed(value: Any, message: Any) -> Any:
    return ParseDict(value, message)


def _damaged(session_id: str, place: int | None, error: Exception) -> CorruptSession:
    which = "a record" if place is None else f"record {place}"
    return CorruptSession(
        session_id,
        f"session {session_id!r}: {which} of its task is none that this release of the A2A SDK reads: {error}",
    )
