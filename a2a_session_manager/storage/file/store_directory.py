"""Where each session's files lie, and what this process knows of them."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.file import descriptors
from a2a_session_manager.storage.file.atomic_files import (
    make_directory,
    read_regular,
    remove_leftovers,
    sync_directory,
    sync_file,
)
from a2a_session_manager.storage.file.descriptors import private_opener
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.handles import HandlePool
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.names import file_name, shard_of
from a2a_session_manager.storage.file.os_errors import READ_ONLY, translated
from a2a_session_manager.storage.file.tree import TreeFile
from a2a_session_manager.storage.records import SessionKey

FileT = TypeVar("FileT", bound=FramedFile)

_MOST_KNOWN = 2_000
_NEW_FOLDER = "new"
_FORMAT_FILE = "format.json"
_IN_USE = "in-use"
_IN_USE_TEXT = "A store works here. Backups leave this file out: without it, a directory is taken for one.\n"
_FORMAT = 1
_FORMAT_TEXT = f'{{"a2a_session_manager": {_FORMAT}}}\n'


class StoreDirectory:
    """A directory of sessions: `<namespace>/logs/<shard>/<id>.log` and `<namespace>/trees/<shard>/<root>.tree`."""

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path
        self.durable = durable
        self.pool = HandlePool()
        self._known: OrderedDict[tuple[str, SessionKey], FramedFile] = OrderedDict()
        self._lock = threading.Lock()
        self._is_checked = False
        self._is_readable = False
        # Whether it is a copy that was never in use: what its files say of each other is of several moments.
        self.is_copy = False
        self._folders_on_disk: set[Path] = set()

    def prepare(self) -> None:
        """Make the directory, or check that it is one of ours. Raises StoreUnavailable with the remedy."""
        if not self._is_checked:
            with translated(self.path):
                self._prepare()

    def prepare_to_read(self) -> None:
        """Do as `prepare` does, but make nothing where there is a directory of ours, or where nothing can be made."""
        if self._is_checked or self._is_readable:
            return
        with translated(self.path):
            self._find()
            if (self.path / _FORMAT_FILE).exists():
                self._check_format()
                self._is_readable = True
                return
            try:
                self._prepare()
            except OSError as error:
                if error.errno not in READ_ONLY or not self.path.is_dir():
                    raise

    def _prepare(self) -> None:
        make_directory(self.path, durable=self.durable)
        self._find()
        self._check_format()
        if self.durable:
            self._bring_to_disk()
        self._make_folder_for_new()
        self._is_checked = True

    def prepare_for_new(self) -> None:
        """Prepare the directory again when somebody has removed it, or the folder for new files, meanwhile."""
        if not (self.path / _NEW_FOLDER).is_dir():
            self._is_checked = False
            self._folders_on_disk.clear()
            self.prepare()

    @contextmanager
    def taking_into_use(self) -> Iterator[bool]:
        """Hold a copy against others who open it, and mark it as in use afterwards; yields whether we are the first."""
        fd = descriptors.opened(self.path / _FORMAT_FILE, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if (self.path / _IN_USE).exists():
                yield False
                return
            if not os.access(self.path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self.path))
            yield True
            self._mark_as_in_use()
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)
            descriptors.close(fd)

    def remedy_for_a_lost_part(self) -> str:
        """Return what to do where files do not fit each other: damage, or a copy of several moments."""
        if (self.path / _IN_USE).exists():
            return (
                f"restore it from a backup; or, if {self.path} was copied while a store worked there, remove "
                f"{_IN_USE} from the copy and open it again"
            )
        return f"{self.path} is a copy that nobody has opened yet: open it once where it may be written to"

    def namespace_folders(self) -> list[Path]:
        """Return the folders of all namespaces."""
        return [
            path
            for path in sorted(self.path.iterdir())
            if (path.name == "default" or path.name.startswith("@")) and path.is_dir() and not path.is_symlink()
        ]

    def _find(self) -> None:
        """Follow the symlinks on the way to the directory, which may lie elsewhere than before it was made."""
        found = self.path.resolve()
        if found != self.path:
            self.path = found
            with self._lock:
                self._known.clear()

    def log(self, key: SessionKey) -> LogFile:
        file = self._known_file(("log", key))
        if not isinstance(file, LogFile):
            file = self._kept(("log", key), self._new_log(key))
        return file

    def log_path(self, key: SessionKey) -> Path:
        """Return where a log lies, without keeping in mind anything of it."""
        return self._path(key, "logs", ".log")

    def tree(self, root: SessionKey) -> TreeFile:
        file = self._known_file(("tree", root))
        if not isinstance(file, TreeFile):
            file = self._kept(("tree", root), self._new_tree(root))
        return file

    def make_folder(self, folder: Path) -> None:
        """Make a folder below the directory; with durability=disk its name is on disk, whoever made it."""
        is_new = not folder.is_dir()
        if not is_new and (not self.durable or folder in self._folders_on_disk or folder == self.path):
            return
        self.make_folder(folder.parent)
        make_directory(folder, durable=self.durable)
        if self.durable:
            sync_directory(folder.parent)
            self._folders_on_disk.add(folder)

    def new_path(self, creation_id: str) -> Path:
        """Return where a new file is written before it gets its name."""
        return self.path / _NEW_FOLDER / file_name(creation_id)

    def shards(self, namespace: str, start: str = "") -> Iterator[Path]:
        """Yield the folders of logs of a namespace, in their order, from the one called `start` on.

        One that is lost, and that there is a folder of trees for, is among them.
        """
        folders = [self.folder(namespace, kind) for kind in ("logs", "trees")]
        names = {name for folder in folders if folder.is_dir() for name in os.listdir(folder) if name >= start}
        for shard in (folders[0] / name for name in sorted(names)):
            if shard.is_symlink():
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(shard))
            if not shard.is_file():
                yield shard

    def folder(self, namespace: str, kind: str) -> Path:
        """Return the folder of a namespace's `logs` or `trees`."""
        return self.path / ("default" if namespace == "" else f"@{file_name(namespace)}") / kind

    def close(self) -> None:
        self.pool.close_all()

    def _path(self, key: SessionKey, kind: str, suffix: str) -> Path:
        name = file_name(key.id)
        return self.folder(key.namespace, kind) / shard_of(name) / f"{name}{suffix}"

    def _new_log(self, key: SessionKey) -> LogFile:
        return LogFile(self.log_path(key), key, self.pool, durable=self.durable)

    def _new_tree(self, root: SessionKey) -> TreeFile:
        path, root_log = self._path(root, "trees", ".tree"), self.log_path(root)
        return TreeFile(path, root, self.pool, root_log=root_log, durable=self.durable)

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
        folder = self.path / _NEW_FOLDER
        make_directory(folder, durable=False)
        if folder.is_symlink():
            raise StoreUnavailable(f"{folder} is a symlink: replace it by a real folder")
        if not os.access(folder, os.W_OK):
            raise StoreUnavailable(
                f"{self.path} can only be read: check the path and its permissions, or write to a copy of it"
            )
        remove_leftovers(folder)

    def _check_format(self) -> None:
        marker = self.path / _FORMAT_FILE
        if not marker.exists():
            self._refuse_old_data()
            self._mark_as_in_use()  # before the format names it: nobody must take a new directory for a copy
            # Renamed into place: another process that looks meanwhile must not find half of it.
            new = self.path / f"{_FORMAT_FILE}.{uuid4().hex}"
            with open(new, "x", opener=private_opener) as file:
                file.write(_FORMAT_TEXT)
            if self.durable:
                sync_file(new)
            os.replace(new, marker)
        else:
            with translated(marker):
                _check_format_text(marker, read_regular(marker))
        self.is_copy = not (self.path / _IN_USE).exists()

    def _mark_as_in_use(self) -> None:
        new = self.path / f"{_IN_USE}.{uuid4().hex}"
        with open(new, "x", opener=private_opener) as file:
            file.write(_IN_USE_TEXT)
        if self.durable:
            sync_file(new)
        os.replace(new, self.path / _IN_USE)
        if self.durable:
            sync_directory(self.path)

    def _bring_to_disk(self) -> None:
        """Sync what every promise rests on: whoever made the directory may have died before that."""
        sync_file(self.path / _FORMAT_FILE)
        sync_directory(self.path)
        with suppress(PermissionError):  # a folder that we may pass through, but not read, is not ours to sync
            sync_directory(self.path.parent)

    def _refuse_old_data(self) -> None:
        old = next((each for each in self.path.glob("*.json") if each.name != _FORMAT_FILE), None)
        if old is not None:
            raise StoreUnavailable(
                f"{self.path} holds sessions of release 0.1 ({old.name}): take an empty directory, "
                "and read the old files with json to import them"
            )


def _check_format_text(marker: Path, data: bytes) -> None:
    """Raise StoreUnavailable unless `marker` names the format of this release."""
    version = _format_named(data)
    if version is not None and version > _FORMAT:
        raise StoreUnavailable(
            f"{marker} names format {version}, of a newer release: upgrade a2a_session_manager, or, if none was ever "
            "used here, restore it from a backup"
        )
    if version != _FORMAT:
        raise StoreUnavailable(
            f"{marker} is damaged, at byte {_first_difference(data)}: restore it from a backup, or write "
            f"{_FORMAT_TEXT.strip()} into it if this release wrote the directory; nothing was changed"
        )


def _format_named(data: bytes) -> int | None:
    try:
        document = parsed(data)
    except ValueError:
        return None
    version = document.get("a2a_session_manager") if isinstance(document, dict) else None
    return version if type(version) is int else None


def _first_difference(data: bytes) -> int:
    pairs = enumerate(zip(data, _FORMAT_TEXT.encode(), strict=False))
    return next((at for at, (found, right) in pairs if found != right), min(len(data), len(_FORMAT_TEXT)))
