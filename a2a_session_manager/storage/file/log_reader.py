"""Reading a session's log: the head as far as it was read, and its events and ids wherever they lie."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from a2a_session_manager.exceptions import CorruptSession, SessionNotFound
from a2a_session_manager.storage import commit_rules, heads
from a2a_session_manager.storage.file.commit_lines import CommitLine, CreationRecord, decode_line, seqs_in_line
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.framing import DamagedFrameError, Frame, read_frames
from a2a_session_manager.storage.file.handles import HandlePool
from a2a_session_manager.storage.file.index import LogIndex
from a2a_session_manager.storage.file.stored_shapes import NONSENSE, check_ranges
from a2a_session_manager.storage.records import (
    Creation,
    EncodedCommit,
    FirstResult,
    HeadRecord,
    Parent,
    Receipt,
    SessionKey,
    StoredEvent,
    StoredRetraction,
)

ResultT = TypeVar("ResultT")

_RECORD_BYTES = 16_000  # most records fit, so that one read brings one
_CHUNK_BYTES = 1_000_000  # so much is read and taken apart at a time


class LogReader(FramedFile):
    """A session's head as far as its log was read; its index says where events and ids lie."""

    def __init__(self, path: Path, key: SessionKey, pool: HandlePool, *, durable: bool) -> None:
        super().__init__(path, key.id, pool, durable=durable)
        self.key = key
        self._index = LogIndex(path)
        self.forget()

    def remedy(self, offset: int) -> str:
        if offset == 0:
            return super().remedy(offset)
        return f"{super().remedy(offset)}, or go on without the rest by cut_damaged_tail({self.session_id!r})"

    def forget(self) -> None:
        self.head: HeadRecord | None = None
        self.creation: CreationRecord | None = None
        self.retractions: list[StoredRetraction] = []
        self._index.forget()

    def exists(self, *, held_size: int | None = None) -> bool:
        """Catch up and tell whether there is a log. A log without its first record is damage, not absence.

        A writer, who holds the log exclusively and so knows its size, cuts a torn tail.
        """
        if not self.catch_up(held_size=held_size, cut_torn_tail=held_size is not None):
            return False
        if self._index.has_newer(self.offset, self._first_bytes):
            self.start_over()
            self.catch_up()
        if self.head is None:
            raise self._damaged(0, "without its first record")
        return True

    def claimed(self) -> int:
        """Return up to which byte files beside the log say that it goes."""
        return max(self._index.covered_on_disk(self._first_bytes), self.on_disk.mark.read(self._first_bytes))

    def take_shortcut(self) -> None:
        """Begin where the checkpoint ends instead of at the start of the log."""
        first_bytes = self._read_first_bytes()
        checkpoint = self._index.load(first_bytes)
        if checkpoint is None:
            return
        if checkpoint.creation.key != self.key:
            self._index.distrust()
            return
        size = self.handle.size()
        if checkpoint.covers > size:
            raise CorruptSession(
                self.session_id,
                f"{self.path} ends at byte {size}, but {self._index.checkpoint_path} saw it up to "
                f"{checkpoint.covers}: {self.remedy(size)}; nothing was changed",
            )
        self.creation = checkpoint.creation
        self.head = heads.copied(checkpoint.head, whole_head=True)
        self.retractions = list(checkpoint.retractions)
        self.offset = checkpoint.covers
        self.on_disk.synced = checkpoint.synced
        self._first_bytes = first_bytes

    def is_where_shortcut_ends(self) -> bool:
        return self._index.covered == self.offset > 0

    def doubts_shortcut(self) -> bool:
        """The checkpoint may be to blame for what does not follow from it: the log alone tells."""
        if self._index.covered == 0:
            return False
        self.start_over()
        self._index.distrust()
        return True

    def take(self, frame: Frame) -> None:
        line = decode_line(frame.payload)
        if line.creation is not None:
            self._begin(line.creation)
        head = self.head
        if head is None or line.first_seq != head.last_seq + 1 or line.revision - head.revision != line.is_change:
            raise ValueError("its numbers leave a gap")
        check_ranges(line.hidden, head.last_seq)
        self._check_is_new(line.commit)
        self._note(head, line.commit, _outcome(head, line), frame.start)

    def _check_is_new(self, commit: EncodedCommit) -> None:
        """Nothing is stored twice, as far as what was read record by record tells."""
        events, recent_seq = commit.events, self._index.recent_seq
        is_twice = len(events) > 1 and len({event.id for event in events}) < len(events)
        if is_twice or [event for event in events if recent_seq(event.id) is not None]:
            raise ValueError("an event that is there already")
        if commit.write_id is not None and self._index.recent_result(commit.write_id) is not None:
            raise ValueError("a write that is there already")

    def find_seqs(self, event_ids: Iterable[str]) -> dict[str, int]:
        """Return the seqs of those events that were ever appended, exactly; each record is read once."""
        found: dict[str, int] = {}
        in_records: dict[int, dict[str, int]] = {}
        for event_id in event_ids:
            seq = self._index.recent_seq(event_id)
            if seq is not None:
                found[event_id] = seq
                continue
            for start in self._index.older_events(event_id):
                if start not in in_records:
                    in_records[start] = self._decoded(seqs_in_line, self._frame_at(start))
                if event_id in in_records[start]:
                    found[event_id] = in_records[start][event_id]
                    break
        return found

    def first_result(self, write_id: str) -> FirstResult | None:
        """Return what the commit of this write id did, exactly, or None when it was never made."""
        result = self._index.recent_result(write_id)
        if result is not None:
            return result
        for line in self._lines_at(self._index.older_writes(write_id)):
            if line.commit.write_id == write_id:
                last_seq = line.first_seq - 1 + len(line.commit.events)
                return FirstResult(line.revision, last_seq, line.is_change, line.hidden)
        return None

    def read_events(self, first: int, last: int, *, max_bytes: int | None = None) -> list[StoredEvent]:
        """Return the events numbered `first` to `last` from the file, or those first that fit. Raises CorruptSession.

        One comes always, whatever its size.
        """
        return self._unmisled(lambda: self._read_events(first, last, math.inf if max_bytes is None else max_bytes))

    def _unmisled(self, work: Callable[[], ResultT]) -> ResultT:
        """Do `work`, which has written nothing yet; when a sidecar misleads it, again by the log alone."""
        try:
            return work()
        except _MisledError:
            creation = self.creation
            self.start_over()
            self._index.distrust()
            if not self.catch_up() or self.creation != creation:
                raise SessionNotFound(self.session_id) from None  # deleted meanwhile, and its sidecars with it
            return work()

    def _begin(self, creation: CreationRecord) -> None:
        if self.head is not None:
            raise ValueError("a second first record")
        if creation.key != self.key:
            raise CorruptSession(
                self.session_id, f"{self.path} holds session {creation.key.id!r}: put each log back under its own name"
            )
        self.creation = creation
        self.head = heads.new_head(self.key, creation_of(creation))

    def _note(self, head: HeadRecord, commit: EncodedCommit, outcome: commit_rules.Outcome, start: int) -> None:
        before = head.last_seq
        commit_rules.apply(head, commit, outcome)
        self._index.note_events(outcome.fresh, before + 1, start)
        if outcome.hidden:
            self.retractions.append(StoredRetraction(outcome.revision, before, outcome.hidden))
        if commit.write_id is not None:
            self._index.note_write(commit.write_id, outcome.first_result, start)

    def _read_events(self, first: int, last: int, max_bytes: float) -> list[StoredEvent]:
        head = self.head
        assert head is not None, "only a log that exists has events"
        last = min(last, head.last_seq)
        events: list[StoredEvent] = []
        size = 0
        while first <= last:
            start = self._start_of(first, head.last_seq)
            for event in self._events_at(start, first, self._start_of(last, head.last_seq)):
                if event.seq > last:
                    break
                size += len(event.data)
                if events and size > max_bytes:
                    return events
                events.append(event)
            if not events or events[-1].seq < first:
                raise self._misled(start)
            first = events[-1].seq + 1
        return events

    def _events_at(self, start: int, first: int, last_start: int) -> Iterator[StoredEvent]:
        """Yield the events from the one numbered `first` on, which is in the record at `start`, of a few records.

        The last one that is wanted is in the record at `last_start`.
        """
        for frame in self._some_frames(start, min(max(last_start - start, 0) + _RECORD_BYTES, _CHUNK_BYTES)):
            line = self._line(frame)
            for seq, event in enumerate(line.commit.events, line.first_seq):
                if seq == first:
                    yield StoredEvent(seq, line.revision, event.data)
                    first += 1

    def _some_frames(self, start: int, length: int) -> list[Frame]:
        """Return the whole records among the bytes from `start` on: about `length` of them, one record at least."""
        while True:
            end = min(start + length, self.offset)
            data = self.handle.read(start, end)
            try:
                frames = read_frames(data, start, goes_on=end < self.offset)
            except DamagedFrameError as error:
                if error.offset == start:
                    raise self._misled(start) from error
                frames = read_frames(data[: error.offset - start], start)  # what lies after may not be wanted
            if frames:
                return frames
            if end >= self.offset:
                raise self._misled(start)
            length *= 2

    def _start_of(self, seq: int, last_seq: int) -> int:
        try:
            return self._index.start_of(seq, last_seq)
        except OSError as error:
            raise _MisledError from error

    def _lines_at(self, starts: Iterable[int]) -> Iterator[CommitLine]:
        for start in starts:
            yield self._line(self._frame_at(start))

    def _line(self, frame: Frame) -> CommitLine:
        return self._decoded(decode_line, frame)

    def _decoded(self, decode: Callable[[bytes], ResultT], frame: Frame) -> ResultT:
        try:
            return decode(frame.payload)
        except NONSENSE as error:
            raise self._misled(frame.start) from error

    def _frame_at(self, start: int) -> Frame:
        return self._some_frames(start, _RECORD_BYTES)[0]

    def _misled(self, start: int) -> Exception:
        """What to raise when the bytes at `start` are not what was expected: blame the sidecars first."""
        return _MisledError() if self._index.covered else self._damaged(start, "damaged")


class _MisledError(Exception):
    """The log is not where a sidecar says; whether the log itself is whole, reading it from its start tells."""


def creation_of(creation: CreationRecord) -> Creation:
    """Return the creation that a creation records."""
    parent = None
    if creation.parent_id is not None:
        parent = Parent(creation.parent_id, "", creation.root_id, creation.depth - 1)
    return Creation(creation.creation_id, creation.created_at, parent, creation.updated_at)


def _outcome(head: HeadRecord, line: CommitLine) -> commit_rules.Outcome:
    events = line.commit.events
    last_seq = head.last_seq + len(events)
    seqs = range(head.last_seq + 1, last_seq + 1)
    updated_at = commit_rules.last_active(head, line.commit, line.hidden)
    receipt = Receipt(
        line.revision, last_seq, line.is_change, seqs, line.hidden, updated_at=updated_at, tag=line.commit.tag
    )
    return commit_rules.Outcome(line.revision, events, line.hidden, receipt)
