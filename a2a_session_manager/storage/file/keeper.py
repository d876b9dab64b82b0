"""FileKeeper: the blocking half of the file store. It runs in worker threads, never on the loop.

Lock order: tree, then log, never two logs. Each is a thread lock and a file lock; file locks are tried, not
waited for: BUSY sends the work back to the queue.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from a2a_session_manager.exceptions import (
    CorruptSession,
    InvalidSessionOperation,
    SessionAlreadyExists,
    SessionManagerError,
    SessionNotFound,
)
from a2a_session_manager.storage import ledger
from a2a_session_manager.storage.commit_queue import BUSY, Busy
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.framing import framed
from a2a_session_manager.storage.file.handles import sync_directory, translated
from a2a_session_manager.storage.file.lines import birth_of, encode_line
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.shelf import Shelf
from a2a_session_manager.storage.file.tree import Place, TreeFile
from a2a_session_manager.storage.records import Creation, EncodedCommit, HeadRecord, Receipt, SessionKey, Totals


class BusyError(Exception):
    """Raised inside the keeper where a file is held; every public method answers BUSY instead."""


class FileKeeper:
    """Creates, commits, deletes and reads sessions in the files of a shelf."""

    def __init__(self, shelf: Shelf, *, durable: bool) -> None:
        self._shelf = shelf
        self._durable = durable

    def commit(
        self, key: SessionKey, commits: Sequence[EncodedCommit]
    ) -> Sequence[Receipt | SessionManagerError] | Busy:
        """Commit several changes to one session, in order, in one write."""
        log = self._shelf.log(key)
        try:
            with log.handle.lock, translated(log.path), self._held_living(log):
                return log.commit_all(commits, durable=self._durable)
        except BusyError:
            return BUSY

    def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt | Busy:
        """Write the log, then the tree's line that makes it a session."""
        root = SessionKey(key.namespace, key.id if creation.parent is None else creation.parent.root_id)
        try:
            with self._held_tree(root, make=creation.parent is None) as tree:
                return self._create(key, creation, commit, tree)
        except BusyError:
            return BUSY

    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool) -> Busy | None:
        """Write the tree's line that ends the session and all below it, then sweep their logs."""
        log = self._shelf.log(key)
        with log.handle.lock, translated(log.path):
            birth = log.birth if log.exists() else None
        if birth is None or birth.creation_id != creation_id:
            return None
        try:
            with self._held_tree(SessionKey(key.namespace, birth.root_id)) as tree:
                self._delete(key, creation_id, tree, cascade)
        except BusyError:
            return BUSY
        return None

    @contextmanager
    def living(self, key: SessionKey) -> Iterator[LogFile | None]:
        """Hold a session's log against other threads, caught up; None when there is no such session."""
        log = self._shelf.log(key)
        with log.handle.lock, translated(log.path):
            yield log if self._is_living(log) else None

    @contextmanager
    def tree_of(self, key: SessionKey) -> Iterator[TreeFile | None]:
        """Hold the tree file of a living session against other threads, caught up; None without it."""
        with self.living(key) as log:
            root_id = None if log is None or log.head is None else log.head.root_id
        if root_id is None:
            yield None
            return
        tree = self._shelf.tree(SessionKey(key.namespace, root_id))
        with tree.handle.lock, translated(tree.path):
            yield tree if tree.catch_up() and key.id in tree.living else None

    def tree_totals(self, key: SessionKey) -> Totals | None:
        """Return what all sessions of a root's tree have spent, the dead ones too."""
        with self.tree_of(key) as tree:
            if tree is None or tree.root != key:
                return None
            totals = {cell: dict(counters) for cell, counters in tree.swept_totals.items()}
            places = [*tree.living.values(), *tree.dead]
            for place in places:
                log = self._shelf.log(SessionKey(key.namespace, place.id))
                with log.handle.lock:
                    if log.catch_up() and log.head is not None and log.head.creation_id == place.creation_id:
                        _add(totals, log.head)
        return totals

    def _create(self, key: SessionKey, creation: Creation, commit: EncodedCommit, tree: TreeFile) -> Receipt:
        parent = creation.parent
        if parent is not None and not tree.is_alive(parent.id, parent.creation_id):
            raise SessionNotFound(parent.id)
        head = ledger.newborn(key, creation)
        no_seqs: dict[str, int] = {}
        outcome = ledger.decide(head, commit, no_seqs.get)
        root_creation_id = creation.creation_id if parent is None else tree.living[tree.root.id].creation_id
        payload = encode_line(commit, outcome, 1, birth_of(key, creation, head, root_creation_id))
        log = self._shelf.log(key)
        with log.handle.lock, translated(log.path):
            known = self._first_result(log, creation, commit)
            if known is not None:
                return known
            self._sweep_stray(log)
            self._put_in_place(log.path, creation.creation_id, framed(payload))
        if not tree.is_alive(key.id, creation.creation_id):
            tree.add(key.id, head.parent_id, creation.creation_id)
            self._sync(tree)
        return outcome.receipt

    def _first_result(self, log: LogFile, creation: Creation, commit: EncodedCommit) -> Receipt | None:
        if not self._is_living(log):
            return None
        assert log.head is not None, "a living log has a head"
        if log.head.creation_id != creation.creation_id:
            raise SessionAlreadyExists(log.key.id)
        first = log.first_result(creation.creation_id)
        assert first is not None, "a log remembers its creation"
        return ledger.repeat(log.head, commit, first, log.find_seq)

    def _delete(self, key: SessionKey, creation_id: str, tree: TreeFile, cascade: bool) -> None:
        if tree.is_alive(key.id, creation_id):
            children = tree.children(key.id)
            if children and not cascade:
                raise InvalidSessionOperation(
                    f"session {key.id!r} has {len(children)} children: delete them first, or pass children='cascade'",
                    session_id=key.id,
                )
            tree.end(key.id)
            self._sync(tree)
        self._sweep(tree)

    def _sweep(self, tree: TreeFile) -> None:
        """Remove the logs of the dead; one that is held stays for the next sweep, and counts meanwhile."""
        for place in list(tree.dead):
            log = self._shelf.log(SessionKey(tree.root.namespace, place.id))
            with log.handle.lock, translated(log.path):
                self._sweep_log(tree, log, place)
        if not tree.living and not tree.dead:
            os.unlink(tree.path)
            tree.handle.close()
            tree.start_over()

    def _sweep_log(self, tree: TreeFile, log: LogFile, place: Place) -> None:
        if not log.catch_up() or log.head is None or log.head.creation_id != place.creation_id:
            tree.sweep(place, {})
            return
        with log.handle.exclusive() as is_held:
            if is_held:
                log.catch_up(cut_torn_tail=True)
                tree.sweep(place, log.head.totals)
                log.remove()

    def _sweep_stray(self, log: LogFile) -> None:
        """Remove a log that no tree names: its creation was cut off, or its deletion."""
        if not log.catch_up():
            return
        with log.handle.exclusive() as is_held:
            if not is_held:
                raise BusyError
            log.remove()

    def _put_in_place(self, path: Path, creation_id: str, data: bytes) -> None:
        """Write a new file whole, then give it its name: no reader ever sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = self._shelf.new_path(creation_id)
        try:
            with open(new, "wb") as file:
                file.write(data)
                file.flush()
                if self._durable:
                    os.fdatasync(file.fileno())
            os.link(new, path)
        finally:
            new.unlink(missing_ok=True)
        if self._durable:
            sync_directory(path.parent)

    def _is_living(self, log: LogFile, *, cut_torn_tail: bool = False) -> bool:
        """Catch up and tell whether the session exists: its log does, and its root's tree file names it."""
        if not log.exists(cut_torn_tail=cut_torn_tail):
            self._refuse_lost_log(log)
            return False
        assert log.birth is not None, "a log that exists has its first record"
        tree = self._shelf.tree(SessionKey(log.key.namespace, log.birth.root_id))
        with tree.handle.lock:
            if not tree.catch_up():
                return False
            root = tree.living.get(log.birth.root_id)
            same_root = root is not None and root.creation_id == log.birth.root_creation_id
            return same_root and tree.is_alive(log.key.id, log.birth.creation_id)

    def _refuse_lost_log(self, log: LogFile) -> None:
        """A root whose tree file lives on has lost its log: that is damage, not absence."""
        tree = self._shelf.tree(log.key)
        with tree.handle.lock:
            if tree.catch_up() and log.key.id in tree.living:
                raise CorruptSession(
                    log.key.id, f"{log.path} is missing, but {tree.path} names it: restore it from a backup"
                )

    @contextmanager
    def _held_living(self, log: LogFile) -> Iterator[None]:
        """Hold an existing log against other processes, caught up and without a torn tail."""
        if not log.is_there():
            self._refuse_lost_log(log)
            raise SessionNotFound(log.key.id)
        with self._held(log):
            if not self._is_living(log, cut_torn_tail=True):
                raise SessionNotFound(log.key.id)
            yield

    @contextmanager
    def _held_tree(self, root: SessionKey, *, make: bool = False) -> Iterator[TreeFile]:
        tree = self._shelf.tree(root)
        with tree.handle.lock, translated(tree.path):
            if make:
                tree.path.parent.mkdir(parents=True, exist_ok=True)
                tree.make()
            elif not tree.catch_up():
                raise SessionNotFound(root.id)
            with self._held(tree):
                tree.catch_up(cut_torn_tail=True)
                yield tree

    @contextmanager
    def _held(self, file: FramedFile) -> Iterator[None]:
        with file.handle.exclusive() as is_held:
            # Deleted and made again while we waited for nobody: the lock we hold is on a dead file.
            if not is_held or not file.handle.is_current():
                raise BusyError
            yield

    def _sync(self, tree: TreeFile) -> None:
        if self._durable:
            tree.handle.sync()
            sync_directory(tree.path.parent)


def _add(totals: Totals, head: HeadRecord) -> None:
    for cell, counters in head.totals.items():
        ledger.add_counters(totals.setdefault(cell, {}), counters)
