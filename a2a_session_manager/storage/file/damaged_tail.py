"""The way out of a damaged log: what cannot be read goes into a file beside it, and the session goes on without."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.file.atomic_files import sync_directory
from a2a_session_manager.storage.file.commit_lines import decode_line
from a2a_session_manager.storage.file.creation_records import UnknownFormatError
from a2a_session_manager.storage.file.framing import Frame
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.records import SessionKey

_log = logging.getLogger("a2a_session_manager.storage.file")

_CHUNK = 4_000_000
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def cut_damaged_tail(directory: StoreDirectory, key: SessionKey) -> int:
    """Move all from the first damaged byte of a log on into `ID.cut`, or the next free `ID.cut.N`; return how much.

    0 where nothing is damaged, and without a log. Wherever it is cut off, the bytes are in the log or in the other
    file. Raises BusyError when somebody else holds the log, and CorruptSession when nothing of it could be kept, or a
    newer release wrote it.
    """
    log = directory.log(key)
    with log:
        if not log.is_there():
            return 0
        size = log.handle.hold()
        try:
            # The damage is looked for only now, by nothing but the log's own bytes: others may have cut it meanwhile.
            with LogScan(log.path, key, directory.pool, durable=directory.durable) as scan:
                kept = scan.damaged_from(size)
                scan.handle.close()
            if kept is None:
                return 0
            catalog = directory.catalog(key.namespace)
            if scan.head is not None:
                catalog.goes_back(scan.head)
            count = _cut(directory, log, kept, size)
            if scan.head is not None:
                with catalog.afterwards():
                    catalog.changed(scan.head)
            return count
        finally:
            log.handle.release()


class LogScan(LogFile):
    """Reads a log from its start, its events included, by nothing but its own bytes."""

    def damaged_from(self, size: int) -> int | None:
        """Return where the first damaged byte is, or where the log ends too early; None when it is whole."""
        self._size()
        try:
            self._read_up_to(size)
        except CorruptSession as error:
            if self.offset == 0 or isinstance(error.__cause__, UnknownFormatError):
                raise
            return self.offset
        return self.offset if self.claimed() > self.offset else None

    def take(self, frame: Frame) -> None:
        for event in decode_line(frame.payload).commit.events:
            if not isinstance(parsed(event.data), dict):
                raise ValueError("an event that is none")
        super().take(frame)


def _cut(directory: StoreDirectory, log: LogFile, kept: int, size: int) -> int:
    if kept == 0:
        raise CorruptSession(
            log.key.id,
            f"{log.path} is damaged, at byte 0: nothing of it could be kept; restore it from a backup; "
            "nothing was changed",
        )
    folder = log.path.parent
    if kept < size:
        _write_beside(log, kept, size)
        sync_directory(folder)
    # They tell of what is cut, and would tell of what comes in its place.
    log.remove_derived()
    sync_directory(folder)
    if kept < size:
        # The rest becomes a new file, so that everybody who has read the old one notices.
        new = directory.new_path(uuid4().hex)
        _copy(log, 0, kept, Path(new))
        os.replace(new, log.path)
        sync_directory(folder)
    log.handle.close()
    log.start_over()
    return size - kept


def _write_beside(log: LogFile, start: int, end: int) -> None:
    for path in log.cut_paths():
        with suppress(FileExistsError):
            _copy(log, start, end, path)
            _log.warning("%s: moved %d bytes from byte %d on to %s", log.path, end - start, start, path)
            return


def _copy(log: LogFile, start: int, end: int, path: Path) -> None:
    with open(os.open(path, _NEW, 0o600), "wb") as file:
        try:
            file.writelines(log.handle.read(at, min(at + _CHUNK, end)) for at in range(start, end, _CHUNK))
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            path.unlink()
            raise
