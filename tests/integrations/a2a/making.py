"""Tasks and callers for the tests of the A2A bridge."""

from __future__ import annotations

from collections.abc import Iterator

from a2a.auth.user import User
from a2a.server.context import ServerCallContext
from a2a.server.tasks.task_manager import append_artifact_to_task
from a2a.types.a2a_pb2 import (
    Artifact,
    Message,
    Part,
    Role,
    Task,
    TaskArtifactUpdateEvent,
    TaskState,
    TaskStatus,
    TaskStatusUpdateEvent,
)
from google.protobuf.timestamp_pb2 import Timestamp

WORKING = TaskState.TASK_STATE_WORKING
COMPLETED = TaskState.TASK_STATE_COMPLETED
CANCELED = TaskState.TASK_STATE_CANCELED


class Named(User):
    """A user who is known by a name."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def user_name(self) -> str:
        return self._name


def caller(name: str) -> ServerCallContext:
    """A call of this user."""
    return ServerCallContext(user=Named(name))


ANN, BOB = caller("ann"), caller("bob")


def task(id: str = "t-1", state: int = WORKING, context_id: str = "c-1", seconds: int | None = None) -> Task:
    """A task whose status is of this second; without one, it has no time."""
    status = TaskStatus(state=state)  # type: ignore[arg-type, unused-ignore]  # the stubs want the enum's own type
    if seconds is not None:
        status.timestamp.CopyFrom(Timestamp(seconds=seconds))
    return Task(id=id, context_id=context_id, status=status)


def message(text: str) -> Message:
    """A message of the agent."""
    return Message(message_id=f"m-{text}", role=Role.ROLE_AGENT, parts=[Part(text=text)])


def chunk(of: Task, number: int, artifact_id: str = "answer") -> TaskArtifactUpdateEvent:
    """The next part of an artifact; number 0 is the first one."""
    artifact = Artifact(artifact_id=artifact_id, parts=[Part(text=f"chunk {number} of the answer ")])
    return TaskArtifactUpdateEvent(task_id=of.id, context_id=of.context_id, artifact=artifact, append=number > 0)


def chunks(of: Task, count: int) -> Iterator[TaskArtifactUpdateEvent]:
    """Stream parts of an artifact, each of them in the task by the time it is yielded, as the SDK's server does."""
    for number in range(count):
        event = chunk(of, number)
        append_artifact_to_task(of, event)
        yield event


def moved(of: Task, state: int, text: str | None = None) -> TaskStatusUpdateEvent:
    """A change of the status, which is in the task by the time it is returned."""
    status = TaskStatus(state=state)  # type: ignore[arg-type, unused-ignore]  # the stubs want the enum's own type
    if text is not None:
        status.message.CopyFrom(message(text))
    if of.status.HasField("message"):
        of.history.append(of.status.message)
    of.status.CopyFrom(status)
    return TaskStatusUpdateEvent(task_id=of.id, context_id=of.context_id, status=status)
