"""Pages of session ids, from the folders of logs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.file.atomic_files import read_regular
from a2a_session_manager.storage.file.commit_lines import decode_line
from a2a_session_manager.storage.file.folder_scan import FolderScan
from a2a_session_manager.storage.file.framing import read_frames
from a2a_session_manager.storage.file.names import file_name, identifier_of, shard_of
from a2a_session_manager.storage.file.os_errors import translated
from a2a_session_manager.storage.file.session_reader import SessionReader
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.stored_shapes import NONSENSE
from a2a_session_manager.storage.records import SessionKey

_SUFFIX = ".log"
_TREE_SUFFIX = ".tree"


def list_page(
    directory: StoreDirectory,
    reader: SessionReader,
    namespace: Namespace,
    prefix: str,
    cursor: str | None,
    limit: int,
    roots_only: bool,
) -> SessionPage:
    """Return the next ids that start with `prefix`, by folder and file name; the cursor is the last of both."""
    after = _position(cursor)
    with translated(directory.path):
        found = list(islice(_found(directory, reader, namespace, prefix, after, roots_only), limit + 1))
    page = found[:limit]
    return SessionPage([session_id for _, session_id in page], "/".join(page[-1][0]) if len(found) > limit else None)


def _found(
    directory: StoreDirectory,
    reader: SessionReader,
    namespace: Namespace,
    prefix: str,
    after: tuple[str, str],
    roots_only: bool,
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield what is listed, with the place of each: folder and file name."""
    for folder in directory.shards(namespace, after[0]):
        scan = FolderScan(directory, namespace, folder.name)
        for file, is_plain in listed_files(folder, directory.folder(namespace, "trees") / folder.name):
            name = folder.name, file
            if name <= after:
                continue
            session_id = listed_id(directory, namespace, name)
            if session_id is None or not session_id.startswith(prefix):
                continue
            kind = scan.kind_of(session_id, file.removesuffix(_SUFFIX)) if is_plain else None
            if kind is None:
                is_listed = _is_listed(reader, SessionKey(namespace, session_id), roots_only)
            else:
                is_listed = kind == "root" or not roots_only
            if is_listed:
                yield name, session_id


def listed_files(folder: Path, trees: Path) -> list[tuple[str, bool]]:
    """Return the names of logs in their order, each with whether it is a regular file.

    Those that a tree file lies there for are among them: a root whose log is lost is damaged, not absent.
    """
    found: dict[str, bool] = {}
    if folder.is_dir():
        with os.scandir(folder) as entries:
            logs = [entry for entry in entries if entry.name.endswith(_SUFFIX)]
        found = {entry.name: entry.is_file(follow_symlinks=False) for entry in logs}
    with suppress(FileNotFoundError):
        for name in os.listdir(trees):
            log = f"{name.removesuffix(_TREE_SUFFIX)}{_SUFFIX}"
            if log not in found and name.endswith(_TREE_SUFFIX):
                found[log] = False
    return sorted(found.items())


def _position(cursor: str | None) -> tuple[str, str]:
    if cursor is None:
        return "", ""
    folder, slash, file = cursor.partition("/")
    if not slash:
        raise InvalidSessionOperation(f"cursor {shown(cursor)} is not one of a page: start again without it")
    return folder, file


def listed_id(directory: StoreDirectory, namespace: Namespace, name: tuple[str, str]) -> str | None:
    stem = name[1].removesuffix(_SUFFIX)
    session_id = _id_inside(directory, namespace, name) if stem.startswith("~") else identifier_of(stem)
    # Somebody else's file may end in .log too, and a copy may lie in another folder.
    is_ours = session_id is not None and (shard_of(stem), file_name(session_id)) == (name[0], stem)
    return session_id if is_ours else None


def _id_inside(directory: StoreDirectory, namespace: Namespace, name: tuple[str, str]) -> str | None:
    """A hashed name keeps its id in the first record."""
    path = directory.folder(namespace, "logs") / name[0] / name[1]
    try:
        frames = read_frames(read_regular(path), 0)
        creation = decode_line(frames[0].payload).creation if frames else None
    except FileNotFoundError:
        return _root_inside(directory.folder(namespace, "trees") / name[0] / f"{path.stem}{_TREE_SUFFIX}")
    except NONSENSE as error:
        raise _unnamed(path) from error
    if creation is None:
        raise _unnamed(path)
    return creation.key.id


def _root_inside(tree_path: Path) -> str | None:
    """Return the root that a tree file names, or None without one: it was deleted since the folder was listed."""
    try:
        frames = read_frames(read_regular(tree_path), 0)
        return str(parsed(frames[0].payload)["+"][0]) if frames else None
    except FileNotFoundError:
        return None
    except NONSENSE as error:
        raise _unnamed(tree_path) from error


def _unnamed(path: Path) -> CorruptSession:
    message = f"{path} is damaged, at byte 0: it does not tell its session's id; restore it from a backup"
    return CorruptSession(path.stem, message)


def _is_listed(reader: SessionReader, key: SessionKey, roots_only: bool) -> bool:
    try:
        with reader.existing(key) as log:
            return log is not None and log.head is not None and not (roots_only and log.head.parent_id is not None)
    except CorruptSession:
        return True  # damage is not absence
