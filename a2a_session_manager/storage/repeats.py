"""Events whose ids are known: the stored event is the answer; other content is refused or, on request, dropped."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from a2a_session_manager.concurrency.slices import Slices
from a2a_session_manager.exceptions import InvalidEvent, SessionNotFound
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.models.session_event import SessionEvent, names_responses, with_seq
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage import ranges
from a2a_session_manager.storage.backend import Backend
from a2a_session_manager.storage.codec import decode_event
from a2a_session_manager.storage.commit_records import EncodedCommit, EventsKnown, Receipt
from a2a_session_manager.storage.loading import decode_events
from a2a_session_manager.storage.read_records import LogPage, StoredEvent
from a2a_session_manager.storage.records import EncodedEvent, SessionKey

SendCommit = Callable[[EncodedCommit], Awaitable[Receipt]]

# Known events that lie so close to each other are read together with what lies between them.
_WIDEST_GAP = 16
# What two events of one id must have in common. The time, the usage and the metadata stay those of the first one.
_CONTENT = ("message", "source", "type", "task_id")


def has_twins(events: Sequence[EncodedEvent]) -> bool:
    """Tell whether two of the events have the same id."""
    return len(events) > 1 and len({event.id for event in events}) < len(events)


class _Given(NamedTuple):
    """An event of the commit: its index there, the event that was given, and its bytes."""

    place: int
    event: SessionEvent[Any]
    encoded: EncodedEvent


class Repeats:
    """One commit of which some events may be stored already: those are read, and only the others are sent."""

    def __init__(
        self,
        backend: Backend,
        key: SessionKey,
        limits: StoreLimits,
        commit: EncodedCommit,
        events: Sequence[SessionEvent[Any]],
        *,
        keeps: bool,
    ) -> None:
        self._backend = backend
        self._key = key
        self._limits = limits
        self._commit = commit
        self._events = events
        self._keeps = keeps
        self._given: dict[str, _Given] = {}
        self._stored: dict[str, SessionEvent[Any]] = {}

    async def send(self, write: SendCommit, answer: Receipt | EventsKnown | None) -> tuple[Receipt, list[Any]]:
        """Go on after the first `answer`, if the commit was sent already; return the receipt, and the events.

        Raises InvalidEvent when an id is taken by other content; then nothing of the commit was written.
        """
        await self._part_twins()
        while True:
            if isinstance(answer, EventsKnown):
                await self._take(answer.seqs, was_sent_before=answer.was_sent_before)
                if self._commit.is_empty:
                    return self._answered(_found(answer))
            elif answer is not None:
                return await self._repeated(answer) if answer.is_repeat else self._answered(answer)
            try:
                answer = await write(self._commit)
            except EventsKnown as known:
                answer = known

    async def _part_twins(self) -> None:
        """Leave only the first event of each id in the commit. Raises InvalidEvent when a later one says otherwise."""
        slices = Slices()
        for index, (event, encoded) in enumerate(zip(self._events, self._commit.events, strict=True)):
            first = self._given.setdefault(event.id, _Given(index, event, encoded))
            if first.place != index and not self._keeps and not _is_same(encoded.data, first.encoded.data):
                raise self._taken(_Given(index, event, encoded), f"events[{first.place}]")
            if slices.is_over():
                await slices.give_way()
        if len(self._given) < len(self._events):
            self._leave([given.encoded for given in self._given.values()])

    async def _take(self, seqs: Sequence[int], *, was_sent_before: bool) -> None:
        """Read the stored events in the place of those that have a seq, and leave the others in the commit."""
        sent = self._commit.events
        known = {seq: self._given[event.id] for event, seq in zip(sent, seqs, strict=True) if seq}
        async for page in self._pages(sorted(known)):
            await self._take_page(page, known, was_sent_before=was_sent_before)
        self._leave([event for event in sent if event.id not in self._stored])

    async def _take_page(self, page: LogPage, known: dict[int, _Given], *, was_sent_before: bool) -> None:
        others: list[StoredEvent] = []
        slices = Slices()
        for stored in page.events:
            given = known.get(stored.seq)
            if given is None:
                continue
            if stored.data == given.encoded.data:
                # The bytes are equal, so the caller's own object says the same. It is no repeat if this call sent it
                # before and did not hear that it was stored.
                is_hidden = ranges.contains(page.hidden, stored.seq)
                self._stored[given.event.id] = with_seq(
                    given.event, stored.seq, retracted=is_hidden, is_repeat=not was_sent_before
                )
                continue
            await self._check(given, stored)
            others.append(stored)
            if slices.is_over():
                await slices.give_way()
        for event in await self._decoded(others, page, known):
            self._stored[event.id] = with_seq(event, event.seq or 0, retracted=event.retracted, is_repeat=True)

    async def _check(self, given: _Given, stored: StoredEvent) -> None:
        """Raise InvalidEvent when other content is stored under the id of a given event."""
        if len(stored.data) > self._limits.inline_bytes or len(given.encoded.data) > self._limits.inline_bytes:
            is_same = await asyncio.to_thread(self._holds_same, given, stored)
        else:
            is_same = self._holds_same(given, stored)
        if not is_same and not self._keeps:
            raise self._taken(given, f"event {stored.seq}", seq=stored.seq)

    def _holds_same(self, given: _Given, stored: StoredEvent) -> bool:
        try:
            return _is_same(given.encoded.data, stored.data)
        except (ValueError, KeyError, TypeError, AttributeError):
            decode_event(stored.data, self._key.id, stored.seq, retracted=False)  # says what is wrong with it
            raise

    async def _decoded(
        self, stored: Sequence[StoredEvent], page: LogPage, known: dict[int, _Given]
    ) -> list[SessionEvent[Any]]:
        if not stored:
            return []
        kinds = {type(known[each.seq].event) for each in stored}
        arguments = next(iter(kinds)).__pydantic_generic_metadata__["args"] if len(kinds) == 1 else ()
        message_type = arguments[0] if arguments else None
        found = await decode_events(stored, self._key.id, self._limits, hidden=page.hidden, message_type=message_type)
        for event in found:
            if event.id != known[event.seq or 0].event.id:
                raise SessionNotFound(self._key.id)  # deleted meanwhile; another session has its id by now
        return found

    async def _pages(self, seqs: Sequence[int]) -> AsyncIterator[LogPage]:
        """Yield pages of the log that hold all of `seqs`, which are sorted."""
        at = 0
        creation_id = self._commit.creation_id
        while at < len(seqs):
            first, end = seqs[at], at + 1
            most = first + self._limits.page_events
            while end < len(seqs) and seqs[end] - seqs[end - 1] <= _WIDEST_GAP and seqs[end] < most:
                end += 1
            page = await self._backend.read_log(
                self._key, after=first - 1, limit=seqs[end - 1] - first + 1, max_bytes=self._limits.page_bytes
            )
            if page is None or not page.events or creation_id not in (None, page.creation_id):
                raise SessionNotFound(self._key.id)
            creation_id = page.creation_id
            yield page
            at = bisect_right(seqs, page.events[-1].seq)

    async def _repeated(self, receipt: Receipt) -> tuple[Receipt, list[Any]]:
        """Answer a known write id: with the events of the commit as they are stored.

        Who made the commit anew for a retry, and its events with other ids, gets those that the first one brought.
        """
        await self._take(receipt.seqs, was_sent_before=receipt.was_sent_before)
        if not self._commit.events:
            return self._answered(receipt._replace(seqs=()))
        first = max(receipt.last_seq - len(self._given), 0) + 1
        brought: list[SessionEvent[Any]] = []
        async for page in self._pages(range(first, receipt.last_seq + 1)):
            events = [event for event in page.events if event.revision == receipt.revision]
            found = await decode_events(events, self._key.id, self._limits, hidden=page.hidden)
            brought += [with_seq(one, one.seq or 0, retracted=one.retracted, is_repeat=True) for one in found]
        return self._with_doubt(receipt, brought), brought

    def _answered(self, receipt: Receipt) -> tuple[Receipt, list[Any]]:
        """Return the receipt with the seqs of all events, and the events in the order in which they were given."""
        new = dict(zip([event.id for event in self._commit.events], receipt.seqs, strict=True))
        # The events of a repeat were read after it; those of another commit before it.
        hidden, restored = ((), ()) if receipt.is_repeat else (receipt.hidden, receipt.restored)
        answered: list[SessionEvent[Any]] = []
        for place, event in enumerate(self._events):
            first = self._given[event.id]
            stored = self._stored.get(event.id)
            if stored is None:
                answered.append(with_seq(first.event, new[event.id], is_repeat=first.place != place))
                continue
            seq = stored.seq or 0
            was_hidden = stored.retracted and not ranges.contains(restored, seq)
            is_hidden = was_hidden or ranges.contains(hidden, seq)
            is_repeat = stored.is_repeat or first.place != place
            answered.append(with_seq(stored, seq, retracted=is_hidden, is_repeat=is_repeat))
        return self._with_doubt(receipt, answered), answered

    def _with_doubt(self, receipt: Receipt, events: Sequence[SessionEvent[Any]]) -> Receipt:
        """Return the receipt of `events`, of which some were stored before: nobody tells what those added then."""
        is_recounted = receipt.is_recounted or names_responses(events)
        return receipt._replace(seqs=[event.seq or 0 for event in events], is_recounted=is_recounted)

    def _leave(self, events: Sequence[EncodedEvent]) -> None:
        ids = {event.id for event in events}
        summaries = [each for each in self._commit.compactions if each.event_id in ids]
        self._commit = replace(self._commit, events=events, compactions=summaries)

    def _taken(self, given: _Given, by: str, *, seq: int | None = None) -> InvalidEvent:
        return InvalidEvent(
            f"events[{given.place}]: the id {given.event.id!r} is taken by other content, that of {by} of session "
            f"{self._key.id!r}: take another id, or keep what is stored with append(…, on_repeat='keep')",
            path=f"events[{given.place}]",
            event_id=given.event.id,
            seq=seq,
            session_id=self._key.id,
        )


def _found(known: EventsKnown) -> Receipt:
    """Return the receipt of a commit whose events are all stored already."""
    return Receipt(known.revision, known.last_seq, False, (), updated_at=known.updated_at, tag=known.tag)


def _is_same(given: bytes, stored: bytes) -> bool:
    """Tell whether two events say the same, whatever the order of keys. Raises ValueError for what is no event."""
    if given == stored:
        return True
    one, other = parsed(given), parsed(stored)
    return all(_are_equal(one.get(name), other.get(name)) for name in _CONTENT)


def _are_equal(one: Any, other: Any) -> bool:
    """Compare JSON values; Python alone would take True for 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_are_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_are_equal, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
