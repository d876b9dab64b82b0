"""Reading records of an open file."""

from __future__ import annotations

from a2a_session_manager.storage.file.framing import DamagedFrameError, Frame, read_frames
from a2a_session_manager.storage.file.handles import FileHandle


def frames_from(handle: FileHandle, start: int, stop: int, end: int) -> tuple[list[Frame], bool]:
    """Return the whole records from `start` up to about `stop`, and whether what comes after them is damaged.

    One comes at least, where there is one before `end`, the end of what may be read: a long one makes it read on.
    """
    while True:
        stop = min(stop, end)
        data = handle.read(start, stop)
        try:
            frames, is_damaged = read_frames(data, start, goes_on=start + len(data) < end), False
        except DamagedFrameError as error:
            frames, is_damaged = error.frames, True
        if frames or is_damaged or stop == end:
            return frames, is_damaged
        stop += 3 * (stop - start)
