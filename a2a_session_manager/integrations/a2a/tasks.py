"""Tasks as sessions of ours: read as what their records add up to, and written as what is new in them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from a2a.server.events.event_queue import Event
from a2a.types.a2a_pb2 import Task

from a2a_session_manager.concurrency.retries import retry_if_unknown
from a2a_session_manager.exceptions import SessionConflict, SessionNotFound
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.integrations.a2a.border import FORMAT, RECORD, task_session
from a2a_session_manager.integrations.a2a.listing import found_by
from a2a_session_manager.integrations.a2a.records import is_whole, record_of, task_of
from a2a_session_manager.integrations.a2a.usage import usage_in
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.event_source import EventSource
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent

# A server streams a few tasks at once; each that is kept here is saved without being read first.
_MOST_KEPT = 64


@dataclass(slots=True)
class StoredRecords:
    """A task as it is stored: the handle of its session, what the records add up to, and how many there are.

    Each save is one commit with one event, so that the number of the newest event is the version of the task.
    """

    session: Session[Any]
    task: Task
    version: int
    revision: int  # the handle's own moves on with the saves of others in this process


class TaskSessions:
    """Reads and writes the sessions of tasks. `usage_key` is the key of metadata in which agents report usage."""

    def __init__(self, sessions: SessionManager, usage_key: str | None) -> None:
        self.sessions = sessions
        self._usage_key = usage_key
        self._newest: OrderedDict[str, StoredRecords] = OrderedDict()

    async def read(self, owner: str, task_id: str) -> StoredRecords | None:
        """Return the task as it is stored now; None when there is none. Raises CorruptSession."""
        session_id = task_session(owner, task_id)
        session = await self.sessions.store.get(session_id)
        if session is None:
            self._newest.pop(session_id, None)
            return None
        return self._keep(read_records(session, task_id))

    async def newest_known(self, owner: str, task_id: str) -> StoredRecords | None:
        """Return the task as this process wrote or read it last, which may be late; where it did not, as it is."""
        return self._newest.get(task_session(owner, task_id)) or await self.read(owner, task_id)

    async def create(self, owner: str, task: Task, event: Event | None) -> StoredRecords:
        """Store the first record of a task. Raises SessionAlreadyExists when there are any."""
        session_id, write_id = task_session(owner, task.id), hidden_id()
        record, after = record_of(task, None, event)
        change = SessionChange(
            events=[self._event(record, task, None, event)],
            set_properties={**FORMAT.as_property(), **found_by(after)},
        )
        session = await retry_if_unknown(
            lambda: self.sessions.store.create(session_id, change=change, write_id=write_id)
        )
        return self._keep(StoredRecords(session, after, session.last_seq, session.revision))

    async def append(self, stored: StoredRecords, task: Task, event: Event | None) -> StoredRecords:
        """Store what is new in `task` since it was as `stored`. Raises SessionConflict when others were faster, and
        SessionNotFound when it is deleted."""
        record, after = record_of(task, stored.task, event)
        write_id = hidden_id()
        known = found_by(stored.task)
        change = SessionChange(
            events=[self._event(record, task, stored.task, event)],
            set_properties={name: value for name, value in found_by(after).items() if known[name] != value},
            retraction=Retraction(after=0) if is_whole(record) else None,
        )
        session, revision = stored.session, stored.revision
        try:
            result = await retry_if_unknown(
                lambda: self.sessions.store.commit(session, change, expected_revision=revision, write_id=write_id)
            )
        except (SessionConflict, SessionNotFound):
            self.forget(session.id)
            raise
        return self._keep(StoredRecords(session, after, result.last_seq, result.revision))

    async def replace(self, owner: str, task: Task) -> None:
        """Store all of `task`, whatever is stored: the last one who saves wins."""
        session_id, write_id = task_session(owner, task.id), hidden_id()
        record, after = record_of(task, None)
        change = SessionChange(
            events=[self._event(record, task, None, None)],
            set_properties=found_by(after),
            retraction=Retraction(after=0),
        )
        self.forget(session_id)
        await retry_if_unknown(lambda: self.sessions.store.commit(session_id, change, write_id=write_id))

    async def delete(self, owner: str, task_id: str) -> None:
        """Delete a task; one that is not there is fine."""
        session_id = task_session(owner, task_id)
        self.forget(session_id)
        await retry_if_unknown(lambda: self.sessions.store.delete(session_id, children="cascade"))

    def forget(self, session_id: str) -> None:
        """Read the session again before it is written next."""
        self._newest.pop(session_id, None)

    def _keep(self, stored: StoredRecords) -> StoredRecords:
        self._newest[stored.session.id] = stored
        self._newest.move_to_end(stored.session.id)
        if len(self._newest) > _MOST_KEPT:
            self._newest.popitem(last=False)
        return stored

    def _event(self, record: Any, task: Task, before: Task | None, event: Event | None) -> SessionEvent[Any]:
        usage = None if self._usage_key is None else usage_in(self._usage_key, task, before, event)
        return SessionEvent(message=record, source=EventSource.LLM, type=RECORD, token_usage=usage)


def read_records(session: Session[Any], task_id: str) -> StoredRecords:
    """Return what the records of a session that was read as a whole add up to. Raises CorruptSession."""
    FORMAT.check(session)
    records = [event.message for event in session.events if event.type == RECORD]
    task = task_of(session.id, task_id, records)
    task.id = task_id  # that of a fork is its own
    return StoredRecords(session, task, session.last_seq, session.revision)
