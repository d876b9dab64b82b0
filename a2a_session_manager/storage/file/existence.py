"""Which sessions exist: those whose log does, and whose root's tree file names it.

Lock order: tree, then log, never two logs; so a log's lock is let go before its tree is asked. What changed
in between is found out by asking again.
"""

from __future__ import annotations

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.storage.file.commit_lines import CreationRecord
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeFile
from a2a_session_manager.storage.records import SessionKey

# So many bytes are read, or written, without anybody waiting for it.
MOST_AT_ONCE = 256_000


def living_birth(shelf: StoreDirectory, log: LogFile) -> CreationRecord | None:
    """Return the birth of a session that exists, else None. Raises CorruptSession when half of it is lost."""
    birth, revision = _birth_and_revision(log)
    if birth is None:
        _refuse_lost_log(shelf, log)
        return None
    tree = shelf.tree(SessionKey(log.key.namespace, birth.root_id))
    with tree:
        tree.catch_up()
        if tree.names(birth):
            return birth
        # A creation that was cut off leaves a log of one commit, and no line in the tree.
        is_known = revision == 1 or tree.knows(birth.creation_id)
    if not is_known:
        _refuse_lost_line(shelf, log, birth, tree)
    return None


def birth_at_once(shelf: StoreDirectory, log: LogFile) -> CreationRecord:
    """Return the birth of a session that lives, waiting for nobody and reading little.

    Raises BusyError where that does not tell. For a writer, as `remembered_birth`.
    """
    if log.birth is None:
        with log.at_once():
            look = log.handle.look()
            if look is None or look.size > MOST_AT_ONCE or not log.exists():
                raise BusyError
    birth = log.birth
    if birth is None:
        raise BusyError
    tree = shelf.tree(SessionKey(log.key.namespace, birth.root_id))
    with tree.at_once():
        tree.catch_up(most=MOST_AT_ONCE)
        if not tree.names(birth):
            raise BusyError
    return birth


def remembered_birth(shelf: StoreDirectory, log: LogFile) -> CreationRecord | None:
    """Return the birth that was read from the log before, if its tree names it now; None tells nothing.

    For a writer, who compares it with the log's again once the log is held.
    """
    birth = log.birth
    if birth is None:
        return None
    tree = shelf.tree(SessionKey(log.key.namespace, birth.root_id))
    with tree:
        tree.catch_up()
        return birth if tree.names(birth) else None


def lost_log(shelf: StoreDirectory, log: LogFile, tree: TreeFile) -> CorruptSession:
    """What to raise for a session that a tree names and that has no log: damage, not absence."""
    return CorruptSession(
        log.key.id, f"{log.path} is missing, but {tree.path} names it: {shelf.remedy_for_a_lost_part()}"
    )


def _birth_and_revision(log: LogFile) -> tuple[CreationRecord | None, int]:
    with log:
        if not log.exists() or log.head is None:
            return None, 0
        return log.birth, log.head.revision


def _refuse_lost_log(shelf: StoreDirectory, log: LogFile) -> None:
    """Raise when a root's tree file names it, before and after another look for its log."""
    tree = shelf.tree(log.key)
    named = _root_creation_id(tree)
    if named is not None and _birth_and_revision(log)[0] is None and _root_creation_id(tree) == named:
        raise lost_log(shelf, log, tree)


def _root_creation_id(tree: TreeFile) -> str | None:
    with tree:
        root = tree.living.get(tree.root.id) if tree.catch_up() else None
        return None if root is None else root.creation_id


def _refuse_lost_line(shelf: StoreDirectory, log: LogFile, birth: CreationRecord, tree: TreeFile) -> None:
    """Raise when the log and its root's are there: a deletion removes both before it forgets their names."""
    root_birth = _birth_and_revision(shelf.log(tree.root))[0]
    has_root = root_birth is not None and root_birth.creation_id == birth.root_creation_id
    if has_root and _birth_and_revision(log)[0] == birth:
        raise CorruptSession(
            log.key.id,
            f"{tree.path} has lost the line of {log.path}: {shelf.remedy_for_a_lost_part()}; nothing was changed",
        )
