"""A2ATaskEventStream: the events of tasks, from the replica that runs one to those that somebody follows it on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from a2a.server.cluster import TaskEventStream, TaskVersion, VersionedEvent
from a2a.types.a2a_pb2 import Task

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound
from a2a_session_manager.integrations.a2a.border import ANY_TASK, FORMAT, RECORD, task_in, their_errors
from a2a_session_manager.integrations.a2a.listing import ListedTask
from a2a_session_manager.integrations.a2a.records import event_of
from a2a_session_manager.integrations.a2a.versions import RecordVersion
from a2a_session_manager.manager import SessionManager

# How long to wait before looking again for a task that is not stored yet, in seconds.
_PAUSE_SECONDS = 0.2


class A2ATaskEventStream(TaskEventStream):
    """The SDK's `TaskEventStream`, which yields the events that an A2AVersionedTaskStore stores with the tasks.

    There is nothing to publish: an event and the task that it led to are one commit, and followers of the session are
    told of it, in this process and in others.

    `sessions` is the manager of the store, or of the namespace, in which the tasks are. It stays open.
    """

    def __init__(self, sessions: SessionManager) -> None:
        self._sessions = sessions

    async def publish(self, task_id: str, event: VersionedEvent) -> None:
        """Do nothing: A2AVersionedTaskStore has stored the event with the task."""

    async def destroy(self, task_id: str) -> None:
        """Do nothing: the events stay with the task, and are deleted with it."""

    async def subscribe(self, task_id: str, *, after: TaskVersion) -> AsyncGenerator[VersionedEvent, None]:
        """Yield the events of a task that came after a version of it, then each new one as it is stored.

        `after` is a version that A2AVersionedTaskStore returned, which tells whose task is meant. With another one,
        such as `TaskVersion.MISSING`, the task is looked for among all sessions, and awaited if it is not there yet;
        InvalidParamsError is raised when several owners have one of this id. It ends when the task is deleted.
        """
        with their_errors():
            session_id = after.session_id if isinstance(after, RecordVersion) else await self._found(task_id)
            session = await self._sessions.store.get(session_id, last=0)
            if session is None:
                return
            FORMAT.check(session)
            of_task = Task(id=task_id, context_id=ListedTask.of(session_id, session.metadata.properties).context_id)
            seen = after.number if isinstance(after, RecordVersion) else 0
            try:
                async with aclosing(self._sessions.store.follow(session, after=seen)) as records:
                    async for record in records:
                        version = RecordVersion(record.seq or 0, session_id)
                        if record.retracted or record.type != RECORD or not version.is_after(after):
                            continue
                        if (event := event_of(session_id, of_task, record.message)) is not None:
                            yield VersionedEvent(event=event, version=version)
            except SessionNotFound:
                return

    async def _found(self, task_id: str) -> str:
        """Return the id of the session that holds the task, when it is there."""
        while True:
            ids = await self._sessions.store.list_sessions(ANY_TASK)
            found = [session_id for session_id in ids if task_in(session_id) == task_id]
            if len(found) > 1:
                raise InvalidSessionOperation(
                    f"{len(found)} owners have a task {task_id!r}: subscribe with a version of the one that is meant, "
                    "which A2AVersionedTaskStore returns"
                )
            if found:
                return found[0]
            await asyncio.sleep(_PAUSE_SECONDS)
