"""The leases of a session's runs, in a small file beside its log that is there while a run is held.

It is written in place, under the log's lock, and never synced: what a loss of power takes, its holders have lost too.
One that cannot be read holds nothing: whoever had a lease is told so by the next write.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Final

from a2a_session_manager.serialization.plain_json import dumped, parsed
from a2a_session_manager.storage.file.descriptors import FILE_MODE
from a2a_session_manager.storage.file.handles import CLOCK_TICK_NS
from a2a_session_manager.storage.records import Lease

_FLAGS: Final = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO in its place must hold up nobody
_CHECKSUM: Final = 9


class LeaseFile:
    """The file of leases beside a log."""

    def __init__(self, log_path: Path) -> None:
        self._log_path = log_path
        self._seen: tuple[tuple[int, ...], str, Mapping[str, Lease]] | None = None

    @cached_property
    def path(self) -> Path:
        """Where the leases are."""
        return self._log_path.with_suffix(".leases")

    @cached_property
    def _name(self) -> str:
        return str(self.path)

    def read(self, creation_id: str) -> Mapping[str, Lease]:
        """Return the leases by the ids of their runs; none for another session of the id."""
        try:
            status = os.stat(self._name, follow_symlinks=False)
        except OSError:
            return {}
        signature = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        if self._seen is not None and self._seen[:2] == (signature, creation_id):
            return self._seen[2]
        leases = self._read(creation_id)
        # The clock that stamps files is coarse: a change within a tick of the one before would not be seen.
        is_settled = status.st_ctime_ns < time.time_ns() - CLOCK_TICK_NS
        self._seen = (signature, creation_id, leases) if is_settled else None
        return leases

    def _read(self, creation_id: str) -> dict[str, Lease]:
        try:
            fd = os.open(self.path, os.O_RDONLY | _FLAGS)
        except OSError:
            return {}
        try:
            return _decoded(os.pread(fd, os.fstat(fd).st_size, 0), creation_id)
        except OSError:
            return {}
        finally:
            os.close(fd)

    def write(self, creation_id: str, leases: Mapping[str, Lease]) -> None:
        """Write all leases; without any, the file goes. Only the exclusive holder of the log calls it."""
        if not leases:
            self.remove()
            return
        data = _encoded(creation_id, leases)
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | _FLAGS, FILE_MODE)
        try:
            if os.pwrite(fd, data, 0) != len(data):
                raise OSError(f"{self.path}: short write")
            # What a longer one before has left behind the line is no part of it.
        finally:
            os.close(fd)

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path)


def _encoded(creation_id: str, leases: Mapping[str, Lease]) -> bytes:
    text = dumped([creation_id, leases])
    return b"%08x %b\n" % (zlib.crc32(text), text)


def _decoded(data: bytes, creation_id: str) -> dict[str, Lease]:
    line = data.partition(b"\n")[0]
    text = line[_CHECKSUM:]
    if line[:_CHECKSUM] != b"%08x " % zlib.crc32(text):
        return {}
    try:
        whose, leases = parsed(text)
        found = {run_id: Lease(*lease) for run_id, lease in leases.items()}
    except (ValueError, TypeError, AttributeError):
        return {}
    return found if whose == creation_id and all(map(_is_sound, found.values())) else {}


def _is_sound(lease: Lease) -> bool:
    return [type(value) for value in lease] == [str, int, int, str]
