"""SessionWriter: brings one session into a store, as its record says, or goes on where an earlier call has stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from a2a_session_manager.bundles.carried_events import CarriedEvent, bound
from a2a_session_manager.bundles.catching_up import catch_up
from a2a_session_manager.bundles.guarded_session import BEFORE_MICROS, GuardedSession, OthersWriteError
from a2a_session_manager.bundles.records import UNFINISHED, SessionRecord
from a2a_session_manager.bundles.snapshot import read_head
from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import SessionAlreadyExists, SessionNotFound
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.storage import compactions, ranges
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Fork, Parent
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import EncodedCompaction, EncodedEvent, EncodedRetraction
from a2a_session_manager.storage.target import Target


class SessionWriter:
    """Brings the session of `record` to `target`.

    Args:
        parent, fork: where a new one is put, and what it goes on from.
        mark: what a new one says until it is whole, as a property; None for one that another session speaks for.
        is_marked_only_in_part: whether it says nothing when it can be made whole in one step.
    """

    def __init__(
        self,
        target: Target,
        record: SessionRecord,
        *,
        parent: Parent | None,
        fork: Fork | None,
        mark: bytes | None,
        is_marked_only_in_part: bool = False,
    ) -> None:
        self._target = target
        self._record = record
        self._parent = parent
        self._fork = fork
        self._mark = mark
        self._is_marked_only_in_part = is_marked_only_in_part
        self._limits = target.limits
        self._wanted = {each.seq: each for each in record.compactions}
        self._places = {each.seq: each.place for each in record.placed}
        self._to_hide: list[str] = []

    async def write(self, events: AsyncIterator[list[CarriedEvent]]) -> None:
        """Write what is missing of the session; `events` are all of its own ones, in pages.

        Raises OthersWriteError when somebody else writes to it, too, and InvalidSessionOperation for one that is not
        what an earlier call has left.
        """
        head = await read_head(self._target)
        if head is None:
            first: list[CarriedEvent] = await anext(events, [])
            if self._fits_one_commit(first):
                await self._create(first)
                return
            await self._create(())
            head = await read_head(self._target)
            if head is None:
                raise SessionNotFound(self._record.id)
            await self._catch_up(head)
            await self._take(first)
        else:
            await self._catch_up(head)
        async for page in events:
            await self._take(page)
        await self._end()

    def _fits_one_commit(self, first: Sequence[CarriedEvent]) -> bool:
        """Tell whether the session can be made whole in one step, and so never be half there."""
        record, limits = self._record, self._limits
        inherited = record.inherited
        is_plain = (
            (self._mark is None or self._is_marked_only_in_part)
            and len(first) == record.own_events <= limits.commit_events
            and not any(last > inherited for _, last in record.hidden)
            and not any(seq > inherited for seq in (*self._wanted, *self._places))
        )
        return is_plain and self._commit_of(first, record.updated_at).size <= limits.commit_bytes

    def _commit_of(self, events: Sequence[CarriedEvent], written_at: int) -> EncodedCommit:
        record = self._record
        return EncodedCommit(
            events=[EncodedEvent(event.id, event.data, event.run_id, event.usage) for event in events],
            state=dict(record.state),
            properties=dict(record.properties),
            runs=dict(record.runs),
            written_at=written_at,
            write_id=hidden_id(),
        )

    def _properties(self) -> dict[str, bytes]:
        return self._record.properties if self._mark is None else {**self._record.properties, UNFINISHED: self._mark}

    async def _create(self, events: Sequence[CarriedEvent]) -> None:
        """Create the session: with all that it has where that is `events`, else with what says that it is not whole."""
        record = self._record
        is_whole = self._fits_one_commit(events)
        creation_id = hidden_id()
        active_at = record.updated_at if is_whole else record.updated_at - BEFORE_MICROS
        creation = Creation(creation_id, record.created_at, self._parent, active_at, self._fork)
        if is_whole:
            commit = self._commit_of(events, active_at)
            commit.events = [bound(event, record.id, creation_id, self._limits) for event in events]
        else:
            mark = {} if self._mark is None else {UNFINISHED: self._mark}
            commit = EncodedCommit(properties=mark, written_at=active_at, write_id=hidden_id())
        backend, key = self._target[:2]
        try:
            await finish(backend.create(key, creation, commit), patience=self._limits.cancel_seconds)
        except SessionAlreadyExists as error:
            raise OthersWriteError from error

    async def _catch_up(self, head: HeadRecord) -> None:
        self._session = GuardedSession(self._target, self._record, head)
        await catch_up(self._session, self._record, head, self._properties(), self._limits.commit_bytes // 2)

    async def _take(self, page: Sequence[CarriedEvent]) -> None:
        """Append the events that are not there yet."""
        new = [event for event in page if event.seq > self._session.last_seq]
        if self._to_hide and any(event.seq in self._wanted or event.seq in self._places for event in new):
            await self._hide_pending()
        start = 0
        for place, event in enumerate(new):
            # What a summary stands for is hidden before it comes, as it was.
            if event.seq in self._wanted or event.seq in self._places:
                await self._append(new[start:place])
                await self._append_summary(event)
                start = place + 1
        await self._append(new[start:])

    async def _append(self, events: Sequence[CarriedEvent]) -> None:
        start = size = 0
        for place, event in enumerate(events):
            size += len(event.data)
            if size > self._limits.page_bytes or place - start >= self._limits.commit_events:
                await self._append_all(events[start:place])
                start, size = place, len(event.data)
        await self._append_all(events[start:])

    async def _append_all(self, events: Sequence[CarriedEvent]) -> None:
        if not events:
            return
        await self._session.commit(EncodedCommit(events=self._bound(events), retraction=self._pending()))
        self._note_hidden(events)

    async def _append_summary(self, event: CarriedEvent) -> None:
        await self._hide_pending()
        made = self._wanted.get(event.seq)
        if made is not None:
            hidden = compactions.hidden_digest(self._session.hidden, made.first, made.last)
            told = EncodedCompaction(event.id, made.first, made.last, made.pins, hidden)
            await self._session.commit(EncodedCommit(events=self._bound([event]), compactions=[told]))
        else:
            await self._append_placed(event, self._places[event.seq])
        self._note_hidden([event])

    async def _append_placed(self, event: CarriedEvent, place: int) -> None:
        """Append a summary that stands where its own commit has hidden something: `place` is the first of that."""
        [event_ids] = [each async for each in self._session.ids_in([(place, place)])]
        if ranges.contains(self._session.hidden, place):
            await self._session.show(event_ids)
        retraction = EncodedRetraction(event_ids)
        told = [EncodedCompaction(event.id)]
        await self._session.commit(EncodedCommit(events=self._bound([event]), retraction=retraction, compactions=told))
        if not ranges.contains(self._record.hidden, place):
            await self._session.show(event_ids)

    def _bound(self, events: Sequence[CarriedEvent]) -> list[EncodedEvent]:
        return [bound(event, self._record.id, self._session.creation_id, self._limits) for event in events]

    def _note_hidden(self, events: Sequence[CarriedEvent]) -> None:
        hidden = self._record.hidden
        self._to_hide += [event.id for event in events if ranges.contains(hidden, event.seq)] if hidden else []

    def _pending(self) -> EncodedRetraction | None:
        """Return the retraction of what has come and is to be hidden; None for nothing."""
        event_ids, self._to_hide = tuple(self._to_hide), []
        return EncodedRetraction(event_ids) if event_ids else None

    async def _hide_pending(self) -> None:
        if self._to_hide:
            await self._session.commit(EncodedCommit(retraction=self._pending()))

    async def _end(self) -> None:
        """Hide what is left to be hidden, and let the session have been active when it was."""
        await self._hide_pending()
        if self._session.updated_at == self._record.updated_at:
            return
        # A key that is not there: nothing changes but the time.
        name = UNFINISHED
        while name in self._record.state:
            name += "_"
        await self._session.commit(EncodedCommit(state={name: None}), is_last=True)
