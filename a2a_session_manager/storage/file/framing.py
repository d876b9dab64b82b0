"""Records in a log: newline, checksum, length, payload, newline.

The leading newline keeps a torn tail from destroying the record after it. A process that dies while it writes
leaves a prefix of a record, and the length tells such a prefix from a whole record that was damaged later: what is
as long as it says must have the right checksum, and a prefix holds no byte that a record never holds.

A record written with `durability=disk` also says up to which byte its file was known to be on disk when it was
written, as `LENGTH@OFFSET`. What stands in front of that byte was not lost with the power: it was damaged.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

FIRST_BYTES = 10  # newline, checksum and space of the first record: they name the file's content

_WHOLE_HEADER = re.compile(rb"\n([0-9a-f]{8}) ([0-9a-f]{1,16})(?:@([0-9a-f]{1,16}))? ")
_FOR_DISK = re.compile(rb"\n[0-9a-f]{8} [0-9a-f]{1,16}@")
_TORN_HEADER = re.compile(rb"\n[0-9a-f]{0,8}|\n[0-9a-f]{8} (?:[0-9a-f]{1,16}(?:@[0-9a-f]{0,16})?)?")
# Records that were written before they had a length begin with their JSON.
_WITHOUT_LENGTH = re.compile(rb"\n[0-9a-f]{8} \{")
_NEVER_INSIDE = re.compile(rb"[\x00-\x08\x0a-\x1f]")


class Frame(NamedTuple):
    """A whole record: where it begins and ends in the file, its payload, and up to where the file was on disk.

    `synced` is None for a record that was not written with `durability=disk`.
    """

    start: int
    end: int
    payload: bytes
    synced: int | None = None


class DamagedFrameError(ValueError):
    """The bytes at `offset` are no record and no torn tail of one; `frames` are the whole ones before them."""

    def __init__(self, offset: int, frames: list[Frame]) -> None:
        super().__init__(f"damaged at byte {offset}")
        self.offset = offset
        self.frames = frames


def framed(payload: bytes, synced: int | None = None) -> bytes:
    """Return `payload`, which holds no newline, as a record."""
    header = b"%x " % len(payload) if synced is None else b"%x@%x " % (len(payload), synced)
    return b"\n%08x %b%b\n" % (zlib.crc32(payload, zlib.crc32(header)), header, payload)


def begins_for_disk(data: bytes) -> bool:
    """Tell whether `data` begins with a record that was written with durability=disk, whole or not."""
    return _FOR_DISK.match(data) is not None


def read_frames(data: bytes, offset: int, *, goes_on: bool = False) -> list[Frame]:
    """Return the whole records of `data`, which begins at a record's start, at `offset` of the file.

    A torn tail is left out, and with `goes_on`, where the file has more, so is whatever has no end yet: to look
    whether that is torn would mean to search all of it. Raises DamagedFrameError.
    """
    frames: list[Frame] = []
    view = memoryview(data)
    position = 0
    while position < len(data):
        end = data.find(b"\n", position + 1)
        if data[position] != 0x0A or (end < 0 and not goes_on and not is_torn(data[position:])):
            raise DamagedFrameError(offset + position, frames)
        if end < 0:
            break
        frame = _frame(data, view, position, end, offset)
        if frame is None:
            raise DamagedFrameError(offset + position, frames)
        frames.append(frame)
        position = end + 1
    return frames


def find_frames(data: bytes, offset: int) -> Iterator[Frame]:
    """Yield whatever whole records `data` holds, wherever they begin; `offset` is its place in the file."""
    view = memoryview(data)
    position = data.find(b"\n")
    while position >= 0:
        end = data.find(b"\n", position + 1)
        frame = None if end < 0 else _frame(data, view, position, end, offset)
        if frame is not None:
            yield frame
        # The newline at the end of a record is no beginning of the next one.
        position = end if frame is None else data.find(b"\n", end + 1)


def _frame(data: bytes, view: memoryview, position: int, end: int, offset: int) -> Frame | None:
    """Return the record between two newlines of `data`, which `view` is of, or None when they hold none."""
    header = _WHOLE_HEADER.match(data, position, end)
    if header is None:
        return _frame_without_length(data, position, end, offset)
    checksum, length, synced = header.groups()
    start = header.end()
    if start + int(length, 16) != end or int(checksum, 16) != zlib.crc32(view[position + FIRST_BYTES : end]):
        return None
    return Frame(offset + position, offset + end + 1, data[start:end], None if synced is None else int(synced, 16))


def _frame_without_length(data: bytes, position: int, end: int, offset: int) -> Frame | None:
    if not _WITHOUT_LENGTH.match(data, position, end):
        return None
    payload = data[position + FIRST_BYTES : end]
    is_right = int(data[position + 1 : position + 9], 16) == zlib.crc32(payload)
    return Frame(offset + position, offset + end + 1, payload) if is_right else None


def is_torn(tail: bytes) -> bool:
    """Tell whether `tail`, which has no newline of its own at its end, is the beginning of a record."""
    if _NEVER_INSIDE.search(tail, 1):
        return False
    header = _WHOLE_HEADER.match(tail)
    if header is not None:
        missing = int(header[2], 16) - (len(tail) - header.end())
        is_right = int(header[1], 16) == zlib.crc32(memoryview(tail)[FIRST_BYTES:])
        return missing > 0 or (missing == 0 and is_right)
    if _WITHOUT_LENGTH.match(tail):
        # It may be whole but for its last byte, a damaged newline.
        return int(tail[1:9], 16) != zlib.crc32(memoryview(tail)[FIRST_BYTES:-1])
    return _TORN_HEADER.fullmatch(tail) is not None
