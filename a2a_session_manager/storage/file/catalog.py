"""The catalog of a namespace: which sessions there are, by what pages are asked for. It is derived from the sessions.

Writers append to its journal (`catalog_journal.py`), each under its session's lock, and wait for nobody. Whoever reads
pages takes the journal into the tables (`catalog_tables.py`) first. The rule that makes a page right: what a session is
to be found by is in the journal before the session has it, and goes only after the session has it no more.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from a2a_session_manager.exceptions import SessionManagerError, StoreUnavailable
from a2a_session_manager.storage.commit_records import EncodedCommit
from a2a_session_manager.storage.file.atomic_files import make_directory
from a2a_session_manager.storage.file.catalog_journal import (
    JOURNAL,
    Journal,
)
from a2a_session_manager.storage.file.catalog_records import (
    Kind,
    encoded_entry,
    encoded_ids,
    encoded_progress,
    entry_of,
)
from a2a_session_manager.storage.file.catalog_tables import HAS_SQLITE, CatalogTables, LostTablesError, TablesState
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.handles import BusyError
from a2a_session_manager.storage.file.journal_header import (
    DamagedJournalError,
    JournalHeader,
)
from a2a_session_manager.storage.file.later_work import LaterWork
from a2a_session_manager.storage.file.os_errors import translated
from a2a_session_manager.storage.file.real_folders import refuse_links
from a2a_session_manager.storage.read_records import HeadRecord

_log = logging.getLogger("a2a_session_manager.storage.file")

# An entry may be older than the session's last activity by so much: one that is older is written ahead of a commit.
STALE_MICROS: Final = 10_000_000
NEVER: Final = -(1 << 62)

# The folder of a namespace's catalog, beside those of its logs and trees.
CATALOG: Final = "catalog"

_FOLLOWED_BYTES: Final = 1_000_000
_IDS_A_RECORD: Final = 1_000
_TRIES: Final = 50

ResultT = TypeVar("ResultT")


class Readiness(Enum):
    """What there is to be read of a catalog."""

    READY = 1
    # The sessions are not all in it; a rebuild can go on where the last one ended.
    UNFINISHED = 2
    # It is to be made anew.
    UNUSABLE = 3


class CaughtUp(NamedTuple):
    """The tables after they have taken in the journal, unless there are none to be used.

    `progress` is how far a rebuild has come that is not finished.
    """

    readiness: Readiness
    tables: CatalogTables | None = None
    generation: str = ""
    progress: str = ""


class CatalogPools(NamedTuple):
    """What many catalogs share: what keeps their files open, a few at a time, and who takes long journals in."""

    journals: HandlePool
    tables: HandlePool
    later: LaterWork


class Catalog:
    """The catalog in the folder of a namespace, for any number of processes.

    `indexed` are the properties that a new one is begun with; one that is there has its own. `is_empty` tells whether
    the namespace has no sessions.
    """

    def __init__(self, folder: Path, indexed: Sequence[str], is_empty: Callable[[], bool], pools: CatalogPools) -> None:
        self.folder = folder
        self._indexed = tuple(indexed)
        self._is_empty = is_empty
        self._pools = pools
        self._writer = Journal(folder, pools.journals)
        self._reader = Journal(folder, pools.journals)
        self._tables: CatalogTables | None = None
        self._due = _FOLLOWED_BYTES

    def prepare(self) -> None:
        """Have a journal that can be appended to; only afterwards is a session made."""
        self._append(lambda header: ())

    def creates(self, head: HeadRecord) -> None:
        """Tell of a session that is about to be made, as it will be."""
        self._append(lambda header: [encoded_entry(Kind.CREATES, entry_of(head, header.indexed))])

    def is_sure(self, head: HeadRecord) -> None:
        """Tell of a session that is there, as it is: its tree is held."""
        self._append(lambda header: [encoded_entry(Kind.SURE, entry_of(head, header.indexed))])

    def changes(self, head: HeadRecord, commits: Sequence[EncodedCommit]) -> bool:
        """Tell of commits that are about to lead to `head`; return whether `changed` is to follow them."""
        changed = [commit.properties for commit in commits]
        kinds: list[Kind] = []

        def record(header: JournalHeader) -> list[bytes]:
            found_by = ("title", *header.indexed)
            is_found_otherwise = any(not properties.keys().isdisjoint(found_by) for properties in changed)
            kinds.append(Kind.CHANGES if is_found_otherwise else Kind.ACTIVE)
            return [encoded_entry(kinds[-1], entry_of(head, header.indexed, *changed))]

        self._append(record)
        return kinds[-1] is Kind.CHANGES

    def changed(self, head: HeadRecord) -> None:
        """Tell of a session whose commits were made."""
        self._append(lambda header: [encoded_entry(Kind.CHANGED, entry_of(head, header.indexed))])

    def goes_back(self, head: HeadRecord) -> None:
        """Tell of a session whose newest commits are about to be cut off, as it will be; `changed` is to follow."""
        self._append(lambda header: [encoded_entry(Kind.CHANGES, entry_of(head, header.indexed))])

    def deletes(self, creation_ids: Sequence[str]) -> None:
        """Tell of sessions that are about to be deleted."""
        self._append(lambda header: _of_ids(Kind.DELETES, creation_ids))

    def deleted(self, creation_ids: Sequence[str]) -> None:
        """Tell of sessions that are not there, nor will they ever be: their tree is held."""
        self._append(lambda header: _of_ids(Kind.GONE, creation_ids))

    @contextmanager
    def afterwards(self) -> Iterator[None]:
        """Tell what has come about: that it did so does not change when it cannot be told, and stays unsure."""
        try:
            yield
        except (SessionManagerError, BusyError) as error:
            _log.info("%s was not told of what was done: %r", self.folder, error)

    def catch_up(self, indexed: Iterable[str]) -> CaughtUp:
        """Take the journal into the tables, and tell whether pages by the properties `indexed` can be read of them."""
        with translated(self.folder), self._reader.lock:
            try:
                header = self._reader.open()
                if header is None or not self._reader.is_of_here or not set(indexed) <= set(header.indexed):
                    return CaughtUp(Readiness.UNUSABLE)
                tables = self._tables_of(header.generation)
                state = self._taken_in(header, tables)
            except (DamagedJournalError, LostTablesError, FileNotFoundError) as error:
                _log.info("%s is to be made anew: %s", self.folder, error)
                return CaughtUp(Readiness.UNUSABLE)
            readiness = Readiness.READY if state.is_whole else Readiness.UNFINISHED
            return CaughtUp(readiness, tables, header.generation, state.progress)

    def begin_anew(self, indexed: Iterable[str]) -> None:
        """Begin another catalog, to be filled by a rebuild, with these properties and those that the last one had."""
        with translated(self.folder), self._reader.lock:
            with suppress(DamagedJournalError):
                self._reader.open()
            known = () if self._reader.header is None else self._reader.header.indexed
            self.in_folder(lambda: self._reader.begin(sorted({*indexed, *known}), is_whole=False))

    def in_folder(self, make: Callable[[], ResultT]) -> ResultT:
        """Make something in the folder of the catalog; again when somebody has removed that in between."""
        for _ in range(_TRIES):
            refuse_links(self.folder)
            make_directory(self.folder, durable=False)
            with suppress(FileNotFoundError, BusyError):
                return make()
        raise StoreUnavailable(f"{self.folder} is removed again and again: leave it alone, and try again")

    def reached(self, generation: str, place: str) -> None:
        """Note how far the rebuild of a generation has come."""
        self._append(lambda header: [encoded_progress(Kind.PROGRESS, generation, place)])

    def is_whole(self, generation: str) -> None:
        """Note that all sessions are in a generation."""
        self._append(lambda header: [encoded_progress(Kind.WHOLE, generation, "")])

    def written(self) -> object:
        """Return what is another thing once something was appended."""
        try:
            status = os.stat(self._writer.path)
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_size

    def remove_others(self, generation: str) -> None:
        """Remove the tables of other generations."""
        with translated(self.folder), self._reader.lock:
            for path in list(self.folder.glob("*.db")):
                if path.stem != generation:
                    CatalogTables(self.folder, path.stem, self._pools.tables).remove()

    def close(self) -> None:
        self._writer.close()
        with self._reader.lock:
            self._reader.close()
            if self._tables is not None:
                self._tables.close()

    def _append(self, make: Callable[[JournalHeader], Iterable[bytes]]) -> None:
        with translated(self.folder):
            while not self._appended(make):
                self._begin()
        if self._writer.end >= self._due:
            # Where nobody reads pages, those who write keep the journal short.
            self._due = self._writer.end + _FOLLOWED_BYTES
            self._pools.later.add(self._shorten)

    def _shorten(self) -> None:
        if not HAS_SQLITE or self.catch_up(()).readiness is Readiness.UNUSABLE:
            self.begin_anew(())  # which is for whoever reads pages to fill
        self._due = _FOLLOWED_BYTES

    def _appended(self, make: Callable[[JournalHeader], Iterable[bytes]]) -> bool:
        try:
            return self._writer.append(make)
        except DamagedJournalError:
            return False

    def _begin(self) -> None:
        """Begin a journal where there is none that can be read; without sessions, it has all of them."""

        def begin() -> JournalHeader:
            is_whole = not self._writer.path.exists() and self._is_empty()
            return self._writer.begin(self._indexed, is_whole=is_whole)

        with suppress(DamagedJournalError):  # somebody has damaged it meanwhile
            self.in_folder(begin)

    def _tables_of(self, generation: str) -> CatalogTables:
        if self._tables is None or self._tables.generation != generation:
            if self._tables is not None:
                self._tables.close()
            self._tables = CatalogTables(self.folder, generation, self._pools.tables)
        self._tables.open()
        return self._tables

    def _taken_in(self, header: JournalHeader, tables: CatalogTables) -> TablesState:
        state = tables.state()
        if (state.part, state.taken) == (header.part, self._reader.size()):
            return state
        with tables.writing() as state:
            taken = self._place(header, state)
            while True:
                frames, end = self._reader.read(taken)
                if not frames:
                    break
                tables.take([frame.payload for frame in frames], header.generation)
                taken = end
            tables.note_taken(header.part, taken, is_whole=header.is_whole)
            state = tables.state()
        if taken > _FOLLOWED_BYTES:
            self._reader.follow(taken)
            tables.shrink()
        return state

    def _place(self, header: JournalHeader, state: TablesState) -> int:
        """Return where in the journal to read on. Raises LostTablesError."""
        if header.part == state.part and state.taken <= self._reader.size():
            return max(state.taken, self._reader.start)
        if header.part == state.part + 1 and state.taken > 0:
            return self._reader.start
        raise LostTablesError("the tables are not those that the journal goes on from")


def _of_ids(kind: Kind, creation_ids: Sequence[str]) -> list[bytes]:
    starts = range(0, len(creation_ids), _IDS_A_RECORD)
    return [encoded_ids(kind, creation_ids[start : start + _IDS_A_RECORD]) for start in starts]


def remove_catalog(folder: Path) -> None:
    """Remove a catalog, which is derived: the next page makes it anew."""
    with translated(folder), suppress(FileNotFoundError):
        # The journal goes first: without it the tables count for nothing.
        (folder / JOURNAL).unlink(missing_ok=True)
        for path in list(folder.iterdir()):
            path.unlink(missing_ok=True)
