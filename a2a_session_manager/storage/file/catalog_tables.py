"""The tables of a catalog: what its journal comes to, in a SQLite database that pages are read from.

They are a fold over the journal and nothing else: how far they have taken it in is in them, and changes in the same
transaction. So they are right after any death; what the power may have taken is made anew (`JournalHeader.boot`).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from weakref import WeakSet

from a2a_session_manager.exceptions import StoreFull, StoreUnavailable
from a2a_session_manager.storage.file.catalog_fold import take_record
from a2a_session_manager.storage.file.catalog_queries import TIMES, CatalogRow, blob_of, row_of, selected
from a2a_session_manager.storage.file.catalog_records import decoded
from a2a_session_manager.storage.file.descriptors import FILE_MODE
from a2a_session_manager.storage.file.handle_pool import HandlePool, PooledFile
from a2a_session_manager.storage.file.real_folders import refuse_links
from a2a_session_manager.storage.page_records import PageQuery, TimePosition

try:
    import sqlite3
except ImportError:  # a Python that was built without it has no tables, and reads all heads
    HAS_SQLITE = False
else:
    HAS_SQLITE = True

_BUSY_SECONDS: Final = 5.0
# Codes of SQLite's errors: busy, locked; full; no permission, read-only, input or output, cannot open.
_BUSY: Final = frozenset({5, 6})
_FULL: Final = frozenset({13})
_UNREACHABLE: Final = frozenset({3, 8, 10, 14})

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS state (
    part INTEGER NOT NULL, taken INTEGER NOT NULL, is_whole INTEGER NOT NULL, progress TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    number INTEGER PRIMARY KEY, creation BLOB NOT NULL UNIQUE, id BLOB NOT NULL, root BLOB NOT NULL,
    is_root INTEGER NOT NULL, created INTEGER NOT NULL, updated INTEGER NOT NULL, unsure INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS by_update ON sessions (updated, id, is_root);
CREATE INDEX IF NOT EXISTS by_creation ON sessions (created, id, is_root);
CREATE INDEX IF NOT EXISTS by_id ON sessions (id);
CREATE INDEX IF NOT EXISTS unsure_ones ON sessions (unsure) WHERE unsure > 0;
CREATE TABLE IF NOT EXISTS property_values (
    session INTEGER NOT NULL, name BLOB NOT NULL, value BLOB NOT NULL,
    created INTEGER NOT NULL, updated INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS values_of ON property_values (session);
CREATE INDEX IF NOT EXISTS value_by_update ON property_values (name, value, updated, session);
CREATE INDEX IF NOT EXISTS value_by_creation ON property_values (name, value, created, session);
CREATE TABLE IF NOT EXISTS titles (session INTEGER NOT NULL, title BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS titles_of ON titles (session);
"""


class LostTablesError(Exception):
    """The tables are not what the journal goes on from: the catalog is to be made anew."""


class TablesState(NamedTuple):
    """How far the tables have come: the part of the journal, up to which byte, and whether all sessions are in them.

    `progress` is how far the rebuild came that was under way last.
    """

    part: int
    taken: int
    is_whole: bool
    progress: str


class CatalogTables(PooledFile):
    """The tables of one generation. Its lock is held while a thread uses them."""

    def __init__(self, folder: Path, generation: str, pool: HandlePool) -> None:
        self.generation = generation
        self.path = folder / f"{generation}.db"
        self.lock = threading.RLock()
        self._pool = pool
        self._connection: sqlite3.Connection | None = None
        _all.add(self)

    def open(self) -> None:
        """Open the database, or make one that has taken in nothing."""
        with self.lock:
            if self._connection is None and not self.path.exists():
                os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, FILE_MODE))
            with self._translated():
                if self._execute("PRAGMA user_version").fetchone()[0] == 0:
                    self._make_tables()

    @contextmanager
    def writing(self) -> Iterator[TablesState]:
        """Be the only one who writes, in one transaction; yields the state of the tables."""
        with self._translated():
            self._execute("BEGIN IMMEDIATE")
            try:
                yield self.state()
            except BaseException:
                if self._connected.in_transaction:  # a full disk has ended it already
                    self._execute("ROLLBACK")
                raise
            self._execute("COMMIT")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """See the tables as they are at one moment."""
        with self._translated():
            self._execute("BEGIN")
            try:
                yield
            finally:
                self._execute("COMMIT")

    def state(self) -> TablesState:
        """Return the state of the tables. Raises LostTablesError."""
        with self._translated():
            row = self._execute("SELECT part, taken, is_whole, progress FROM state").fetchone()
        if row is None:
            raise LostTablesError(f"{self.path} is damaged")
        return TablesState(row[0], row[1], bool(row[2]), row[3])

    def take(self, payloads: Sequence[bytes], generation: str) -> None:
        """Take in records, in their order, inside `writing`. Raises LostTablesError for what is none."""
        for payload in payloads:
            try:
                take_record(self._connected, *decoded(payload), generation)
            except (ValueError, TypeError, LookupError) as error:
                raise LostTablesError("its journal holds what is no record") from error

    def note_taken(self, part: int, taken: int, *, is_whole: bool) -> None:
        """Note how far the journal was taken in, inside `writing`."""
        self._execute("UPDATE state SET part = ?, taken = ?, is_whole = is_whole OR ?", part, taken, is_whole)

    def rows(self, query: PageQuery, position: TimePosition | None, limit: int) -> list[CatalogRow]:
        """Return the next sessions that the query may mean, in its order."""
        sql, values = selected(query, position)
        columns = f"sessions.creation, sessions.id, sessions.root, sessions.{TIMES[query.order]}"
        direction = "DESC" if query.newest_first else "ASC"
        table = "property_values" if query.properties else "sessions"
        order = f"ORDER BY {table}.{TIMES[query.order]} {direction}, sessions.id {direction} LIMIT ?"
        with self._translated():
            found = self._execute(f"SELECT {columns} {sql} {order}", *values, limit).fetchall()
        return [row_of(each) for each in found]

    def latest(self, query: PageQuery) -> int | None:
        """Return the latest time of all sessions that the query may mean."""
        found = self.rows(query._replace(newest_first=True), None, 1)
        return found[0].at if found else None

    def count(self, query: PageQuery) -> tuple[int, list[CatalogRow]]:
        """Return how many sessions the query surely means, and all those of which a record ahead was the last word."""
        sql, values = selected(query, None)
        with self.reading():
            [sure] = self._execute(f"SELECT count(*) {sql} AND sessions.unsure = 0", *values).fetchone()
            unsure = self._execute("SELECT creation, id, root, updated FROM sessions WHERE unsure > 0").fetchall()
        return sure, [row_of(each) for each in unsure]

    def size(self) -> int:
        """Return how many sessions there are in the tables."""
        with self._translated():
            return int(self._execute("SELECT count(*) FROM sessions").fetchone()[0])

    def missing(self, session_ids: Sequence[str]) -> list[str]:
        """Return those of the ids that are in the tables under none of their creations."""
        with self._translated():
            found = (
                self._execute("SELECT 1 FROM sessions WHERE id = ?", blob_of(each)).fetchone() for each in session_ids
            )
            return [each for each, row in zip(session_ids, found, strict=True) if row is None]

    def shrink(self) -> None:
        """Give back room that nothing needs any more."""
        with self._translated():
            self._execute("PRAGMA incremental_vacuum").fetchall()

    def remove(self) -> None:
        """Remove the database, which nobody reads any more."""
        self.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        with self.lock:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.close()
            self._pool.closed(self)

    def leave_to_parent(self) -> None:
        """Forget, in a forked process, the connection of its parent: closing it here would let go of locks there."""
        if self._connection is not None:
            _parents.append(self._connection)
            self._connection = None

    def _connect(self) -> None:
        refuse_links(self.path)
        if not self.path.exists():
            raise LostTablesError(f"{self.path} is not there any more")
        # Each statement is a transaction of its own, unless one was begun. Threads take turns by our own lock.
        self._connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._execute("PRAGMA synchronous = OFF")

    def _make_tables(self) -> None:
        self._execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._execute("PRAGMA journal_mode = WAL").fetchone()
        self._execute("BEGIN IMMEDIATE")
        for statement in filter(str.strip, _SCHEMA.split(";")):
            self._execute(statement)
        if self._execute("SELECT 1 FROM state").fetchone() is None:
            self._execute("INSERT INTO state VALUES (0, 0, 0, '')")
        self._execute("PRAGMA user_version = 1")
        self._execute("COMMIT")

    @property
    def _connected(self) -> sqlite3.Connection:
        assert self._connection is not None, "the tables are used while they are open"
        return self._connection

    def _execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        return self._connected.execute(sql, values)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Hold the tables against other threads, and make errors of SQLite ours. Raises LostTablesError."""
        with self.lock:
            try:
                if self._connection is None:
                    self._connect()
                self._pool.used(self)
                yield
            except sqlite3.Error as error:
                raise self._translation(error) from error

    def _translation(self, error: sqlite3.Error) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _BUSY:
            return StoreUnavailable(f"{self.path}: another process held it for {_BUSY_SECONDS:g} s: read again later")
        if code in _FULL:
            return StoreFull(f"{self.path}: no room is left: free some, then read again")
        if code in _UNREACHABLE and self.path.exists():
            return StoreUnavailable(f"{self.path}: {error}: check its permissions")
        return LostTablesError(str(error))


_all: WeakSet[CatalogTables] = WeakSet()
_held: list[CatalogTables] = []
_parents: list[sqlite3.Connection] = []


def _hold_all() -> None:
    # SQLite's own locks are free while a process forks, since nobody is in it.
    _held.extend(_all)
    for tables in _held:
        tables.lock.acquire()


def _let_all_go() -> None:
    while _held:
        _held.pop().lock.release()


def _begin_in_child() -> None:
    for tables in _held:
        tables.leave_to_parent()
    _let_all_go()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_all, after_in_parent=_let_all_go, after_in_child=_begin_in_child)
