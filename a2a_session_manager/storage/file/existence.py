"""Which sessions exist: those whose log does, and whose root's tree file names it.

Lock order: tree, then log, never two logs; so a log's lock is let go before its tree is asked. What changed
in between is found out by asking again.
"""

from __future__ import annotations

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.storage.file.creation_records import CreationRecord
from a2a_session_manager.storage.file.directory_format import remedy_for_a_lost_part
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeFile
from a2a_session_manager.storage.file.tried_locks import Tried
from a2a_session_manager.storage.records import SessionKey

# Reading or writing so many bytes is too quick for anybody to notice.
MOST_AT_ONCE = 256_000


def find_creation(directory: StoreDirectory, log: LogFile) -> CreationRecord | None:
    """Return the creation of a session that exists, else None. Raises CorruptSession when half of it is lost."""
    creation, revision = _creation_and_revision(log)
    if creation is None:
        _refuse_lost_log(directory, log)
        return None
    tree = directory.tree(SessionKey(log.key.namespace, creation.root_id))
    with tree:
        tree.catch_up()
        if tree.names(creation):
            return creation
        # A creation that was cut off leaves a log of one commit, and no line in the tree.
        is_known = revision == 1 or tree.knows(creation.creation_id)
    if not is_known:
        _refuse_lost_line(directory, log, creation, tree)
    return None


def stored_creation(log: LogFile) -> CreationRecord | None:
    """Return the creation that a log records, whether its session exists or not; None without a log."""
    with log:
        return log.creation if log.exists() else None


def find_creation_at_once(directory: StoreDirectory, log: LogFile) -> CreationRecord:
    """Return the creation of a session that exists, waiting for nobody and reading little.

    Raises BusyError where that does not tell. For a writer, as `remembered_creation`.
    """
    if log.creation is None:
        with Tried(log):
            signature = log.handle.signature()
            if signature is None or signature.size > MOST_AT_ONCE or not log.exists():
                raise BusyError
    creation = log.creation
    if creation is None:
        raise BusyError
    tree = directory.tree(SessionKey(log.key.namespace, creation.root_id))
    with Tried(tree):
        tree.catch_up(most=MOST_AT_ONCE)
        if not tree.names(creation):
            raise BusyError
    return creation


def remembered_creation(directory: StoreDirectory, log: LogFile) -> CreationRecord | None:
    """Return the creation that was read from the log before, if its tree names it now; None tells nothing.

    For a writer, who compares it with the log's again once the log is held.
    """
    creation = log.creation
    if creation is None:
        return None
    tree = directory.tree(SessionKey(log.key.namespace, creation.root_id))
    with tree:
        tree.catch_up()
        return creation if tree.names(creation) else None


def lost_log(directory: StoreDirectory, log: LogFile, tree: TreeFile) -> CorruptSession:
    """What to raise for a session that a tree names and that has no log: damage, not absence."""
    return CorruptSession(
        log.key.id, f"{log.path} is missing, but {tree.path} names it: {remedy_for_a_lost_part(directory.path)}"
    )


def _creation_and_revision(log: LogFile) -> tuple[CreationRecord | None, int]:
    with log:
        if not log.exists() or log.head is None:
            return None, 0
        return log.creation, log.head.revision


def _refuse_lost_log(directory: StoreDirectory, log: LogFile) -> None:
    """Raise when a root's tree file names it, before and after its log is looked for again."""
    tree = directory.tree(log.key)
    named = _root_creation_id(tree)
    if named is not None and _creation_and_revision(log)[0] is None and _root_creation_id(tree) == named:
        raise lost_log(directory, log, tree)


def _root_creation_id(tree: TreeFile) -> str | None:
    with tree:
        root = tree.sessions.get(tree.root.id) if tree.catch_up() else None
        return None if root is None else root.creation_id


def _refuse_lost_line(directory: StoreDirectory, log: LogFile, creation: CreationRecord, tree: TreeFile) -> None:
    """Raise when the log and its root's are there: a deletion removes both before it forgets their names."""
    root_creation = _creation_and_revision(directory.log(tree.root))[0]
    has_root = root_creation is not None and root_creation.creation_id == creation.root_creation_id
    if has_root and _creation_and_revision(log)[0] == creation:
        raise CorruptSession(
            log.key.id,
            f"{tree.path} has lost the line of {log.path}: {remedy_for_a_lost_part(directory.path)}; "
            "nothing was changed",
        )
