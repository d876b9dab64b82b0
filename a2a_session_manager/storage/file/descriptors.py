"""Open files that may be locked, and that no forked child keeps.

A lock belongs to the open file, which a child shares with its parent: a parent that was killed would hold its locks
for as long as the child lives.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Final

# What people say to their agents is nobody else's to read.
FILE_MODE: Final = 0o600

_open: set[int] = set()
# Held while a file is opened or closed, and across a fork: no file is open that is not noted.
_lock = threading.Lock()


def opened(path: Path | str, flags: int) -> int:
    """Open a file that may be locked; a new one is its owner's alone."""
    with _lock:
        fd = os.open(path, flags | os.O_CLOEXEC, FILE_MODE)
        _open.add(fd)
        return fd


def private_opener(path: str, flags: int) -> int:
    """Open a file that is never locked, for `open(opener=…)`; a new one is its owner's alone."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE)


def duplicated(fd: int) -> int:
    with _lock:
        copy = os.dup(fd)
        _open.add(copy)
        return copy


def close(fd: int) -> None:
    with _lock:
        _open.discard(fd)
        os.close(fd)


def _close_in_child() -> None:
    for fd in _open:
        os.close(fd)
    _open.clear()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_close_in_child)
