"""Removing the logs of deleted sessions, after their tree has noted what they spent.

Only the holder of the tree purges. A purge holds several logs at once, all of deleted sessions, and waits for none.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from itertools import islice

from a2a_session_manager.budgets.blocks import Block
from a2a_session_manager.exceptions import CorruptSession, SessionNotFound
from a2a_session_manager.storage.file.atomic_files import sync_directory
from a2a_session_manager.storage.file.existence import find_creation, stored_creation
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.held_trees import held_tree
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.settled_holds import drop_settled
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.file.tried_locks import MOMENT_SECONDS, Tried
from a2a_session_manager.storage.records import SessionKey, Totals

_log = logging.getLogger("a2a_session_manager.storage.file")

_MOST_AT_ONCE = 64


def most_at_once(pool: HandlePool) -> int:
    """Return how many logs a purge may hold at once: others need open files too."""
    return max(1, min(_MOST_AT_ONCE, pool.most // 4))


def purge(directory: StoreDirectory, tree: TreeFile, entries: Iterable[TreeEntry]) -> None:
    """Remove the logs of these deleted sessions, unless others have done so by now; at most `most_at_once`.

    A log that is held stays for a later purge, and counts meanwhile; so does a damaged one, whose spend cannot be told.
    """
    with ExitStack() as held:
        unpurged = [entry for entry in entries if tree.unpurged(entry.creation_id)]
        purged = [each for entry in unpurged if (each := _taken(directory, tree, entry, held))]
        spent = [(entry, totals, _blocks_of(log)) for entry, log, totals in purged]
        if not spent:
            return
        drop_settled(tree, [(entry, log) for entry, log, _ in purged if log is not None])
        tree.purge(spent)
        if directory.durable:
            # The lines of those that spent nothing are synced too: without log and line, a deleted session is damage.
            tree.handle.sync()
            tree.on_disk.was_synced(tree.first_bytes, tree.offset)
        for _, log, _ in purged:
            if log is not None:
                log.remove()


def purge_held(directory: StoreDirectory, tree: TreeFile, entries: Sequence[TreeEntry]) -> Sequence[TreeEntry]:
    """Purge these deleted sessions of a tree that is held, and return those that could not be purged."""
    purge(directory, tree, entries)
    left = [entry for entry in entries if tree.unpurged(entry.creation_id)]
    remove_if_empty(directory, tree)
    return left


def purge_some(directory: StoreDirectory, tree: TreeFile, key: SessionKey) -> bool:
    """Purge a few whose deletion was cut off, that of this id first; tell whether the tree file went with them."""
    if any(tree.all_unpurged()):
        creation = stored_creation(directory.log(key))
        own = None if creation is None else tree.unpurged(creation.creation_id)
        some = islice(tree.all_unpurged(), most_at_once(directory.pool) - 1)
        purge(directory, tree, [*([] if own is None else [own]), *(entry for entry in some if entry != own)])
    return tree.offset > 0 and remove_if_empty(directory, tree)


def purge_earlier(directory: StoreDirectory, key: SessionKey, root: SessionKey) -> None:
    """Let the tree of a deleted session of this id count what it spent, before its log goes."""
    log = directory.log(key)
    if find_creation(directory, log) is not None:
        return
    creation = stored_creation(log)
    if creation is not None and creation.root_id != root.id:
        with suppress(SessionNotFound), held_tree(directory, SessionKey(key.namespace, creation.root_id)) as tree:
            purge_some(directory, tree, key)


def remove_if_empty(directory: StoreDirectory, tree: TreeFile) -> bool:
    """Remove the tree file after the last of its sessions; tell whether it is gone."""
    if not tree.is_empty or not _is_root_log_gone(directory, tree):
        return False
    tree.on_disk.mark.remove()
    tree.holds.remove()
    if directory.durable:
        # The folders are synced before the tree file goes: after a loss of power the root's log without it would be
        # damage, and so would be the beginning of the next tree file beside the mark of this one.
        for folder in (directory.log(tree.root).path.parent, tree.path.parent):
            if folder.is_dir():
                sync_directory(folder)
    os.unlink(tree.path)
    tree.handle.close()
    tree.start_over()
    return True


def _taken(
    directory: StoreDirectory, tree: TreeFile, entry: TreeEntry, held: ExitStack
) -> tuple[TreeEntry, LogFile | None, Totals] | None:
    """Hold the log of a deleted session until `held` ends, and return it with its totals; None if it must stay.

    Without a log, or with that of another session of the id, there is nothing to hold and nothing more to count:
    a log goes only once its tree has noted what it spent.
    """
    log = directory.log(SessionKey(tree.root.namespace, entry.id))
    try:
        held.enter_context(Tried(log, seconds=MOMENT_SECONDS))
        if not _is_log_of(log, entry, None):
            return entry, None, {}
        size = held.enter_context(log.handle.exclusive())
        # Commits that had found the session there may have come until now.
        if size is None or not _is_log_of(log, entry, size):
            return None
    except BusyError:
        return None
    except CorruptSession as error:
        _log.info("a deleted session's log stays: %s", error)
        return None
    assert log.head is not None, "only a log that exists is of a session"
    return entry, log, log.head.totals


def _blocks_of(log: LogFile | None) -> Mapping[str, Block]:
    return {} if log is None or log.head is None else log.head.blocks


def _is_log_of(log: LogFile, entry: TreeEntry, held_size: int | None) -> bool:
    return log.exists(held_size=held_size) and log.head is not None and log.head.creation_id == entry.creation_id


def _is_root_log_gone(directory: StoreDirectory, tree: TreeFile) -> bool:
    """Remove the root's log where a purge was cut off in front of it: a log without its tree is damage."""
    log = directory.log(tree.root)
    with log:
        if not log.catch_up() or log.creation is None or log.creation.root_id != tree.root.id:
            return True
        with log.handle.exclusive() as size:
            # Nobody makes a root while its tree is held, so this is the log that was found.
            if size is not None:
                log.remove()
            return size is not None
