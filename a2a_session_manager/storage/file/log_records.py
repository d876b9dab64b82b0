"""The records of one log, wherever they lie: the index says where, and the records prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import NamedTuple, TypeVar

from a2a_session_manager.storage import paging
from a2a_session_manager.storage.file.commit_lines import decode_line, events_in_line, seqs_in_line
from a2a_session_manager.storage.file.frame_reading import frames_from
from a2a_session_manager.storage.file.framing import DamagedFrameError, Frame, read_frames
from a2a_session_manager.storage.file.handles import FileHandle
from a2a_session_manager.storage.file.index import LogIndex
from a2a_session_manager.storage.file.stored_shapes import NONSENSE
from a2a_session_manager.storage.records import FirstResult, Range, StoredEvent

ResultT = TypeVar("ResultT")

_RECORD_BYTES = 4_000  # most records fit, so that one read brings one
_CHUNK_BYTES = 1_000_000  # so much is read and taken apart at a time
_NEAR_BYTES = 16_000  # to read over so much takes no longer than to read in another place


class MisledError(Exception):
    """The bytes at `start` are not the record that was looked for: the index, or the log itself, is damaged."""

    def __init__(self, start: int) -> None:
        super().__init__(f"no such record at byte {start}")
        self.start = start


class EventColumns(NamedTuple):
    """Events in their order, from the seq `first` on: their bytes and, in step, the revisions that brought them."""

    first: int
    revisions: list[int]
    data: list[bytes]

    def cut(self, count: int) -> EventColumns:
        """Return the first `count` of the events."""
        return EventColumns(self.first, self.revisions[:count], self.data[:count])

    def part(self, first: int, last: int) -> EventColumns:
        """Return the events numbered `first` to `last`."""
        part = slice(first - self.first, last - self.first + 1)
        return EventColumns(first, self.revisions[part], self.data[part])

    def events(self) -> list[StoredEvent]:
        """Return the events one by one."""
        return list(map(StoredEvent, count(self.first), self.revisions, self.data))


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
        _, revisions, data = found
        size = 0
        start = self._start_of(first, last_seq)
        # Up to the log's end where the last one is wanted, else up to about the record that holds the last wanted one.
        stop = end if last == last_seq else self._start_of(last, last_seq) + _RECORD_BYTES
        while True:
            upto = min(start + _CHUNK_BYTES, max(stop, start + _RECORD_BYTES))
            frames, _ = frames_from(self._handle, start, upto, end)
            if not frames:
                raise MisledError(start)
            for frame in frames:
                try:
                    revision, page = events_in_line(frame.payload, first, last)
                except NONSENSE as error:
                    raise MisledError(frame.start) from error
                data += page
                revisions += [revision] * len(page)
                first += len(page)
                if max_bytes is not None:
                    size += sum(map(len, page))
                    if size > max_bytes:
                        return found.cut(paging.fitting(map(len, data), max_bytes))
                if first > last:
                    return found
            start = frame.end

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
                    break
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
                return FirstResult(line.revision, last_seq, line.is_change, line.hidden)
        return None

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
