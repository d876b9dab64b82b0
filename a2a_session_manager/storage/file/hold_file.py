"""The holds of a tree, in a file beside the tree's, which is there once the tree has a budget.

Its first record has all that was held when it was written; each later one says what a step has changed. A file that has
grown by much is written anew, and takes the place of the one before in one step. A hold that a log says is settled may
stand in it still: the next step takes it out.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from a2a_session_manager.budgets.codec import FORMAT, hold_from
from a2a_session_manager.budgets.records import HoldRecord, Key
from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.identifiers import hidden_id
from a2a_session_manager.serialization.plain_json import dumped, parsed
from a2a_session_manager.storage.file.atomic_files import sync_directory
from a2a_session_manager.storage.file.creation_records import UnknownFormatError
from a2a_session_manager.storage.file.descriptors import private_opener
from a2a_session_manager.storage.file.frame_writing import append_frames, no_room
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.framing import Frame, find_frames, framed
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.handles import BusyError

# It is written anew once it is larger than this, and than so many times what its first record was.
_MUCH_BYTES: Final = 64_000
_MUCH_GROWN: Final = 4


class HoldFile(FramedFile):
    """The file of holds beside a tree file. Only the exclusive holder of the tree reads and writes it."""

    def __init__(self, tree_path: Path, root_id: str, pool: HandlePool, *, durable: bool) -> None:
        # It has no mark: each record is synced before anybody relies on it, and so before the next one.
        super().__init__(tree_path.with_suffix(".holds"), root_id, pool, durable=False)
        self._is_durable = durable
        self._new = self.path.with_suffix(".holds.new")
        self.forget()

    def forget(self) -> None:
        self._holds: dict[Key, HoldRecord] = {}
        self._root_creation_id: str | None = None
        self._first_size = 0
        self._is_synced = True

    def stored(self, root_creation_id: str) -> dict[Key, HoldRecord]:
        """Return the holds of a tree that has budgets. Raises CorruptSession where they are lost or damaged."""
        with self:
            size = self._size()
            if size is None:
                self.start_over()
                raise self._lost("missing, but the tree has budgets")
            if size < self.offset or (size > self.offset > 0 and self._read_first_bytes() != self._first_bytes):
                self.start_over()  # another one was copied over it
            self.catch_up(held_size=size)
            if self._root_creation_id is None:
                raise self._lost("without its first record")  # which it had before it had its name
            if self._root_creation_id != root_creation_id:
                raise self._lost("that of an earlier session of this id")
            if self.offset < size:
                self.catch_up(held_size=size, cut_torn_tail=True)
            if self._is_durable and not self._is_synced:
                self.handle.sync()  # the one who wrote it may have died before that
                sync_directory(self.path.parent)
                self._is_synced = True
            return dict(self._holds)

    def begin(self, root_creation_id: str) -> None:
        """Make the file of a tree that has no budget, unless it is there, from budgets that were deleted with their
        sessions: what was held then still counts."""
        try:
            self.stored(root_creation_id)
        except CorruptSession:  # there is none, or one of an earlier session
            with self:
                self._write_anew(root_creation_id, {})

    def put(self, holds: Mapping[Key, HoldRecord]) -> None:
        """Let these be all that is held, where others were `stored` just now."""
        with self:
            # It may have been closed since, for others to be open.
            if not self.is_there() or self._root_creation_id is None:
                raise BusyError
            changed = [hold for key, hold in holds.items() if self._holds.get(key) != hold]
            frame = self._framed([changed, [key for key in self._holds if key not in holds]])
            most = max(_MUCH_BYTES, _MUCH_GROWN * self._first_size)
            if self.offset + len(frame) > most or (self._is_durable and not self._is_for_disk):
                self._write_anew(self._root_creation_id, holds)
            else:
                self._append(frame)
                self._holds = dict(holds)

    def remove(self) -> None:
        """Remove the file, the tree being held."""
        with self:
            self.handle.close()
            self.start_over()
            for path in (self._new, self.path):
                with suppress(FileNotFoundError):
                    os.unlink(path)

    def take(self, frame: Frame) -> None:
        fields = parsed(frame.payload)
        if self._root_creation_id is None:
            version, whose, holds, _ = fields
            if version != FORMAT:
                raise UnknownFormatError(version)
            if type(whose) is not str:
                raise ValueError("holds of nobody")
            self._root_creation_id = whose
            self._first_size = frame.end
            over: list[Any] = []
        else:
            holds, over = fields
        put = {hold.key: hold for hold in map(hold_from, holds)}
        for creation_id, hold_id in over:
            del self._holds[creation_id, hold_id]
        self._holds |= put
        self._is_synced = False

    @property
    def _is_for_disk(self) -> bool:
        """Tell whether the newest record was written with durability=disk."""
        return self.on_disk.synced is not None

    def _is_lost_with_the_power(self, size: int) -> bool:
        # What was not synced may come back as zeros, which no record holds; and nothing was written after it.
        tail = self.handle.read(self.offset, size)
        return self._is_for_disk and b"\0" in tail and not any(find_frames(tail, self.offset))

    def _framed(self, fields: list[Any]) -> bytes:
        return framed(dumped(fields), 0 if self._is_durable else None)

    def _append(self, frame: bytes) -> None:
        if not append_frames(self, [frame], None):
            raise no_room(self)
        if self._is_durable:
            self.handle.sync()
        self.offset += len(frame)  # where that fails, it is read again

    def _write_anew(self, root_creation_id: str, holds: Mapping[Key, HoldRecord]) -> None:
        """Write a file of its own, which has its name once it is whole."""
        # The random text tells it from every other one, whatever is held.
        record = self._framed([FORMAT, root_creation_id, list(holds.values()), hidden_id()])
        with open(self._new, "wb", opener=private_opener) as file:
            file.write(record)
            if self._is_durable:
                file.flush()
                os.fdatasync(file.fileno())
        os.replace(self._new, self.path)
        if self._is_durable:
            sync_directory(self.path.parent)
        self.start_over()

    def _lost(self, how: str) -> CorruptSession:
        return CorruptSession(
            self.session_id, f"{self.path} is {how}: restore it from a backup; nothing was held, and nothing changed"
        )
