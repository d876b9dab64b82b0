"""FileEngine: what makes sessions and ends them. It runs in worker threads, never on the loop.

Lock order: tree, then log, never two logs. Each is a thread lock and a file lock; file locks are tried, not
waited for: BUSY sends the work back to the queue. What was seen before a file was held is decided again once it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.storage import commit_rules, heads
from a2a_session_manager.storage.batching import BUSY, Busy
from a2a_session_manager.storage.file.atomic_files import create_atomically, sync_directory
from a2a_session_manager.storage.file.commit_lines import CreationRecord, birth_of, encode_line
from a2a_session_manager.storage.file.cutting import cut_damaged_tail
from a2a_session_manager.storage.file.existence import living_birth, lost_log
from a2a_session_manager.storage.file.framing import FIRST_BYTES, framed
from a2a_session_manager.storage.file.handles import BusyError, FileChangedError
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.sweeping import most_at_once, remove_if_empty, sweep
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.records import Creation, EncodedCommit, Guard, Receipt, SessionKey

# Between two chunks of a long sweep: longer than others wait between two looks whether a file is free.
_PAUSE_SECONDS = 0.001
_SWEEP_TRIES = 3


class FileEngine:
    """Creates and deletes sessions in the files of a shelf, and removes what the deleted ones have left."""

    def __init__(self, shelf: StoreDirectory) -> None:
        self._shelf = shelf

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt | Busy:
        """Write the log, then the tree's line that makes it a session."""
        root = SessionKey(key.namespace, key.id if creation.parent is None else creation.parent.root_id)
        try:
            self._shelf.prepare_for_new()
            self._sweep_former(key, root)
            with self.held_tree(root, make=creation.parent is None) as tree:
                return self._create(key, creation, commit, tree)
        except BusyError:
            return BUSY

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> Busy | None:
        """Write the tree's line that ends the session and all below it, then sweep their logs."""
        log = self._shelf.log(key)
        birth = self._birth(log) or living_birth(self._shelf, log)  # which tells absence from a lost log
        if birth is None or birth.creation_id != creation_id:
            return None
        root = SessionKey(key.namespace, birth.root_id)
        try:
            with self.held_tree(root) as tree, ExitStack() as held:
                if guard is not None and tree.is_alive(key.id, creation_id):
                    held.enter_context(self._held_at(log, guard))
                self._delete(key, creation_id, tree, cascade)
                unswept = list(tree.all_unswept())
                if guard is not None:  # its own log goes first, while it is held
                    unswept.sort(key=lambda place: place.creation_id != creation_id)
                self.sweep_held(tree, unswept[: most_at_once(self._shelf.pool)])
        except BusyError:
            return BUSY
        except SessionNotFound:
            return None  # another process has deleted the whole tree meanwhile
        self._sweep_rest(root, unswept)
        return None

    def cut_damaged_tail(self, key: SessionKey) -> int | Busy:
        """Move the damaged end of a session's log out of the way; return how many bytes."""
        try:
            return cut_damaged_tail(self._shelf, key)
        except BusyError:
            return BUSY

    def _create(self, key: SessionKey, creation: Creation, commit: EncodedCommit, tree: TreeFile) -> Receipt:
        if self._sweep_some(tree, key):
            raise BusyError  # its last session: the next try makes a new tree file
        parent = creation.parent
        if parent is not None and not tree.is_alive(parent.id, parent.creation_id):
            raise SessionNotFound(parent.id)
        log = self._shelf.log(key)
        with log:
            if self._is_taken(log, tree):
                return self._first_result(log, commit, tree)
            return self._write_birth(log, creation, commit, tree)

    def _write_birth(self, log: LogFile, creation: Creation, commit: EncodedCommit, tree: TreeFile) -> Receipt:
        head = heads.new_head(log.key, creation)
        no_seqs: dict[str, int] = {}
        outcome = commit_rules.decide(head, commit, no_seqs.get)
        root_creation_id = creation.creation_id
        if creation.parent is not None:
            root_creation_id = tree.living[tree.root.id].creation_id
        payload = encode_line(commit, outcome, 1, birth_of(log.key, creation, head, root_creation_id))
        new = self._shelf.new_path(creation.creation_id)
        self._shelf.make_folder(log.path.parent)
        # Held until the tree names it, so that nobody takes it for what a cut-off creation left.
        data = framed(payload, 0 if self._shelf.durable else None)
        with create_atomically(new, log.path, data, durable=self._shelf.durable):
            tree.add(log.key.id, head.parent_id, creation.creation_id)
            self._sync(tree)
            if self._shelf.durable:
                log.on_disk.was_synced(data[:FIRST_BYTES], len(data))
        return outcome.receipt

    def _is_taken(self, log: LogFile, tree: TreeFile) -> bool:
        """Tell whether the log's id has a session already; what a cut-off creation left goes out of the way."""
        if not log.exists():
            if log.key.id in tree.living:
                raise lost_log(self._shelf, log, tree)
            return False
        if self._is_named(log, tree):
            return True
        with log.handle.exclusive() as size:
            # Who makes a session holds its log until its tree names it: only now is it sure that nobody will.
            if size is None or not log.exists(held_size=size):
                raise BusyError
            if self._is_named(log, tree):
                return True
            log.remove()
        return False

    def _is_named(self, log: LogFile, held: TreeFile) -> bool:
        birth = log.birth
        assert birth is not None, "a log that exists has its first record"
        tree = held
        if birth.root_id != held.root.id:
            tree = self._shelf.tree(SessionKey(held.root.namespace, birth.root_id))
        # Tried, not waited for: another thread may hold that tree and wait for this one.
        if not tree.handle.lock.acquire(blocking=False):
            raise BusyError
        try:
            if tree is not held:
                tree.catch_up()
            if tree.unswept(birth.creation_id):
                raise BusyError  # what it spent is nowhere else
            return tree.names(birth)
        finally:
            tree.handle.lock.release()

    def _first_result(self, log: LogFile, commit: EncodedCommit, tree: TreeFile) -> Receipt:
        receipt = log.repeat(commit)
        if receipt is None:
            raise SessionAlreadyExists(log.key.id)
        # Whoever wrote it may have died before it was on disk.
        self._sync(tree)
        if self._shelf.durable:
            log.handle.sync()
            sync_directory(log.path.parent)
            self._shelf.make_folder(log.path.parent)
        return receipt

    @contextmanager
    def _held_at(self, log: LogFile, guard: Guard) -> Iterator[None]:
        """Hold the log of a session that is where it is expected, so that no commit comes until it is swept."""
        with log, log.handle.exclusive() as size:
            if size is None or not log.exists(held_size=size) or log.head is None:
                raise BusyError
            commit_rules.check_guard(log.head, guard)
            yield

    def _delete(self, key: SessionKey, creation_id: str, tree: TreeFile, cascade: bool) -> None:
        if tree.is_alive(key.id, creation_id):
            children = tree.children(key.id)
            if children and not cascade:
                raise InvalidSessionOperation(
                    f"session {key.id!r} has {len(children)} children: delete them first, or pass children='cascade'",
                    session_id=key.id,
                )
            tree.end(key.id)
        # Also when it was ended before: whoever wrote that may have died before it was on disk.
        self._sync(tree)

    def _sweep_rest(self, root: SessionKey, places: Sequence[TreeEntry]) -> None:
        """Sweep these dead in chunks, between which others get at the tree; what is in use stays for a later sweep."""
        for _ in range(_SWEEP_TRIES):
            most = most_at_once(self._shelf.pool)
            chunks = [places[first : first + most] for first in range(0, len(places), most)]
            places = [place for chunk in chunks for place in self._left_of(root, chunk)]
            if not places:
                return

    def _left_of(self, root: SessionKey, places: Sequence[TreeEntry]) -> Sequence[TreeEntry]:
        """Sweep a chunk and return what could not be swept."""
        tree = self._shelf.tree(root)
        if not any(tree.unswept(place.creation_id) for place in places):
            return ()
        time.sleep(_PAUSE_SECONDS)
        try:
            with self.held_tree(root):
                return self.sweep_held(tree, places)
        except BusyError:
            return places
        except SessionNotFound:
            return ()  # others have swept the last of the tree

    def sweep_held(self, tree: TreeFile, places: Sequence[TreeEntry]) -> Sequence[TreeEntry]:
        """Sweep these dead of a tree that is held, and return those that could not be swept."""
        sweep(self._shelf, tree, places)
        left = [place for place in places if tree.unswept(place.creation_id)]
        remove_if_empty(self._shelf, tree)
        return left

    def _sweep_some(self, tree: TreeFile, key: SessionKey) -> bool:
        """Sweep a few whose deletion was cut off, that of this id first; tell whether the tree file went with them."""
        birth = self._birth(self._shelf.log(key))
        own = None if birth is None else tree.unswept(birth.creation_id)
        some = islice(tree.all_unswept(), most_at_once(self._shelf.pool) - 1)
        sweep(self._shelf, tree, [*([] if own is None else [own]), *(place for place in some if place != own)])
        return tree.offset > 0 and remove_if_empty(self._shelf, tree)

    def _sweep_former(self, key: SessionKey, root: SessionKey) -> None:
        """Let the tree that a dead session of this id was in count what it spent, before its log goes."""
        log = self._shelf.log(key)
        if living_birth(self._shelf, log) is not None:
            return
        birth = self._birth(log)
        if birth is not None and birth.root_id != root.id:
            with suppress(SessionNotFound), self.held_tree(SessionKey(key.namespace, birth.root_id)) as tree:
                self._sweep_some(tree, key)

    def _birth(self, log: LogFile) -> CreationRecord | None:
        with log:
            return log.birth if log.exists() else None

    @contextmanager
    def held_tree(self, root: SessionKey, *, make: bool = False) -> Iterator[TreeFile]:
        """Hold a tree file against all others, caught up. Raises SessionNotFound where there is none to `make`."""
        tree = self._shelf.tree(root)
        with tree:
            if not tree.is_there():
                if not make:
                    raise SessionNotFound(root.id)
                self._make_tree_file(tree)
            size = tree.handle.hold()
            try:
                tree.catch_up(held_size=size, cut_torn_tail=True)
                if self._shelf.durable and tree.offset and not tree.on_disk.is_anchored(tree.first_bytes):
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
        self._shelf.make_folder(tree.path.parent)
        try:
            is_made = tree.handle.open(create=True) is not None
        except FileChangedError as error:
            raise BusyError from error
        if not is_made:
            raise BusyError

    def _sync(self, tree: TreeFile) -> None:
        if self._shelf.durable:
            tree.handle.sync()
            sync_directory(tree.path.parent)
            self._shelf.make_folder(tree.path.parent)
            tree.on_disk.was_synced(tree.first_bytes, tree.offset)
