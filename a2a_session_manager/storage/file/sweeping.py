"""Removing the logs of deleted sessions, after their tree has noted what they spent.

Only by who holds the tree. A sweep holds several logs at once, all of sessions that are dead, and waits for none.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.storage.file.atomic_files import sync_directory
from a2a_session_manager.storage.file.handles import BusyError, HandlePool
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.records import SessionKey, Totals

_MOST_AT_ONCE = 64


def most_at_once(pool: HandlePool) -> int:
    """Return how many logs a sweep may hold at once: others need open files too."""
    return max(1, min(_MOST_AT_ONCE, pool.most // 4))


def sweep(shelf: StoreDirectory, tree: TreeFile, places: Iterable[TreeEntry]) -> None:
    """Remove the logs of these dead, unless others have swept them by now; at most `most_at_once`.

    A log that is held stays for a later sweep, and counts meanwhile; so does a damaged one, whose spend cannot be told.
    """
    with ExitStack() as held:
        unswept = [place for place in places if tree.unswept(place.creation_id)]
        swept = [each for place in unswept if (each := _taken(shelf, tree, place, held))]
        spent = [(place, totals) for place, _, totals in swept]
        if not spent:
            return
        tree.sweep(spent)
        if shelf.durable:
            # Also of those who spent nothing: a dead session without its log and without this line is damage.
            tree.handle.sync()
            tree.on_disk.was_synced(tree.first_bytes, tree.offset)
        for _, log, _ in swept:
            if log is not None:
                log.remove()


def remove_if_empty(shelf: StoreDirectory, tree: TreeFile) -> bool:
    """Remove the tree file behind the last of its sessions; tell whether it is gone."""
    if not tree.is_empty or not _is_root_log_gone(shelf, tree):
        return False
    tree.on_disk.mark.remove()
    if shelf.durable:
        # Before the tree file goes: after a loss of power the root's log without it would be damage, and so would be
        # the beginning of the next tree file beside the mark of this one.
        for folder in (shelf.log(tree.root).path.parent, tree.path.parent):
            if folder.is_dir():
                sync_directory(folder)
    os.unlink(tree.path)
    tree.handle.close()
    tree.start_over()
    return True


def _taken(
    shelf: StoreDirectory, tree: TreeFile, place: TreeEntry, held: ExitStack
) -> tuple[TreeEntry, LogFile | None, Totals] | None:
    """Hold the log of a dead session until `held` ends, and return it with its totals; None if it must stay.

    Without a log, or with that of another session of the id, there is nothing to hold and nothing more to count:
    a log goes only once its tree has noted what it spent.
    """
    log = shelf.log(SessionKey(tree.root.namespace, place.id))
    try:
        held.enter_context(log.soon())
        if not _is_log_of(log, place, None):
            return place, None, {}
        size = held.enter_context(log.handle.exclusive())
        # Commits that had found the session alive may have come until now.
        if size is None or not _is_log_of(log, place, size):
            return None
    except (BusyError, CorruptSession):
        return None
    assert log.head is not None, "only a log that exists is of a session"
    return place, log, log.head.totals


def _is_log_of(log: LogFile, place: TreeEntry, held_size: int | None) -> bool:
    return log.exists(held_size=held_size) and log.head is not None and log.head.creation_id == place.creation_id


def _is_root_log_gone(shelf: StoreDirectory, tree: TreeFile) -> bool:
    """Remove the root's log where a sweep was cut off in front of it: a log without its tree is damage."""
    log = shelf.log(tree.root)
    with log:
        if not log.catch_up() or log.birth is None or log.birth.root_id != tree.root.id:
            return True
        with log.handle.exclusive() as size:
            # Nobody makes a root while its tree is held, so it is the log that was found.
            if size is not None:
                log.remove()
            return size is not None
