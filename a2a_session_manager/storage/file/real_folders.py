"""Folders that no symlink leads to: one that was put on the way leads out of the store's directory.

The kernel says where an open folder lies, in a third of the time that it takes to look at each folder above it. It is
asked each time: whoever remembers that there was no symlink does not see the one that was put there since.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

# A folder that is opened so can be neither read nor written, which is not needed, nor has to be allowed.
_FLAGS: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def opened_folder(name: str) -> int:
    """Open a folder, for the names in it to be used, and return its descriptor, which is nobody else's to close.

    Raises FileNotFoundError when there is none, and OSError when it, or a folder above it, is a symlink.
    """
    try:
        fd = os.open(name, _FLAGS)
    except OSError:
        refuse_links(name)
        raise
    try:
        if _place_of(fd) != name:
            refuse_links(name)
    except BaseException:
        os.close(fd)
        raise
    return fd


def refuse_links(path: Path | str) -> None:
    """No symlink may lead out of the store's directory, neither the file nor a folder on the way."""
    if os.path.realpath(path) != str(path):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))


def refuse_links_above(name: str) -> None:
    """Refuse a symlink on the way to a file, which is opened in a way that refuses itself to be one.

    Raises FileNotFoundError where its folder is not there.
    """
    os.close(opened_folder(os.path.dirname(name)))


def _place_of(fd: int) -> str | None:
    """Return where an open folder lies; None where the system does not say."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return None
