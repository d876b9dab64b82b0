"""Up to which byte a file was on disk when it was last written to: a few bytes in a file beside it.

A loss of power leaves what was not synced in any shape: pages of zeros, or a record's end without its beginning.
That may go, for nobody was promised it. The same bytes in front of this mark are damage. Each record says so too, but
where a whole block of records is damaged, only a file beside them can still tell. The mark is never synced: an older
one, or none, tells of less, which is right as well.

A second line says what was synced since, so that a writer that has just opened the file knows it. It judges nothing:
the newest write is always taken for one that may have been under way.

Its name sorts in front of `.log` and `.tree`, so that a copy of the folder holds no mark that is newer than its file.
"""

from __future__ import annotations

import os
import zlib
from contextlib import suppress
from functools import cached_property
from pathlib import Path

_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO in its place must hold up nobody
_SIZE = 35


class SyncMark:
    """The mark beside a log or tree file."""

    def __init__(self, path: Path) -> None:
        self._file = path

    @cached_property
    def path(self) -> Path:
        """Where the mark is."""
        return self._file.with_suffix(".durable")

    def read(self, first_bytes: bytes | None) -> int:
        """Return up to which byte the file that begins so was on disk before it was last written to; 0 for unknown.

        None stands for a file whose beginning cannot be read.
        """
        return _offset(self._lines()[:_SIZE], first_bytes)

    def read_synced(self, first_bytes: bytes) -> int:
        """Return up to which byte the file that begins so is on disk by now; 0 for unknown."""
        lines = self._lines()
        return max(_offset(lines[:_SIZE], first_bytes), _offset(lines[_SIZE:], first_bytes))

    def write(self, first_bytes: bytes, offset: int, *, durable: bool = False) -> None:
        """Write that the file that begins so is on disk up to `offset`. Only its exclusive holder calls this."""
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | _FLAGS, 0o600)
        try:
            os.pwrite(fd, _line(first_bytes, offset), 0)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)

    def write_synced(self, first_bytes: bytes, offset: int) -> None:
        """Write that the file that begins so is on disk up to `offset` by now; where there is no mark yet, nothing."""
        with suppress(OSError):
            fd = os.open(self.path, os.O_WRONLY | _FLAGS)
            try:
                os.pwrite(fd, _line(first_bytes, offset), _SIZE)
            finally:
                os.close(fd)

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def _lines(self) -> bytes:
        try:
            fd = os.open(self.path, os.O_RDONLY | _FLAGS)
        except OSError:
            return b""
        try:
            return os.pread(fd, 2 * _SIZE, 0)
        except OSError:
            return b""
        finally:
            os.close(fd)


def _line(first_bytes: bytes, offset: int) -> bytes:
    text = b"%b %016x" % (first_bytes[1:9], offset)
    return b"%b %08x\n" % (text, zlib.crc32(text))


def _offset(line: bytes, first_bytes: bytes | None) -> int:
    try:
        offset = int(line[9:25], 16)
    except ValueError:
        return 0
    begins = b"\n" + line[:9] if first_bytes is None else first_bytes
    return offset if line == _line(begins, offset) else 0
