"""The events of a log side by side, as they lie in it: what decodes them by the hundred needs them no other way."""

from __future__ import annotations

from a2a_session_manager.storage.file.whole_lines import check_some, whole_lines
from a2a_session_manager.storage.read_records import RecordBlock

_BLOCK_BYTES = 64_000  # decoded in one go: some tenths of a millisecond


class RecordBlocks:
    """Takes events in their order, from the seq `first` on."""

    def __init__(self, first: int) -> None:
        self.next_seq = first
        self.blocks: list[RecordBlock] = []

    def take(self, records: bytes, last: int) -> int:
        """Take the events that come next, as `EventColumns.take` does."""
        side_by_side: list[bytes] = []
        taken = size = 0
        seq = self.next_seq
        for payload, end, _, first in whole_lines(records):
            if first > seq:
                check_some(taken)
                break
            taken = end + 1
            data = _events_of(records, payload, end)
            after = first + _count(data)
            if first < seq or after > last + 1:
                wanted = data.split(b"\t")[seq - first : last + 1 - first] if data else []
                data, after = b"\t".join(wanted), seq + len(wanted)
            if after == seq:
                continue
            side_by_side.append(data)
            size += len(data)
            seq = after
            if size > _BLOCK_BYTES or seq > last:
                self._add(seq, side_by_side)
                side_by_side, size = [], 0
            if seq > last:
                break
        if side_by_side:
            self._add(seq, side_by_side)
        return taken

    def _add(self, next_seq: int, side_by_side: list[bytes]) -> None:
        self.blocks.append(RecordBlock(next_seq - self.next_seq, b"\t".join(side_by_side)))
        self.next_seq = next_seq


def in_a_row(earlier: list[RecordBlock], later: list[RecordBlock]) -> list[RecordBlock]:
    """Return blocks of events and those that come after them; where they meet, two small ones become one."""
    if earlier and later and len(earlier[-1].data) + len(later[0].data) <= _BLOCK_BYTES:
        length = earlier[-1].length + later[0].length
        joined = RecordBlock(length, earlier[-1].data + b"\t" + later[0].data)
        return [*earlier[:-1], joined, *later[1:]]
    return earlier + later


def _events_of(records: bytes, payload: int, end: int) -> bytes:
    """Return what stands after the header of a record, which ends with the first tab; nothing without events."""
    tab = records.find(b"\t", payload, end)
    return records[tab + 1 : end] if tab > 0 else b""


def _count(data: bytes) -> int:
    """Return how many events stand side by side."""
    # To replace tabs looks for them many times as fast as to count them does.
    return len(data) - len(data.replace(b"\t", b"")) + 1 if data else 0
