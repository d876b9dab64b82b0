"""Open files, each of which can be closed and found again, or found to be another file."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from a2a_session_manager.storage.file import descriptors
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.os_errors import FULL, READ_ONLY
from a2a_session_manager.storage.file.real_folders import refuse_links_above

_HOLD_TRIES = 10
_HOLD_PAUSE_SECONDS = 0.000_2
# The clock that stamps files is coarse: two changes within a tick may bear the same time.
CLOCK_TICK_NS = 20_000_000


class FileChangedError(Exception):
    """The file at this path is gone, shorter, or another one than the one that was read."""


class BusyError(Exception):
    """Another process, or another file of the same name, is in the way: try again."""


class FileSignature(NamedTuple):
    """What `stat` tells of a file; any change of the file changes some of it."""

    device: int
    inode: int
    size: int
    changed_at: int
    is_settled: bool


class FileHandle:
    """One file, opened when used. Its lock is held while any thread uses it or what was read from it."""

    def __init__(self, path: Path, pool: HandlePool) -> None:
        self.path = path
        self._name = str(path)  # a Path makes it anew for every call
        self.lock = threading.RLock()
        self._pool = pool
        self._fd: int | None = None
        # Device and inode of the file that was read, and of the one that is open.
        self._identity: tuple[int, int] | None = None
        self._opened: tuple[int, int] | None = None
        # Whether it was opened since somebody last compared it with what had been read of it.
        self.is_fresh = True
        self.is_held = False
        self._is_read_only = False

    def open(self, *, create: bool = False) -> os.stat_result | None:
        """Open the file if it is not open and return its status; None when there is none.

        Raises FileChangedError when it is not the file it was. Follows no symlink.
        """
        if self._fd is None:
            try:
                refuse_links_above(self._name)
                self._fd = self._newly_opened(create)
            except FileNotFoundError:
                self._identity = None
                return None
            self.is_fresh = True
            self._opened = _identity(os.fstat(self._fd))
            self._refuse_others()
        self._pool.used(self)
        status = self._named_status()
        if status is None or self._identity not in (None, self._opened):
            self.close()
            self._identity = None
            raise FileChangedError(str(self.path))
        self._identity = self._opened
        return status

    def _refuse_others(self) -> None:
        """Nothing but a file is read and written: not a FIFO, nor a device."""
        if not stat.S_ISREG(os.fstat(self.fd).st_mode):
            self.close()
            raise OSError(errno.EINVAL, "not a regular file", str(self.path))

    def _newly_opened(self, create: bool) -> int:
        flags = os.O_APPEND | os.O_NOFOLLOW
        try:
            fd = descriptors.opened(self.path, flags | os.O_RDWR | (os.O_CREAT if create else 0))
        except OSError as error:
            if create or error.errno not in READ_ONLY:
                raise
            fd = descriptors.opened(self.path, flags | os.O_RDONLY)
            self._is_read_only = True
        else:
            self._is_read_only = False
        return fd

    @property
    def is_open(self) -> bool:
        return self._fd is not None

    @property
    def is_known(self) -> bool:
        """Tell whether the file is open, and is the one that was read before."""
        return self._fd is not None and not self.is_fresh

    def is_of(self, fd: int) -> bool:
        """Tell whether `fd` is the file that was read under this name last. Needs no lock."""
        return _identity(os.fstat(fd)) == self._identity

    def _named_status(self) -> os.stat_result | None:
        """Return the status of the open file; None when it is not the one of its path any more."""
        try:
            # The count of its names does not tell: a backup made of links may hold one.
            status = os.stat(self._name, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status if _identity(status) == self._opened else None

    def signature(self) -> FileSignature | None:
        """Return what `stat` tells of the file, which is not opened; None when there is none."""
        return signature_of(self._name)

    @property
    def fd(self) -> int:
        assert self._fd is not None, "the file is used while it is open"
        return self._fd

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes from `start` up to `end`, fewer at the end of the file."""
        parts = []
        while start < end and (part := os.pread(self.fd, end - start, start)):
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def size(self) -> int:
        return os.fstat(self.fd).st_size

    def append(self, data: bytes) -> int:
        """Write at the end in one write; return how much of `data` fitted."""
        try:
            return os.write(self.fd, data)
        except OSError as error:
            if error.errno in FULL:
                return 0
            raise

    def cut(self, size: int, *, durable: bool = False) -> None:
        os.ftruncate(self.fd, size)
        if durable:
            # The cut is on disk before anything is written there: what was cut must not come back when the power fails.
            os.fsync(self.fd)

    def sync(self) -> None:
        os.fdatasync(self.fd)

    @contextmanager
    def exclusive(self) -> Iterator[int | None]:
        """Hold the open file against other processes, if nobody else does; yields its size, None when it is not held.

        What was decided before is to be decided again inside: only now do others keep away.
        """
        try:
            size = self.hold()
        except BusyError:
            yield None
            return
        try:
            yield size
        finally:
            self.release()

    def _try_to_hold(self) -> bool:
        if self._is_read_only:
            raise PermissionError(errno.EACCES, "it can only be read", str(self.path))
        # It is tried for a moment: a process that writes all the time lets go for less than a later try would take.
        for _ in range(_HOLD_TRIES):
            if self._is_free():
                return True
            time.sleep(_HOLD_PAUSE_SECONDS)
        return False

    def _is_free(self) -> bool:
        """Hold the file if nobody else does, and tell whether it is held now."""
        try:
            fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def hold(self, *, at_once: bool = False) -> int:
        """Hold the open file against other processes until `release`, and return its size.

        Raises BusyError when somebody else holds it, for more than a moment unless it is to be `at_once`.
        """
        if not (self._is_free() if at_once else self._try_to_hold()):
            raise BusyError
        self.is_held = True
        status = self._named_status()
        if status is None:
            # Deleted and made again while we waited for nobody: the lock we hold is on a removed file.
            self.release()
            self.close()
            raise BusyError
        return status.st_size

    def release(self) -> None:
        self.is_held = False
        if self._fd is not None:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close_if_idle(self) -> bool:
        """Close the file unless somebody is using it, this thread further up included."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            if not self.is_held:
                self.close()
            return self._fd is None
        finally:
            self.lock.release()

    def close(self) -> None:
        if self._fd is not None:
            descriptors.close(self._fd)
            self._fd = None
        self._pool.closed(self)


def signature_of(name: str) -> FileSignature | None:
    """Return what `stat` tells of the file of this name; None when there is none."""
    try:
        status = os.stat(name, follow_symlinks=False)
    except FileNotFoundError:
        return None
    changed_at = status.st_ctime_ns
    return FileSignature(*_identity(status), status.st_size, changed_at, changed_at < time.time_ns() - CLOCK_TICK_NS)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
