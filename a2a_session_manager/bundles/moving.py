"""The way of sessions into a store: all is looked at before anything is written, then one follows another.

While sessions are brought, one that no other speaks for says in a property that it and all below it are not whole. It
is taken away when all are, so whoever calls again after a crash goes on there.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from a2a_session_manager.bundles.carried_events import CarriedEvent
from a2a_session_manager.bundles.digests import SessionDigest, digest_of, log_digest
from a2a_session_manager.bundles.guarded_session import OthersWriteError, spoilt
from a2a_session_manager.bundles.records import UNFINISHED, SessionRecord, record_of
from a2a_session_manager.bundles.report import MovedSession, MoveReport, MoveStatus
from a2a_session_manager.bundles.session_writer import SessionWriter
from a2a_session_manager.bundles.snapshot import read_head
from a2a_session_manager.bundles.sources import SessionSource, SourceSession, TreeSession
from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict, SessionNotFound
from a2a_session_manager.identifiers import checked_id, hidden_id
from a2a_session_manager.limits import DEEPEST_TREE
from a2a_session_manager.models.clock import now_micros
from a2a_session_manager.models.forked_from import ForkedFrom
from a2a_session_manager.serialization.plain_json import dumped
from a2a_session_manager.storage import codec, ranges
from a2a_session_manager.storage.commit_records import EncodedCommit, Fork, Parent
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import Segment
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.target import Target

# Is told how many events are done.
Progress = Callable[[int], object]

_TRIES: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.02


class Placed(NamedTuple):
    """Where a session is, where it goes; of a thousand sessions, no more is kept."""

    creation_id: str
    parent_id: str | None
    root_id: str
    depth: int


@dataclass(slots=True)
class Move:
    """Sessions of `source` on their way into the store `into`.

    Attributes:
        prefix: what is put before the ids of all of them.
        mark: what is remembered, while they are not whole, beside where they come from.
        keeps_marks: whether they go on saying that they are not whole until `unmark` is called.
        progress: is told how many events are done.
    """

    source: SessionSource
    into: BaseSessionStore
    prefix: str = ""
    mark: Mapping[str, Any] = field(default_factory=dict)
    keeps_marks: bool = False
    progress: Progress | None = None
    # By the new ids: those that say that they are not whole, and what was read of those that are there.
    marked: set[str] = field(default_factory=set)
    placed: dict[str, Placed] = field(default_factory=dict)
    done: int = 0

    async def plan(self) -> list[MovedSession]:
        """Return what is to be done for each session. Nothing is written.

        Raises InvalidSessionOperation when a session of the same id holds something else.
        """
        rows: list[MovedSession] = []
        for session_id in self.source.ids:
            new_id = checked_id(self.new_id(session_id), "session id")
            session = await self.source.open(session_id)
            if session is None:
                continue
            head = await read_head(self.into.target(new_id))
            status: MoveStatus = "new"
            if head is not None:
                self.note(head)
                status = await self._status(session, head)
            rows.append(MovedSession(session_id, new_id, status, session.record.own_events))
        return rows

    async def _status(self, session: SourceSession, head: HeadRecord) -> MoveStatus:
        if not self._is_covered(head.key.id):
            return await self._compared(session, head)
        record = self._renamed(session)
        if not _is_same_session(record, self._stored(head).record) or head.last_seq > record.last_seq:
            raise spoilt(record.id)
        return "continued"

    async def run(self, rows: list[MovedSession]) -> list[MovedSession]:
        """Bring those of the planned sessions that are not there; return what was done for each."""
        done = []
        top: str | None = None
        for row in rows:
            if self.source.begins_tree(row.id):
                if top is not None and not self.keeps_marks:
                    await self.unmark(top)
                top = row.new_id
            if row.status in ("new", "continued"):
                events = await self.bring(row.id)
                if events is None:  # deleted meanwhile
                    continue
                row = row._replace(events=events)
            done.append(row)
        return done

    async def bring(self, session_id: str) -> int | None:
        """Bring one session as it is now, and check that it has arrived; return how many events of its own it has.

        Return None when its source is gone, or a session above it.
        """
        for attempt in range(_TRIES):
            session = await self.source.open(session_id)
            if session is None or not self._has_place(session.record):
                return None
            record = self._renamed(session)
            target = self.into.target(record.id)
            digest = SessionDigest(record)
            try:
                writer = SessionWriter(
                    target,
                    record,
                    parent=self._parent(record),
                    fork=self._fork(record),
                    mark=None if self._is_covered(record.parent_id) else self._mark_of(session_id),
                    is_marked_only_in_part=self.source.is_fixed and not self.source.has_below(session_id),
                )
                await writer.write(self._counted(session.events(), digest))
            except OthersWriteError:
                await asyncio.sleep(random.uniform(0, _FIRST_PAUSE_SECONDS * 2**attempt))
                continue
            await self._verify(target, record, digest.hexdigest())
            return record.own_events
        raise SessionConflict(
            self.new_id(session_id),
            expected_revision=0,
            revision=0,
            message=f"session {self.new_id(session_id)!r}: others write to it while it is brought here: try again",
        )

    async def unmark(self, top: str | None = None) -> None:
        """Let the sessions say no more that they are not whole: the first one last.

        With `top`, those that were brought with it, which are all there.
        """
        place = None if top is None else self.placed.get(top)
        whole = [each for each in self.marked if place is None or self.placed[each].root_id == place.root_id]
        for new_id in sorted(whole, key=lambda each: (self.placed[each].depth, each), reverse=True):
            commit = EncodedCommit(
                properties={UNFINISHED: None},
                creation_id=self.placed[new_id].creation_id,
                write_id=hidden_id(),
                written_at=now_micros(),
            )
            target = self.into.target(new_id)
            await finish(target.backend.commit(target.key, commit), patience=target.limits.cancel_seconds)
        self.marked.difference_update(whole)

    def new_id(self, session_id: str) -> str:
        """Return the id that a session has where it goes."""
        return self.prefix + session_id

    def _renamed(self, session: SourceSession) -> SessionRecord:
        return session.record.renamed(self.new_id) if self.prefix else session.record

    def _mark_of(self, session_id: str) -> bytes:
        return dumped({"of": session_id, **self.mark})

    def _is_covered(self, new_id: str | None) -> bool:
        """Tell whether a session, or one above it, says that they are not whole."""
        while new_id is not None and new_id not in self.marked:
            place = self.placed.get(new_id)
            new_id = None if place is None else place.parent_id
        return new_id is not None

    def note(self, head: HeadRecord) -> None:
        """Note where a session is, and whether it says that it is not whole."""
        self.placed[head.key.id] = Placed(head.creation_id, head.parent_id, head.root_id, head.depth)
        if UNFINISHED in head.properties:
            self.marked.add(head.key.id)

    def _has_place(self, record: SessionRecord) -> bool:
        return record.parent_id is None or self.new_id(record.parent_id) in self.placed

    def _parent(self, record: SessionRecord) -> Parent | None:
        if record.parent_id is None:
            return None
        above = self.placed[record.parent_id]
        if above.depth >= DEEPEST_TREE:
            raise InvalidSessionOperation(
                f"session {record.id!r} would be more than {DEEPEST_TREE} levels deep", session_id=record.id
            )
        return Parent(record.parent_id, above.creation_id, above.root_id, above.depth)

    def _fork(self, record: SessionRecord) -> Fork | None:
        if record.forked_from is None:
            return None
        above = self.placed.get(record.forked_from.id)
        # A source that is gone has no name any more, here as there.
        source_creation = hidden_id() if above is None else above.creation_id
        inherited = record.inherited
        return Fork(
            ForkedFrom(record.forked_from.id, source_creation, record.forked_from.seq),
            tuple(
                Segment(part.session_id, self.placed[part.session_id].creation_id, part.first, part.last)
                for part in record.parts
            ),
            tuple(ranges.common(record.hidden, [(1, inherited)])),
            tuple(each for each in record.compactions if each.seq <= inherited),
            tuple(each for each in record.placed if each.seq <= inherited),
        )

    async def _counted(
        self, pages: AsyncIterator[list[CarriedEvent]], digest: SessionDigest
    ) -> AsyncIterator[list[CarriedEvent]]:
        async for page in pages:
            digest.add(page)
            yield page
            self.done += len(page)
            if self.progress is not None:
                self.progress(self.done)

    async def _compared(self, session: SourceSession, head: HeadRecord) -> MoveStatus:
        """Return what a session that is there whole is, next to one that is to come. Raises for other content."""
        record = self._renamed(session)
        there = self._stored(head)
        if (await digest_of(there)).hexdigest() == (await digest_of(session, record)).hexdigest():
            return "there"
        if _is_same_session(record, there.record) and record.last_seq <= there.record.last_seq:
            both = [await log_digest(each, record.last_seq) for each in (there, session)]
            if both[0] == both[1]:
                return "ahead"
        raise InvalidSessionOperation(
            f"session {record.id!r} is there with other content, or as it was earlier: delete it first, or take other "
            "ids with a prefix; nothing was written",
            session_id=record.id,
        )

    def _stored(self, head: HeadRecord) -> TreeSession:
        """Return a session of the store that is written to, with nothing of it seen as another's."""
        record = record_of(head, top="", inside={segment.session_id for segment in head.segments})
        return TreeSession(self.into.target(head.key.id), head, record)

    async def _verify(self, target: Target, record: SessionRecord, expected: str) -> None:
        head = await read_head(target)
        if head is None:
            raise SessionNotFound(target.key.id)
        self.note(head)
        if (await digest_of(self._stored(head))).hexdigest() != expected:
            raise spoilt(record.id)


async def move(move: Move, *, dry_run: bool) -> MoveReport:
    """Bring the sessions, and return what was done; with `dry_run`, what would be."""
    rows = await move.plan()
    if not dry_run:
        rows = await move.run(rows)
        await move.unmark()
    return MoveReport(rows, await move.source.losses(), dry_run)


def mark_in(head: HeadRecord) -> dict[str, Any] | None:
    """Return what a session says while it is not whole; None where it says nothing."""
    data = head.properties.get(UNFINISHED)
    if data is None:
        return None
    value = codec.decode_value(data, head.key.id, "properties")
    return value if isinstance(value, dict) else None


def _is_same_session(record: SessionRecord, other: SessionRecord) -> bool:
    return (record.created_at, record.parent_id, record.forked_from, record.parts) == (
        other.created_at,
        other.parent_id,
        other.forked_from,
        other.parts,
    )
