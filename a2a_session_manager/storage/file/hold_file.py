"""The holds of a tree, in a file beside the tree's, which is there once the tree has a budget.

It is written anew as a whole, under the tree's lock, and takes the place of the one before in one step. So it is as
large as what is held. A hold that a log says is settled may stand in it still: the next step takes it out.
"""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from a2a_session_manager.budgets.codec import FORMAT, hold_from
from a2a_session_manager.budgets.records import HoldRecord, Key
from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.serialization.plain_json import dumped, parsed
from a2a_session_manager.storage.file.atomic_files import read_regular, sync_directory
from a2a_session_manager.storage.file.descriptors import private_opener
from a2a_session_manager.storage.file.handles import CLOCK_TICK_NS
from a2a_session_manager.storage.file.stored_shapes import NONSENSE

_CHECKSUM: Final = 9


class HoldFile:
    """The file of holds beside a tree file. Only the exclusive holder of the tree writes it."""

    def __init__(self, tree_path: Path, root_id: str) -> None:
        self.path = tree_path.with_suffix(".holds")
        self._root_id = root_id
        self._seen: tuple[tuple[int, ...], dict[Key, HoldRecord]] | None = None

    def read(self, root_creation_id: str) -> dict[Key, HoldRecord]:
        """Return the holds of a tree that has budgets. Raises CorruptSession where they are lost or damaged."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError as error:
            raise self._damaged("missing, but the tree has budgets") from error
        signature = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        if self._seen is not None and self._seen[0] == signature:
            return dict(self._seen[1])
        holds = self._read(root_creation_id)
        # The clock that stamps files is coarse: a change within a tick of the one before would not be seen.
        is_settled = status.st_ctime_ns < time.time_ns() - CLOCK_TICK_NS
        self._seen = (signature, dict(holds)) if is_settled else None
        return holds

    def write(self, root_creation_id: str, holds: Iterable[HoldRecord], *, durable: bool) -> None:
        """Write all holds."""
        text = dumped([FORMAT, root_creation_id, list(holds)])
        new = self.path.with_suffix(".holds.new")
        with open(new, "wb", opener=private_opener) as file:
            file.write(b"%08x %b\n" % (zlib.crc32(text), text))
            if durable:
                file.flush()
                os.fdatasync(file.fileno())
        os.replace(new, self.path)
        if durable:
            sync_directory(self.path.parent)
        self._seen = None

    def remove(self) -> None:
        for path in (self.path.with_suffix(".holds.new"), self.path):
            with suppress(FileNotFoundError):
                os.unlink(path)

    def _read(self, root_creation_id: str) -> dict[Key, HoldRecord]:
        data = read_regular(self.path)
        text = data[_CHECKSUM:-1]
        if data[:_CHECKSUM] != b"%08x " % zlib.crc32(text) or data[-1:] != b"\n":
            raise self._damaged("damaged")
        try:
            version, whose, fields = parsed(text)
            if version != FORMAT:
                raise CorruptSession(
                    self._root_id,
                    f"{self.path} was written in format {version} by a newer release: upgrade a2a_session_manager",
                )
            holds = [hold_from(each) for each in fields]
        except NONSENSE as error:
            raise self._damaged("damaged") from error
        if whose != root_creation_id:
            raise self._damaged("that of an earlier session of this id")
        return {hold.key: hold for hold in holds}

    def _damaged(self, how: str) -> CorruptSession:
        return CorruptSession(
            self._root_id, f"{self.path} is {how}: restore it from a backup; nothing was held, and nothing changed"
        )
