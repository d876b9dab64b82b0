"""Names of namespaces, from the folders that hold sessions."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage.file.listing import list_page
from a2a_session_manager.storage.file.namespace_folders import name_of
from a2a_session_manager.storage.file.os_errors import translated
from a2a_session_manager.storage.file.session_reader import SessionReader
from a2a_session_manager.storage.file.store_directory import StoreDirectory, folders_below
from a2a_session_manager.storage.read_records import NamespacePage


def list_namespaces(
    directory: StoreDirectory, reader: SessionReader, namespace: Namespace, cursor: str | None, limit: int
) -> NamespacePage:
    """Return the next names directly below `namespace` that hold sessions, in the order of their folders' names."""
    with translated(directory.path):
        found = list(islice(_found(directory, reader, namespace, cursor or ""), limit + 1))
    page = found[:limit]
    return NamespacePage([name for _, name in page], page[-1][0] if len(found) > limit else None)


def _found(
    directory: StoreDirectory, reader: SessionReader, namespace: Namespace, after: str
) -> Iterator[tuple[str, str]]:
    """Yield the names, each after that of its folder."""
    for folder in folders_below(directory.folder_of_names(namespace)):
        name = None if folder.name <= after else _name_of(directory, folder, len(namespace))
        if name is not None and _holds_sessions(directory, reader, (*namespace, name)):
            yield folder.name, name


def _holds_sessions(directory: StoreDirectory, reader: SessionReader, namespace: Namespace) -> bool:
    try:
        if list_page(directory, reader, namespace, "", None, 1, roots_only=False).session_ids:
            return True
    except CorruptSession:
        return True  # damage is not absence
    return any(_found(directory, reader, namespace, ""))


def _name_of(directory: StoreDirectory, folder: Path, depth: int) -> str | None:
    name = name_of(directory, folder, depth)
    if name is None and any(folder.glob("**/trees/*/*.tree")):
        raise CorruptSession("", f"{folder} has lost its logs, and they alone tell its namespace's name: restore them")
    return name
