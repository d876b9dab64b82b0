"""Holding a tree file against all others, which making, deleting and purging sessions begin with.

Lock order: tree, then log, never two logs. Each is a thread lock and a file lock; file locks are tried, not
waited for: BusyError sends the work back to the queue. What was seen before a file was held is decided again then.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.storage.file.atomic_files import sync_directory
from a2a_session_manager.storage.file.handles import BusyError, FileChangedError
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeFile
from a2a_session_manager.storage.records import SessionKey


@contextmanager
def held_tree(directory: StoreDirectory, root: SessionKey, *, make: bool = False) -> Iterator[TreeFile]:
    """Hold a tree file against all others, caught up. Raises SessionNotFound where there is none to `make`."""
    tree = directory.tree(root)
    with tree:
        if not tree.is_there():
            if not make:
                raise SessionNotFound(root.id)
            _make_tree_file(directory, tree)
        size = tree.handle.hold()
        try:
            tree.catch_up(held_size=size, cut_torn_tail=True)
            if directory.durable and tree.offset and not tree.on_disk.is_anchored(tree.first_bytes):
                tree.anchor()
            try:
                yield tree
            finally:
                # Made for a creation that was refused.
                if tree.offset == 0 and tree.handle.is_open and tree.handle.size() == 0:
                    os.unlink(tree.path)
                    tree.handle.close()
        finally:
            tree.handle.release()


def _make_tree_file(directory: StoreDirectory, tree: TreeFile) -> None:
    """Make an empty tree file. Raises BusyError when it, or its folder, was removed meanwhile."""
    directory.make_folder(tree.path.parent)
    try:
        is_made = tree.handle.open(create=True) is not None
    except FileChangedError as error:
        raise BusyError from error
    if not is_made:
        raise BusyError


def sync_tree(directory: StoreDirectory, tree: TreeFile) -> None:
    """With durability=disk, bring a tree file to disk, and all that leads to it."""
    if directory.durable:
        tree.handle.sync()
        sync_directory(tree.path.parent)
        directory.make_folder(tree.path.parent)
        tree.on_disk.was_synced(tree.first_bytes, tree.offset)
