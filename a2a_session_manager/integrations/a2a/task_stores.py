"""A2ATaskStore and A2AVersionedTaskStore: the SDK's stores of tasks, over sessions of ours."""

from __future__ import annotations

from a2a.server.cluster import ConcurrentTaskModificationError, StoredTask, TaskVersion, VersionedTaskStore
from a2a.server.context import ServerCallContext
from a2a.server.events.event_queue import Event
from a2a.server.owner_resolver import OwnerResolver, resolve_user_scope
from a2a.server.tasks.task_store import TaskStore
from a2a.types.a2a_pb2 import ListTasksRequest, ListTasksResponse, Task, TaskState

from a2a_session_manager.exceptions import SessionAlreadyExists, SessionConflict, SessionNotFound
from a2a_session_manager.integrations.a2a.border import FORMAT, tasks_of, their_errors
from a2a_session_manager.integrations.a2a.listing import ListedTask, page_of
from a2a_session_manager.integrations.a2a.tasks import StoredRecords, TaskSessions
from a2a_session_manager.integrations.a2a.versions import RecordVersion
from a2a_session_manager.manager import SessionManager

_ENDED = frozenset(
    {
        TaskState.TASK_STATE_COMPLETED,
        TaskState.TASK_STATE_CANCELED,
        TaskState.TASK_STATE_FAILED,
        TaskState.TASK_STATE_REJECTED,
    }
)
_TRIES = 8
_HEADS_AT_ONCE = 100


class _OverTasks:
    """What both stores are over, and the verbs that are the same."""

    def __init__(
        self,
        sessions: SessionManager,
        *,
        owner_resolver: OwnerResolver = resolve_user_scope,
        usage_key: str | None = None,
    ) -> None:
        self._tasks = TaskSessions(sessions, usage_key)
        self._owner_of = owner_resolver

    async def list(self, params: ListTasksRequest, context: ServerCallContext) -> ListTasksResponse:
        """Return a page of the owner's tasks, the one first whose status is newest.

        The heads of all tasks of the owner are read for it, and the tasks that are on the page.
        """
        with their_errors():
            return await list_tasks(self._tasks, self._owner_of(context), params)

    async def delete(self, task_id: str, context: ServerCallContext) -> None:
        """Delete the owner's task with its events; one that is not there is fine. Its push configs stay."""
        with their_errors():
            await self._tasks.delete(self._owner_of(context), task_id)


class A2ATaskStore(_OverTasks, TaskStore):
    """The SDK's `TaskStore`: each task is a session, and a save stores what is new in it.

    The last one who saves a task wins, as in the SDK's own stores; A2AVersionedTaskStore refuses who comes too late.
    The verbs raise InvalidParamsError for what cannot be stored, and InternalError when the store fails; our error is
    the cause.

    Args:
        sessions: the manager of the store, or of a namespace of it, which has nothing else in it. It stays open.
        owner_resolver: tells whose a task is; nobody sees another's. By default it is the name of the user, which is
            "" for everybody who is anonymous.
        usage_key: the key of metadata in which agents report the usage of a model, such as "adk_usage_metadata". It is
            added to the totals of the task's session. None: metadata is not looked at.
    """

    async def save(self, task: Task, context: ServerCallContext) -> None:
        """Store what is new in the task, or all of it when it is new itself, or others have changed it meanwhile."""
        owner = self._owner_of(context)
        with their_errors():
            for _ in range(_TRIES):
                try:
                    stored = await self._tasks.newest_known(owner, task.id)
                    if stored is None:
                        await self._tasks.create(owner, task, None)
                    elif stored.task != task:
                        await self._tasks.append(stored, task, None)
                    return
                except SessionConflict:
                    await self._tasks.replace(owner, task)
                    return
                except (SessionAlreadyExists, SessionNotFound):
                    continue  # created or deleted since it was looked for
            raise SessionNotFound(task.id)

    async def get(self, task_id: str, context: ServerCallContext) -> Task | None:
        """Return the owner's task of this id, or None. It is a copy."""
        with their_errors():
            stored = await self._tasks.read(self._owner_of(context), task_id)
        return None if stored is None else _copy(stored.task)


class A2AVersionedTaskStore(_OverTasks, VersionedTaskStore):
    """The SDK's `VersionedTaskStore` for several replicas: a save that comes too late is refused, and the event that
    led to a save is stored in the same step, where an A2ATaskEventStream over the same sessions finds it.

    Its arguments, its errors and its sessions are those of A2ATaskStore.
    """

    async def save(
        self,
        task: Task,
        *,
        event: Event | None,
        prev: Task | None,
        prev_version: TaskVersion,
        context: ServerCallContext,
    ) -> TaskVersion:
        """Store what is new in the task, and return its new version.

        `prev` is not needed. Raises ConcurrentTaskModificationError when the stored version is not `prev_version`; a
        task that is cancelled takes the place of one that has not ended, whatever its version.
        """
        owner = self._owner_of(context)
        with their_errors():
            try:
                if task.status.state == TaskState.TASK_STATE_CANCELED:
                    stored = await self._cancel(owner, task, event)
                elif prev_version.is_missing:
                    stored = await self._tasks.create(owner, task, event)
                else:
                    known = await self._at(prev_version, owner, task.id)
                    stored = await self._tasks.append(known, task, event)
            except (SessionAlreadyExists, SessionConflict, SessionNotFound) as error:
                raise ConcurrentTaskModificationError(task.id) from error
        return RecordVersion(stored.version, stored.session.id)

    async def get(self, task_id: str, context: ServerCallContext) -> StoredTask | None:
        """Return the owner's task of this id with its version, or None. It is a copy."""
        with their_errors():
            stored = await self._tasks.read(self._owner_of(context), task_id)
        if stored is None:
            return None
        return StoredTask(_copy(stored.task), RecordVersion(stored.version, stored.session.id))

    async def _at(self, version: TaskVersion, owner: str, task_id: str) -> StoredRecords:
        """Return the task as it is stored at this version. Raises SessionConflict when it has another one."""
        known = await self._tasks.newest_known(owner, task_id)
        if known is None or TaskVersion(known.version) != version:
            known = await self._tasks.read(owner, task_id)
        if known is None:
            raise SessionNotFound(task_id)
        if TaskVersion(known.version) != version:
            raise SessionConflict(known.session.id, expected_revision=known.revision, revision=known.session.revision)
        return known

    async def _cancel(self, owner: str, task: Task, event: Event | None) -> StoredRecords:
        for _ in range(_TRIES):
            stored = await self._tasks.read(owner, task.id)
            if stored is None or stored.task.status.state in _ENDED:
                raise SessionNotFound(task.id)
            try:
                return await self._tasks.append(stored, task, event)
            except SessionConflict as conflict:
                last = conflict
        raise last


async def list_tasks(tasks: TaskSessions, owner: str, params: ListTasksRequest) -> ListTasksResponse:
    """Return the page of an owner's tasks that is asked for."""
    store = tasks.sessions.store
    listed: list[ListedTask] = []
    ids = await store.list_sessions(tasks_of(owner))
    for start in range(0, len(ids), _HEADS_AT_ONCE):
        heads = await store.get_many(ids[start : start + _HEADS_AT_ONCE], last=0)
        for head in heads:
            if head is not None:
                FORMAT.check(head)
                listed.append(ListedTask.of(head.id, head.metadata.properties))
    page = page_of(listed, params)
    stored = [await tasks.read(owner, task.task_id) for task in page.tasks]
    found = [each for each in stored if each is not None]  # one may be deleted since it was listed
    return ListTasksResponse(
        tasks=[each.task for each in found],
        next_page_token=page.next_page_token,
        total_size=page.total_size,
        page_size=page.page_size,
    )


def _copy(task: Task) -> Task:
    copy = Task()
    copy.CopyFrom(task)
    return copy
