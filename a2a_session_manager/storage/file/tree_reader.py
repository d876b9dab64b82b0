"""StoredTreeReader: what the file store reads of trees, blocking: in worker threads, never on the loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import commit_rules
from a2a_session_manager.storage.file.existence import lost_log
from a2a_session_manager.storage.file.session_reader import SessionReader
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.read_records import TreeNode, TreeTotals
from a2a_session_manager.storage.records import SessionKey, Totals


class StoredTreeReader:
    """Reads which sessions a tree has, and what they have spent together."""

    def __init__(self, directory: StoreDirectory, reader: SessionReader) -> None:
        self._directory = directory
        self._reader = reader

    def children(self, key: SessionKey, start: int, limit: int) -> SessionPage | None:
        """Return the children made after the one that was made as number `start` of the tree."""
        return self._below(key, TreeFile.children, start, limit)

    def forks(self, key: SessionKey, start: int, limit: int) -> SessionPage | None:
        """Return the forks right below the session, as `children` does."""
        return self._below(key, TreeFile.forks, start, limit)

    def _below(
        self, key: SessionKey, find: Callable[[TreeFile, str], Iterable[TreeEntry]], start: int, limit: int
    ) -> SessionPage | None:
        with self._reader.tree_of(key) as tree:
            if tree is None:
                return None
            later = [entry for entry in find(tree, key.id) if entry.ordinal > start]
        page = later[:limit]
        return SessionPage([entry.id for entry in page], str(page[-1].ordinal) if len(later) > limit else None)

    def tree(self, key: SessionKey) -> list[TreeNode] | None:
        """Return all sessions of the tree that holds `key`. Raises CorruptSession for a lost log.

        A walk over the tree would take it for one that was deleted meanwhile.
        """
        while True:
            with self._reader.tree_of(key) as tree:
                if tree is None:
                    return None
                known = tree.offset
                entries = list(tree.sessions.values())
                logs = (self._directory.log_path(SessionKey(key.namespace, entry.id)) for entry in entries)
                lost = next((entry for entry, path in zip(entries, logs, strict=True) if not path.exists()), None)
                if lost is None:
                    return [TreeNode(entry.id, entry.parent_id, entry.forked_from) for entry in entries]
                # Deleted by another process since the tree file was read: then it says so by now.
                if tree.catch_up() and tree.offset == known:
                    raise lost_log(self._directory, self._directory.log(SessionKey(key.namespace, lost.id)), tree)

    def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        """Return what all sessions of a root's tree have spent, the deleted ones too."""
        while True:
            with self._reader.tree_of(key) as tree:
                if tree is None or tree.root != key:
                    return None
                known = tree.offset
                totals = {cell: dict(counters) for cell, counters in tree.purged_totals.items()}
                entries = [*tree.sessions.values(), *tree.deleted.values()]
                lost = [entry for entry in entries if not self._add_spent(totals, key.namespace, entry)]
                if not lost:
                    return TreeTotals(tree.sessions[key.id].creation_id, totals)
                # Purged by another process since the tree file was read: then it says so by now.
                if tree.catch_up() and tree.offset == known:
                    raise lost_log(self._directory, self._directory.log(SessionKey(key.namespace, lost[0].id)), tree)

    def _add_spent(self, totals: Totals, namespace: Namespace, entry: TreeEntry) -> bool:
        log = self._directory.log(SessionKey(namespace, entry.id))
        with log:
            if not log.is_current() or log.head is None or log.head.creation_id != entry.creation_id:
                return False
            for cell, counters in log.head.totals.items():
                commit_rules.add_counters(totals.setdefault(cell, {}), counters)
        return True
