"""New files and folders: whole before they have their names, and on disk with them where that is wanted."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from a2a_session_manager.storage.file import descriptors
from a2a_session_manager.storage.file.handles import BusyError

_LEFTOVER_SECONDS = 3_600


@contextmanager
def create_atomically(new: str, path: Path, data: bytes, *, folder: int, durable: bool) -> Iterator[None]:
    """Write a file whole at `new`, then give it its name in the open `folder`: no reader ever sees half of it.

    It is held meanwhile. Raises BusyError when there is a file of that name, or a folder was removed meanwhile.
    """
    try:
        fd = _newly_opened(new)
    except FileNotFoundError as error:
        raise BusyError from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            _write_whole(fd, data)
            if durable:
                os.fdatasync(fd)
            os.link(new, path.name, dst_dir_fd=folder)
        except (FileExistsError, FileNotFoundError) as error:
            raise BusyError from error
        finally:
            _remove(new)
        if durable:
            sync_directory(path.parent)
        yield
    finally:
        fcntl.flock(fd, fcntl.LOCK_UN)  # also for a child that has come by its own copy of the file
        descriptors.close(fd)


def _newly_opened(new: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        return descriptors.opened(new, flags)
    except FileExistsError:
        _remove(new)  # an earlier try that has died has left it
        return descriptors.opened(new, flags)


def write_for_a_moment(path: str) -> None:
    """Write a small file, which nobody has, and remove it."""
    fd = descriptors.opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        _write_whole(fd, b"ping\n")
        os.fdatasync(fd)
    finally:
        descriptors.close(fd)
        _remove(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what creations that died have left in the folder for new files.

    A creation holds its file from the moment after it has made it. So what is old and held by nobody is nobody's.
    """
    oldest = time.time() - _LEFTOVER_SECONDS
    for path in list(folder.iterdir()):
        with suppress(OSError):  # it is gone, or not ours to remove: the next store tries again
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mtime < oldest:
                _remove_if_free(path)


def _remove_if_free(path: Path) -> None:
    fd = descriptors.opened(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        descriptors.close(fd)


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)


def _write_whole(fd: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(fd, left) :]


def make_directory(path: Path, *, durable: bool) -> None:
    """Make a folder, and those above it, where there is none: for nobody but their owner."""
    if path.is_dir():
        return
    make_directory(path.parent, durable=durable)
    path.mkdir(mode=0o700, exist_ok=True)
    if durable:
        sync_directory(path.parent)


def read_regular(path: Path, *, most: int = -1) -> bytes:
    """Return what is in a file; an OSError when it is a FIFO, a folder, a symlink: opening must wait for nobody."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(fd, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Bring what is in a file to disk, whoever wrote it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_directory(path: Path) -> None:
    """Make a new or removed name in `path` survive power loss."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
