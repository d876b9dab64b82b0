"""What a fork inherits: events in its ancestors' logs, each up to a seq, which never change and are never copied.

No two logs are ever held, so nothing here may be called while one is: what a commit has to know of them is looked up
before the fork's own log is held, and what a read wants of them is read after that was let go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from a2a_session_manager.exceptions import SessionManagerError, SessionNotFound
from a2a_session_manager.models.counted_response import CountedResponse
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage import forks, leases
from a2a_session_manager.storage.commit_records import EncodedCommit, Fork
from a2a_session_manager.storage.counted_responses import response_ids
from a2a_session_manager.storage.file.atomic_files import sync_directory
from a2a_session_manager.storage.file.borders import border_at, cut_before, holds, known_up_to
from a2a_session_manager.storage.file.creation_records import Border, CreationRecord
from a2a_session_manager.storage.file.event_columns import EventColumns
from a2a_session_manager.storage.file.existence import MOST_AT_ONCE, find_creation, lost_log
from a2a_session_manager.storage.file.finding import found_events, read_some
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.storage.file.log_commits import NOTHING_INHERITED, Inherited, named_events
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.file.tried_locks import Tried
from a2a_session_manager.storage.read_records import FoundEvents, RecordBlock, StoredEvent
from a2a_session_manager.storage.records import Range, Segment, SessionKey


class Lineage:
    """The parts of other logs that a fork inherits.

    Each method raises SessionNotFound when the session of `creation`, which is the fork or below those logs too, was
    deleted meanwhile, and CorruptSession when one of them is lost, damaged, or not what it was when it was forked.
    """

    def __init__(
        self,
        directory: StoreDirectory,
        creation: CreationRecord,
        segments: tuple[Segment, ...],
        borders: tuple[Border, ...],
    ) -> None:
        self._directory = directory
        self._creation = creation
        self._segments = segments
        self.borders = borders

    def read_ranges(self, wanted: Sequence[Range]) -> list[EventColumns]:
        """Return the events in these ranges of inherited seqs; those on both sides of a border come apart."""
        found: list[EventColumns] = []
        for segment, within in self._parts(wanted):
            with self._log(segment) as log:
                found += map(_as_inherited, log.read_ranges(within))
        return found

    def read_blocks(self, first: int, last: int) -> list[RecordBlock]:
        """Return the inherited events from `first` to `last` side by side."""
        found: list[RecordBlock] = []
        for segment, [(start, end)] in self._parts([(first, last)]):
            with self._log(segment) as log:
                found += log.read_blocks(start, end)
        return found

    def read_page(self, first: int, last: int, max_bytes: int) -> list[StoredEvent]:
        """Return the inherited events from `first` to `last`, or about as many of them as fit, one at least."""
        found: list[StoredEvent] = []
        for segment, [(start, end)] in self._parts([(first, last)]):
            with self._log(segment) as log:
                columns = _as_inherited(log.read_columns(start, end, max_bytes=max_bytes))
            found += columns.events()
            max_bytes -= sum(map(len, columns.data))
            if columns.next_seq <= end or max_bytes <= 0:
                break
        return found

    def find_events(self, event_ids: Sequence[str], max_bytes: int, hidden: Sequence[Range]) -> FoundEvents:
        """Return the inherited events of these ids, the first ones that make a page; none without room for any.

        `hidden` is what the fork has hidden.
        """
        seqs = self._known(event_ids, ()).seqs
        events = read_some(self.read_ranges, sorted(seqs.values()), max_bytes) if max_bytes > 0 else {}
        return found_events(self._creation.creation_id, seqs, events, hidden)

    def known(self, commits: Sequence[EncodedCommit], *, at_once: bool = False) -> Inherited:
        """Return what is inherited of what these commits name. `at_once` as for a commit: raises BusyError."""
        named = {name for commit in commits for name in (*named_events(commit), *_usages_of(commit))}
        if not named:
            return NOTHING_INHERITED
        responses = {name for commit in commits for name in response_ids(commit.events)}
        return self._known(list(named), list(responses), at_once=at_once)

    def is_whole(self) -> bool:
        """Tell whether the logs are there, and go on up to their borders. Raises CorruptSession for a damaged one."""
        return all(map(self._is_whole, self._segments))

    def bring_to_disk(self) -> None:
        """With durability=disk, let all that a new fork rests on survive a loss of power, as it does itself."""
        for segment in self._segments if self._directory.durable else ():
            with self._log(segment) as log:
                if log.on_disk.end(log.first_bytes) < log.offset:
                    log.handle.sync()
                    sync_directory(log.path.parent)
                    self._directory.make_folder(log.path.parent)

    def _known(self, event_ids: Sequence[str], responses: Sequence[str], *, at_once: bool = False) -> Inherited:
        seqs: dict[str, int] = {}
        counted: dict[str, CountedResponse] = {}
        for segment in self._segments:
            with self._log(segment, at_once=at_once) as log:
                found = known_up_to(log, segment.last_seq, event_ids, responses)
            seqs |= found[0]
            counted |= found[1]  # what a later segment tells holds what it inherits
        return Inherited(seqs, counted)

    def _parts(self, wanted: Sequence[Range]) -> Iterator[tuple[Segment, list[Range]]]:
        """Yield the segments that ranges of inherited seqs lie in, oldest first, each with what of them does."""
        parts: dict[Segment, list[Range]] = {}
        for first, last in wanted:
            for part in forks.log_parts(self._segments, first, last):
                assert part.segment is not None, "only what is inherited lies in segments"
                parts.setdefault(part.segment, []).append((part.first, part.last))
        yield from parts.items()

    @contextmanager
    def _log(self, segment: Segment, *, at_once: bool = False) -> Iterator[LogFile]:
        """Hold the log of a segment against other threads, read up to there at least."""
        log = self._file(segment)
        with suppress(SessionNotFound), Tried(log) if at_once else log:
            if at_once:
                log.catch_up(most=MOST_AT_ONCE)
            if _is_of(log, segment):
                if not holds(log, segment.last_seq, self._border(segment)):
                    raise cut_before(log, segment.last_seq)
                yield log
                return
        raise self._gone(log)

    def _is_whole(self, segment: Segment) -> bool:
        log = self._file(segment)
        with log:
            return _is_of(log, segment) and holds(log, segment.last_seq, self._border(segment))

    def _file(self, segment: Segment) -> LogFile:
        return self._directory.log(SessionKey(self._creation.key.namespace, segment.session_id))

    def _border(self, segment: Segment) -> Border:
        return self.borders[self._segments.index(segment)]

    def _gone(self, log: LogFile) -> SessionManagerError:
        """Return what to raise where a log is not there: the session was deleted with it, or it is lost."""
        fork = self._directory.log(self._creation.key)
        if find_creation(self._directory, fork) != self._creation:
            return SessionNotFound(self._creation.key.id)
        tree = self._directory.tree(SessionKey(self._creation.key.namespace, self._creation.root_id))
        return lost_log(self._directory, log, tree)


def lineage_of(directory: StoreDirectory, creation: CreationRecord) -> Lineage:
    """Return what a fork inherits."""
    assert creation.fork is not None, "only a fork inherits events"
    return Lineage(directory, creation, creation.fork.segments, creation.borders)


def inherited_by(
    directory: StoreDirectory, creation: CreationRecord, commits: Sequence[EncodedCommit], *, at_once: bool = False
) -> Inherited:
    """Return what a session inherits of what these commits to it name."""
    if creation.fork is None:
        return NOTHING_INHERITED
    return lineage_of(directory, creation).known(commits, at_once=at_once)


class Inheritance(NamedTuple):
    """What a session that is to be made takes over: a fork its borders, and what its first commit names of it."""

    borders: tuple[Border, ...] = ()
    known: Inherited = NOTHING_INHERITED


def inheritance_from(log: LogFile, seq: int) -> Inheritance:
    """Return what a fork that begins at an event of a log, which is held, takes over, if its first commit names none.

    Raises CorruptSession.
    """
    assert log.creation is not None, "only a log that exists has events"
    return Inheritance((*log.creation.borders, border_at(log, seq)))


def inheritance_for(
    directory: StoreDirectory, namespace: Namespace, fork: Fork | None, commit: EncodedCommit
) -> Inheritance | None:
    """Return what a session that is to be made takes over, `fork` telling of what; None when its parent is not there.

    With durability=disk, all of that is on disk then.
    """
    if fork is None:
        return Inheritance()
    lineage = _new_lineage(directory, namespace, fork)
    if lineage is None:
        return None
    lineage.bring_to_disk()
    return Inheritance(lineage.borders, lineage.known([commit]))


def _new_lineage(directory: StoreDirectory, namespace: Namespace, fork: Fork) -> Lineage | None:
    """Return what a fork that is to be made inherits: what its parent does, and of its parent."""
    parent = fork.segments[-1]
    log = directory.log(SessionKey(namespace, parent.session_id))
    with suppress(SessionNotFound), log:
        if _is_of(log, parent) and log.creation is not None:
            borders = (*log.creation.borders, border_at(log, parent.last_seq))
            return Lineage(directory, log.creation, fork.segments, borders)
    return None


def _is_of(log: LogFile, segment: Segment) -> bool:
    """Catch up with a log, and tell whether it is that of the session that a segment is of."""
    return log.exists() and log.creation is not None and log.creation.creation_id == segment.creation_id


def _as_inherited(columns: EventColumns) -> EventColumns:
    return columns._replace(revisions=[forks.FIRST_REVISION] * len(columns.data))


def _usages_of(commit: EncodedCommit) -> Iterator[str]:
    """Yield the ids of the events that are stored in the place of a commit whose claim of a lease is refused."""
    if commit.usage_of is not None:
        for event in commit.events:
            if leases.has_usage(event):
                yield commit.usage_of(event).id
