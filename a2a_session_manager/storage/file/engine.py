"""FileEngine: what makes sessions and ends them. It runs in worker threads, never on the loop.

Lock order: tree, then log, never two logs. Each is a thread lock and a file lock; file locks are tried, not
waited for: BUSY sends the work back to the queue. What was seen before a file was held is decided again once it is.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.storage import commit_rules, heads
from a2a_session_manager.storage.batching import BUSY, Busy
from a2a_session_manager.storage.file.atomic_files import create_atomically, sync_directory
from a2a_session_manager.storage.file.commit_lines import CreationRecord, creation_record, encode_line
from a2a_session_manager.storage.file.damaged_tail import cut_damaged_tail
from a2a_session_manager.storage.file.existence import find_creation, lost_log
from a2a_session_manager.storage.file.framing import FIRST_BYTES, framed
from a2a_session_manager.storage.file.handles import BusyError, FileChangedError
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.log_commits import repeat
from a2a_session_manager.storage.file.purging import most_at_once, purge, remove_if_empty
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.records import Creation, EncodedCommit, Guard, Receipt, SessionKey

_log = logging.getLogger("a2a_session_manager.storage.file")

# Between two chunks of a long purge: longer than others wait between two tries for a file.
_PAUSE_SECONDS = 0.001
_PURGE_TRIES = 3


class FileEngine:
    """Creates and deletes sessions in the files of a store's directory, and removes what the deleted ones have left."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt | Busy:
        """Write the log, then the tree's line that makes it a session."""
        root = SessionKey(key.namespace, key.id if creation.parent is None else creation.parent.root_id)
        try:
            self._directory.prepare_for_new()
            self._purge_former(key, root)
            with self.held_tree(root, make=creation.parent is None) as tree:
                return self._create(key, creation, commit, tree)
        except BusyError:
            return BUSY

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Busy | None:
        """Write the tree's line that ends the session and all below it, then purge their logs."""
        log = self._directory.log(key)
        creation = self._creation(log) or find_creation(self._directory, log)  # which tells absence from a lost log
        if creation is None or creation.creation_id != creation_id:
            return None
        root = SessionKey(key.namespace, creation.root_id)
        try:
            with self.held_tree(root) as tree, ExitStack() as held:
                if guard is not None and tree.is_present(key.id, creation_id):
                    held.enter_context(self._held_at(log, guard))
                self._delete(key, creation_id, tree, cascade)
                unpurged = list(tree.all_unpurged())
                if guard is not None:  # its own log goes first, while it is held
                    unpurged.sort(key=lambda entry: entry.creation_id != creation_id)
                self.purge_held(tree, unpurged[: most_at_once(self._directory.pool)])
        except BusyError:
            return BUSY
        except SessionNotFound:
            return None  # another process has deleted the whole tree meanwhile
        self._purge_rest(root, unpurged)
        return None

    def cut_damaged_tail(self, key: SessionKey) -> int | Busy:
        """Move the damaged end of a session's log out of the way; return how many bytes."""
        try:
            return cut_damaged_tail(self._directory, key)
        except BusyError:
            return BUSY

    def _create(self, key: SessionKey, creation: Creation, commit: EncodedCommit, tree: TreeFile) -> Receipt:
        if self._purge_some(tree, key):
            raise BusyError  # its last session: the next try makes a new tree file
        parent = creation.parent
        if parent is not None and not tree.is_present(parent.id, parent.creation_id):
            raise SessionNotFound(parent.id)
        log = self._directory.log(key)
        with log:
            if self._is_taken(log, tree):
                return self._first_result(log, commit, tree)
            return self._write_log(log, creation, commit, tree)

    def _write_log(self, log: LogFile, creation: Creation, commit: EncodedCommit, tree: TreeFile) -> Receipt:
        head = heads.new_head(log.key, creation)
        no_seqs: dict[str, int] = {}
        outcome = commit_rules.decide(head, commit, no_seqs.get)
        root_creation_id = creation.creation_id
        if creation.parent is not None:
            root_creation_id = tree.sessions[tree.root.id].creation_id
        payload = encode_line(commit, outcome, 1, creation_record(log.key, creation, head, root_creation_id))
        new = self._directory.new_path(creation.creation_id)
        self._directory.make_folder(log.path.parent)
        # Held until the tree names it, so that nobody takes it for what a cut-off creation left.
        data = framed(payload, 0 if self._directory.durable else None)
        with create_atomically(new, log.path, data, durable=self._directory.durable):
            tree.add(log.key.id, head.parent_id, creation.creation_id)
            self._sync(tree)
            if self._directory.durable:
                log.on_disk.was_synced(data[:FIRST_BYTES], len(data))
        return outcome.receipt

    def _is_taken(self, log: LogFile, tree: TreeFile) -> bool:
        """Tell whether the log's id has a session already; what a cut-off creation left goes out of the way."""
        if not log.exists():
            if log.key.id in tree.sessions:
                raise lost_log(self._directory, log, tree)
            return False
        if self._is_named(log, tree):
            return True
        with log.handle.exclusive() as size:
            # Who makes a session holds its log until its tree names it: only now is it sure that nobody will.
            if size is None or not log.exists(held_size=size):
                raise BusyError
            if self._is_named(log, tree):
                return True
            _log.debug("%s: removed what a creation that was cut off has left", log.path)
            log.remove()
        return False

    def _is_named(self, log: LogFile, held: TreeFile) -> bool:
        creation = log.creation
        assert creation is not None, "a log that exists has its first record"
        tree = held
        if creation.root_id != held.root.id:
            tree = self._directory.tree(SessionKey(held.root.namespace, creation.root_id))
        # Tried, not waited for: another thread may hold that tree and wait for this one.
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

    def _first_result(self, log: LogFile, commit: EncodedCommit, tree: TreeFile) -> Receipt:
        receipt = repeat(log, commit)
        if receipt is None:
            raise SessionAlreadyExists(log.key.id)
        # Whoever wrote it may have died before it was on disk.
        self._sync(tree)
        if self._directory.durable:
            log.handle.sync()
            sync_directory(log.path.parent)
            self._directory.make_folder(log.path.parent)
        return receipt

    @contextmanager
    def _held_at(self, log: LogFile, guard: Guard) -> Iterator[None]:
        """Hold the log of a session that is where it is expected, so that no commit comes until it is purged."""
        with log, log.handle.exclusive() as size:
            if size is None or not log.exists(held_size=size) or log.head is None:
                raise BusyError
            commit_rules.check_guard(log.head, guard)
            yield

    def _delete(self, key: SessionKey, creation_id: str, tree: TreeFile, cascade: bool) -> None:
        if tree.is_present(key.id, creation_id):
            children = tree.children(key.id)
            if children and not cascade:
                raise InvalidSessionOperation(
                    f"session {key.id!r} has {len(children)} children: delete them first, or pass children='cascade'",
                    session_id=key.id,
                )
            tree.delete(key.id)
        # Also when it was ended before: whoever wrote that may have died before it was on disk.
        self._sync(tree)

    def _purge_rest(self, root: SessionKey, entries: Sequence[TreeEntry]) -> None:
        """Purge these deleted sessions in chunks, between which others get at the tree; what is in use stays."""
        for _ in range(_PURGE_TRIES):
            most = most_at_once(self._directory.pool)
            chunks = [entries[first : first + most] for first in range(0, len(entries), most)]
            entries = [entry for chunk in chunks for entry in self._left_of(root, chunk)]
            if not entries:
                return

    def _left_of(self, root: SessionKey, entries: Sequence[TreeEntry]) -> Sequence[TreeEntry]:
        """Purge a chunk and return what could not be purged."""
        tree = self._directory.tree(root)
        if not any(tree.unpurged(entry.creation_id) for entry in entries):
            return ()
        time.sleep(_PAUSE_SECONDS)
        try:
            with self.held_tree(root):
                return self.purge_held(tree, entries)
        except BusyError:
            return entries
        except SessionNotFound:
            return ()  # others have purged the last of the tree

    def purge_held(self, tree: TreeFile, entries: Sequence[TreeEntry]) -> Sequence[TreeEntry]:
        """Purge these deleted sessions of a tree that is held, and return those that could not be purged."""
        purge(self._directory, tree, entries)
        left = [entry for entry in entries if tree.unpurged(entry.creation_id)]
        remove_if_empty(self._directory, tree)
        return left

    def _purge_some(self, tree: TreeFile, key: SessionKey) -> bool:
        """Purge a few whose deletion was cut off, that of this id first; tell whether the tree file went with them."""
        creation = self._creation(self._directory.log(key))
        own = None if creation is None else tree.unpurged(creation.creation_id)
        some = islice(tree.all_unpurged(), most_at_once(self._directory.pool) - 1)
        purge(self._directory, tree, [*([] if own is None else [own]), *(entry for entry in some if entry != own)])
        return tree.offset > 0 and remove_if_empty(self._directory, tree)

    def _purge_former(self, key: SessionKey, root: SessionKey) -> None:
        """Let the tree of a deleted session of this id count what it spent, before its log goes."""
        log = self._directory.log(key)
        if find_creation(self._directory, log) is not None:
            return
        creation = self._creation(log)
        if creation is not None and creation.root_id != root.id:
            with suppress(SessionNotFound), self.held_tree(SessionKey(key.namespace, creation.root_id)) as tree:
                self._purge_some(tree, key)

    def _creation(self, log: LogFile) -> CreationRecord | None:
        with log:
            return log.creation if log.exists() else None

    @contextmanager
    def held_tree(self, root: SessionKey, *, make: bool = False) -> Iterator[TreeFile]:
        """Hold a tree file against all others, caught up. Raises SessionNotFound where there is none to `make`."""
        tree = self._directory.tree(root)
        with tree:
            if not tree.is_there():
                if not make:
                    raise SessionNotFound(root.id)
                self._make_tree_file(tree)
            size = tree.handle.hold()
            try:
                tree.catch_up(held_size=size, cut_torn_tail=True)
                if self._directory.durable and tree.offset and not tree.on_disk.is_anchored(tree.first_bytes):
                    tree.anchor()
                try:
                    yield tree
                finally:
                    if tree.handle.is_open and tree.handle.size() == 0:  # made for a creation that was refused
                        os.unlink(tree.path)
                        tree.handle.close()
            finally:
                tree.handle.release()

    def _make_tree_file(self, tree: TreeFile) -> None:
        """Make an empty tree file. Raises BusyError when it, or its folder, was removed meanwhile."""
        self._directory.make_folder(tree.path.parent)
        try:
            is_made = tree.handle.open(create=True) is not None
        except FileChangedError as error:
            raise BusyError from error
        if not is_made:
            raise BusyError

    def _sync(self, tree: TreeFile) -> None:
        if self._directory.durable:
            tree.handle.sync()
            sync_directory(tree.path.parent)
            self._directory.make_folder(tree.path.parent)
            tree.on_disk.was_synced(tree.first_bytes, tree.offset)
