"""Removing the logs of deleted sessions, each after its tree has noted what it spent."""

from __future__ import annotations

import os
from contextlib import suppress

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.shelf import Shelf
from a2a_session_manager.storage.file.tree import Place, TreeFile
from a2a_session_manager.storage.records import SessionKey


def sweep(shelf: Shelf, tree: TreeFile) -> bool:
    """Remove the logs of the dead, and the tree file behind the last; tell whether that is gone.

    Only by who holds the tree. A log that is held stays for the next sweep, and counts meanwhile.
    """
    for place in list(tree.dead):
        log = shelf.log(SessionKey(tree.root.namespace, place.id))
        # A damaged log stays: what it spent cannot be told.
        with suppress(CorruptSession), log:
            _sweep_log(tree, log, place, durable=shelf.durable)
    if tree.living or tree.dead or not _is_root_log_gone(shelf, tree):
        return False
    os.unlink(tree.path)
    tree.handle.close()
    tree.start_over()
    return True


def _sweep_log(tree: TreeFile, log: LogFile, place: Place, *, durable: bool) -> None:
    if not log.catch_up() or log.head is None or log.head.creation_id != place.creation_id:
        tree.sweep(place, {})
        return
    with log.handle.exclusive() as is_held:
        if is_held:
            log.catch_up(cut_torn_tail=True)
            totals = log.head.totals
            tree.sweep(place, totals)
            if durable and totals:
                tree.handle.sync()
            log.remove()


def _is_root_log_gone(shelf: Shelf, tree: TreeFile) -> bool:
    """Remove the root's log where a sweep was cut off in front of it: a log without its tree is damage."""
    log = shelf.log(tree.root)
    with log:
        if not log.catch_up() or log.birth is None or log.birth.root_id != tree.root.id:
            return True
        with log.handle.exclusive() as is_held:
            if is_held:
                log.remove()
            return is_held
