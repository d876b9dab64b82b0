"""A backup is brought in order when it is first opened: it was copied file by file while others wrote.

So it may hold logs of sessions that its trees do not know yet, and trees that name sessions whose logs were gone when
their turn came. In a directory that is in use both are damage; in a copy they are what was made or deleted meanwhile.
The file `in-use` tells them apart: a store makes it before anything else, and no backup holds it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

from a2a_session_manager.exceptions import CorruptSession, StoreUnavailable
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.file.commit_lines import CreationRecord, decode_line
from a2a_session_manager.storage.file.engine import FileEngine
from a2a_session_manager.storage.file.framing import read_frames
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.names import identifier_of
from a2a_session_manager.storage.file.os_errors import READ_ONLY, translated
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.stored_shapes import NONSENSE
from a2a_session_manager.storage.file.sweeping import most_at_once
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.records import SessionKey

_FIRST_RECORD_BYTES = 64_000

_log = logging.getLogger("a2a_session_manager.storage.file")


def bring_in_order(shelf: StoreDirectory, engine: FileEngine) -> None:
    """Make a copy whole, once, whoever opens it first; a copy that is read-only stays as it is."""
    with translated(shelf.directory):
        try:
            with shelf.taking_into_use() as is_first:
                if is_first:
                    _bring_in_order(shelf, engine)
        except OSError as error:
            if error.errno not in READ_ONLY:
                raise
    shelf.is_copy = False


def _bring_in_order(shelf: StoreDirectory, engine: FileEngine) -> None:
    births = {birth.key: birth for folder in shelf.namespace_folders() for birth in _births(shelf, folder)}
    by_root: dict[SessionKey, list[CreationRecord]] = {}
    for birth in births.values():
        by_root.setdefault(SessionKey(birth.key.namespace, birth.root_id), []).append(birth)
    roots = chain(by_root, *(_roots(shelf, folder) for folder in shelf.namespace_folders()))
    for root in dict.fromkeys(roots):
        try:
            with engine.held_tree(root, make=True) as tree:
                _bring_tree_in_order(shelf, engine, tree, births, by_root.get(root, ()))
        except BusyError as error:
            raise StoreUnavailable(f"{shelf.directory}: another process holds a file: open it again later") from error
        except CorruptSession as error:
            _log.warning("%s; it was left as it is", error)


def _bring_tree_in_order(
    shelf: StoreDirectory,
    engine: FileEngine,
    tree: TreeFile,
    births: dict[SessionKey, CreationRecord],
    logs: Iterable[CreationRecord],
) -> None:
    _end_those_without_a_log(shelf, tree, births)
    for birth in sorted(logs, key=lambda birth: (birth.depth, birth.created_at)):
        if not tree.knows(birth.creation_id) and _was_written_to(shelf, birth):
            _take_in(tree, birth)
    if shelf.durable and tree.handle.size():
        tree.handle.sync()
    unswept, most = list(tree.all_unswept()), most_at_once(shelf.pool)
    for first in range(0, len(unswept), most):
        engine.sweep_held(tree, unswept[first : first + most])


def _end_those_without_a_log(shelf: StoreDirectory, tree: TreeFile, births: dict[SessionKey, CreationRecord]) -> None:
    """End what was deleted before its log's turn to be copied came. A log that cannot be read is no such one."""
    for place in list(tree.living.values()):
        birth = births.get(SessionKey(tree.root.namespace, place.id))
        is_there = (birth is not None and birth.creation_id == place.creation_id) or _has_log(shelf, tree, place)
        if tree.is_alive(place.id, place.creation_id) and not is_there:
            _log.warning("%s: session %r was deleted while it was copied", tree.path, place.id)
            tree.end(place.id)


def _has_log(shelf: StoreDirectory, tree: TreeFile, place: TreeEntry) -> bool:
    """Look for a log again, now that its tree is held: a store that works here already may have made it meanwhile."""
    path = shelf.log(SessionKey(tree.root.namespace, place.id)).path
    birth = _birth(path)
    return path.exists() if birth is None else birth.creation_id == place.creation_id


def _take_in(tree: TreeFile, birth: CreationRecord) -> None:
    """Have the tree name a session that was made while it was copied, or know of it if its parent is not there."""
    root = tree.living.get(tree.root.id)
    if birth.parent_id is None:
        fits = root is None
    else:
        is_of_root = root is not None and root.creation_id == birth.root_creation_id
        fits = is_of_root and birth.parent_id in tree.living and birth.key.id not in tree.living
    if fits:
        tree.add(birth.key.id, birth.parent_id, birth.creation_id)
    elif root is not None:
        tree.sweep([(TreeEntry(birth.key.id, birth.parent_id, birth.creation_id, 0), {})])
    _log.warning("%s: session %r was made while it was copied", tree.path, birth.key.id)


def _was_written_to(shelf: StoreDirectory, birth: CreationRecord) -> bool:
    """Tell whether a log holds more than its first commit: of that alone, nobody may ever have been answered."""
    log = shelf.log(birth.key)
    with log:
        try:
            return log.exists() and log.birth == birth and log.head is not None and log.head.revision > 1
        except CorruptSession:
            return False


def _births(shelf: StoreDirectory, namespace_folder: Path) -> Iterator[CreationRecord]:
    for path in namespace_folder.glob("logs/*/*.log"):
        birth = _birth(path)
        if birth is not None and shelf.log(birth.key).path == path:
            yield birth


def _birth(path: Path) -> CreationRecord | None:
    try:
        return decode_line(_first_payload(path)).birth
    except NONSENSE:
        return None  # damaged: it stays, and says so when it is read


def _roots(shelf: StoreDirectory, namespace_folder: Path) -> Iterator[SessionKey]:
    namespace = "" if namespace_folder.name == "default" else identifier_of(namespace_folder.name[1:])
    for path in namespace_folder.glob("trees/*/*.tree"):
        root_id = identifier_of(path.stem) or _root_inside(path)
        if namespace is not None and root_id is not None:
            root = SessionKey(namespace, root_id)
            if shelf.tree(root).path == path:
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
