"""One session's log file: the truth about it, as far as it was read."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count, takewhile
from pathlib import Path
from typing import TypeVar

from a2a_session_manager.budgets.amounts import spent_by
from a2a_session_manager.budgets.blocks import count_in
from a2a_session_manager.exceptions import CorruptSession, SessionNotFound
from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage import commit_rules, forks, heads, ranges
from a2a_session_manager.storage.commit_records import EncodedCommit, FirstResult, Receipt
from a2a_session_manager.storage.file.catalog import NEVER
from a2a_session_manager.storage.file.commit_lines import CommitLine, decode_line
from a2a_session_manager.storage.file.creation_records import CreationRecord, creation_of
from a2a_session_manager.storage.file.event_columns import EventColumns
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.framing import Frame
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.index import LogIndex
from a2a_session_manager.storage.file.lease_file import LeaseFile
from a2a_session_manager.storage.file.log_records import LogRecords, MisledError
from a2a_session_manager.storage.file.stored_shapes import check_ranges
from a2a_session_manager.storage.read_records import HeadRecord, RecordBlock, StoredEvent, StoredRetraction
from a2a_session_manager.storage.records import Range, SessionKey

ResultT = TypeVar("ResultT")


class LogFile(FramedFile):
    """A session's head as far as its log was read; its index says where events and ids lie."""

    def __init__(self, path: Path, key: SessionKey, pool: HandlePool, *, durable: bool) -> None:
        super().__init__(path, key.id, pool, durable=durable)
        self.key = key
        self.index = LogIndex(path)
        self.leases = LeaseFile(path)
        self._records = LogRecords(self.handle, self.index)
        self.forget()

    def remedy(self, offset: int) -> str:
        if offset == 0:
            return super().remedy(offset)
        return f"{super().remedy(offset)}, or go on without the rest by cut_damaged_tail({self.session_id!r})"

    def forget(self) -> None:
        # The last activity that this process has told the catalog of.
        self.catalogued_at = NEVER
        self.head: HeadRecord | None = None
        self.creation: CreationRecord | None = None
        self.retractions: list[StoredRetraction] = []
        self.index.forget()

    def exists(self, *, held_size: int | None = None) -> bool:
        """Catch up and tell whether there is a log. A log without its first record is damage, not absence.

        A writer, which holds the log exclusively and so knows its size, cuts a torn tail.
        """
        if not self.catch_up(held_size=held_size, cut_torn_tail=held_size is not None):
            return False
        if self.index.has_newer(self.offset, self._first_bytes):
            self.start_over()
            self.catch_up()
        if self.head is None:
            raise self._damaged(0, "without its first record")
        return True

    def claimed(self) -> int:
        """Return up to which byte files beside the log say that it goes."""
        return max(self.index.covered_on_disk(self._first_bytes), self.on_disk.mark.read(self._first_bytes))

    def take_shortcut(self) -> None:
        """Begin where the checkpoint ends instead of at the start of the log."""
        first_bytes = self._read_first_bytes()
        checkpoint = self.index.load(first_bytes)
        if checkpoint is None:
            return
        if checkpoint.creation.key != self.key:
            self.index.distrust()
            return
        size = self.handle.size()
        if checkpoint.covers > size:
            raise CorruptSession(
                self.session_id,
                f"{self.path} ends at byte {size}, but {self.index.checkpoint_path} saw it up to "
                f"{checkpoint.covers}: {self.remedy(size)}; nothing was changed",
            )
        self.creation = checkpoint.creation
        self.head = heads.copied(checkpoint.head, whole_head=True)
        self.retractions = list(checkpoint.retractions)
        self.offset = checkpoint.covers
        self.on_disk.synced = checkpoint.synced
        self._first_bytes = first_bytes

    def is_where_shortcut_ends(self) -> bool:
        return self.index.covered == self.offset > 0

    def doubts_shortcut(self) -> bool:
        """The checkpoint may be to blame for what does not follow from it: the log alone tells."""
        if self.index.covered == 0:
            return False
        self.start_over()
        self.index.distrust()
        return True

    def take(self, frame: Frame) -> None:
        line = decode_line(frame.payload)
        if line.creation is not None:
            self._begin(line.creation)
        head = self.head
        if head is None or line.first_seq != head.last_seq + 1 or line.revision - head.revision != line.is_change:
            raise ValueError("its numbers leave a gap")
        check_ranges(line.hidden, head.last_seq)
        if line.restored:
            check_ranges(line.restored, head.last_seq)
            if ranges.subtract(line.restored, head.hidden):
                raise ValueError("restored what was not hidden")
        self._check_is_new(line.commit)
        self.note(line.commit, _outcome(head, line), frame.start)

    def _check_is_new(self, commit: EncodedCommit) -> None:
        """Nothing is stored twice, as far as what was read record by record tells."""
        events, recent_seq = commit.events, self.index.recent_seq
        is_twice = len(events) > 1 and len({event.id for event in events}) < len(events)
        if is_twice or [event for event in events if recent_seq(event.id) is not None]:
            raise ValueError("an event that is there already")
        if commit.write_id is not None and self.index.recent_result(commit.write_id) is not None:
            raise ValueError("a write that is there already")

    def find_seqs(self, event_ids: Iterable[str]) -> dict[str, int]:
        """Return the seqs of those events that were ever appended, exactly. Raises MisledError."""
        return self._records.seqs(event_ids, end=self.offset)

    def find_counted(self, response_ids: Iterable[str], last: int | None = None) -> dict[str, CountedResponse]:
        """Return what was counted of those responses that an event, up to the seq `last`, had a usage of, exactly.

        Raises MisledError.
        """
        return self._records.counted(response_ids, end=self.offset, last=last)

    def settled(self, holds: Mapping[str, int]) -> set[str]:
        """Return those of some holds, by when they were made, that were settled, exactly. Raises CorruptSession."""
        return self.unmisled(lambda: self._records.settled(holds, end=self.offset)) if holds else set()

    def first_result(self, write_id: str) -> FirstResult | None:
        """Return what the commit of this write id did, exactly, or None when it was never made. Raises MisledError."""
        return self._records.first_result(write_id, end=self.offset)

    def read_events(self, first: int, last: int, *, max_bytes: int | None = None) -> list[StoredEvent]:
        """Return the events numbered `first` to `last` from the file, or those first that fit. Raises CorruptSession.

        One comes always, whatever its size.
        """
        return self.read_columns(first, last, max_bytes=max_bytes).events()

    def read_columns(self, first: int, last: int, *, max_bytes: int | None = None) -> EventColumns:
        """Return the same events as columns, which thousands are read by."""
        return self.unmisled(lambda: self._read_columns(first, last, max_bytes))

    def read_ranges(self, wanted: Sequence[Range]) -> list[EventColumns]:
        """Return the events in each of these ranges of seqs, which are there. Raises CorruptSession."""
        return self.unmisled(lambda: self._read_ranges(wanted))

    def read_blocks(self, first: int, last: int) -> list[RecordBlock]:
        """Return the events numbered `first` to `last`, which are there, side by side. Raises CorruptSession."""
        return self.unmisled(lambda: self._read_blocks(first, last))

    def may_hold(self, marks: Sequence[bytes], first: int, last: int) -> bool:
        """Tell whether one of some marks may be in the events numbered `first` to `last`, which are there.

        Only reading these tells for sure. But they are looked through in no time.
        """
        assert self.head is not None, "only a log that exists has events"
        data = self._records.recent(first, last, last_seq=self.head.last_seq, end=self.offset) if marks else b""
        return data is None or any(mark in data for mark in marks)

    def unmisled(self, work: Callable[[], ResultT]) -> ResultT:
        """Do `work`, which has written nothing yet; when a sidecar misleads it, again by the log alone."""
        while True:
            try:
                return work()
            except MisledError as misled:
                if not self.index.covered:
                    raise self._damaged(misled.start, "damaged") from misled
            creation = self.creation
            self.start_over()
            self.index.distrust()
            if not self.catch_up() or self.creation != creation:
                raise SessionNotFound(self.session_id)  # deleted meanwhile, and its sidecars with it

    def note(self, commit: EncodedCommit, outcome: commit_rules.CommitOutcome, start: int) -> None:
        """Bring the head to where `outcome` says; the record of the commit is at `start`."""
        head = self.head
        assert head is not None, "only a log that exists takes commits"
        first_seq = head.last_seq + 1
        commit_rules.apply(head, commit, outcome)
        if commit.windows:
            spent = spent_by(event.usage.counters for event in outcome.fresh if event.usage is not None)
            count_in(head.blocks, commit.windows, spent)
        self.index.note_events(outcome.fresh, first_seq, start)
        if (retraction := outcome.retraction) is not None:
            self.retractions.append(retraction)
        if commit.settles is not None:
            self.index.note_settled(*commit.settles, start)
        if commit.write_id is not None:
            self.index.note_write(commit.write_id, outcome.first_result, start)

    def remove(self) -> None:
        """Remove the log, all that was derived from it, and what was cut from it.

        Only the exclusive holder of the file calls it.
        """
        self.remove_derived()  # first: once the log is gone, another one of its name may have sidecars
        for path in takewhile(os.path.lexists, self.cut_paths()):
            path.unlink(missing_ok=True)
        self.path.unlink()
        self.handle.close()
        self.start_over()

    def cut_paths(self) -> Iterator[Path]:
        """Yield where what is cut from the log goes: the first of these names that is free."""
        yield self.path.with_suffix(".cut")
        for number in count(1):
            yield self.path.with_suffix(f".cut.{number}")

    def remove_derived(self) -> None:
        """Remove what was derived from the log, which is the truth without it."""
        self.index.remove()
        self.leases.remove()
        self.on_disk.mark.remove()

    def _begin(self, creation: CreationRecord) -> None:
        if self.head is not None:
            raise ValueError("a second first record")
        if creation.key != self.key:
            raise CorruptSession(
                self.session_id, f"{self.path} holds session {creation.key.id!r}: put each log back under its own name"
            )
        self.creation = creation
        begun = creation_of(creation)
        self.head = heads.new_head(self.key, begun)
        self.index.begin_at(self.head.inherited)
        if (inherited := forks.first_retraction(begun)) is not None:
            self.retractions.append(inherited)

    def _read_columns(self, first: int, last: int, max_bytes: int | None) -> EventColumns:
        assert self.head is not None, "only a log that exists has events"
        last_seq = self.head.last_seq
        last = min(last, last_seq)
        if first > last:
            return EventColumns(first, [], [])
        return self._records.events(first, last, last_seq=last_seq, end=self.offset, max_bytes=max_bytes)

    def _read_ranges(self, wanted: Sequence[Range]) -> list[EventColumns]:
        assert self.head is not None, "only a log that exists has events"
        return self._records.ranges(wanted, last_seq=self.head.last_seq, end=self.offset)

    def _read_blocks(self, first: int, last: int) -> list[RecordBlock]:
        assert self.head is not None, "only a log that exists has events"
        return self._records.blocks(first, last, last_seq=self.head.last_seq, end=self.offset)


def _outcome(head: HeadRecord, line: CommitLine) -> commit_rules.CommitOutcome:
    events = line.commit.events
    last_seq = head.last_seq + len(events)
    seqs = range(head.last_seq + 1, last_seq + 1)
    updated_at = commit_rules.last_active(head, line.commit, line.hidden or line.restored)
    receipt = Receipt(
        line.revision, last_seq, line.is_change, seqs, line.hidden, updated_at=updated_at, tag=line.commit.tag
    )
    return commit_rules.CommitOutcome(line.revision, events, line.hidden, receipt, line.restored, line.is_pop)
