"""Committing to the log of a session: one write for what waits together. It runs in worker threads.

Locks are taken in the order that `held_trees` names; what was seen before the log was held is decided again once it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.exceptions import SessionManagerError, SessionNotFound
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.file.atomic_files import sync_directory, sync_file
from a2a_session_manager.storage.file.creation_records import CreationRecord
from a2a_session_manager.storage.file.existence import (
    MOST_AT_ONCE,
    find_creation,
    find_creation_at_once,
    remembered_creation,
)
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.lineage import inherited_by
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.log_commits import Inherited, commit_all, is_checkpoint_due_after
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.syncing import Unsynced
from a2a_session_manager.storage.file.tried_locks import Tried
from a2a_session_manager.storage.records import SessionKey


def commit(
    directory: StoreDirectory,
    key: SessionKey,
    commits: Sequence[EncodedCommit],
    unsynced: Unsynced,
    *,
    at_once: bool = False,
) -> Sequence[Receipt | SessionManagerError]:
    """Commit several changes to one session, in order, in one write; where it must be on disk, it is `unsynced`.

    Raises BusyError when somebody is in the way. `at_once` waits for nobody and reads little, since others wait for
    the same thread; whatever needs more is busy too.
    """
    log = directory.log(key)
    if at_once:
        creation = find_creation_at_once(directory, log)
        inherited = inherited_by(directory, creation, commits, at_once=True)
        with Tried(log):
            return _commit_held(directory, log, creation, commits, inherited, unsynced, at_once=True)
    known = remembered_creation(directory, log) or find_creation(directory, log)
    if known is None:
        raise SessionNotFound(key.id)
    inherited = inherited_by(directory, known, commits)
    with log:
        return _commit_held(directory, log, known, commits, inherited, unsynced, at_once=False)


def _commit_held(
    directory: StoreDirectory,
    log: LogFile,
    creation: CreationRecord,
    commits: Sequence[EncodedCommit],
    inherited: Inherited,
    unsynced: Unsynced,
    *,
    at_once: bool,
) -> Sequence[Receipt | SessionManagerError]:
    """Commit to the log of a session that was found to exist: held against other processes, caught up, no torn tail."""
    if not log.is_there():
        raise BusyError
    catalog = directory.catalog(log.key.namespace)
    size = log.handle.hold(at_once=at_once)
    try:
        if at_once and _takes_long(directory, log, size, commits):
            raise BusyError
        # The session was deleted since, and perhaps made again: the next try finds out.
        if not log.exists(held_size=size) or log.creation != creation:
            raise BusyError
        windowed = directory.tree(SessionKey(log.key.namespace, creation.root_id)).windowed_above(creation.creation_id)
        if not directory.durable:
            return commit_all(log, commits, inherited, catalog, windowed)
        _anchor(directory, log)
        first_bytes = log.first_bytes
        answers = commit_all(log, commits, inherited, catalog, windowed)
        # It is synced also when all was written before: the process that wrote it may have failed to sync.
        unsynced.add(log, first_bytes)
        return answers
    finally:
        log.handle.release()


def _takes_long(directory: StoreDirectory, log: LogFile, size: int, commits: Sequence[EncodedCommit]) -> bool:
    """Tell whether there is much to read before a commit, or a checkpoint to write after it, or much to sync."""
    is_unanchored = directory.durable and not log.on_disk.is_anchored(log.first_bytes)
    return size - log.offset > MOST_AT_ONCE or is_checkpoint_due_after(log, commits) or is_unanchored


def _anchor(directory: StoreDirectory, log: LogFile) -> None:
    """Bring to disk all that the next record of a log rests on, unless it is known to be there.

    The process that made the session may have died before that, or have had no need of it (durability=process).
    """
    if log.on_disk.is_anchored(log.first_bytes):
        return
    assert log.creation is not None, "a log that exists has its first record"
    tree = directory.tree(SessionKey(log.key.namespace, log.creation.root_id))
    try:
        sync_file(tree.path)
    except FileNotFoundError as error:
        raise BusyError from error  # deleted meanwhile: the next try finds out
    for path in (tree.path, log.path):
        sync_directory(path.parent)
        directory.make_folder(path.parent)
    log.anchor()
