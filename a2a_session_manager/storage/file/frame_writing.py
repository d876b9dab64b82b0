"""Appending records to a file that is held exclusively."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate

from a2a_session_manager.exceptions import StoreFull
from a2a_session_manager.storage.file.framed_file import FramedFile


def append_frames(file: FramedFile, frames: Sequence[bytes], synced: int | None) -> int:
    """Append records in one write and return how many are whole in the file; the rest did not fit.

    `synced` is what the records say was on disk before them, None without durability=disk.

    Only the exclusive holder of the file calls it, after catching up. A short write is cut back.
    """
    data = b"".join(frames)
    written = file.handle.append(data)
    if synced:
        with suppress(OSError):  # an older mark only tells of less
            file.on_disk.mark.write(file.first_bytes, synced)
    if written == len(data):
        return len(frames)
    ends = list(accumulate(len(frame) for frame in frames))
    whole = bisect_right(ends, written)
    file.handle.cut(file.offset + (ends[whole - 1] if whole else 0))
    return whole


def no_room(file: FramedFile) -> StoreFull:
    """Return the error of a record that did not fit."""
    return StoreFull(f"{file.path}: no room is left: free some, then write again", session_id=file.session_id)
