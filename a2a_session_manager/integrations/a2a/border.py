"""The border to the SDK: its errors for ours, and the ids of our sessions for its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from a2a.utils.errors import InternalError, InvalidParamsError
from google.protobuf.json_format import Error as ProtobufError

from a2a_session_manager.exceptions import CorruptSession, InvalidEvent, InvalidSessionOperation, SessionManagerError
from a2a_session_manager.namespaces import path_of

# The type of our events that record a task, and of the properties' version: a newer one is refused.
RECORD = "a2a_task"
FORMAT = 1
FORMAT_KEY = "a2a_format"


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
    return f"{tasks_of(owner)}{path_of((_given(task_id),))}"


def tasks_of(owner: str) -> str:
    """Return what the ids of the sessions of an owner's tasks begin with; "" is who is anonymous."""
    return f"task/{path_of((owner,))}/"


def push_session(task_id: str) -> str:
    """Return the id of the session that holds the push notification configs of all owners of a task."""
    return f"push/{path_of((_given(task_id),))}"


def check_format(session_id: str, properties: dict[str, object]) -> None:
    """Raise CorruptSession for what a newer release has written in another way."""
    written = properties.get(FORMAT_KEY)
    if written != FORMAT:
        raise CorruptSession(
            session_id,
            f"session {session_id!r} has format {written!r} of the A2A bridge, and this release reads {FORMAT}: "
            "update a2a_session_manager, or give the bridge a namespace of its own",
        )


def _given(task_id: str) -> str:
    if not task_id:
        raise InvalidSessionOperation("the task has no id: a2a stores keep tasks that have one")
    return task_id
