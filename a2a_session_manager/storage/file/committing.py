"""Committing to the log of a session: one write for what waits together. It runs in worker threads.

Locks are taken as the keeper says; what was seen before the log was held is decided again once it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.exceptions import SessionManagerError, SessionNotFound
from a2a_session_manager.storage.batching import BUSY, LONG, Busy, Long
from a2a_session_manager.storage.file.atomic_files import sync_directory, sync_file
from a2a_session_manager.storage.file.commit_lines import CreationRecord
from a2a_session_manager.storage.file.existence import MOST_AT_ONCE, birth_at_once, living_birth, remembered_birth
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.syncing import Unsynced
from a2a_session_manager.storage.records import EncodedCommit, Receipt, SessionKey


def commit(
    shelf: StoreDirectory,
    key: SessionKey,
    commits: Sequence[EncodedCommit],
    unsynced: Unsynced,
    *,
    at_once: bool = False,
) -> Sequence[Receipt | SessionManagerError] | Busy | Long:
    """Commit several changes to one session, in order, in one write; where it must be on disk, it is `unsynced`.

    `at_once` waits for nobody and reads little, for others wait behind it; what needs more is LONG.
    """
    log = shelf.log(key)
    try:
        if at_once:
            birth = birth_at_once(shelf, log)
            with log.at_once():
                return _commit_held(shelf, log, birth, commits, unsynced, at_once=True)
        known = remembered_birth(shelf, log) or living_birth(shelf, log)
        if known is None:
            raise SessionNotFound(key.id)
        with log:
            return _commit_held(shelf, log, known, commits, unsynced, at_once=False)
    except BusyError:
        return LONG if at_once else BUSY


def _commit_held(
    shelf: StoreDirectory,
    log: LogFile,
    birth: CreationRecord,
    commits: Sequence[EncodedCommit],
    unsynced: Unsynced,
    *,
    at_once: bool,
) -> Sequence[Receipt | SessionManagerError]:
    """Commit to the log that was found to live: held against other processes, caught up, no torn tail."""
    if not log.is_there():
        raise BusyError
    size = log.handle.hold(at_once=at_once)
    try:
        if at_once and _takes_long(shelf, log, size, commits):
            raise BusyError
        # Deleted, and perhaps made again, since: the next try finds out.
        if not log.exists(held_size=size) or log.birth != birth:
            raise BusyError
        if not shelf.durable:
            return log.commit_all(commits)
        _anchor(shelf, log)
        first_bytes = log.first_bytes
        answers = log.commit_all(commits)
        # Also when all was written before: whoever wrote it may have failed to sync.
        unsynced.add(log, first_bytes)
        return answers
    finally:
        log.handle.release()


def _takes_long(shelf: StoreDirectory, log: LogFile, size: int, commits: Sequence[EncodedCommit]) -> bool:
    """Tell whether there is much to read before a commit, or a checkpoint to write after it, or much to sync."""
    is_unanchored = shelf.durable and not log.on_disk.is_anchored(log.first_bytes)
    return size - log.offset > MOST_AT_ONCE or log.is_checkpoint_due_after(commits) or is_unanchored


def _anchor(shelf: StoreDirectory, log: LogFile) -> None:
    """Bring to disk all that the next record of a log rests on, unless it is known to be there.

    Whoever made the session may have died before that was done, or have had no need of it (durability=process).
    """
    if log.on_disk.is_anchored(log.first_bytes):
        return
    assert log.birth is not None, "a log that exists has its first record"
    tree = shelf.tree(SessionKey(log.key.namespace, log.birth.root_id))
    try:
        sync_file(tree.path)
    except FileNotFoundError as error:
        raise BusyError from error  # deleted meanwhile: the next try finds out
    for path in (tree.path, log.path):
        sync_directory(path.parent)
        shelf.make_folder(path.parent)
    log.anchor()
