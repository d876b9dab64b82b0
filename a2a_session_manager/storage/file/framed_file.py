"""A file of records that several processes append to: catching up, writing, and noticing damage."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from types import TracebackType
from typing import Self

from a2a_session_manager.exceptions import CorruptSession, StoreFull
from a2a_session_manager.storage.file.framing import DamagedFrameError, Frame, framed, read_frames
from a2a_session_manager.storage.file.handles import FileChangedError, FileHandle, HandlePool, Look
from a2a_session_manager.storage.file.lines import UnknownFormatError
from a2a_session_manager.storage.file.os_errors import translation

_CHUNK = 4_000_000
_FIRST_BYTES = 10  # newline, checksum and space of the first record


class FramedFile(ABC):
    """What was read of one file, and how far.

    Use it inside `with`, which holds it against other threads and makes errors of the operating system ours.
    """

    def __init__(self, path: Path, session_id: str, pool: HandlePool) -> None:
        self.path = path
        self.session_id = session_id
        self.handle = FileHandle(path, pool)
        self.offset = 0
        self._first_bytes = b""
        self._seen: Look | None = None

    def __enter__(self) -> Self:
        self.handle.lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.handle.lock.release()
        if isinstance(error, OSError):
            raise translation(error, self.path) from error

    @abstractmethod
    def forget(self) -> None:
        """Drop everything that was read."""

    @abstractmethod
    def take(self, frame: Frame) -> None:
        """Take in the next record. Raises ValueError when it does not follow from what was read."""

    def take_shortcut(self) -> None:  # noqa: B027  # a tree file has none
        """Set `offset` and all that was to be read before it from elsewhere, where there is such a thing."""

    def catch_up(self, *, held_size: int | None = None, cut_torn_tail: bool = False) -> bool:
        """Read what was appended since; False when there is no file. Raises CorruptSession.

        Only a writer, who holds the file exclusively, knows its size (`hold` returned it) and may cut a torn tail;
        readers leave it and pass over it.
        """
        size = self._size() if held_size is None else held_size
        if size is None:
            self.start_over()
            return False
        if self.offset == 0 and size > 0:
            self.take_shortcut()
            size = self._size()  # others may have written since, and covered it by what was taken
            if size is None:
                return False
        if size < self.offset:
            raise self._damaged(self.offset, "shorter than what was read from it before")
        while self.offset < size:
            if not self._read_on(size):
                break
        if cut_torn_tail and self.offset < size:
            self.handle.cut(self.offset)
        return True

    def is_current(self) -> bool:
        """Catch up like `catch_up`, without opening a file that is as it was when all of it was read."""
        look = self.handle.look()
        if look is not None and look == self._seen:
            return True
        if not self.catch_up():
            return False
        self._seen = look if look is not None and look.is_settled and look.size == self.offset else None
        return True

    def is_there(self) -> bool:
        """Open the file, if it is not open, and tell whether there is one, without reading on."""
        if self.handle.is_known or self._size() is not None:
            return True
        self.start_over()
        return False

    def write(self, frames: list[bytes]) -> int:
        """Append records in one write and return how many are whole in the file; the rest did not fit.

        Only by who holds the file exclusively and has caught up. A short write is cut back.
        """
        data = b"".join(frames)
        written = self.handle.append(data)
        if written == len(data):
            return len(frames)
        ends = list(accumulate(len(frame) for frame in frames))
        whole = bisect_right(ends, written)
        self.handle.cut(self.offset + (ends[whole - 1] if whole else 0))
        return whole

    def start_over(self) -> None:
        """Forget the file: the next use reads it from its start."""
        self.offset = 0
        self._first_bytes = b""
        self._seen = None
        self.forget()

    def no_room(self) -> StoreFull:
        return StoreFull(f"{self.path}: no room is left: free some, then write again", session_id=self.session_id)

    def _size(self) -> int | None:
        for _ in range(2):
            try:
                status = self.handle.open()
            except FileChangedError:
                self.start_over()
                continue
            if status is not None and self.handle.is_fresh:
                self._check_same_file()
            return None if status is None else status.st_size
        return None

    def _read_first_bytes(self) -> bytes:
        return self.handle.read(0, _FIRST_BYTES)

    def _check_same_file(self) -> None:
        # An inode number may come back with another file; the first record's checksum does not.
        if self._first_bytes and self._read_first_bytes() != self._first_bytes:
            self.start_over()
        self.handle.is_fresh = False

    def _read_on(self, size: int) -> bool:
        chunk = _CHUNK
        while True:
            data = self.handle.read(self.offset, min(self.offset + chunk, size))
            try:
                frames = read_frames(data, self.offset)
            except DamagedFrameError as error:
                raise self._damaged(error.offset, "damaged") from error
            if frames or self.offset + len(data) >= size:
                break
            chunk *= 4  # one record is longer than the chunk
        for frame in frames:
            self._take(frame)
        return bool(frames)

    def _take(self, frame: Frame) -> None:
        try:
            self.take(frame)
        except UnknownFormatError as error:
            raise CorruptSession(
                self.session_id,
                f"{self.path} was written in format {error.version} by a newer release: upgrade a2a_session_manager",
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(frame.start, f"not what follows from the record before ({error})") from error
        self.offset = frame.end
        if frame.start == 0:
            self._first_bytes = framed(frame.payload)[:_FIRST_BYTES]

    def _damaged(self, offset: int, how: str) -> CorruptSession:
        return CorruptSession(
            self.session_id,
            f"{self.path} is {how}, at byte {offset}: restore it from a backup; nothing was changed",
        )
