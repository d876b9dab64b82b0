"""`fork(detached=True)`: a copy of a session's events up to a point, as a root that needs its source no more.

It is made in batches, each one commit. Until the last one is made, the copy says in a property that it is not whole,
and whoever asks for it again goes on where the one before has stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.models.compaction import KEY, compaction_in
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import COUNTED, SessionEvent
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.serialization.json_check import SizeCheck
from a2a_session_manager.storage import codec, compactions, paging, ranges, reads, writes
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, EventsKnown
from a2a_session_manager.storage.encoding import encode_commit
from a2a_session_manager.storage.fork_rules import COPIED_FROM
from a2a_session_manager.storage.loading import EventDecoder, load_session
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession, StoredEvent
from a2a_session_manager.storage.records import EncodedCompaction, EncodedEvent, EncodedRetraction, Range
from a2a_session_manager.storage.target import Target


@dataclass(slots=True)
class Snapshot:
    """What is copied, as it was when that began: it is in the copy's property, for whoever has to go on with it.

    `hidden` are ranges; `summaries` are the compactions that count, each as its seq, range and pins.
    """

    id: str
    creation_id: str
    seq: int
    whole: bool
    hidden: list[Range] = field(default_factory=list)
    summaries: list[tuple[int, int, int, tuple[Range, ...]]] = field(default_factory=list)

    @classmethod
    def of(cls, head: HeadRecord) -> Snapshot:
        """Return that of a head which was cut at the point."""
        summaries = [(each.seq, each.first, each.last, each.pins) for each in head.compactions]
        return cls(head.key.id, head.creation_id, head.last_seq, False, list(head.hidden), summaries)

    @classmethod
    def in_property(cls, value: Any) -> Snapshot | None:
        """Return what a property says; None for what is none, or somebody else's."""
        try:
            hidden = [(first, last) for first, last in value.get("hidden", ())]
            summaries = [
                (seq, first, last, tuple((one, other) for one, other in pins))
                for seq, first, last, pins in value.get("summaries", ())
            ]
            return cls(value["id"], value["creation_id"], value["seq"], value["whole"], hidden, summaries)
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def as_property(self) -> dict[str, Any]:
        """Return it as a property's value; of a whole copy, nothing is needed but where it comes from."""
        place = {"id": self.id, "creation_id": self.creation_id, "seq": self.seq, "whole": self.whole}
        if self.whole:
            return place
        summaries = [[seq, first, last, list(map(list, pins))] for seq, first, last, pins in self.summaries]
        return {**place, "hidden": list(map(list, self.hidden)), "summaries": summaries}


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


def copy_in(head: HeadRecord) -> Snapshot | None:
    """Return what a session says that it is a copy of; None where it says nothing of that."""
    data = head.properties.get(COPIED_FROM)
    return None if data is None else Snapshot.in_property(codec.decode_value(data, head.key.id, "properties"))


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
        loaded = await self._new.backend.load_until(self._new.key, seq=None, last=0)
        if loaded is None or loaded.head.creation_id != self._new.creation_id:
            raise SessionNotFound(self._new.key.id)
        last_seq, hidden = loaded.head.last_seq, loaded.head.hidden
        is_longer = last_seq > self._snapshot.seq
        if is_longer or ranges.subtract(hidden, self._snapshot.hidden) or not await self._is_same_at(last_seq):
            raise self._spoilt()
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
        starts = [place for place, event in enumerate(page) if place and event.seq in self._summaries]
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
