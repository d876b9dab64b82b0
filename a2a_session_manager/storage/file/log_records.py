"""The records of one log, wherever they lie: the index says where, and the records prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.storage import paging
from a2a_session_manager.storage.commit_records import FirstResult
from a2a_session_manager.storage.file.commit_lines import counted_in_line, decode_line, seqs_in_line, settled_in_line
from a2a_session_manager.storage.file.event_columns import EventColumns
from a2a_session_manager.storage.file.framing import DamagedFrameError, Frame, read_frames
from a2a_session_manager.storage.file.handles import FileHandle
from a2a_session_manager.storage.file.index import LogIndex
from a2a_session_manager.storage.file.record_blocks import RecordBlocks
from a2a_session_manager.storage.file.stored_shapes import NONSENSE
from a2a_session_manager.storage.read_records import RecordBlock
from a2a_session_manager.storage.records import Range

ResultT = TypeVar("ResultT")

_RECORD_BYTES = 4_000  # most records fit, so that one read brings one
_CHUNK_BYTES = 1_000_000  # so much is read and taken apart at a time
_TAIL_BYTES = 8_000_000  # the same of a tail: to read it at once spares the system new memory for each part
_NEAR_BYTES = 16_000  # to read over so much takes no longer than to read in another place


class MisledError(Exception):
    """The bytes at `start` are not the record that was looked for: the index, or the log itself, is damaged."""

    def __init__(self, start: int) -> None:
        super().__init__(f"no such record at byte {start}")
        self.start = start


class LogRecords:
    """Reads records of a log up to the byte `end`, as far as it was read; raises MisledError."""

    def __init__(self, handle: FileHandle, index: LogIndex) -> None:
        self._handle = handle
        self._index = index

    def events(self, first: int, last: int, *, last_seq: int, end: int, max_bytes: int | None) -> EventColumns:
        """Return the events numbered `first` to `last`, of a log of `last_seq` events, or those first that fit.

        One comes always, whatever its size. The tail of a log is one read, and a long log one read a chunk.
        """
        found = EventColumns(first, [], [])
        start = self._start_of(first, last_seq)
        stop = self._stop_of(last, last_seq, end)
        while found.next_seq <= last:
            start += self._take_into(found, last, start, min(stop, start + _CHUNK_BYTES), end)
            if max_bytes is not None and sum(map(len, found.data)) > max_bytes:
                return found.cut(paging.fitting(map(len, found.data), max_bytes))
        return found

    def blocks(self, first: int, last: int, *, last_seq: int, end: int) -> list[RecordBlock]:
        """Return the events numbered `first` to `last`, of a log of `last_seq` events, side by side.

        So no event's bytes are copied by themselves: those of a whole conversation are read this way.
        """
        found = RecordBlocks(first)
        start = self._start_of(first, last_seq)
        stop = self._stop_of(last, last_seq, end)
        while found.next_seq <= last:
            start += self._take_into(found, last, start, min(stop, start + _TAIL_BYTES), end)
        return found.blocks

    def recent(self, first: int, last: int, *, last_seq: int, end: int) -> bytes | None:
        """Return the records that hold the events numbered `first` to `last`, as they lie in the file.

        None where that takes to prove where they lie.
        """
        start = self._index.recent_start(first, last_seq)
        stop = end if last == last_seq else self._index.recent_start(last + 1, last_seq)
        # Events that came together are in one record, which goes on after the last one that is wanted.
        if start is None or stop is None or stop == self._index.recent_start(last, last_seq):
            return None
        return self._handle.read(start, stop)

    def ranges(self, wanted: Sequence[Range], *, last_seq: int, end: int) -> list[EventColumns]:
        """Return the events in each of these ranges, of a log of `last_seq` events; each record is read once."""
        found: list[EventColumns] = []
        for near in self._near(wanted, last_seq):
            events = self.events(near[0][0], near[-1][1], last_seq=last_seq, end=end, max_bytes=None)
            found += [events.part(first, last) for first, last in near]
        return found

    def seqs(self, event_ids: Iterable[str], *, end: int) -> dict[str, int]:
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
                    in_records[start] = _decoded(seqs_in_line, self._frame_at(start, end))
                if event_id in in_records[start]:
                    found[event_id] = in_records[start][event_id]
                    self._index.note_found(found[event_id], start)
                    break
        return found

    def counted(self, response_ids: Iterable[str], *, end: int, last: int | None = None) -> dict[str, CountedResponse]:
        """Return what was counted of those responses that an event, up to the seq `last`, had a usage of.

        The newest of those events tells.
        """
        found: dict[str, CountedResponse] = {}
        for response_id in response_ids:
            counted = self._index.recent_counted(response_id, last) or self._older_counted(response_id, end, last)
            if counted is not None:
                found[response_id] = counted
        return found

    def first_result(self, write_id: str, *, end: int) -> FirstResult | None:
        """Return what the commit of this write id did, exactly, or None when it was never made."""
        result = self._index.recent_result(write_id)
        if result is not None:
            return result
        for start in self._index.older_writes(write_id):
            line = _decoded(decode_line, self._frame_at(start, end))
            if line.commit.write_id == write_id:
                last_seq = line.first_seq - 1 + len(line.commit.events)
                return FirstResult(line.revision, last_seq, line.is_change, line.hidden, line.restored, line.is_pop)
        return None

    def settled(self, holds: Mapping[str, int], *, end: int) -> set[str]:
        """Return those holds that a record settles, or brought an event with the id of, exactly.

        `holds` tells when each was made: an id may be taken again for another one.
        """
        found = set(self.seqs(list(holds), end=end))
        for hold_id, made_at in holds.items():
            starts = () if hold_id in found else self._index.older_settlements(hold_id)
            is_in_older = any(
                _decoded(settled_in_line, self._frame_at(start, end)) == (hold_id, made_at) for start in starts
            )
            if self._index.has_settled(hold_id, made_at) or is_in_older:
                found.add(hold_id)
        return found

    def _older_counted(self, response_id: str, end: int, last: int | None) -> CountedResponse | None:
        for start in sorted(self._index.older_responses(response_id), reverse=True):
            usages = _decoded(counted_in_line, self._frame_at(start, end))
            counted = [(seq, counted) for seq, named, counted in usages if named == response_id]
            earlier = [each for seq, each in counted if last is None or seq <= last]
            if earlier:
                return earlier[-1]
            if counted and not self._index.has_every_usage:
                raise MisledError(start)  # there may be one before, which no table of an earlier release names
        return None

    def _take_into(self, found: EventColumns | RecordBlocks, last: int, start: int, stop: int, end: int) -> int:
        """Take what comes next from the records from `start` up to about `stop`; return how many bytes brought it.

        One record is read at least: a long one makes it read on.
        """
        size = max(stop - start, _RECORD_BYTES)
        while True:
            upto = min(start + size, end)
            try:
                taken = found.take(self._handle.read(start, upto), last)
            except ValueError as error:
                raise MisledError(start) from error
            if taken:
                return taken
            if upto == end:
                raise MisledError(start)
            size *= 4

    def _near(self, wanted: Sequence[Range], last_seq: int) -> list[list[Range]]:
        """Divide ranges into those that are read at a time, since they share records or lie close to each other."""
        stretches: list[list[Range]] = []
        for each in wanted:
            if stretches:
                before, start = stretches[-1][-1][1], self._start_of(each[0], last_seq)
                if start - self._start_of(before, last_seq) <= _NEAR_BYTES:
                    stretches[-1].append(each)
                    continue
            stretches.append([each])
        return stretches

    def _frame_at(self, start: int, end: int) -> Frame:
        """Return the record at `start`, and look at no other."""
        stop = start + _RECORD_BYTES
        while True:
            stop = min(stop, end)
            data = self._handle.read(start, stop)
            size = data.find(b"\n", 1) + 1
            if size or stop == end:
                break
            stop += stop - start
        try:
            return read_frames(data[:size], start)[0]
        except (DamagedFrameError, IndexError) as error:
            raise MisledError(start) from error

    def _stop_of(self, last: int, last_seq: int, end: int) -> int:
        """Return the log's end where its last event is wanted, else about the end of the record of the event `last`."""
        return end if last == last_seq else self._start_of(last, last_seq) + _RECORD_BYTES

    def _start_of(self, seq: int, last_seq: int) -> int:
        try:
            return self._index.start_of(seq, last_seq)
        except OSError as error:
            raise MisledError(0) from error


def _decoded(decode: Callable[[bytes], ResultT], frame: Frame) -> ResultT:
    try:
        return decode(frame.payload)
    except NONSENSE as error:
        raise MisledError(frame.start) from error
