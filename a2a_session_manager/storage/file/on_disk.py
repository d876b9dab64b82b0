"""How much of a file is known to be on disk: by its records, by the mark beside it, and by what was synced here."""

from __future__ import annotations

from pathlib import Path

from a2a_session_manager.storage.file.atomic_files import sync_directory
from a2a_session_manager.storage.file.framing import Frame, find_frames
from a2a_session_manager.storage.file.handles import FileHandle
from a2a_session_manager.storage.file.sync_mark import SyncMark

# More than this was never under way at once: a longer tail was not lost with the power.
_MOST_UNSYNCED = 256_000_000


class OnDisk:
    """What is known of one file; `first_bytes` tell its content from another one under the same name."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.durable = durable
        self.mark = SyncMark(path)
        # What the newest record says was on disk before it; None when it was not written with durability=disk.
        self.synced: int | None = None
        # What was brought to disk here, and of which content of the file.
        self._brought: tuple[bytes, int] = (b"", 0)

    def forget(self) -> None:
        """Know nothing of what was read, nor of what was synced of it: it may be another file."""
        self.synced = None
        self._brought = (b"", 0)

    def take(self, frame: Frame) -> None:
        """Note what the newest record says."""
        self.synced = None if frame.synced is None else max(frame.synced, self.synced or 0)

    def was_synced(self, first_bytes: bytes, end: int) -> None:
        """Note that all up to `end` is on disk, and all that it rests on. Needs no lock."""
        self._brought = (first_bytes, end)
        self.mark.write_synced(first_bytes, end)

    def was_cut(self, first_bytes: bytes, end: int) -> None:
        """Note that what stood after `end` is gone: what comes in its place is not on disk, though that was."""
        if self.end(first_bytes) > end:
            self.was_synced(first_bytes, end)

    def end(self, first_bytes: bytes) -> int:
        """Return up to which byte the file is on disk, and all that it rests on; 0 when that is not known."""
        known, end = self._brought
        if known != first_bytes or end == 0:
            end = self.mark.read_synced(first_bytes)
            self._brought = (first_bytes, end)
        return max(end, self.synced or 0)

    def is_anchored(self, first_bytes: bytes) -> bool:
        """Tell whether all that a new record with durability=disk rests on is known to be on disk."""
        return self.synced is not None and self.end(first_bytes) > 0

    def anchor(self, handle: FileHandle, first_bytes: bytes, end: int) -> None:
        """Bring all up to `end` to disk, and a mark that says so."""
        handle.sync()
        self.mark.write(first_bytes, end, durable=True)
        sync_directory(handle.path.parent)
        self.was_synced(first_bytes, end)
        self.synced = end

    def for_a_record(self, first_bytes: bytes) -> int | None:
        """Return what a new record has to say of what is on disk before it."""
        return self.end(first_bytes) if self.durable else None

    def may_end_at(self, offset: int, first_bytes: bytes) -> bool:
        """Tell whether a loss of power can have taken what stood after `offset`, the end of the last whole record.

        That is so when it was written with durability=disk, and nothing says that it was on disk.
        """
        mark = self.mark.read(first_bytes)
        is_for_disk = self.synced is not None or mark == offset
        return is_for_disk and max(mark, self.synced or 0) <= offset

    def may_have_lost(self, handle: FileHandle, start: int, size: int) -> bool:
        """Tell whether nothing says that the bytes from `start` on were on disk; whole records among them might."""
        if size - start > _MOST_UNSYNCED:
            return False
        later = find_frames(handle.read(start, size), start)
        return all(frame.synced is not None and frame.synced <= start for frame in later)
