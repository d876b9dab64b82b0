"""SessionReader: the blocking half of the file store's reads. It runs in worker threads, never on the loop.

Readers hold files against other threads, never against other processes: what those changed meanwhile is read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage import commit_rules, compactions, heads, paging, ranges
from a2a_session_manager.storage.file.existence import find_creation, lost_log, remembered_creation
from a2a_session_manager.storage.file.finding import find_events
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeEntry, TreeFile
from a2a_session_manager.storage.read_records import (
    FoundEvents,
    HeadRecord,
    LoadedSession,
    LogPage,
    LogTail,
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.storage.records import Range, SessionKey, Totals

# More than this takes long to read, and so does a file that another thread has for longer than a moment.
MOST_BYTES_AT_ONCE = 4_000_000
_FEW_EVENTS = 256
# So many are read each for itself: under a compaction there are a few.
_FEW_RANGES = 8
_MOMENT_SECONDS = 0.05


class TakesLongError(Exception):
    """Nothing was read: others should not wait for this read."""


class SessionReader:
    """Reads sessions and their trees in the files of a store's directory."""

    def __init__(self, directory: StoreDirectory) -> None:
        self._directory = directory

    @contextmanager
    def existing(self, key: SessionKey) -> Iterator[LogFile | None]:
        """Hold a session's log against other threads, caught up; None when there is no such session."""
        log = self._directory.log(key)
        creation = remembered_creation(self._directory, log) or find_creation(self._directory, log)
        with log:
            yield log if creation is not None and log.exists() and log.creation == creation else None

    def refuse_long(self, key: SessionKey, last: int | None) -> None:
        """Raise TakesLongError unless the newest `last` events, and what was not read of the log, are soon there."""
        log = self._directory.log(key)
        if not log.handle.lock.acquire(timeout=_MOMENT_SECONDS):
            raise TakesLongError
        log.handle.lock.release()
        signature = log.handle.signature()
        if signature is None:
            return
        size = signature.size if last is None or last > _FEW_EVENTS else signature.size - log.offset
        if size > MOST_BYTES_AT_ONCE:
            raise TakesLongError

    @contextmanager
    def tree_of(self, key: SessionKey) -> Iterator[TreeFile | None]:
        """Hold the tree file of an existing session against other threads, caught up; None without it."""
        with self.existing(key) as log:
            root_id = None if log is None or log.head is None else log.head.root_id
        if root_id is None:
            yield None
            return
        tree = self._directory.tree(SessionKey(key.namespace, root_id))
        with tree:
            yield tree if tree.catch_up() and key.id in tree.sessions else None

    def load(self, key: SessionKey, *, last: int | None, whole_head: bool) -> LoadedSession | None:
        """Return the head and the newest `last` visible events; None when there is no such session."""
        loaded: LoadedSession | None = None
        with suppress(SessionNotFound), self.existing(key) as log:
            if log is not None and log.head is not None:
                head = heads.copied(log.head, whole_head=whole_head)
                tail = ranges.visible_tail(head.last_seq, head.last_seq if last is None else last, head.hidden)
                events = [event for columns in log.read_ranges(tail) for event in columns.events()]
                loaded = LoadedSession(head, paging.taken(events))
        if loaded is not None and whole_head:
            with self.tree_of(key) as tree:
                loaded.child_ids = [] if tree is None else [entry.id for entry in tree.children(key.id)]
        return loaded

    def read_tail(self, key: SessionKey, last: int | None) -> LogTail | None:
        """Return the newest `last` visible events as columns; None when there is no such session."""
        with suppress(SessionNotFound), self.existing(key) as log:
            if log is not None and log.head is not None:
                head = log.head
                visible = head.last_seq - ranges.size(head.hidden)
                tail = ranges.visible_tail(head.last_seq, head.last_seq if last is None else last, head.hidden)
                return _tail_of(log, head, tail)._replace(
                    earlier_events=visible - ranges.size(tail), summaries=dict(head.placed)
                )
        return None

    def read_compacted(self, key: SessionKey, last: int | None) -> LogTail | None:
        """Return what a view is made of as columns; None when there is no such session."""
        with suppress(SessionNotFound), self.existing(key) as log:
            if log is not None and log.head is not None:
                shown = compactions.shown(log.head, last)
                return _tail_of(log, log.head, shown.ranges)._replace(
                    earlier_events=shown.earlier_events, summaries=shown.summaries, compaction=shown.compaction
                )
        return None

    def read_log(self, key: SessionKey, after: int, limit: int, max_bytes: int) -> LogPage | None:
        """Return a page of the log after the seq `after`; None when there is no such session."""
        page: LogPage | None = None
        with suppress(SessionNotFound), self.existing(key) as log:
            if log is not None and log.head is not None:
                last = min(after + limit, log.head.last_seq)
                events = log.read_events(after + 1, last, max_bytes=max_bytes)
                head = log.head  # read anew, perhaps, to find the events
                is_last = after + len(events) >= head.last_seq
                retractions = paging.retractions_of_page(log.retractions, after, events, is_last=is_last)
                page = LogPage(
                    head.creation_id, head.revision, events, retractions, list(head.hidden), is_last, head.tag
                )
        return page

    def find_events(self, key: SessionKey, event_ids: Sequence[str], max_bytes: int) -> FoundEvents | None:
        """Return the events of these ids; None when there is no such session."""
        found: FoundEvents | None = None
        with suppress(SessionNotFound), self.existing(key) as log:
            found = None if log is None else find_events(log, event_ids, max_bytes)
        return found

    def children(self, key: SessionKey, start: int, limit: int) -> SessionPage | None:
        """Return the children made after the one that was made as number `start` of the tree."""
        with self.tree_of(key) as tree:
            if tree is None:
                return None
            later = [entry for entry in tree.children(key.id) if entry.ordinal > start]
        page = later[:limit]
        return SessionPage([entry.id for entry in page], str(page[-1].ordinal) if len(later) > limit else None)

    def tree(self, key: SessionKey) -> list[TreeNode] | None:
        """Return all sessions of the tree that holds `key`. Raises CorruptSession for a lost log.

        A walk over the tree would take it for one that was deleted meanwhile.
        """
        while True:
            with self.tree_of(key) as tree:
                if tree is None:
                    return None
                known = tree.offset
                entries = list(tree.sessions.values())
                logs = (self._directory.log_path(SessionKey(key.namespace, entry.id)) for entry in entries)
                lost = next((entry for entry, path in zip(entries, logs, strict=True) if not path.exists()), None)
                if lost is None:
                    return [TreeNode(entry.id, entry.parent_id) for entry in entries]
                # Deleted by another process since the tree file was read: then it says so by now.
                if tree.catch_up() and tree.offset == known:
                    raise lost_log(self._directory, self._directory.log(SessionKey(key.namespace, lost.id)), tree)

    def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        """Return what all sessions of a root's tree have spent, the deleted ones too."""
        while True:
            with self.tree_of(key) as tree:
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


def _tail_of(log: LogFile, head: HeadRecord, wanted: Sequence[Range]) -> LogTail:
    """Return the events in ranges of seqs: as blocks where these are few, as mostly."""
    if len(wanted) == 1:
        [(first, final)] = wanted
        return LogTail(head.creation_id, range(first, final + 1), (), 0, log.read_blocks(first, final))
    seqs = [seq for first, final in wanted for seq in range(first, final + 1)]
    if len(wanted) <= _FEW_RANGES:
        blocks = [block for first, final in wanted for block in log.read_blocks(first, final)]
        return LogTail(head.creation_id, seqs, (), 0, blocks)
    records = [data for columns in log.read_ranges(wanted) for data in columns.data]
    return LogTail(head.creation_id, seqs, records, 0)
