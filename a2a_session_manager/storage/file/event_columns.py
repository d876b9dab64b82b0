"""The events of a log as columns, taken from whole stretches of it: conversations are read so, by the thousand.

`decode_line` has checked all of each record, here or in the process that wrote the checkpoint. Here the checksum proves
that it is the same, and of its header only the numbers are read.
"""

from __future__ import annotations

import re
from itertools import count
from typing import NamedTuple
from zlib import crc32

from a2a_session_manager.storage.file.commit_lines import NUMBERS
from a2a_session_manager.storage.file.framing import FIRST_BYTES
from a2a_session_manager.storage.records import StoredEvent

# Records that were written before they had a length begin with their JSON.
_HEADER = re.compile(rb"\n([0-9a-f]{8}) (?:([0-9a-f]{1,16})(?:@[0-9a-f]{1,16})? )?(?=%b)" % NUMBERS)


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
        view = memoryview(records)
        start, seq = 0, self.next_seq
        while seq <= last and (end := records.find(b"\n", start + 1)) > 0:
            header = _HEADER.match(records, start)
            if header is None:
                break
            checksum, length, revision, first = header.groups()
            payload = header.end()
            if int(checksum, 16) != crc32(view[start + FIRST_BYTES : end]):
                break
            if (length is not None and int(length, 16) != end - payload) or int(first) > seq:
                break
            page = records[payload:end].split(b"\t")
            del page[: seq - int(first) + 1]  # the header, and the events before the one that comes next
            data += page
            revisions += [int(revision)] * len(page)
            seq += len(page)
            start = end + 1
        else:
            self._drop_after(last)
            return start
        if start == 0:
            raise ValueError("no record of the events that come next")
        return start

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
