"""Salvage: what can be trusted of a damaged session, from its start, as a new session; the damaged one stays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from a2a_session_manager.bundles.carried_events import CarriedEvent, carried
from a2a_session_manager.bundles.moving import Move, Progress, move
from a2a_session_manager.bundles.records import SessionRecord, record_of
from a2a_session_manager.bundles.report import Loss, MoveReport
from a2a_session_manager.bundles.snapshot import read_head
from a2a_session_manager.bundles.sources import SessionSource, SourceSession, base_store
from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation, SessionNotFound
from a2a_session_manager.identifiers import checked_id
from a2a_session_manager.protocols import SessionStore
from a2a_session_manager.serialization.plain_json import dumped
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.read_records import HeadRecord, StoredEvent
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.target import Target

SALVAGED_FROM: Final = "salvaged_from"

ReadOwn = Callable[[int], Awaitable[Sequence[StoredEvent]]]


async def salvage_session(
    store: SessionStore,
    session_id: str,
    *,
    new_id: str | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MoveReport:
    """Make a new session of the longest part of a damaged one that can be trusted; the damaged one is not touched.

    The new one is a root, with the events up to the damage under their ids and seqs, and with what they used, which
    counts in it. What is lost is in the report. Files tell what state, properties and runs were at that point; of other
    stores they are those of now. Doing it again changes nothing, and goes on with what was cut off.

    Args:
        store: where the session is, and the new one will be.
        session_id: the damaged session.
        new_id: the id of the new one; None makes it of the old one, with "-salvaged" after it.
        dry_run: return what would be saved, and write nothing.
        progress: is called with how many events are done, now and then.

    Raises SessionNotFound, CorruptSession when nothing can be trusted, and InvalidSessionOperation for a session that
    is not damaged, and when `new_id` is taken by anything else.
    """
    kept = base_store(store)
    new_id = checked_id(f"{session_id}-salvaged" if new_id is None else new_id, "session id")
    source = await _trusted(kept.target(session_id), new_id)
    rows = await move(Move(source, kept, progress=progress), dry_run=dry_run)
    return rows._replace(sessions=[row._replace(id=session_id) for row in rows.sessions])


class _SalvagedSession(SourceSession):
    def __init__(self, log: _TrustedEvents, record: SessionRecord) -> None:
        self.record = record
        self._log = log

    def events(self) -> AsyncIterator[list[CarriedEvent]]:
        return self._log.pages(self.record.last_seq)


class _SalvageSource(SessionSource):
    is_fixed = True

    def __init__(self, session: _SalvagedSession, loss: Loss) -> None:
        self.ids = [session.record.id]
        self._session = session
        self._loss = loss

    async def open(self, session_id: str) -> _SalvagedSession:
        return self._session

    def begins_tree(self, session_id: str) -> bool:
        return True

    def has_below(self, session_id: str) -> bool:
        return False

    async def losses(self) -> list[Loss]:
        return [self._loss]


class _TrustedEvents:
    """The events of a session, inherited ones first, until one cannot be read."""

    def __init__(self, target: Target, head: HeadRecord) -> None:
        self._target = target
        self._head = head

    async def pages(self, last: int | None = None) -> AsyncIterator[list[CarriedEvent]]:
        """Yield what can be read, up to the seq `last` if one is given."""
        after, head = 0, self._head
        last = head.last_seq if last is None else last
        while after < last:
            page = (await self._page(after))[: last - after]
            if not page:
                return
            yield page
            after = page[-1].seq

    async def _page(self, after: int) -> list[CarriedEvent]:
        """Return the next events, those before the first damaged one; none when the first is."""
        limits = self._target.limits
        for limit in (limits.page_events, 1):  # a page that is damaged somewhere is read one by one
            try:
                stored = await self._read(after, limit)
            except (CorruptSession, SessionNotFound):
                continue
            found = []
            for event in stored:
                try:
                    found.append(self._carried(event))
                except CorruptSession:
                    break
            return found
        return []

    async def _read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        segment = next((each for each in self._head.segments if after < each.last_seq), None)
        namespace, owner = self._target.key.namespace, segment.session_id if segment else self._target.key.id
        if segment is not None:
            limit = min(limit, segment.last_seq - after)
        page = await self._target.backend.read_log(
            SessionKey(namespace, owner), after=after, limit=limit, max_bytes=self._target.limits.page_bytes
        )
        expected = self._head.creation_id if segment is None else segment.creation_id
        if page is None or page.creation_id != expected:
            raise SessionNotFound(owner)
        return page.events

    def _carried(self, event: StoredEvent) -> CarriedEvent:
        head = self._head
        segment = next((each for each in head.segments if event.seq <= each.last_seq), None)
        return carried(
            event.data,
            event.seq,
            head.key.id,
            self._target.limits,
            creation_id=head.creation_id if segment is None else segment.creation_id,
            was_spent_elsewhere=segment is not None,
        )


class _OwnTrustedEvents(_TrustedEvents):
    """The same, of which the backend reads the session's own ones in another way."""

    def __init__(self, target: Target, head: HeadRecord, read: ReadOwn) -> None:
        super().__init__(target, head)
        self._read_own = read

    async def _read(self, after: int, limit: int) -> Sequence[StoredEvent]:
        if after < self._head.inherited:
            return await super()._read(after, limit)
        return await self._read_own(after)


async def _trusted(target: Target, new_id: str) -> _SalvageSource:
    session_id = target.key.id
    part = await target.backend.trusted_log(target.key)
    if part is None:
        head = await read_head(target)
        if head is None:
            raise SessionNotFound(session_id)
        log, lost = _TrustedEvents(target, head), None
    else:
        head, lost = part.head, part.lost
        log = _OwnTrustedEvents(target, head, part.read)
    last_seq = 0
    async for page in log.pages():
        last_seq = page[-1].seq
    missing = head.last_seq - last_seq
    if lost is None and not missing:
        raise InvalidSessionOperation(
            f"session {session_id!r} is not damaged: nothing is to be saved of it; copy or fork it instead",
            session_id=session_id,
        )
    texts = [f"{missing} of {head.last_seq} events, from {last_seq + 1} on" if missing else "", lost or ""]
    text = " and ".join(filter(None, texts))
    return _SalvageSource(_SalvagedSession(log, _cut(head, new_id, last_seq)), Loss(session_id, "damage", text))


def _cut(head: HeadRecord, new_id: str, last_seq: int) -> SessionRecord:
    """Return the record of the new session, which has the first events up to `last_seq`."""
    record = record_of(head, top=head.key.id, inside=())
    told = {"id": head.key.id, "events": last_seq}
    return replace(
        record,
        id=new_id,
        last_seq=last_seq,
        hidden=ranges.common(record.hidden, [(1, last_seq)]),
        compactions=[each for each in record.compactions if each.seq <= last_seq],
        placed=[each for each in record.placed if each.seq <= last_seq],
        properties={**record.properties, SALVAGED_FROM: dumped(told)},
    )
