"""Making a session: its log first, then the line of its tree that makes it exist. It runs in worker threads."""

from __future__ import annotations

import logging
import os

from a2a_session_manager.budgets.blocks import block_begins
from a2a_session_manager.exceptions import SessionAlreadyExists, SessionNotFound
from a2a_session_manager.storage import commit_rules, heads, leases
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.file.atomic_files import create_atomically, sync_directory
from a2a_session_manager.storage.file.commit_lines import encode_line
from a2a_session_manager.storage.file.creation_records import creation_record
from a2a_session_manager.storage.file.existence import lost_log
from a2a_session_manager.storage.file.framing import FIRST_BYTES, framed
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.held_trees import held_tree, sync_tree
from a2a_session_manager.storage.file.lineage import Inheritance, inheritance_for
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.log_commits import repeat
from a2a_session_manager.storage.file.purging import purge_earlier, purge_some
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeFile
from a2a_session_manager.storage.read_records import HeadRecord
from a2a_session_manager.storage.records import SessionKey

_log = logging.getLogger("a2a_session_manager.storage.file")


def create(
    directory: StoreDirectory,
    key: SessionKey,
    creation: Creation,
    commit: EncodedCommit,
    inheritance: Inheritance | None = None,
) -> Receipt:
    """Write the log, then the tree's line that makes it a session. Raises BusyError when somebody is in the way.

    `inheritance` is what it takes over, where the caller has just read that.
    """
    root = SessionKey(key.namespace, key.id if creation.parent is None else creation.parent.root_id)
    if creation.parent is None:  # below one, the namespace has had its first session already
        directory.prepare_for_new()
        directory.catalog(key.namespace).prepare()
    has_files = directory.has_files(key)
    if has_files:
        purge_earlier(directory, key, root)
    inheritance = inheritance or inheritance_for(directory, key.namespace, creation.fork, commit)
    try:
        with held_tree(directory, root, make=creation.parent is None) as tree:
            return _create(directory, key, creation, inheritance, commit, tree, has_files=has_files)
    except BusyError:
        directory.prepare_for_new()  # its folder may be what was removed meanwhile
        raise


def _create(
    directory: StoreDirectory,
    key: SessionKey,
    creation: Creation,
    inheritance: Inheritance | None,
    commit: EncodedCommit,
    tree: TreeFile,
    *,
    has_files: bool,
) -> Receipt:
    if purge_some(directory, tree, key):
        raise BusyError  # its last session: the next try makes a new tree file
    parent = creation.parent
    if parent is not None and not tree.is_present(parent.id, parent.creation_id):
        raise SessionNotFound(parent.id)
    if parent is not None and inheritance is None:
        raise lost_log(directory, directory.log(SessionKey(key.namespace, parent.id)), tree)
    assert inheritance is not None, "only what has a parent takes over anything"
    log = directory.log(key)
    with log:
        if (has_files or key.id in tree.sessions) and _is_taken(directory, log, tree):
            return _first_result(directory, log, commit, tree)
        # Without files, the name is free until somebody is faster: then it is not given, and this is tried again.
        return _write_log(directory, log, creation, inheritance, commit, tree)


def _write_log(
    directory: StoreDirectory,
    log: LogFile,
    creation: Creation,
    inheritance: Inheritance,
    commit: EncodedCommit,
    tree: TreeFile,
) -> Receipt:
    head = heads.new_head(log.key, creation)
    if creation.parent is not None and any(event.usage is not None for event in commit.events):
        windowed = tree.windowed_above(tree.sessions[creation.parent.id].creation_id)
        commit.windows = block_begins(windowed, {}, commit.settles, leases.wall_clock())
    known = inheritance.known
    outcome = commit_rules.decide(head, commit, known.seqs.get, known.counted.get)
    root_creation_id = creation.creation_id
    if creation.parent is not None:
        root_creation_id = tree.sessions[tree.root.id].creation_id
    record = creation_record(log.key, creation, head, root_creation_id, inheritance.borders)
    payload = encode_line(
        commit,
        outcome.revision,
        head.last_seq + 1,
        outcome.fresh,
        hidden=outcome.hidden,
        is_pop=outcome.is_pop,
        creation=record,
    )
    commit_rules.apply(head, commit, outcome)
    data = framed(payload, 0 if directory.durable else None)
    folder = directory.open_folder(log.path.parent)
    try:
        _make(directory, log, data, head, tree, folder)
    finally:
        os.close(folder)
    return outcome.receipt


def _make(directory: StoreDirectory, log: LogFile, data: bytes, head: HeadRecord, tree: TreeFile, folder: int) -> None:
    """Make the log, whose folder is open, and name it in the tree; the catalog is told before and afterwards."""
    durable = directory.durable
    catalog = directory.catalog(log.key.namespace)
    catalog.creates(head)
    new = directory.new_path(head.creation_id)
    # The log is held until the tree names it, so that nobody takes it for what a cut-off creation left.
    with create_atomically(new, log.path, data, folder=folder, durable=durable):
        tree.add(log.key.id, head.parent_id, head.creation_id, head.forked_from)
        sync_tree(directory, tree)
        if durable:
            log.on_disk.was_synced(data[:FIRST_BYTES], len(data))
    with catalog.afterwards():
        catalog.is_sure(head)
    log.catalogued_at = head.updated_at


def _is_taken(directory: StoreDirectory, log: LogFile, tree: TreeFile) -> bool:
    """Tell whether the log's id has a session already; what a cut-off creation left goes out of the way."""
    if not log.exists():
        if log.key.id in tree.sessions:
            raise lost_log(directory, log, tree)
        return False
    if _is_named(directory, log, tree):
        return True
    with log.handle.exclusive() as size:
        # A process that makes a session holds its log until the tree names it: only now is it sure that none will.
        if size is None or not log.exists(held_size=size):
            raise BusyError
        if _is_named(directory, log, tree):
            return True
        _log.debug("%s: removed what a creation that was cut off has left", log.path)
        log.remove()
    return False


def _is_named(directory: StoreDirectory, log: LogFile, held: TreeFile) -> bool:
    creation = log.creation
    assert creation is not None, "a log that exists has its first record"
    tree = held
    if creation.root_id != held.root.id:
        tree = directory.tree(SessionKey(held.root.namespace, creation.root_id))
    # The lock is tried, not waited for: another thread may hold that tree and wait for this one.
    if not tree.handle.lock.acquire(blocking=False):
        raise BusyError
    try:
        if tree is not held:
            tree.catch_up()
        if tree.unpurged(creation.creation_id):
            raise BusyError  # what it spent is nowhere else
        return tree.names(creation)
    finally:
        tree.handle.lock.release()


def _first_result(directory: StoreDirectory, log: LogFile, commit: EncodedCommit, tree: TreeFile) -> Receipt:
    receipt = repeat(log, commit)
    if receipt is None:
        raise SessionAlreadyExists(log.key.id)
    # The process that wrote it may have died before it was on disk.
    sync_tree(directory, tree)
    if directory.durable:
        log.handle.sync()
        sync_directory(log.path.parent)
        directory.make_folder(log.path.parent)
    return receipt
