"""SessionReader: the blocking half of the file store's reads. It runs in worker threads, never on the loop.

Readers hold files against other threads, never against other processes: what those changed meanwhile is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.storage import compactions, heads, paging, ranges
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit
from a2a_session_manager.storage.compactions import ShownTail
from a2a_session_manager.storage.file.existence import find_creation, remembered_creation
from a2a_session_manager.storage.file.finding import find_events, joined
from a2a_session_manager.storage.file.lineage import Inheritance, Lineage, inheritance_from, lineage_of
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.record_blocks import in_a_row
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tree import TreeFile
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.read_records import (
    FoundEvents,
    HeadRecord,
    LoadedSession,
    LogPage,
    LogTail,
    RecordBlock,
    StoredEvent,
    StoredRetraction,
)
from a2a_session_manager.storage.records import Range, SessionKey

# More than this takes long to read, and so does a file that another thread has for longer than a moment.
MOST_BYTES_AT_ONCE = 4_000_000
_FEW_EVENTS = 256
# So many are read each for itself: under a compaction there are a few.
_FEW_RANGES = 8
_MOMENT_SECONDS = 0.05


class TakesLongError(Exception):
    """Nothing was read: others should not wait for this read."""


class ForkPlan(NamedTuple):
    """How to create a fork, and what it inherits, where that was read for the plan."""

    creation: Creation
    commit: EncodedCommit
    inheritance: Inheritance | None = None


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
        is_much = last is None or last > _FEW_EVENTS
        size = signature.size if is_much else signature.size - log.offset
        if size > MOST_BYTES_AT_ONCE or (is_much and size + _inherited_bytes(log) > MOST_BYTES_AT_ONCE):
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
        loaded = self._load(key, None, last, whole_head=whole_head)
        if loaded is not None and whole_head:
            with self.tree_of(key) as tree:
                loaded.child_ids = [] if tree is None else [entry.id for entry in tree.children(key.id)]
        return loaded

    def load_until(self, key: SessionKey, seq: int | None, last: int) -> LoadedSession | None:
        """Return the head and the newest `last` visible events up to `seq`; None when there is no such session."""
        return self._load(key, seq, last, whole_head=False)

    def plan_fork(self, key: SessionKey, draft: ForkDraft) -> ForkPlan | None:
        """Return how to create a fork of the session; None without it, and where that takes a closer look."""
        with suppress(SessionNotFound):
            with self.existing(key) as log:
                if log is None or log.head is None or log.creation is None:
                    return None
                inherited, own = ranges.divided(draft.looks_at(log.head), log.head.inherited)
                is_clear = not any(log.may_hold(draft.marks, first, last) for first, last in own)
                data = [] if is_clear else [block.data for each in own for block in log.read_blocks(*each)]
                if not inherited:
                    return self._planned(log, draft.planned(log.head, data))
                creation, head = log.creation, heads.copied(log.head, whole_head=False)
            lineage = lineage_of(self._directory, creation)
            data += [block.data for first, last in inherited for block in lineage.read_blocks(first, last)]
            plan = draft.planned(head, data)
            return None if plan is None else ForkPlan(*plan)
        return None

    def _planned(self, log: LogFile, plan: tuple[Creation, EncodedCommit] | None) -> ForkPlan | None:
        """Return a plan with what the fork inherits, where that was just read: the source's own newest events."""
        if plan is None:
            return None
        creation, commit = plan
        assert creation.fork is not None, "a plan is one of a fork"
        newest = creation.fork.segments[-1]
        # With durability=disk, whoever creates the fork brings to disk what that rests on, and reads it for that.
        if newest.session_id != log.key.id or self._directory.durable:
            return ForkPlan(creation, commit)
        return ForkPlan(creation, commit, inheritance_from(log, newest.last_seq))

    def _load(self, key: SessionKey, seq: int | None, last: int | None, *, whole_head: bool) -> LoadedSession | None:
        with suppress(SessionNotFound):
            with self.existing(key) as log:
                if log is None or log.head is None or log.creation is None:
                    return None
                creation, head = log.creation, heads.copied(log.head, whole_head=whole_head)
                end = head.last_seq if seq is None else min(seq, head.last_seq)
                tail = ranges.visible_tail(end, end if last is None else last, head.hidden)
                inherited, own = ranges.divided(tail, head.inherited)
                columns = log.read_ranges(own)
            if inherited:
                columns = lineage_of(self._directory, creation).read_ranges(inherited) + columns
            return LoadedSession(head, paging.taken([event for each in columns for event in each.events()]))
        return None

    def read_tail(self, key: SessionKey, last: int | None) -> LogTail | None:
        """Return the newest `last` visible events as columns; None when there is no such session."""
        return self._read_shown(key, lambda head: _visible_tail(head, last))

    def read_compacted(self, key: SessionKey, last: int | None) -> LogTail | None:
        """Return what a view is made of as columns; None when there is no such session."""
        return self._read_shown(key, lambda head: compactions.shown(head, last))

    def _read_shown(self, key: SessionKey, choose: Callable[[HeadRecord], ShownTail]) -> LogTail | None:
        with suppress(SessionNotFound):
            with self.existing(key) as log:
                if log is None or log.head is None or log.creation is None:
                    return None
                creation, shown = log.creation, choose(log.head)
                is_few = len(shown.ranges) <= _FEW_RANGES
                inherited, own = ranges.divided(shown.ranges, log.head.inherited)
                records, blocks = _taken(log, own, is_few=is_few)
            if inherited:
                earlier = _taken(lineage_of(self._directory, creation), inherited, is_few=is_few)
                records, blocks = earlier[0] + records, in_a_row(earlier[1], blocks)
            return LogTail(
                creation.creation_id,
                _seqs_in(shown.ranges),
                records,
                shown.earlier_events,
                blocks,
                shown.summaries,
                shown.compaction,
            )
        return None

    def read_log(self, key: SessionKey, after: int, limit: int, max_bytes: int) -> LogPage | None:
        """Return a page of the log after the seq `after`; None when there is no such session."""
        with suppress(SessionNotFound):
            with self.existing(key) as log:
                if log is None or log.head is None or log.creation is None:
                    return None
                inherited, last = log.head.inherited, min(after + limit, log.head.last_seq)
                events = log.read_events(max(after, inherited) + 1, last, max_bytes=max_bytes)
                head, retractions = log.head, log.retractions  # read anew, perhaps, to find the events
                if after >= inherited:
                    return _page_of(head, retractions, after, events)
                creation, head, retractions = log.creation, heads.copied(head, whole_head=False), list(retractions)
            earlier = lineage_of(self._directory, creation).read_page(after + 1, min(last, inherited), max_bytes)
            if after + len(earlier) == inherited:
                earlier += events
            fitting = paging.fitting((len(event.data) for event in earlier), max_bytes)
            return _page_of(head, retractions, after, earlier[:fitting])
        return None

    def find_events(self, key: SessionKey, event_ids: Sequence[str], max_bytes: int) -> FoundEvents | None:
        """Return the events of these ids; None when there is no such session."""
        with suppress(SessionNotFound):
            with self.existing(key) as log:
                if log is None or log.head is None or log.creation is None:
                    return None
                found = find_events(log, event_ids, max_bytes)
                if log.creation.fork is None:
                    return found
                creation, hidden = log.creation, list(log.head.hidden)
            others = [name for name in event_ids if name not in found.events and name not in found.unread]
            room = max_bytes - sum(len(event.data) for event in found.events.values())
            lineage = lineage_of(self._directory, creation)
            return joined(lineage.find_events(others, room if found.events else max(room, 1), hidden), found)
        return None


def _inherited_bytes(log: LogFile) -> int:
    """Return about how many bytes of other logs hold what the session inherits."""
    with log:
        creation = log.creation if log.exists() else None
    return 0 if creation is None else sum(border.start for border in creation.borders)


def _visible_tail(head: HeadRecord, last: int | None) -> ShownTail:
    """Return what the newest `last` visible events are, whatever summaries stand for."""
    tail = ranges.visible_tail(head.last_seq, head.last_seq if last is None else last, head.hidden)
    earlier = head.last_seq - ranges.size(head.hidden) - ranges.size(tail)
    return ShownTail(tail, earlier, dict(head.placed), None)


def _seqs_in(wanted: Sequence[Range]) -> Sequence[int]:
    if len(wanted) == 1:
        return range(wanted[0][0], wanted[0][1] + 1)
    return [seq for first, last in wanted for seq in range(first, last + 1)]


def _taken(
    source: LogFile | Lineage, wanted: Sequence[Range], *, is_few: bool
) -> tuple[list[bytes], list[RecordBlock]]:
    """Return the events in ranges of seqs: as blocks where these are few, as mostly."""
    if is_few:
        return [], [block for first, last in wanted for block in source.read_blocks(first, last)]
    return [data for columns in source.read_ranges(wanted) for data in columns.data], []


def _page_of(
    head: HeadRecord, retractions: Sequence[StoredRetraction], after: int, events: Sequence[StoredEvent]
) -> LogPage:
    is_last = after + len(events) >= head.last_seq
    of_page = paging.retractions_of_page(retractions, after, events, is_last=is_last)
    return LogPage(head.creation_id, head.revision, events, of_page, list(head.hidden), is_last, head.tag)
