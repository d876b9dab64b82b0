"""New files and folders: whole before they have their names, and on disk with them where that is wanted."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from a2a_session_manager.storage.file.handles import BusyError


@contextmanager
def placed(new: Path, path: Path, data: bytes, *, durable: bool) -> Iterator[None]:
    """Write a file whole at `new`, then give it its name: no reader ever sees half of it. Held meanwhile.

    Raises BusyError when there is a file of that name.
    """
    new.unlink(missing_ok=True)
    with open(new, "xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            file.write(data)
            file.flush()
            if durable:
                os.fdatasync(file.fileno())
            os.link(new, path)
        except FileExistsError as error:
            raise BusyError from error
        finally:
            new.unlink(missing_ok=True)
        if durable:
            sync_directory(path.parent)
        yield


def make_directory(path: Path, *, durable: bool) -> None:
    """Make a folder, and those above it, where there is none."""
    if path.is_dir():
        return
    make_directory(path.parent, durable=durable)
    path.mkdir(exist_ok=True)
    if durable:
        sync_directory(path.parent)


def read_regular(path: Path) -> bytes:
    """Return what is in a file; an OSError when it is a FIFO, a folder, a symlink: opening must wait for nobody."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(fd, "rb", closefd=False) as file:
            return file.read()
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
