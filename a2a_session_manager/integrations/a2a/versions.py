"""RecordVersion: the version of a task that also knows where the task is stored."""

from __future__ import annotations

from a2a.server.cluster import TaskVersion


class RecordVersion(TaskVersion):
    """How many records a task has had; `session_id` names the session that holds them, which tells whose it is.

    The SDK hands versions back as they are, and a stream is asked for a task by its id alone, which two owners may
    have; the version that it is followed from says which one is meant.
    """

    __slots__ = ("number", "session_id")

    def __init__(self, number: int, session_id: str) -> None:
        super().__init__(number)
        self.number = number
        self.session_id = session_id
