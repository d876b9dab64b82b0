"""The journal of a namespace's catalog: what any number of processes append to, each record in one write.

Appending waits for nobody: the kernel puts each write after the one before. The file begins with how far it went when
somebody has last appended to it, so that one that was cut is known to be damaged.

A part of the journal that was taken into the tables is followed by a new one under the same name. Whoever appends looks
whether the name still is that of the file it has open, and holds the file shared meanwhile, so that none is replaced in
between.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from a2a_session_manager.storage.file import descriptors
from a2a_session_manager.storage.file.framing import Frame, find_frames, framed, is_torn
from a2a_session_manager.storage.file.handle_pool import HandlePool, PooledFile
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.journal_header import (
    MARK_BYTES,
    DamagedJournalError,
    JournalHeader,
    boot,
    header_in,
    new_header,
)
from a2a_session_manager.storage.file.real_folders import refuse_links

JOURNAL: Final = "journal"

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
_NEW: Final = _FLAGS | os.O_CREAT | os.O_EXCL
_MARKING: Final = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_HEADER_BYTES: Final = 64_000
_CHUNK: Final = 1_000_000
_TRIES: Final = 50
_PAUSE_SECONDS: Final = 0.000_2
_MARK: Final = re.compile(rb"[0-9a-f]{16}")


class Journal(PooledFile):
    """The journal in the folder of a catalog. Its lock is held while a thread uses it."""

    def __init__(self, folder: Path, pool: HandlePool) -> None:
        self.folder = folder
        self.path = folder / JOURNAL
        self.lock = threading.RLock()
        self._pool = pool
        self._name = str(self.path)
        self._fd: int | None = None
        self._marking_fd: int | None = None
        self._file = (0, 0)
        self._header: JournalHeader | None = None
        # Where the first record is, and where the one ends that was written last.
        self.start = 0
        self.end = 0

    @property
    def header(self) -> JournalHeader | None:
        """What the journal begins with, as it was opened; None when there was none."""
        return self._header

    @property
    def is_of_here(self) -> bool:
        """True when it was begun in this very file, and since this machine was started."""
        return self._header is not None and (self._header.boot, self._header.file) == (boot(), self._file)

    def open(self) -> JournalHeader | None:
        """Open the file that has the journal's name now; None when there is none. Raises DamagedJournalError."""
        with self.lock:
            if self._fd is not None and self._is_current():
                self._pool.used(self)
                return self._header
            self.close()
            self._header = None
            refuse_links(self.path)
            try:
                fd = descriptors.opened(self.path, _FLAGS)
            except FileNotFoundError:
                return None
            self._fd, self._file = fd, _identity(os.fstat(fd))
            self._pool.used(self)
            self._header, self.start = header_in(os.pread(fd, _HEADER_BYTES, 0))
            return self._header

    def begin(self, indexed: Sequence[str], *, is_whole: bool) -> JournalHeader:
        """Begin a catalog where there is none, or none that can be read, and return what the journal begins with now.

        Others may have been faster; then it is theirs. One that `is_whole` never takes the place of another.
        """
        new = self._new_file(_new_generation(indexed, is_whole=is_whole))
        try:
            if is_whole:
                with suppress(FileExistsError):
                    os.link(new, self.path)
            else:
                os.replace(new, self.path)
        finally:
            new.unlink(missing_ok=True)
        header = self.open()
        if header is None:
            raise BusyError
        return header

    def append(self, make: Callable[[JournalHeader], Iterable[bytes]]) -> bool:
        """Append, in one write, the records that `make` makes for the journal as it is now; False when there is none.

        Raises DamagedJournalError, OSError, BusyError.
        """
        with self.lock:
            for _ in range(_TRIES):
                if self._fd is None and self.open() is None:
                    return False
                if not self._try_to_hold(fcntl.LOCK_SH):
                    time.sleep(_PAUSE_SECONDS)
                    continue
                try:
                    if self._is_current() and self._header is not None:
                        self._write(b"".join(map(framed, make(self._header))))
                        return True
                finally:
                    self._let_go()
                self.close()  # another part has its name by now
        raise BusyError

    def size(self) -> int:
        """Return the size of the open file. Raises DamagedJournalError when it was larger before."""
        assert self._fd is not None, "the journal is read while it is open"
        mark = os.pread(self._fd, MARK_BYTES, 0)  # first: the file only grows meanwhile
        size = os.fstat(self._fd).st_size
        if not _MARK.fullmatch(mark) or size < int(mark, 16):
            raise DamagedJournalError("it was cut")
        return size

    def read(self, offset: int) -> tuple[list[Frame], int]:
        """Return the next records from `offset` on, and where to read on: there again, when there are no more.

        Raises DamagedJournalError.
        """
        assert self._fd is not None, "the journal is read while it is open"
        size = _CHUNK
        while True:
            data = os.pread(self._fd, size, offset)
            frames = _whole_frames(data, offset)
            end = frames[-1].end if frames else offset
            if len(data) < size and not (data[end - offset :] == b"" or is_torn(data[end - offset :])):
                raise DamagedJournalError(f"it is damaged at byte {end}")
            if frames or len(data) < size:
                return frames, end
            size *= 4

    def follow(self, end: int) -> None:
        """Begin the next part, unless somebody has appended after `end`, or is about to: then another time."""
        with self.lock:
            header = self._header
            if self._fd is None or header is None or not self._try_to_hold(fcntl.LOCK_EX):
                return
            try:
                if self._is_current() and self.size() == end:
                    new = self._new_file(header._replace(part=header.part + 1, is_whole=False))
                    os.replace(new, self.path)
            finally:
                self._let_go()
            self.close()

    def close(self) -> None:
        with self.lock:
            if self._fd is not None:
                descriptors.close(self._fd)
                self._fd = None
            if self._marking_fd is not None:
                os.close(self._marking_fd)
                self._marking_fd = None
            self._pool.closed(self)

    def _new_file(self, header: JournalHeader) -> Path:
        """Write a file with nothing but a header, and return where it is."""
        path = self.folder / f"{JOURNAL}.{uuid4().hex}"
        fd = os.open(path, _NEW | os.O_CLOEXEC, descriptors.FILE_MODE)
        try:
            own = header._replace(file=_identity(os.fstat(fd)))
            _write_whole(fd, new_header(own))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return path

    def _try_to_hold(self, how: int) -> bool:
        assert self._fd is not None, "only an open file is held"
        try:
            fcntl.flock(self._fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _let_go(self) -> None:
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _is_current(self) -> bool:
        try:
            return _identity(os.stat(self._name, follow_symlinks=False)) == self._file
        except FileNotFoundError:
            return False

    def _write(self, data: bytes) -> None:
        assert self._fd is not None, "only an open file is written to"
        self._pool.used(self)
        if os.write(self._fd, data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self._name)
        self.end = os.lseek(self._fd, 0, os.SEEK_CUR)
        with suppress(OSError):  # an older mark only tells of less
            if self._marking_fd is None:
                # Another descriptor: what is written by one that appends goes to the end, wherever it is told to go.
                self._marking_fd = os.open(self._name, _MARKING | os.O_CLOEXEC)
            os.pwrite(self._marking_fd, b"%016x" % self.end, 0)


def _new_generation(indexed: Sequence[str], *, is_whole: bool) -> JournalHeader:
    return JournalHeader(uuid4().hex, 0, tuple(indexed), is_whole, boot(), (0, 0))


def _whole_frames(data: bytes, offset: int) -> list[Frame]:
    """Return the whole records; what a process that died has left of one is passed over. Raises DamagedJournalError."""
    frames: list[Frame] = []
    end = offset
    for frame in find_frames(data, offset):
        if frame.start != end and not is_torn(data[end - offset : frame.start - offset]):
            raise DamagedJournalError(f"it is damaged at byte {end}")
        frames.append(frame)
        end = frame.end
    return frames


def _write_whole(fd: int, data: bytes) -> None:
    if os.write(fd, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
