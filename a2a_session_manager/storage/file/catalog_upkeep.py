"""Bringing a catalog in line with the sessions: what a death left unsure in it, and all of it when it is made anew.

What is told of a session is read while its tree or its log is held: no write to it is under way then that has told the
catalog of what it has not yet done.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from a2a_session_manager.exceptions import SessionNotFound, StoreUnavailable
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.file import descriptors
from a2a_session_manager.storage.file.catalog import Catalog, CaughtUp, Readiness
from a2a_session_manager.storage.file.catalog_queries import CatalogRow
from a2a_session_manager.storage.file.catalog_tables import CatalogTables
from a2a_session_manager.storage.file.existence import lost_log
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.held_trees import held_tree
from a2a_session_manager.storage.file.listing import listed_files, listed_id
from a2a_session_manager.storage.file.os_errors import translated
from a2a_session_manager.storage.file.session_reader import SessionReader
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.file.tried_locks import MOMENT_SECONDS, Tried
from a2a_session_manager.storage.records import SessionKey

ResultT = TypeVar("ResultT")

LOGS: Final = "logs"
TREES: Final = "trees"

_LOCK: Final = "rebuilding"
_SESSIONS_A_STEP: Final = 500
_BUSY_SECONDS: Final = 5.0
_PAUSE_SECONDS: Final = 0.01
_TRIES: Final = 8


def confirm(directory: StoreDirectory, namespace: Namespace, row: CatalogRow) -> bool:
    """Tell the catalog what is so of a session; False when somebody is writing to it, who tells it then."""
    try:
        with held_tree(directory, SessionKey(namespace, row.root_id), make=True) as tree:
            entry = tree.sessions.get(row.id)
            if entry is None or entry.creation_id != row.creation_id:
                directory.catalog(namespace).deleted([row.creation_id])
            else:
                _tell(directory, tree, entry)
        return True
    except BusyError:
        return False


def rebuild(
    directory: StoreDirectory, reader: SessionReader, namespace: Namespace, indexed: Iterable[str], *, is_anew: bool
) -> CaughtUp:
    """Tell the catalog of all sessions, from where the last rebuild ended unless it `is_anew`, and return it.

    Sessions are found in it by the properties `indexed`, and by those that it has had before. Raises StoreUnavailable
    while another process rebuilds it and does not get on, or holds a session for too long, and CorruptSession for a
    session that cannot be read: a catalog without it would hide the damage.
    """
    catalog = directory.catalog(namespace)
    with _alone(catalog):
        state = catalog.catch_up(indexed)
        if state.readiness is Readiness.READY and not is_anew:
            return state  # another process has done it meanwhile
        if is_anew:
            state = CaughtUp(Readiness.UNUSABLE)
        for _ in range(_TRIES):
            if state.readiness is Readiness.UNUSABLE:
                catalog.begin_anew(indexed)
                state = catalog.catch_up(indexed)
            _tell_all(directory, reader, namespace, state)
            catalog.is_whole(state.generation)
            state = catalog.catch_up(indexed)
            if state.readiness is Readiness.READY:
                catalog.remove_others(state.generation)
                return state
        raise StoreUnavailable(f"{catalog.folder} is changed again and again while it is rebuilt: try again")


def _tell_all(directory: StoreDirectory, reader: SessionReader, namespace: Namespace, state: CaughtUp) -> None:
    catalog = directory.catalog(namespace)
    told = 0
    for shard in _shards(directory.folder(namespace, TREES)):
        if shard <= state.progress:
            continue
        for root_id in _roots(directory, namespace, shard):
            told += _patiently(catalog, partial(_tell_tree, directory, SessionKey(namespace, root_id)))
        if told >= _SESSIONS_A_STEP:
            catalog.reached(state.generation, shard)
            catalog.catch_up(())
            told = 0
    tables = catalog.catch_up(()).tables
    if tables is None:
        return  # somebody has removed it meanwhile
    for shard in _shards(directory.folder(namespace, LOGS)):
        _refuse_damage(directory, reader, namespace, shard, tables)


def _tell_tree(directory: StoreDirectory, root: SessionKey) -> int:
    """Tell the catalog of the sessions of a tree; return how many they are. Raises BusyError."""
    try:
        with held_tree(directory, root) as tree:
            for entry in tree.sessions.values():
                _tell(directory, tree, entry)
            return len(tree.sessions)
    except SessionNotFound:
        return 0  # deleted meanwhile


def _tell(directory: StoreDirectory, tree: TreeFile, entry: TreeEntry) -> None:
    """Tell the catalog of a session of a tree that is held. Raises BusyError when somebody has its log."""
    log = directory.log(SessionKey(tree.root.namespace, entry.id))
    with Tried(log, seconds=MOMENT_SECONDS):
        if not log.is_there():
            raise lost_log(directory, log, tree)
        with log.handle.exclusive() as size:
            if size is None:
                raise BusyError
            if not log.exists(held_size=size) or log.head is None or log.head.creation_id != entry.creation_id:
                raise lost_log(directory, log, tree)
            directory.catalog(tree.root.namespace).is_sure(log.head)


def _refuse_damage(
    directory: StoreDirectory, reader: SessionReader, namespace: Namespace, shard: str, tables: CatalogTables
) -> None:
    """Raise CorruptSession for a log of a folder whose tree is lost, or has lost its line."""
    folder = directory.folder(namespace, LOGS) / shard
    names = [name for name, _ in listed_files(folder, directory.folder(namespace, TREES) / shard)]
    ids = [found for name in names if (found := listed_id(directory, namespace, (shard, name))) is not None]
    for session_id in tables.missing(ids):
        with reader.existing(SessionKey(namespace, session_id)):
            pass  # made meanwhile, or what a creation that was cut off has left


def _roots(directory: StoreDirectory, namespace: Namespace, shard: str) -> Iterator[str]:
    """Yield the roots whose tree files lie in a folder."""
    folder = directory.folder(namespace, TREES) / shard
    for path in sorted(folder.glob("*.tree")):
        name = shard, f"{path.stem}.log"
        root_id = listed_id(directory, namespace, name)
        if root_id is None and path.stem.startswith("~"):
            # Only what is in its files tells its id: whoever makes it holds the tree until that is there.
            _patiently(directory.catalog(namespace), partial(_wait_until_free, path))
            root_id = listed_id(directory, namespace, name)
        if root_id is not None:
            yield root_id


def _wait_until_free(path: Path) -> None:
    """Raise BusyError while somebody holds a file."""
    with suppress(FileNotFoundError):
        fd = descriptors.opened(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(fd, fcntl.LOCK_UN)
        except BlockingIOError as error:
            raise BusyError from error
        finally:
            descriptors.close(fd)


def _patiently(catalog: Catalog, do: Callable[[], ResultT]) -> ResultT:
    """Do what others may be in the way of. Raises StoreUnavailable when they are for too long."""
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return do()
        except BusyError as error:
            if time.monotonic() > end:
                text = f"{catalog.folder} cannot be rebuilt while another process holds a session: try again"
                raise StoreUnavailable(text) from error
        time.sleep(_PAUSE_SECONDS)


@contextmanager
def _alone(catalog: Catalog) -> Iterator[None]:
    """Be the only one who rebuilds a catalog. Raises StoreUnavailable when another one does, and does not get on."""
    with translated(catalog.folder):
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        fd = catalog.in_folder(lambda: descriptors.opened(catalog.folder / _LOCK, flags))
    try:
        _hold(fd, catalog)
        yield
        fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        descriptors.close(fd)


def _hold(fd: int, catalog: Catalog) -> None:
    seen, since = catalog.written(), time.monotonic()
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        written = catalog.written()
        if written != seen:
            seen, since = written, time.monotonic()
        elif time.monotonic() - since > _BUSY_SECONDS:
            raise StoreUnavailable(f"{catalog.folder}: another process rebuilds it, and does not get on: try again")
        time.sleep(_PAUSE_SECONDS)


def _shards(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
