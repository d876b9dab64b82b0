"""What a batch wrote is on disk before anybody is answered: many files side by side, hardly later than one."""

from __future__ import annotations

import os
from collections import ChainMap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage.file import descriptors
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.os_errors import translation
from a2a_session_manager.storage.records import SessionKey

_ABREAST = 8


class Syncer:
    """Syncs files in threads of its own, which do nothing else and so wait for nobody."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(_ABREAST, thread_name_prefix="a2a-session-syncs")

    def sync(self, files: Sequence[int]) -> dict[int, OSError]:
        """Bring files to disk; return how it failed for those that may not be there."""
        if len(files) == 1:
            return _sync(files)
        shares = [files[first::_ABREAST] for first in range(min(len(files), _ABREAST))]
        try:
            return dict(ChainMap(*self._executor.map(_sync, shares)))
        except RuntimeError:  # the interpreter is ending, or no thread can be had
            return _sync(files)

    def close(self) -> None:
        self._executor.shutdown(wait=False)


class Unsynced:
    """The logs that a batch wrote, and has let go since: others may use them while they are synced."""

    def __init__(self, syncer: Syncer, *, most: int) -> None:
        self._syncer = syncer
        self._most = most
        # Each by a descriptor of our own: the log's may be closed meanwhile.
        self._logs: dict[int, tuple[LogFile, bytes, int]] = {}
        self.failures: dict[SessionKey, SessionManagerError] = {}

    def add(self, log: LogFile, first_bytes: bytes) -> None:
        """Take a log that begins so, while it is held; its answers count once `sync` has returned."""
        self._logs[descriptors.duplicated(log.handle.fd)] = (log, first_bytes, log.handle.size())

    def make_room(self) -> None:
        """Sync now when as many files are open as may be. The caller holds no log meanwhile, as for `sync`."""
        if len(self._logs) >= self._most:
            self.sync()

    def sync(self) -> None:
        """Bring all to disk; `failures` says which may not be there."""
        if not self._logs:
            return
        logs, self._logs = self._logs, {}
        try:
            errors = self._syncer.sync(list(logs))
            for file, (log, first_bytes, end) in logs.items():
                if file not in errors and log.handle.is_of(file):
                    log.on_disk.was_synced(first_bytes, end)
        finally:
            for file in logs:
                descriptors.close(file)
        for file, error in errors.items():
            self._failed(logs[file][0], error)

    def _failed(self, log: LogFile, error: OSError) -> None:
        with log:
            log.start_over()  # what was read of it may not be in the file
        failure = translation(error, log.path)
        failure.__cause__ = error
        self.failures[log.key] = failure


def _sync(files: Sequence[int]) -> dict[int, OSError]:
    errors = {}
    for file in files:
        try:
            os.fdatasync(file)
        except OSError as error:
            errors[file] = error
    return errors
