"""What is whole of a stretch of a log: conversations are read by such stretches, thousands of events at a time.

`decode_line` has checked all of each record, here or in the process that wrote the checkpoint. Here the checksum proves
that it is the same, and of its header only the numbers are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from zlib import crc32

from a2a_session_manager.storage.file.commit_lines import NUMBERS
from a2a_session_manager.storage.file.framing import FIRST_BYTES

# Records that were written before they had a length begin with their JSON.
_HEADER = re.compile(rb"\n([0-9a-f]{8}) (?:([0-9a-f]{1,16})(?:@[0-9a-f]{1,16})? )?(?=%b)" % NUMBERS)


def whole_lines(records: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield where the payload of each record begins and ends, its revision, and the seq that it begins with.

    `records` begin with a record. What has no end yet is left out, and so is all from the first record on that is not
    what was written. Raises ValueError where that is the first one.
    """
    view = memoryview(records)
    start = 0
    while (end := records.find(b"\n", start + 1)) > 0:
        header = _HEADER.match(records, start)
        if header is None:
            break
        checksum, length, revision, first = header.groups()
        payload = header.end()
        if int(checksum, 16) != crc32(view[start + FIRST_BYTES : end]):
            break
        if length is not None and int(length, 16) != end - payload:
            break
        yield payload, end, int(revision), int(first)
        start = end + 1
    else:
        return
    check_some(start)


def check_some(taken: int) -> None:
    """Raise ValueError when nothing was taken before a record that is not the next one."""
    if not taken:
        raise ValueError("no record of the events that come next")
