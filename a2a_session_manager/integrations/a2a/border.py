"""The border to the SDK: its errors for ours, and the ids of our sessions for its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from a2a.utils.errors import InternalError, InvalidParamsError
from google.protobuf.json_format import Error as ProtobufError

from a2a_session_manager.exceptions import InvalidEvent, InvalidSessionOperation, SessionManagerError
from a2a_session_manager.integrations.foreign_formats import ForeignFormat
from a2a_session_manager.integrations.foreign_ids import joined_id, parts_of, prefix_of

# The type of our events that record a task.
RECORD = "a2a_task"
FORMAT = ForeignFormat("A2A", "a2a_format")
ANY_TASK = prefix_of("task")


@contextmanager
def their_errors() -> Iterator[None]:
    """Raise the SDK's errors, which a server answers its client with, in the place of ours, which are the causes."""
    try:
        yield
    except (InvalidSessionOperation, InvalidEvent) as error:
        raise InvalidParamsError(str(error)) from error
    except SessionManagerError as error:
        raise InternalError(str(error)) from error
    except ProtobufError as error:
        raise InvalidParamsError(f"the message cannot be written as JSON: {error}") from error


def task_session(owner: str, task_id: str) -> str:
    """Return the id of the session that holds a task; those of one owner begin alike."""
    return joined_id("task", owner, _given(task_id), may_be_empty=True)


def tasks_of(owner: str) -> str:
    """Return what the ids of the sessions of an owner's tasks begin with; "" is who is anonymous."""
    return prefix_of("task", owner, may_be_empty=True)


def task_in(session_id: str) -> str:
    """Return the id of the task that a session of `ANY_TASK` holds."""
    return parts_of(session_id)[-1]


def push_session(task_id: str) -> str:
    """Return the id of the session that holds the push notification configs of all owners of a task."""
    return joined_id("push", _given(task_id))


def _given(task_id: str) -> str:
    if not task_id:
        raise InvalidSessionOperation("the task has no id: a2a stores keep tasks that have one")
    return task_id
