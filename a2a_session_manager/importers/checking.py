"""ImportCheck: all of the files is looked at, and what is there already, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import InvalidEvent, SessionManagerError
from a2a_session_manager.identifiers import checked_id, shown
from a2a_session_manager.importers.records import (
    IMPORTED,
    EventRecord,
    Note,
    Record,
    RunRecord,
    SessionStart,
    TitleRecord,
)
from a2a_session_manager.importers.report import ImportReport
from a2a_session_manager.importers.seen_events import SeenEvents
from a2a_session_manager.importers.source import ImportFault
from a2a_session_manager.limits import DEEPEST_TREE, StoreLimits
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.serialization.json_check import SizeCheck
from a2a_session_manager.storage.encoding import encode_events, encode_values
from a2a_session_manager.storage.store import BaseSessionStore

_SHOWN: Final = 120


@dataclass(slots=True)
class Planned:
    """What is known of a session that is to be written.

    Attributes:
        format: the name of its format.
        start: where it lies and when it was; what else the file says comes again when it is written.
        is_there: whether it was there before.
        events, new_events: how many the files have, and how many of these were not there.
        new_runs: the ids of runs that were not there, or are to go on.
        has_title: whether it has a title already, or begins with one.
        new_title: the one that it is to get.
        first_at: when its first event was.
    """

    format: str
    is_there: bool
    start: SessionStart
    events: int = 0
    new_events: int = 0
    new_runs: frozenset[str] = frozenset()
    has_title: bool = False
    new_title: str | None = None
    first_at: datetime | None = None

    @property
    def is_new(self) -> bool:
        """Whether anything of it is to be written."""
        return not self.is_there or bool(self.new_events or self.new_runs or self.new_title)


class ImportCheck:
    """Takes the records of all files, and raises ImportFault for what must not be written."""

    def __init__(self, store: BaseSessionStore, report: ImportReport) -> None:
        self._store = store
        self._limits: StoreLimits = store.target("limits").limits
        self._report = report
        self._seen = SeenEvents()
        self.planned: dict[str, Planned] = {}
        self._awaited: set[str] = set()
        # Sessions that others are to be put below, and that no file has.
        self.missing: dict[str, datetime] = {}

    def close(self) -> None:
        """Forget what was remembered for the check."""
        self._seen.close()

    async def take(self, records: Sequence[Record], format: str, file: str) -> None:
        """Look at records of one file, which come in their order."""
        events: dict[str, list[EventRecord]] = {}
        for record in records:
            match record:
                case SessionStart():
                    await self._start(record, format, file)
                case EventRecord():
                    events.setdefault(record.session_id, []).append(record)
                case TitleRecord():
                    planned = self.planned[record.session_id]
                    planned.new_title = None if planned.has_title else record.title
                case RunRecord():
                    await self._run(record)
                case Note():
                    self._report.notes.append(record.text)
        for session_id, of_session in events.items():
            await self._events(session_id, of_session, file)

    async def finish(self) -> None:
        """Look at what can be said only when all files were read. Raises ImportFault."""
        self._part_circles()
        for planned in self.planned.values():
            start = planned.start
            if start.parent_id is None or start.parent_id in self.planned or start.parent_id in self.missing:
                continue
            if await self._store.get(start.parent_id, last=0) is None:
                made = start.created_at or planned.first_at
                assert made is not None, "a session below another one has an event"
                self.missing[start.parent_id] = made
                text = f"{shown(start.parent_id)}, which others lie below, is in none of the files: it will be empty"
                self._report.notes.append(text)

    def _part_circles(self) -> None:
        """Let a session that lies below itself, as 0.1 allowed it, be a root. Raises ImportFault for a deep tree."""
        depths: dict[str, int] = {}
        for session_id in self.planned:
            above: dict[str, None] = {}
            at: str | None = session_id
            while at is not None and at in self.planned and at not in depths and at not in above:
                above[at] = None
                at = self.planned[at].start.parent_id
            if at is not None and at in above:
                planned = self.planned[at]
                planned.start = replace(planned.start, parent_id=None)
                self._report.children -= 1
                self._report.notes.append(f"{shown(at)} lies below itself: it becomes a root")
            depth = depths.get(at or "", 0)
            for one in reversed(above):
                depth = 1 if self.planned[one].start.parent_id is None else depth + 1
                depths[one] = depth
                if depth > DEEPEST_TREE:
                    raise ImportFault(f"{shown(one)} lies more than {DEEPEST_TREE} levels deep; nothing was written")

    async def _start(self, start: SessionStart, format: str, file: str) -> None:
        if start.id in self.planned:
            return
        try:
            checked_id(start.id, "session id")
            if start.parent_id is not None:
                checked_id(start.parent_id, "session id")
            values = {**start.properties, IMPORTED: dict(start.about)}
            await in_thread(self._check_values, values, start.state)
        except SessionManagerError as error:
            raise ImportFault(f"{file}: {error}; nothing was written") from error
        found = await self._store.get(start.id, last=0)
        planned = Planned(format, found is not None, self._kept(start), has_title=start.title is not None)
        if found is not None:
            mark = found.metadata.properties.get(IMPORTED)
            told = mark.get("format") if isinstance(mark, Mapping) else None
            above = found.parent_id if found.forked_from is None else found.forked_from.id
            if told != format or above not in (None, start.parent_id):
                raise ImportFault(
                    f"{file}: session {shown(start.id)} is there already, and was not imported from this format: "
                    "import into another namespace, or delete it first; nothing was written"
                )
            planned.has_title = found.metadata.properties.get("title") is not None
        self.planned[start.id] = planned
        report = self._report
        report.session_ids.append(start.id)
        report.new_sessions += found is None
        report.forks += start.fork_at is not None
        report.children += start.parent_id is not None and start.fork_at is None

    def _kept(self, start: SessionStart) -> SessionStart:
        """Return of a start what is remembered: of one that others wait for to lie below it, all."""
        if start.parent_id is not None and start.parent_id not in self.planned:
            self._awaited.add(start.parent_id)
        return start if start.id in self._awaited else replace(start, about={}, properties={}, state={})

    def _check_values(self, properties: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        encode_values(properties, SizeCheck(self._limits.event_bytes), self._limits, "properties")
        encode_values(state, SizeCheck(self._limits.event_bytes), self._limits, "state")

    async def _run(self, record: RunRecord) -> None:
        planned = self.planned[record.session_id]
        runs = await self._store.runs(record.session_id) if planned.is_there else []
        there = next((run for run in runs if run.id == record.run.id), None)
        if there is None or (there.status != record.run.status and not there.status.is_final):
            planned.new_runs |= {record.run.id}

    async def _events(self, session_id: str, records: Sequence[EventRecord], file: str) -> None:
        planned, report = self.planned[session_id], self._report
        events = [record.event for record in records]
        planned.first_at = planned.first_at or events[0].timestamp
        try:
            await in_thread(encode_events, events, SizeCheck(self._limits.event_bytes), self._limits)
        except SessionManagerError as error:
            path = error.event_id if isinstance(error, InvalidEvent) else None
            where = f"{file}: session {shown(session_id)}, record {shown(path)}"
            raise ImportFault(f"{where}: {_short(str(error))}; nothing was written") from error
        before = await in_thread(self._seen.repeats, session_id, events)
        there = await self._stored(planned, session_id, events)
        for record, is_repeat, stored in zip(records, before, there, strict=True):
            event = record.event
            if is_repeat is None or (stored is not None and _said(stored) != _said(event)):
                raise ImportFault(
                    f"{file}: session {shown(session_id)} has something else as event {shown(event.id)}"
                    f"{' in this file' if is_repeat is None else ''}: import into another namespace; nothing was "
                    "written"
                )
            if is_repeat:
                report.repeated += 1
                continue
            planned.events += 1
            planned.new_events += stored is None
            report.events += 1
            report.new_events += stored is None
            report.untimed += not record.is_timed
            if record.kind is not None:
                report.opaque[record.kind] += 1

    async def _stored(
        self, planned: Planned, session_id: str, events: Sequence[SessionEvent[Any]]
    ) -> Sequence[SessionEvent[Any] | None]:
        if not planned.is_there:
            return [None] * len(events)
        return await self._store.events_by_id(session_id, *(event.id for event in events))


def _short(text: str) -> str:
    """Return a text without its middle, where it is long, such as one with the path to what is nested too deeply."""
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}…{text[-_SHOWN:]}"


def _said(event: SessionEvent[Any]) -> tuple[Any, ...]:
    return event.message, event.source, event.type, event.task_id
