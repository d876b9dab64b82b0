"""Records in a log: newline, checksum, payload, newline.

The leading newline keeps a torn tail from destroying the record after it. A torn write is a prefix of a
record and has no newline of its own at its end, so a wrong checksum in front of a newline is damage.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple


class Frame(NamedTuple):
    """A whole record: where it begins and ends in the file, and its payload."""

    start: int
    end: int
    payload: bytes


class DamagedFrameError(ValueError):
    """The bytes at `offset` are no record and no torn tail of one."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"damaged at byte {offset}")
        self.offset = offset


def framed(payload: bytes) -> bytes:
    """Return `payload`, which holds no newline, as a record."""
    return b"\n%08x %s\n" % (zlib.crc32(payload), payload)


def read_frames(data: bytes, offset: int) -> list[Frame]:
    """Return the whole records of `data`, which begins at a record's start, at `offset` of the file.

    A torn tail is left out. Raises DamagedFrameError.
    """
    frames: list[Frame] = []
    position = 0
    while position < len(data):
        end = data.find(b"\n", position + 1)
        if data[position] != 0x0A:
            raise DamagedFrameError(offset + position)
        if end < 0:
            _check_torn(data[position + 1 :], offset + position)
            break
        payload = _payload(data[position + 1 : end])
        if payload is None:
            raise DamagedFrameError(offset + position)
        frames.append(Frame(offset + position, offset + end + 1, payload))
        position = end + 1
    return frames


def _payload(line: bytes) -> bytes | None:
    payload = line[9:]
    return payload if line[:9] == b"%08x " % zlib.crc32(payload) else None


def _check_torn(tail: bytes, offset: int) -> None:
    """Tell a torn tail from a record that is whole but for a damaged last newline."""
    if len(tail) > 10 and _payload(tail[:-1]) is not None:
        raise DamagedFrameError(offset)
