"""A file of records that several processes append to: catching up, writing, and noticing damage."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.storage.file.creation_records import UnknownFormatError
from a2a_session_manager.storage.file.frame_reading import frames_from
from a2a_session_manager.storage.file.framing import FIRST_BYTES, Frame
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.handles import BusyError, FileChangedError, FileHandle, FileSignature
from a2a_session_manager.storage.file.on_disk import OnDisk
from a2a_session_manager.storage.file.os_errors import translation
from a2a_session_manager.storage.file.stored_shapes import NONSENSE

_CHUNK = 4_000_000

_log = logging.getLogger("a2a_session_manager.storage.file")


class FramedFile(ABC):
    """What was read of one file, and how far.

    Use it inside `with`, which holds it against other threads and makes errors of the operating system ours.
    """

    def __init__(self, path: Path, session_id: str, pool: HandlePool, *, durable: bool) -> None:
        self.path = path
        self.session_id = session_id
        self.handle = FileHandle(path, pool)
        self.offset = 0
        self.on_disk = OnDisk(path, durable=durable)
        self._first_bytes = b""
        # The tail that was found to be lost with the power: where it begins, and the file's size.
        self._passed_over: tuple[int, int] | None = None
        self._seen: FileSignature | None = None

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

    def may_be_lost_whole(self) -> bool:
        """Tell whether a loss of power can have taken the first record: not where it is synced before it has a name."""
        return False

    def remedy(self, offset: int) -> str:
        """Return what to do about damage at `offset`."""
        return "restore it from a backup"

    def is_where_shortcut_ends(self) -> bool:
        """Tell whether nothing was read but the shortcut."""
        return False

    def doubts_shortcut(self) -> bool:
        """Start over without the shortcut, if one was taken; tell whether that was so."""
        return False

    def catch_up(self, *, held_size: int | None = None, cut_torn_tail: bool = False, most: int | None = None) -> bool:
        """Read what was appended since; False when there is no file. Raises CorruptSession.

        Raises BusyError, and reads nothing, when that is more than `most`.

        Only a writer, which holds the file exclusively, knows its size (`hold` returned it) and may cut a torn tail;
        readers leave it and pass over it.
        """
        size = self._size() if held_size is None else held_size
        if size is None:
            self.start_over()
            return False
        if size == self.offset > 0:
            return True
        if most is not None and size - self.offset > most:
            raise BusyError
        covered = 0
        if self.offset == 0 and size > 0:
            # The mark is read before the size is looked at again, so that the file holds whatever it tells of.
            covered = self.on_disk.mark.read(self._read_first_bytes()) if self.on_disk.durable else 0
            self.take_shortcut()
            size = self._size()  # others may have written since, and covered it by what was taken
            if size is None:
                return False
        if size < self.offset:
            raise self._damaged(self.offset, "shorter than what was read from it before")
        if not self._has_read_up_to(size, is_held=held_size is not None):
            return False
        if self.offset < covered:
            error = self._damaged(self.offset, f"damaged: it was on disk up to byte {covered}, and ends")
            self.start_over()  # the next look finds the same
            raise error
        if cut_torn_tail and self.offset < size:
            _log.warning("%s: cut %d bytes of a write that was cut off", self.path, size - self.offset)
            self.handle.cut(self.offset, durable=self.on_disk.synced is not None)
            self.on_disk.was_cut(self._first_bytes, self.offset)
        return True

    def is_current(self) -> bool:
        """Catch up like `catch_up`, without opening a file that is as it was when all of it was read."""
        signature = self.handle.signature()
        if signature is not None and signature == self._seen:
            return True
        if not self.catch_up():
            return False
        is_whole = signature is not None and signature.is_settled and signature.size == self.offset
        self._seen = signature if is_whole else None
        return True

    def is_there(self) -> bool:
        """Open the file, if it is not open, and tell whether there is one, without reading on."""
        if self.handle.is_known or self._size() is not None:
            return True
        self.start_over()
        return False

    @property
    def first_bytes(self) -> bytes:
        """Newline and checksum of the first record: they tell this content from another under the same name."""
        return self._first_bytes

    def anchor(self) -> None:
        """Bring what was read to disk, and a mark that says so: what comes after it may be lost with the power."""
        self.on_disk.anchor(self.handle, self._first_bytes, self.offset)

    def start_over(self) -> None:
        """Forget the file: the next use reads it from its start."""
        self.offset = 0
        self._first_bytes = b""
        self.on_disk.forget()
        self._passed_over = None
        self._seen = None
        self.forget()

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
        return self.handle.read(0, FIRST_BYTES)

    def _check_same_file(self) -> None:
        # An inode number may come back with another file; the first record's checksum does not.
        if self._first_bytes and self._read_first_bytes() != self._first_bytes:
            self.start_over()
        self.handle.is_fresh = False

    def _has_read_up_to(self, size: int, *, is_held: bool) -> bool:
        """Read up to `size`; False when the file is gone meanwhile. Raises CorruptSession."""
        try:
            self._read_up_to(size)
        except CorruptSession:
            if not self.doubts_shortcut() and is_held:
                raise
            # A writer may have cut a torn tail, and written anew, between one page and the next of what was read.
            again = self._size()
            if again is None:
                return False
            self._read_up_to(again)
        return True

    def _read_up_to(self, size: int) -> None:
        while self.offset < size:
            if not self._read_on(size):
                break

    def _read_on(self, size: int) -> bool:
        frames, is_damaged = frames_from(self.handle, self.offset, self.offset + _CHUNK, size)
        if self.offset == 0 and frames:
            self._first_bytes = self._read_first_bytes()
        for frame in frames:
            self._take(frame)
        if is_damaged:
            self._pass_over_tail(size)
        return bool(frames) and not is_damaged

    def _pass_over_tail(self, size: int) -> None:
        """Leave out what stands from here on when it was lost with the power. Raises CorruptSession for damage."""
        tail = (self.offset, size)
        if tail == self._passed_over:
            return
        # What does not follow from a shortcut may be the shortcut's fault: no tail, but the middle of a record.
        if self.is_where_shortcut_ends() or not self._is_lost_with_the_power(size):
            raise self._damaged(self.offset, "damaged")
        self._passed_over = tail
        _log.warning(
            "%s: left out %d bytes from byte %d on, which are not whole: the power failed before they were known to be "
            "on disk",
            self.path, size - self.offset, self.offset,
        )  # fmt: skip

    def _is_lost_with_the_power(self, size: int) -> bool:
        start = self.offset
        if not (self.on_disk.may_end_at(start, self._first_bytes) if start else self.may_be_lost_whole()):
            return False
        return self.on_disk.may_have_lost(self.handle, start, size)

    def _take(self, frame: Frame) -> None:
        try:
            self.take(frame)
        except UnknownFormatError as error:
            raise CorruptSession(
                self.session_id,
                f"{self.path} was written in format {error.version} by a newer release: upgrade a2a_session_manager",
            ) from error
        except NONSENSE as error:
            raise self._damaged(frame.start, f"not what follows from the record before ({error})") from error
        self.offset = frame.end
        self.on_disk.take(frame)

    def _damaged(self, offset: int, how: str) -> CorruptSession:
        return CorruptSession(
            self.session_id,
            f"{self.path} is {how}, at byte {offset}: {self.remedy(offset)}; nothing was changed",
        )
