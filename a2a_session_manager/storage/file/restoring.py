"""A backup is brought in order when it is first opened: it was copied file by file while others wrote.

So it may hold logs of sessions that its trees do not know yet, and trees that name sessions whose logs were gone when
their turn came. In a directory that is in use both are damage; in a copy they are what was made or deleted meanwhile.
The file `in-use` tells them apart: a store makes it before anything else, and no backup holds it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

from a2a_session_manager.exceptions import CorruptSession, StoreUnavailable
from a2a_session_manager.identifiers import shown
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.file.catalog import CATALOG, remove_catalog
from a2a_session_manager.storage.file.commit_lines import decode_line
from a2a_session_manager.storage.file.creation_records import CreationRecord
from a2a_session_manager.storage.file.directory_format import taking_into_use
from a2a_session_manager.storage.file.framing import read_frames
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.held_trees import held_tree
from a2a_session_manager.storage.file.lineage import lineage_of
from a2a_session_manager.storage.file.names import identifier_of
from a2a_session_manager.storage.file.namespace_folders import namespace_of
from a2a_session_manager.storage.file.os_errors import READ_ONLY, translated
from a2a_session_manager.storage.file.purging import most_at_once, purge_held
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.stored_shapes import NONSENSE
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.records import SessionKey

_FIRST_RECORD_BYTES = 64_000

_log = logging.getLogger("a2a_session_manager.storage.file")


def prepare(directory: StoreDirectory) -> None:
    """Prepare a directory to be written to. Raises StoreUnavailable with the remedy."""
    directory.prepare()
    if directory.is_copy:
        bring_in_order(directory)


def prepare_to_read(directory: StoreDirectory) -> None:
    """Prepare a directory to be read. Raises StoreUnavailable with the remedy."""
    directory.prepare_to_read()
    if directory.is_copy:
        bring_in_order(directory)


def bring_in_order(directory: StoreDirectory) -> None:
    """Make a copy whole, once, whoever opens it first; a copy that is read-only stays as it is."""
    with translated(directory.path):
        try:
            with taking_into_use(directory.path, durable=directory.durable) as is_first:
                if is_first:
                    _bring_in_order(directory)
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
    directory.is_copy = False


def _bring_in_order(directory: StoreDirectory) -> None:
    for folder in directory.namespace_folders():
        remove_catalog(folder / CATALOG)  # it may be of another moment than what it is of
    creations = {
        creation.key: creation for folder in directory.namespace_folders() for creation in _creations(directory, folder)
    }
    by_root: dict[SessionKey, list[CreationRecord]] = {}
    for creation in creations.values():
        by_root.setdefault(SessionKey(creation.key.namespace, creation.root_id), []).append(creation)
    roots = chain(by_root, *(_roots(directory, folder) for folder in directory.namespace_folders()))
    for root in dict.fromkeys(roots):
        try:
            with held_tree(directory, root, make=True) as tree:
                _bring_tree_in_order(directory, tree, creations, by_root.get(root, ()))
        except BusyError as error:
            raise StoreUnavailable(f"{directory.path}: another process holds a file: open it again later") from error
        except CorruptSession as error:
            _log.warning("%s; it was left as it is", error)


def _bring_tree_in_order(
    directory: StoreDirectory,
    tree: TreeFile,
    creations: dict[SessionKey, CreationRecord],
    logs: Iterable[CreationRecord],
) -> None:
    _delete_those_without_a_log(directory, tree, creations)
    for creation in sorted(logs, key=lambda creation: (creation.depth, creation.created_at)):
        if not tree.knows(creation.creation_id) and _was_written_to(directory, creation):
            _take_in(tree, creation)
    _delete_forks_of_later_events(directory, tree, creations)
    if directory.durable and tree.handle.size():
        tree.handle.sync()
    unpurged, most = list(tree.all_unpurged()), most_at_once(directory.pool)
    for first in range(0, len(unpurged), most):
        purge_held(directory, tree, unpurged[first : first + most])


def _delete_those_without_a_log(
    directory: StoreDirectory, tree: TreeFile, creations: dict[SessionKey, CreationRecord]
) -> None:
    """Delete what had been deleted before its log's turn to be copied came; a log that cannot be read is there."""
    for entry in list(tree.sessions.values()):
        creation = creations.get(SessionKey(tree.root.namespace, entry.id))
        is_there = (creation is not None and creation.creation_id == entry.creation_id) or _has_log(
            directory, tree, entry
        )
        if tree.is_present(entry.id, entry.creation_id) and not is_there:
            _log.warning("%s: session %s was deleted while it was copied", tree.path, shown(entry.id))
            tree.delete(entry.id)


def _delete_forks_of_later_events(
    directory: StoreDirectory, tree: TreeFile, creations: dict[SessionKey, CreationRecord]
) -> None:
    """Delete the forks that inherit what came to a log after its turn to be copied: they were made after that."""
    for entry in list(tree.sessions.values()):
        creation = creations.get(SessionKey(tree.root.namespace, entry.id))
        if creation is None or creation.fork is None or not tree.is_present(entry.id, creation.creation_id):
            continue
        with suppress(CorruptSession):  # a damaged log stays, and says so when it is read
            if not lineage_of(directory, creation).is_whole():
                _log.warning("%s: session %s was forked while it was copied", tree.path, shown(entry.id))
                tree.delete(entry.id)


def _has_log(directory: StoreDirectory, tree: TreeFile, entry: TreeEntry) -> bool:
    """Look for a log again, now that its tree is held: a store that works here already may have made it meanwhile."""
    path = directory.log(SessionKey(tree.root.namespace, entry.id)).path
    creation = _creation(path)
    return path.exists() if creation is None else creation.creation_id == entry.creation_id


def _take_in(tree: TreeFile, creation: CreationRecord) -> None:
    """Have the tree name a session that was made while it was copied, or know of it if its parent is not there."""
    root = tree.sessions.get(tree.root.id)
    if creation.parent_id is None:
        fits = root is None
    else:
        is_of_root = root is not None and root.creation_id == creation.root_creation_id
        fits = is_of_root and creation.parent_id in tree.sessions and creation.key.id not in tree.sessions
    if fits:
        forked_from = None if creation.fork is None else creation.fork.source
        tree.add(creation.key.id, creation.parent_id, creation.creation_id, forked_from)
    elif root is not None:
        tree.purge([(TreeEntry(creation.key.id, creation.parent_id, creation.creation_id, 0), {}, {})])
    _log.warning("%s: session %s was made while it was copied", tree.path, shown(creation.key.id))


def _was_written_to(directory: StoreDirectory, creation: CreationRecord) -> bool:
    """Tell whether a log holds more than its first commit: of that alone, nobody may ever have been answered."""
    log = directory.log(creation.key)
    with log:
        try:
            return log.exists() and log.creation == creation and log.head is not None and log.head.revision > 1
        except CorruptSession:
            return False


def _creations(directory: StoreDirectory, namespace_folder: Path) -> Iterator[CreationRecord]:
    for path in namespace_folder.glob("logs/*/*.log"):
        creation = _creation(path)
        if creation is not None and directory.log(creation.key).path == path:
            yield creation


def _creation(path: Path) -> CreationRecord | None:
    try:
        return decode_line(_first_payload(path)).creation
    except NONSENSE:
        return None  # damaged: it stays, and says so when it is read


def _roots(directory: StoreDirectory, namespace_folder: Path) -> Iterator[SessionKey]:
    namespace = namespace_of(directory, namespace_folder)
    for path in namespace_folder.glob("trees/*/*.tree"):
        root_id = identifier_of(path.stem) or _root_inside(path)
        if namespace is not None and root_id is not None:
            root = SessionKey(namespace, root_id)
            if directory.tree(root).path == path:
                yield root


def _root_inside(path: Path) -> str | None:
    """A hashed name keeps its id in the first record."""
    try:
        return str(parsed(_first_payload(path))["+"][0])
    except NONSENSE:
        return None


def _first_payload(path: Path) -> bytes:
    """Return the first record of a file. Raises ValueError when there is none."""
    size = _FIRST_RECORD_BYTES
    if not path.is_file():
        raise ValueError("no file: a FIFO would be waited for")
    with path.open("rb") as file:
        while True:
            file.seek(0)
            data = file.read(size)
            end = data.find(b"\n", 1)
            if end > 0:
                (frame,) = read_frames(data[: end + 1], 0)
                return frame.payload
            if len(data) < size:
                raise ValueError("no whole record")
            size *= 8
