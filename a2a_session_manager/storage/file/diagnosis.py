"""What lies in a store's directory and on which file system, and which promises that cannot keep."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.storage.file.os_errors import translated
from a2a_session_manager.storage.file.store_directory import StoreDirectory

_MOUNTS: Final = Path("/proc/self/mountinfo")
_REMOTE: Final = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs")
_FLEETING: Final = ("tmpfs", "ramfs")
_LITTLE_BYTES: Final = 100_000_000
_LEFTOVER_SECONDS: Final = 3_600
_OCTAL: Final = re.compile(r"\\([0-7]{3})")


def diagnose(directory: StoreDirectory) -> list[StoreFinding]:
    """Return what is found of the directory, its file system and the files in it."""
    path = directory.path
    with translated(path):
        return [*_of_file_system(path), *_of_permissions(path), *_of_room(path), *_of_files(directory)]


def _of_file_system(path: Path) -> Iterator[StoreFinding]:
    kind = file_system_of(path)
    if kind is None:
        return
    where = str(path)
    if kind in _REMOTE:
        text = f"it lies on {kind}, whose locks and caches several machines do not share as the store needs it"
        yield StoreFinding("error", "remote_file_system", where, text, "move it to a local disk, or take Redis")
    elif kind in _FLEETING:
        text = f"it lies on {kind}, in memory: all is lost when the machine stops"
        yield StoreFinding("warning", "fleeting_file_system", where, text, "move it to a disk")
    else:
        yield StoreFinding("note", "file_system", where, f"it lies on {kind}")


def _of_permissions(path: Path) -> Iterator[StoreFinding]:
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        text = f"others than its owner may look into it (mode {mode:04o})"
        yield StoreFinding("warning", "permissions", str(path), text, "chmod 700, if nobody else is meant to")


def _of_room(path: Path) -> Iterator[StoreFinding]:
    status = os.statvfs(path)
    free = status.f_bavail * status.f_frsize
    if free < _LITTLE_BYTES:
        text = f"{free // 1_000_000} MB are free on its disk; a full one refuses commits"
        yield StoreFinding("warning", "nearly_full", str(path), text, "free some room, or delete sessions")


def _of_files(directory: StoreDirectory) -> Iterator[StoreFinding]:
    oldest = time.time() - _LEFTOVER_SECONDS
    for leftover in _entries(directory.path / "new"):
        with suppress(FileNotFoundError):
            if leftover.stat().st_mtime < oldest:
                text = "a process died while it made this file"
                yield StoreFinding("note", "leftover", str(leftover), text, "the next store that opens removes it")
    for folder in directory.namespace_folders():
        for shard in _entries(folder / "logs"):
            for file in _entries(shard):
                if ".cut" in file.suffixes:
                    text = "the damaged end of a log was moved here"
                    yield StoreFinding(
                        "warning", "cut_tail", str(file), text, "look whether it is needed; then remove it"
                    )


def file_system_of(path: Path) -> str | None:
    """Return the kind of file system that `path` lies on; None where the system does not say."""
    try:
        lines = _MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return None
    found, longest = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, rest = before.split(" "), after.split(" ")
        mount = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # Of two in one place, the later one hides the earlier.
        if path.is_relative_to(mount) and len(mount.parts) >= longest:
            found, longest = rest[0], len(mount.parts)
    return found


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
