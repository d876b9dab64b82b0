"""Deleting a session and all below it: one line of their tree, after which their logs are purged in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.storage import commit_rules, forks
from a2a_session_manager.storage.commit_records import Guard
from a2a_session_manager.storage.file.existence import find_creation, stored_creation
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.held_trees import held_tree, sync_tree
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.purging import most_at_once, purge_held
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.records import SessionKey

# The pause between two chunks of a purge is longer than others wait between two tries for a file.
_PAUSE_SECONDS = 0.001
_PURGE_TRIES = 3


def delete(directory: StoreDirectory, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> None:
    """Write the tree's line that ends the session and all below it, then purge their logs.

    Raises BusyError when somebody is in the way.
    """
    log = directory.log(key)
    creation = stored_creation(log) or find_creation(directory, log)  # which tells absence from a lost log
    if creation is None or creation.creation_id != creation_id:
        return
    root = SessionKey(key.namespace, creation.root_id)
    try:
        with held_tree(directory, root) as tree, ExitStack() as held:
            if guard is not None and tree.is_present(key.id, creation_id):
                held.enter_context(_held_at(directory, log, guard))
            _delete(directory, key, creation_id, tree, cascade)
            unpurged = list(tree.all_unpurged())
            if guard is not None:  # its own log goes first, while it is held
                unpurged.sort(key=lambda entry: entry.creation_id != creation_id)
            purge_held(directory, tree, unpurged[: most_at_once(directory.pool)])
    except SessionNotFound:
        return  # another process has deleted the whole tree meanwhile
    _purge_rest(directory, root, unpurged)


@contextmanager
def _held_at(directory: StoreDirectory, log: LogFile, guard: Guard) -> Iterator[None]:
    """Hold the log of a session that is where it is expected, so that no commit comes until it is purged."""
    with log, log.handle.exclusive() as size:
        if size is None or not log.exists(held_size=size) or log.head is None:
            raise BusyError
        commit_rules.check_guard(log.head, guard)
        yield


def _delete(directory: StoreDirectory, key: SessionKey, creation_id: str, tree: TreeFile, cascade: bool) -> None:
    if tree.is_present(key.id, creation_id):
        children, made_of_it = tree.children(key.id), tree.forks(key.id)
        if (children or made_of_it) and not cascade:
            raise forks.still_needed(key.id, len(children), [entry.id for entry in made_of_it])
        ended = [entry.creation_id for entry in tree.below(key.id)]
        catalog = directory.catalog(key.namespace)
        catalog.deletes(ended)
        tree.delete(key.id)
        with catalog.afterwards():
            catalog.deleted(ended)
    # It is synced also when it was deleted before: the process that wrote that may have died before it was on disk.
    sync_tree(directory, tree)


def _purge_rest(directory: StoreDirectory, root: SessionKey, entries: Sequence[TreeEntry]) -> None:
    """Purge these deleted sessions in chunks, between which others get at the tree; what is in use stays."""
    for _ in range(_PURGE_TRIES):
        most = most_at_once(directory.pool)
        chunks = [entries[first : first + most] for first in range(0, len(entries), most)]
        entries = [entry for chunk in chunks for entry in _left_of(directory, root, chunk)]
        if not entries:
            return


def _left_of(directory: StoreDirectory, root: SessionKey, entries: Sequence[TreeEntry]) -> Sequence[TreeEntry]:
    """Purge a chunk and return what could not be purged."""
    tree = directory.tree(root)
    if not any(tree.unpurged(entry.creation_id) for entry in entries):
        return ()
    time.sleep(_PAUSE_SECONDS)
    try:
        with held_tree(directory, root):
            return purge_held(directory, tree, entries)
    except BusyError:
        return entries
    except SessionNotFound:
        return ()  # others have purged the last of the tree
