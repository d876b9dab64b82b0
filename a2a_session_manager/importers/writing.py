"""ImportWriter: writes what was checked, in commits that are the same each time, so that it may be done again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from a2a_session_manager.identifiers import derived_id
from a2a_session_manager.importers import dated_writes
from a2a_session_manager.importers.checking import Planned
from a2a_session_manager.importers.records import (
    IMPORTED,
    EventRecord,
    Record,
    RunRecord,
    SessionStart,
)
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage.store import BaseSessionStore

# Is told how many events are done.
Progress = Callable[[int], object]


class ImportWriter:
    """Writes the sessions that are `planned`; those in `missing` are made empty where they are needed."""

    def __init__(
        self,
        store: BaseSessionStore,
        planned: Mapping[str, Planned],
        missing: Mapping[str, datetime],
        progress: Progress | None = None,
    ) -> None:
        self._store = store
        self._planned = planned
        self._missing = dict(missing)
        self._progress = progress
        self._created = {session_id for session_id, each in planned.items() if each.is_there}
        self._starts: dict[str, SessionStart] = {}
        self._done: dict[str, int] = {}
        self._events: dict[str, list[SessionEvent[Any]]] = {}
        self._runs: dict[str, list[SessionRun]] = {}
        self.count = 0

    async def take(self, records: Sequence[Record]) -> None:
        """Write records, which come in their order: what there is of each session in one commit."""
        for record in records:
            if isinstance(record, SessionStart) and record.id not in self._created:
                self._starts.setdefault(record.id, record)
            match record:
                case SessionStart(parent_id=str() as parent_id):
                    self._events.setdefault(record.id, [])
                    await self._flush(parent_id)
                case SessionStart():
                    self._events.setdefault(record.id, [])
                case EventRecord():
                    self._events.setdefault(record.session_id, []).append(record.event)
                case RunRecord():
                    self._runs.setdefault(record.session_id, []).append(record.run)
        for session_id in list(self._events):
            await self._flush(session_id)

    async def finish(self) -> None:
        """Give the sessions the titles that were found; one that has a title keeps it."""
        for session_id, planned in self._planned.items():
            if (title := planned.new_title) is not None:
                change = SessionChange(set_properties={"title": title, "title_by": "auto"})
                write_id = derived_id(f"import title {title}")
                await self._store.commit(session_id, change, write_id=write_id)

    async def _flush(self, session_id: str) -> None:
        """Write what waits of a session; with that, it is made, and before it the one that it lies below."""
        if session_id in self._missing:
            await self._make_missing(session_id)
        planned = self._planned.get(session_id)
        if planned is None:
            return
        events, runs = self._events.pop(session_id, []), self._runs.pop(session_id, [])
        start = planned.start
        if session_id not in self._created:
            if start.parent_id is not None and start.parent_id not in self._created:
                await self._flush(start.parent_id)
            await self._create(planned, events, runs)
        elif events or runs:
            await self._append(planned, events, runs)
        self._done[session_id] = self._done.get(session_id, 0) + len(events)
        self.count += len(events)
        if self._progress is not None:
            self._progress(self.count)

    async def _create(self, planned: Planned, events: list[SessionEvent[Any]], runs: list[SessionRun]) -> None:
        start = planned.start
        first = events[0].timestamp if events else planned.first_at
        created_at = start.created_at or first
        assert created_at is not None, "a session without events has a time of its own, or is not there"
        self._created.add(start.id)
        told = self._starts.pop(start.id, start)
        properties = self._properties(planned, told)
        if start.fork_at is not None and start.parent_id is not None:
            await dated_writes.fork_dated(
                self._store,
                start.parent_id,
                start.fork_at,
                new_id=start.id,
                properties=properties,
                created_at=created_at,
            )
            if events or runs:
                await self._append(planned, events, runs)
            return
        await dated_writes.create_dated(
            self._store,
            start.id,
            SessionChange(events=events, runs=runs, set_properties=properties, set_state=told.state),
            parent_id=start.parent_id,
            created_at=created_at,
            updated_at=max(created_at, self._time(planned, events)),
            write_id=derived_id("import"),
        )

    async def _append(self, planned: Planned, events: list[SessionEvent[Any]], runs: list[SessionRun]) -> None:
        if planned.is_there:
            runs = [run for run in runs if run.id in planned.new_runs]
            if not (runs or planned.new_events):
                return
        told = "".join(f"{run.id} {run.status} {run.metadata}" for run in runs)
        await dated_writes.commit_dated(
            self._store,
            planned.start.id,
            SessionChange(events=events, runs=runs),
            at=self._time(planned, events),
            write_id=derived_id(f"import runs {told}") if runs else None,
        )

    def _time(self, planned: Planned, events: Sequence[SessionEvent[Any]]) -> datetime:
        """Return when a session was last active with these events: with the last ones, as the file says."""
        times = [event.timestamp for event in events]
        is_last = self._done.get(planned.start.id, 0) + len(events) >= planned.events
        if is_last and planned.start.updated_at is not None:
            times.append(planned.start.updated_at)
        if not times:
            times = [time for time in (planned.start.created_at, planned.first_at) if time is not None]
        return max(times)

    def _properties(self, planned: Planned, start: SessionStart) -> dict[str, Any]:
        titled = {} if start.title is None else {"title": start.title, "title_by": "auto"}
        return {**titled, **start.properties, IMPORTED: {"format": planned.format, **start.about}}

    async def _make_missing(self, session_id: str) -> None:
        created_at = self._missing.pop(session_id)
        formats = (each.format for each in self._planned.values() if each.start.parent_id == session_id)
        properties = {IMPORTED: {"format": next(formats), "is_empty": True}}
        await dated_writes.create_dated(
            self._store,
            session_id,
            SessionChange(set_properties=properties),
            parent_id=None,
            created_at=created_at,
            updated_at=created_at,
            write_id=derived_id("import"),
        )
        self._created.add(session_id)
