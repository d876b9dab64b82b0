"""Where each session's files lie, and what this process knows of them."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.handles import HandlePool
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.names import file_name, shard_of
from a2a_session_manager.storage.file.os_errors import translated
from a2a_session_manager.storage.file.places import make_directory
from a2a_session_manager.storage.file.tree import TreeFile
from a2a_session_manager.storage.records import SessionKey

FileT = TypeVar("FileT", bound=FramedFile)

_MOST_KNOWN = 2_000
_FORMAT_FILE = "format.json"
_FORMAT_TEXT = '{"a2a_session_manager": 1}\n'


class Shelf:
    """A directory of sessions: `<namespace>/logs/<shard>/<id>.log` and `<namespace>/trees/<shard>/<root>.tree`."""

    def __init__(self, directory: Path, *, durable: bool) -> None:
        self.directory = directory
        self.durable = durable
        self.pool = HandlePool()
        self._known: OrderedDict[tuple[str, SessionKey], FramedFile] = OrderedDict()
        self._lock = threading.Lock()
        self._is_checked = False

    def prepare(self) -> None:
        """Make the directory, or check that it is one of ours. Raises StoreUnavailable with the remedy."""
        if self._is_checked:
            return
        with translated(self.directory):
            make_directory(self.directory, durable=self.durable)
            self.directory = self.directory.resolve()
            self._check_format()
            self._make_folder_for_new()
        self._is_checked = True

    def log(self, key: SessionKey) -> LogFile:
        file = self._known_file(("log", key))
        if not isinstance(file, LogFile):
            file = self._kept(("log", key), LogFile(self._path(key, "logs", ".log"), key, self.pool))
        return file

    def tree(self, root: SessionKey) -> TreeFile:
        file = self._known_file(("tree", root))
        if not isinstance(file, TreeFile):
            file = self._kept(("tree", root), TreeFile(self._path(root, "trees", ".tree"), root, self.pool))
        return file

    def new_path(self, creation_id: str) -> Path:
        """Return where a new file is written before it gets its name."""
        return self.directory / "new" / file_name(creation_id)

    def shards(self, namespace: str) -> Iterator[Path]:
        """Yield the folders of logs of a namespace, in their order."""
        folder = self.folder(namespace, "logs")
        if not folder.is_dir():
            return
        for shard in sorted(folder.iterdir()):
            if shard.is_symlink():
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(shard))
            if shard.is_dir():
                yield shard

    def folder(self, namespace: str, kind: str) -> Path:
        """Return the folder of a namespace's `logs` or `trees`."""
        return self.directory / ("default" if namespace == "" else f"@{file_name(namespace)}") / kind

    def close(self) -> None:
        self.pool.close_all()

    def _path(self, key: SessionKey, kind: str, suffix: str) -> Path:
        name = file_name(key.id)
        return self.folder(key.namespace, kind) / shard_of(name) / f"{name}{suffix}"

    def _known_file(self, name: tuple[str, SessionKey]) -> FramedFile | None:
        with self._lock:
            file = self._known.get(name)
            if file is not None:
                self._known.move_to_end(name)
            return file

    def _kept(self, name: tuple[str, SessionKey], file: FileT) -> FileT:
        with self._lock:
            known = self._known.setdefault(name, file)
            if known is not file and isinstance(known, type(file)):
                return known  # another thread was faster: two of one file would keep each other waiting
            for oldest in list(islice(self._known, max(len(self._known) - _MOST_KNOWN, 0))):
                self._drop(oldest)
        return file

    def _drop(self, name: tuple[str, SessionKey]) -> None:
        if self._known[name].handle.close_if_idle():
            del self._known[name]

    def _make_folder_for_new(self) -> None:
        folder = self.directory / "new"
        folder.mkdir(exist_ok=True)
        if folder.is_symlink():
            raise StoreUnavailable(f"{folder} is a symlink: replace it by a real folder")

    def _check_format(self) -> None:
        marker = self.directory / _FORMAT_FILE
        if not marker.exists():
            self._refuse_old_data()
            # Renamed into place: another process that looks meanwhile must not find half of it.
            new = self.directory / f"{_FORMAT_FILE}.{uuid4().hex}"
            new.write_text(_FORMAT_TEXT)
            os.replace(new, marker)
        elif marker.read_text() != _FORMAT_TEXT:
            raise StoreUnavailable(
                f"{marker} names another format than this release writes: upgrade a2a_session_manager"
            )

    def _refuse_old_data(self) -> None:
        old = next((each for each in self.directory.glob("*.json") if each.name != _FORMAT_FILE), None)
        if old is not None:
            raise StoreUnavailable(
                f"{self.directory} holds sessions of release 0.1 ({old.name}): take an empty directory, "
                "and read the old files with json to import them"
            )
