"""The logs and tree files that this process knows, with what it has read of each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from itertools import islice
from typing import Final, TypeVar

from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.records import SessionKey

FileT = TypeVar("FileT", bound=FramedFile)

MOST_KNOWN: Final = 2_000


class KnownFiles:
    """Files by their kind and session, those used last; any thread may ask."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[str, SessionKey], FramedFile] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, name: tuple[str, SessionKey]) -> FramedFile | None:
        """Return the file, if it is known."""
        with self._lock:
            file = self._files.get(name)
            if file is not None:
                self._files.move_to_end(name)
            return file

    def keep(self, name: tuple[str, SessionKey], file: FileT) -> FileT:
        """Know a file from now on; return it, or the one that another thread has made known meanwhile."""
        with self._lock:
            known = self._files.setdefault(name, file)
            if known is not file and isinstance(known, type(file)):
                return known  # two of one file would keep each other waiting
            for oldest in list(islice(self._files, max(len(self._files) - MOST_KNOWN, 0))):
                self._drop(oldest)
        return file

    def clear(self) -> None:
        """Know none of them any more."""
        with self._lock:
            self._files.clear()

    def _drop(self, name: tuple[str, SessionKey]) -> None:
        if self._files[name].handle.close_if_idle():
            del self._files[name]
