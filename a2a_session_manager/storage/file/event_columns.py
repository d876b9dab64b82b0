"""The events of a log as columns, taken from whole stretches of it.

What is whole of such a stretch, and what is not, `whole_lines` says.
"""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

from a2a_session_manager.storage.file.whole_lines import check_some, whole_lines
from a2a_session_manager.storage.read_records import StoredEvent


class EventColumns(NamedTuple):
    """Events in their order, from the seq `first` on: their bytes and, in step, the revisions that brought them."""

    first: int
    revisions: list[int]
    data: list[bytes]

    @property
    def next_seq(self) -> int:
        """The seq of the event that comes next."""
        return self.first + len(self.data)

    def take(self, records: bytes, last: int) -> int:
        """Take the events that come next, up to the seq `last`, and return how many bytes of `records` brought them.

        Those begin with a record. What has no end yet is left out, and so is all from the first record on that is not
        what was written. Raises ValueError where that is the first one, and when that is one of later events.
        """
        _, revisions, data = self
        taken, seq = 0, self.next_seq
        if seq > last:
            return taken
        for payload, end, revision, first in whole_lines(records):
            if first > seq:
                check_some(taken)
                break
            page = records[payload:end].split(b"\t")
            del page[: seq - first + 1]  # the header, and the events before the one that comes next
            data += page
            revisions += [revision] * len(page)
            seq += len(page)
            taken = end + 1
            if seq > last:
                self._drop_after(last)
                break
        return taken

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

    def _drop_after(self, last: int) -> None:
        wanted = last - self.first + 1
        del self.revisions[wanted:], self.data[wanted:]
