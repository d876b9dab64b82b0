"""`fork(detached=True)`: a copy of a session's events up to a point, as a root that needs its source no more.

It is made in batches, each one commit. Until the last one is made, the copy says in a property that it is not whole,
and whoever asks for it again goes on where the one before has stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import (
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionConflict,
    SessionNotFound,
)
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.compaction import KEY, compaction_in
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import COUNTED, SessionEvent
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.serialization.json_check import SizeCheck
from a2a_session_manager.storage import codec, compactions, paging, ranges, reads, writes
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, EventsKnown
from a2a_session_manager.storage.copy_snapshot import Snapshot, copy_in
from a2a_session_manager.storage.encoding import encode_commit
from a2a_session_manager.storage.fork_rules import COPIED_FROM
from a2a_session_manager.storage.loading import EventDecoder, load_session
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession, StoredEvent
from a2a_session_manager.storage.records import (
    EncodedCompaction,
    EncodedEvent,
    EncodedRestoration,
    EncodedRetraction,
)
from a2a_session_manager.storage.target import Target


async def copy_session(
    store: SessionStore, source: Target, new: Target, head: HeadRecord, properties: Any, endings: Sequence[Any]
) -> Session[Any]:
    """Copy what `head` says, which was cut at the point, into the root `new`, or go on with it, and return the copy.

    Raises SessionAlreadyExists when the id is taken by anything else, and InvalidSessionOperation when somebody has
    written to the copy before it was whole.
    """
    found = await reads.find_head(new)
    if found is None:
        with suppress(SessionAlreadyExists):  # somebody else began it meanwhile
            await _create(new, head, properties)
        found = await reads.load_head(new)
    snapshot = copy_in(found)
    wanted = (head.key.id, head.creation_id, head.last_seq)
    if snapshot is None or (snapshot.id, snapshot.creation_id, snapshot.seq) != wanted:
        raise SessionAlreadyExists(new.key.id)
    new = new._replace(creation_id=found.creation_id)
    if not snapshot.whole:
        await _Copying(source._replace(creation_id=head.creation_id), new, snapshot).run(endings)
    return await load_session(LoadedSession(await reads.load_head(new)), store, new.limits, is_partial=True)


async def _create(new: Target, source: HeadRecord, properties: Any) -> None:
    mark = {COPIED_FROM: Snapshot.of(source).as_property()}
    change = SessionChange(set_properties={**({} if properties is None else properties), **mark})
    commit = await encode_commit(new, (), change, write_id=hidden_id())
    commit.state = {**source.state}
    commit.properties = {**source.properties, **commit.properties}
    await writes.send(new, commit, (), creation=Creation(hidden_id(), commit.written_at))


class _Copying:
    """The events of `source` up to the point, put into `new`, which has the first ones perhaps."""

    def __init__(self, source: Target, new: Target, snapshot: Snapshot) -> None:
        self._source = source
        self._new = new
        self._snapshot = snapshot
        self._summaries = {summary[0]: summary for summary in snapshot.summaries}
        self._places = dict(snapshot.placed)
        self._to_hide: list[str] = []

    async def run(self, endings: Sequence[SessionEvent[Any]]) -> None:
        """Copy what is missing, and say then that the copy is whole."""
        last_seq = await self._begin()
        while last_seq < self._snapshot.seq:
            last_seq = await self._copy_after(last_seq)
            await asyncio.sleep(0)
        self._snapshot.whole = True
        change = SessionChange(
            events=endings,
            set_properties={COPIED_FROM: self._snapshot.as_property()},
            retraction=Retraction(self._to_hide) if self._to_hide else None,
        )
        commit = await encode_commit(self._new, endings, change, write_id=hidden_id())
        await writes.send(self._new, commit, endings)

    async def _begin(self) -> int:
        """Return how much of it is there, and note what of that is still to be hidden."""
        head = await self._new_head()
        last_seq, hidden = head.last_seq, head.hidden
        is_longer = last_seq > self._snapshot.seq
        # A copy that was killed after a summary has hidden what it stands in the place of, and not shown it again yet.
        place = self._places.get(last_seq)
        if place is not None:
            hidden = ranges.subtract(hidden, [(place, place)])
        if is_longer or ranges.subtract(hidden, self._snapshot.hidden) or not await self._is_same_at(last_seq):
            raise self._spoilt()
        if place is not None:
            await self._end_placing(place)
        missing = ranges.subtract(ranges.common(self._snapshot.hidden, [(1, last_seq)]), hidden)
        for first, last in missing:
            after = first - 1
            while after < last:
                events = await self._read(self._new, after, last - after)
                self._to_hide += [event.id for event in await self._decoded(events)]
                after = events[-1].seq
        return last_seq

    async def _is_same_at(self, seq: int) -> bool:
        """Tell whether the copy has the same event there as its source."""
        if seq == 0:
            return True
        both = [await self._decoded(await self._read(each, seq - 1, 1)) for each in (self._source, self._new)]
        return both[0][0].id == both[1][0].id

    async def _copy_after(self, after: int) -> int:
        """Append the next events, those of one page at most, and return the seq of the last one."""
        page = await self._read(self._source, after, min(self._snapshot.seq - after, self._source.limits.page_events))
        # What a summary stands for is hidden before it comes: it says what was.
        if page[0].seq in self._places:
            await self._place(page[0])
            return page[0].seq
        standing = self._summaries.keys() | self._places.keys()
        starts = [place for place, event in enumerate(page) if place and event.seq in standing]
        page = page[: starts[0]] if starts else page
        events = await self._decoded(page)
        commit = EncodedCommit(creation_id=self._new.creation_id, write_id=hidden_id())
        if self._to_hide:
            commit.retraction = EncodedRetraction(tuple(self._to_hide))
            if page[0].seq in self._summaries:
                await self._commit(commit)
                self._to_hide, commit = [], EncodedCommit(creation_id=self._new.creation_id, write_id=hidden_id())
        commit.events = [self._copied(event, stored) for event, stored in zip(events, page, strict=True)]
        commit.compactions = [self._compaction(event) for event in events if event.seq in self._summaries]
        if await self._commit(commit) != page[-1].seq:
            raise self._spoilt()
        self._to_hide = [event.id for event in events if ranges.contains(self._snapshot.hidden, event.seq or 0)]
        return page[-1].seq

    async def _place(self, stored: StoredEvent) -> None:
        """Append a summary that stands where its own commit has hidden something.

        The commits are guarded: when two copy at once, neither shows what the other has hidden after the summary.
        """
        if self._to_hide:
            await self._commit(self._empty(EncodedRetraction(tuple(self._to_hide))))
            self._to_hide = []
        [event] = await self._decoded([stored])
        place = self._places[stored.seq]
        event_ids = await self._ids_at(place)
        while (head := await self._new_head()).last_seq < stored.seq:
            guard: dict[str, Any] = {"expected_revision": head.revision, "expected_tag": head.tag}
            with suppress(SessionConflict):  # somebody else copies, too
                if ranges.contains(head.hidden, place):
                    await self._commit(self._empty(restoration=EncodedRestoration(event_ids), **guard))
                    continue
                commit = self._empty(EncodedRetraction(event_ids), **guard)
                commit.events, commit.compactions = [self._copied(event, stored)], [EncodedCompaction(event.id)]
                if await self._commit(commit) != stored.seq:
                    raise self._spoilt()
        if not await self._is_same_at(stored.seq):
            raise self._spoilt()
        await self._end_placing(place)
        self._to_hide = [event.id] if ranges.contains(self._snapshot.hidden, stored.seq) else []

    async def _end_placing(self, place: int) -> None:
        """Show again what a summary stands in the place of, where it is shown."""
        if not ranges.contains(self._snapshot.hidden, place):
            await self._commit(self._empty(restoration=EncodedRestoration(await self._ids_at(place))))

    async def _ids_at(self, seq: int) -> tuple[str, ...]:
        return tuple(event.id for event in await self._decoded(await self._read(self._new, seq - 1, 1)))

    def _empty(self, retraction: EncodedRetraction | None = None, **fields: Any) -> EncodedCommit:
        creation_id = self._new.creation_id
        return EncodedCommit(creation_id=creation_id, write_id=hidden_id(), retraction=retraction, **fields)

    async def _new_head(self) -> HeadRecord:
        loaded = await self._new.backend.load_until(self._new.key, seq=None, last=0)
        if loaded is None or loaded.head.creation_id != self._new.creation_id:
            raise SessionNotFound(self._new.key.id)
        return loaded.head

    async def _commit(self, commit: EncodedCommit) -> int:
        backend, key, limits = self._new[:3]
        try:
            return (await finish(backend.commit(key, commit), patience=limits.cancel_seconds)).last_seq
        except EventsKnown as known:  # two copy at once, or a reply was lost: then their seqs tell
            expected = range(known.seqs[0], known.seqs[0] + len(known.seqs))
            if list(known.seqs) != list(expected):
                raise self._spoilt() from known
            return known.seqs[-1]

    async def _read(self, target: Target, after: int, limit: int) -> list[StoredEvent]:
        most = target.limits.page_bytes
        page = await target.backend.read_log(target.key, after=after, limit=limit, max_bytes=most)
        if page is None or not page.events or page.creation_id != target.creation_id:
            raise SessionNotFound(target.key.id)
        return list(page.events)[: paging.fitting((len(event.data) for event in page.events), most)]

    async def _decoded(self, stored: Sequence[StoredEvent]) -> list[SessionEvent[Any]]:
        decoder = EventDecoder(self._source.key.id, self._source.limits)
        return [await decoder.decode(event) for event in stored]

    def _copied(self, event: SessionEvent[Any], stored: StoredEvent) -> EncodedEvent:
        """Return an event as it goes into the copy: as it is, but that it is paid for in the source."""
        metadata = dict(event.metadata)
        if event.token_usage is not None:
            metadata[COUNTED] = False
        if event.seq in self._summaries:
            metadata[KEY] = {**metadata[KEY], "session": self._new.creation_id}
        if event.token_usage is None and metadata == event.metadata:
            return EncodedEvent(event.id, stored.data, event.task_id, None)
        changed = event.model_copy(update={"metadata": metadata})
        return codec.encode_event(changed, SizeCheck(self._new.limits.event_bytes), "events")

    def _compaction(self, event: SessionEvent[Any]) -> EncodedCompaction:
        assert compaction_in(event.type, event.metadata) is not None, "a compaction that counts says so"
        _, first, last, pins = self._summaries[event.seq or 0]
        hidden = compactions.hidden_digest(self._snapshot.hidden, first, last)
        return EncodedCompaction(event.id, first, last, pins, hidden)

    def _spoilt(self) -> InvalidSessionOperation:
        return InvalidSessionOperation(
            f"session {self._new.key.id!r} is a copy that was not whole yet when somebody wrote to it: delete it, and "
            "copy again",
            session_id=self._new.key.id,
        )
