"""Where each session's files lie, in a directory that is made, or checked, before the first use."""

from __future__ import annotations

import errno
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.identifiers import new_id
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.file import directory_format
from a2a_session_manager.storage.file.atomic_files import (
    make_directory,
    remove_leftovers,
    sync_directory,
    write_for_a_moment,
)
from a2a_session_manager.storage.file.catalog import CATALOG, Catalog, CatalogPools
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.known_files import KnownFiles
from a2a_session_manager.storage.file.later_work import LaterWork
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.names import file_name, shard_of
from a2a_session_manager.storage.file.os_errors import READ_ONLY, translated
from a2a_session_manager.storage.file.real_folders import opened_folder, refuse_links
from a2a_session_manager.storage.file.tree import TreeFile
from a2a_session_manager.storage.records import SessionKey

_MOST_CATALOGS = 500
_MOST_TABLES = 16
_NEW_FOLDER = "new"
_DEFAULT = "default"
_NAMED = "@"


class StoreDirectory:
    """A directory of sessions: `<namespace>/logs/<shard>/<id>.log` and `<namespace>/trees/<shard>/<root>.tree`.

    The default namespace is `default`, and each name of another one a folder `@NAME` in that of the name before it.

    What is in `<namespace>/catalog` is derived from these. A new one has the properties `indexed`.
    """

    def __init__(self, path: Path, *, durable: bool, indexed: Sequence[str] = ()) -> None:
        self.path = path
        self._path_text = str(path)  # a Path makes it anew for every call
        self.durable = durable
        self.indexed = indexed
        self.pool = HandlePool()
        self._catalog_pools = CatalogPools(self.pool, HandlePool(most=_MOST_TABLES), LaterWork())
        self._catalogs: OrderedDict[Namespace, Catalog] = OrderedDict()
        self._known = KnownFiles()
        self._lock = threading.Lock()
        self._folder_texts: dict[tuple[Namespace, str], str] = {}  # a Path takes ten times as long
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
            if directory_format.has_format(self.path):
                self.is_copy = directory_format.prepare_format(self.path, durable=self.durable)
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
        self.is_copy = directory_format.prepare_format(self.path, durable=self.durable)
        if self.durable:
            directory_format.bring_to_disk(self.path)
        self._make_folder_for_new()
        directory_format.raise_format(self.path, durable=self.durable)
        self._is_checked = True

    def prepare_for_new(self) -> None:
        """Prepare the directory again when somebody has removed it, or the folder for new files, meanwhile."""
        if not os.path.isdir(f"{self._path_text}/{_NEW_FOLDER}"):
            self._is_checked = False
            self._folders_on_disk.clear()
            self.prepare()

    def try_to_write(self) -> None:
        """Write a file to the directory and remove it. Raises StoreUnavailable and StoreFull."""
        self.prepare()
        self.prepare_for_new()
        path = self.new_path(f"ping-{new_id()}")
        with translated(self.path):
            write_for_a_moment(path)

    def namespace_folders(self) -> list[Path]:
        """Return the folders of all namespaces, each before those below it."""
        default = self.path / _DEFAULT
        found = [default] if default.is_dir() and not default.is_symlink() else []
        outer = deque([self.path])
        while outer:
            inner = folders_below(outer.popleft())
            found += inner
            outer += inner
        return found

    def folder_of_names(self, namespace: Namespace) -> Path:
        """Return the folder that those of the namespaces directly below lie in."""
        return self.path.joinpath(*[f"{_NAMED}{file_name(name)}" for name in namespace])

    def _find(self) -> None:
        """Follow the symlinks on the way to the directory, which may lie elsewhere than before it was made."""
        found = self.path.resolve()
        if found != self.path:
            self.path = found
            self._path_text = str(found)
            self._known.clear()
            with self._lock:
                self._folder_texts.clear()
                self._catalogs.clear()

    def log(self, key: SessionKey) -> LogFile:
        file = self._known.find(("log", key))
        if not isinstance(file, LogFile):
            file = self._known.keep(("log", key), self._new_log(key))
        return file

    def log_path(self, key: SessionKey) -> Path:
        """Return where a log lies, without keeping in mind anything of it."""
        return self._path(key, "logs", ".log")

    def has_files(self, key: SessionKey) -> bool:
        """Tell whether a log or a tree file lies where those of a session do."""
        return any(map(os.path.lexists, (self._file(key, "logs", ".log"), self._file(key, "trees", ".tree"))))

    def tree(self, root: SessionKey) -> TreeFile:
        file = self._known.find(("tree", root))
        if not isinstance(file, TreeFile):
            file = self._known.keep(("tree", root), self._new_tree(root))
        return file

    def catalog(self, namespace: Namespace) -> Catalog:
        """Return the catalog of a namespace."""
        with self._lock:
            catalog = self._catalogs.get(namespace)
            if catalog is None:
                folder = self.folder(namespace, CATALOG)
                is_empty = partial(self._is_empty, namespace)
                catalog = self._catalogs[namespace] = Catalog(folder, self.indexed, is_empty, self._catalog_pools)
                if len(self._catalogs) > _MOST_CATALOGS:
                    self._catalogs.popitem(last=False)  # its files are closed when others are used, or with all
            else:
                self._catalogs.move_to_end(namespace)
            return catalog

    def make_folder(self, folder: Path) -> None:
        """Make a folder below the directory; with durability=disk its name is on disk, whoever made it."""
        is_new = not os.path.isdir(folder)
        if not is_new and (not self.durable or folder in self._folders_on_disk or folder == self.path):
            return
        self.make_folder(folder.parent)
        make_directory(folder, durable=self.durable)
        if self.durable:
            sync_directory(folder.parent)
            self._folders_on_disk.add(folder)

    def new_path(self, creation_id: str) -> str:
        """Return where a new file is written before it gets its name."""
        return f"{self._path_text}/{_NEW_FOLDER}/{file_name(creation_id)}"

    def open_folder(self, folder: Path) -> int:
        """Open a folder below the directory, which no symlink leads to, and make it first where it is not there.

        With durability=disk its name is on disk then. Raises BusyError when it is removed meanwhile.
        """
        if not self.durable:
            with suppress(FileNotFoundError):
                return opened_folder(str(folder))
        else:
            refuse_links(folder)
        self.make_folder(folder)
        try:
            return opened_folder(str(folder))
        except FileNotFoundError as error:
            raise BusyError from error

    def shards(self, namespace: Namespace, start: str = "") -> Iterator[Path]:
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

    def folder(self, namespace: Namespace, kind: str) -> Path:
        """Return the folder of a namespace's `logs` or `trees`."""
        return (self.folder_of_names(namespace) if namespace else self.path / _DEFAULT) / kind

    def close(self) -> None:
        self.pool.close_all()
        self._catalog_pools.later.close()
        self._catalog_pools.tables.close_all()

    def _is_empty(self, namespace: Namespace) -> bool:
        """Tell whether there are no files of sessions in a namespace."""
        for folder in (self.folder(namespace, kind) for kind in ("logs", "trees")):
            with suppress(FileNotFoundError), os.scandir(folder) as shards:
                for shard in shards:
                    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(shard) as files:
                        if any(True for _ in files):
                            return False
        return True

    def _path(self, key: SessionKey, kind: str, suffix: str) -> Path:
        return Path(self._file(key, kind, suffix))

    def _file(self, key: SessionKey, kind: str, suffix: str) -> str:
        folder = self._folder_texts.get((key.namespace, kind))
        if folder is None:
            if len(self._folder_texts) >= _MOST_CATALOGS:
                self._folder_texts.clear()
            folder = self._folder_texts[key.namespace, kind] = str(self.folder(key.namespace, kind))
        return f"{folder}/{_place_of(key.id)}{suffix}"

    def _new_log(self, key: SessionKey) -> LogFile:
        return LogFile(self.log_path(key), key, self.pool, durable=self.durable)

    def _new_tree(self, root: SessionKey) -> TreeFile:
        path, root_log = self._path(root, "trees", ".tree"), self.log_path(root)
        return TreeFile(path, root, self.pool, root_log=root_log, durable=self.durable)

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


@lru_cache(maxsize=1_024)
def _place_of(session_id: str) -> str:
    """Return the shard and the name of a session's files: whoever makes one asks for that of each of them."""
    name = file_name(session_id)
    return f"{shard_of(name)}/{name}"


def folders_below(folder: Path) -> list[Path]:
    """Return the folders of the namespaces directly below the one of `folder`, sorted."""
    try:
        found = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in found if path.name.startswith(_NAMED) and path.is_dir() and not path.is_symlink()]
