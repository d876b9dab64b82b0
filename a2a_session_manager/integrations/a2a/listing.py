"""Listing an owner's tasks: what they are found by, in the order and with the cursors of the SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from a2a.types.a2a_pb2 import ListTasksRequest, Task
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE
from a2a.utils.errors import InvalidParamsError
from a2a.utils.task import ListTasksCursor, decode_list_tasks_cursor, decode_page_token, encode_list_tasks_cursor

from a2a_session_manager.integrations.a2a.border import task_in

_ID, _CONTEXT, _STATE, _TIME = "a2a_task_id", "a2a_context_id", "a2a_state", "a2a_timestamp_ns"


def found_by(task: Task) -> dict[str, Any]:
    """Return the properties by which a task is found; they are written with the record that changes them."""
    has_time = task.HasField("status") and task.status.HasField("timestamp")
    return {
        _ID: task.id,
        _CONTEXT: task.context_id,
        _STATE: int(task.status.state),
        _TIME: task.status.timestamp.ToNanoseconds() if has_time else None,
    }


@dataclass(frozen=True, slots=True)
class ListedTask:
    """What a listing knows of a task: where it is stored, and what it is found by."""

    session_id: str
    task_id: str
    context_id: str
    state: int
    timestamp_ns: int | None

    @classmethod
    def of(cls, session_id: str, properties: dict[str, Any]) -> ListedTask:
        """Return what the properties of a task's session say."""
        return cls(session_id, task_in(session_id), properties[_CONTEXT], properties[_STATE], properties[_TIME])

    @property
    def cursor(self) -> ListTasksCursor:
        """The task's place in the order of the SDK."""
        return ListTasksCursor(timestamp_ns=self.timestamp_ns, task_id=self.task_id)

    def is_asked_for(self, params: ListTasksRequest) -> bool:
        """Tell whether the task is among those that the request filters by."""
        if params.context_id and self.context_id != params.context_id:
            return False
        if params.status and self.state != params.status:
            return False
        if not params.HasField("status_timestamp_after"):
            return True
        return self.timestamp_ns is not None and self.timestamp_ns >= params.status_timestamp_after.ToNanoseconds()


@dataclass(frozen=True, slots=True)
class TasksPage:
    """One page of a listing, newest first; `next_page_token` is empty on the last one."""

    tasks: Sequence[ListedTask]
    next_page_token: str
    total_size: int
    page_size: int


def page_of(tasks: Sequence[ListedTask], params: ListTasksRequest) -> TasksPage:
    """Return the page that is asked for. Raises the SDK's InvalidParamsError for a page token that is none."""
    found = sorted(
        (task for task in tasks if task.is_asked_for(params)), key=lambda task: task.cursor.sort_key(), reverse=True
    )
    start = _start(found, params.page_token) if params.page_token else 0
    size = params.page_size or DEFAULT_LIST_TASKS_PAGE_SIZE
    page = found[start : start + size]
    is_last = start + size >= len(found)
    token = "" if is_last or not page else encode_list_tasks_cursor(page[-1].cursor)
    return TasksPage(page, token, len(found), size)


def _start(found: Sequence[ListedTask], token: str) -> int:
    """Return where the page begins: after the task that the token names, or at it in a token of an older SDK."""
    cursor = decode_list_tasks_cursor(token)
    if cursor is not None:
        after = cursor.sort_key()
        return next((place for place, task in enumerate(found) if task.cursor.sort_key() < after), len(found))
    first = decode_page_token(token)
    for place, task in enumerate(found):
        if task.task_id == first:
            return place
    raise InvalidParamsError(f"Invalid page token: {token}")
