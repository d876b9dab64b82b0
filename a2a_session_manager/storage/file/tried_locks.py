"""Entering a file only if no other thread has it, for work that must not wait."""

from __future__ import annotations

from types import TracebackType

from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.handles import BusyError

MOMENT_SECONDS = 0.05


class Tried:
    """Is `with` a file, or raises BusyError when another thread has it for longer than so many seconds."""

    __slots__ = ("_file", "_seconds")

    def __init__(self, file: FramedFile, *, seconds: float = 0) -> None:
        self._file = file
        self._seconds = seconds

    def __enter__(self) -> None:
        if not self._file.handle.lock.acquire(timeout=self._seconds):
            raise BusyError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, traceback)
