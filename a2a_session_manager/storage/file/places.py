"""New files and folders: whole before they have their names, and on disk with them where that is wanted."""

from __future__ import annotations

import fcntl
import os
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


def sync_directory(path: Path) -> None:
    """Make a new or removed name in `path` survive power loss."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
