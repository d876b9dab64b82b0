"""A store of your own: sessions in one SQLite file, with nothing but the standard library.

To run: python examples/custom_store.py [FILE]
It prints: what a second opening of the file finds: the trip's events, its run, and the session below it.

A store of your own implements a dozen primitives over encoded bytes. `storage.commit_rules` decides what a commit does
to a session; BaseSessionStore has the verbs, the checks and the encoding. tests/test_examples.py runs StoreContract on
it. Commits survive a killed process, but not a power loss (for that: PRAGMA synchronous = FULL).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from a2a_session_manager import (
    Backend,
    BaseSessionStore,
    ForkedFrom,
    SessionManager,
    SessionPage,
    StoreLimits,
    TreeNode,
    exceptions,
)
from a2a_session_manager.namespaces import Namespace, names_below, path_of
from a2a_session_manager.storage import (
    commit_records,
    commit_rules,
    forks,
    heads,
    paging,
    ranges,
    read_records,
    records,
)
from a2a_session_manager.storage.commit_records import EncodedCommit, FirstResult, Receipt
from a2a_session_manager.storage.counted_responses import CountedResponse, counted_by
from a2a_session_manager.storage.head_codec import decode_head, encode_head, totals_document, totals_in
from a2a_session_manager.storage.hiding import NO_HISTORY, History
from a2a_session_manager.storage.ranges import in_json as spans
from a2a_session_manager.storage.read_records import LoadedSession, TreeTotals
from a2a_session_manager.storage.records import SessionKey

P = ParamSpec("P")
R = TypeVar("R")
Work = Callable[Concatenate["SqliteBackend", P], R]


class Row(NamedTuple):
    number: int
    root: int
    head: read_records.HeadRecord


# A number is never used twice: it names one incarnation of an id, and its place in the order of creation.
# Ids are blobs, because text functions of SQLite stop at a NUL. A root's `root` is NULL, and a fork's `fork` is not.
# What a session shows is its `log`: parts of the logs that other sessions `holder` have stored, and its own.
SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS sessions (number INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT, id BLOB, parent INTEGER
    REFERENCES sessions ON DELETE CASCADE, root INTEGER, fork TEXT, head BLOB, totals BLOB, UNIQUE (namespace, id));
CREATE INDEX IF NOT EXISTS by_parent ON sessions (parent); CREATE INDEX IF NOT EXISTS by_root ON sessions (root);
CREATE TABLE IF NOT EXISTS events (session INTEGER REFERENCES sessions ON DELETE CASCADE, seq INTEGER, revision INTEGER,
    id TEXT, data BLOB, response TEXT, counted TEXT, PRIMARY KEY (session, seq), UNIQUE (session, id));
CREATE INDEX IF NOT EXISTS by_response ON events (session, response, seq);
CREATE TABLE IF NOT EXISTS parts (session INTEGER REFERENCES sessions ON DELETE CASCADE, holder INTEGER, first INTEGER,
    last INTEGER, PRIMARY KEY (session, first));
CREATE VIEW IF NOT EXISTS log AS SELECT parts.session, seq, iif(holder = parts.session, revision, 1) AS revision,
    id, data, response, counted FROM parts JOIN events ON events.session = holder AND seq BETWEEN first AND last;
CREATE TABLE IF NOT EXISTS writes (session INTEGER REFERENCES sessions ON DELETE CASCADE, write_id TEXT, revision,
    last_seq, is_change, hidden TEXT, restored TEXT, is_pop, after_seq, PRIMARY KEY (session, write_id));
"""


def in_transaction(work: Work[P, R]) -> Work[P, Coroutine[Any, Any, R]]:
    """Run `work` in the thread that owns the connection, as one transaction: all of it or nothing."""

    @wraps(work)
    async def run(self: SqliteBackend, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.in_thread(partial(self.transact, partial(work, self, *args, **kwargs)))

    return run


class SqliteBackend(Backend):
    """A backend whose only thread makes one transaction after the other, so that no decision is made on old data."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.db: Any = None  # a sqlite3.Connection, from the first use on

    def in_thread(self, work: Callable[[], R]) -> Awaitable[R]:
        self.check_open()
        return asyncio.get_running_loop().run_in_executor(self.thread, work)

    def transact(self, work: Callable[[], R]) -> R:
        try:
            if self.db is None:
                self.db = sqlite3.connect(self.path, isolation_level=None)
                self.db.executescript(SCHEMA)
            with self.db:  # commits at its end, or rolls back
                self.db.execute("BEGIN IMMEDIATE")
                return work()
        except OverflowError as error:
            raise exceptions.InvalidSessionOperation(f"a limit or cursor is too large: {error}") from error
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise exceptions.CorruptSession("", f"{self.path}: {error}: restore a backup") from error
            kind = exceptions.StoreFull if code == sqlite3.SQLITE_FULL else exceptions.StoreUnavailable
            raise kind(f"{self.path}: {error}: make room, or try again with the same ids") from error

    async def aclose(self) -> None:
        if not self.is_closed:
            closing, self.is_closed = self.in_thread(lambda: self.db and self.db.close()), True  # after all others
            await closing
            self.thread.shutdown(wait=False)

    @in_transaction
    def create(self, key: SessionKey, creation: commit_records.Creation, commit: EncodedCommit) -> Receipt:
        if (row := self.find(key)) is not None:
            if (receipt := self.repeated(row, commit)) is None:
                raise exceptions.SessionAlreadyExists(key.id)
            return receipt
        parent = None if creation.parent is None else self.find(SessionKey(key.namespace, creation.parent.id))
        if creation.parent and (parent is None or parent.head.creation_id != creation.parent.creation_id):
            raise exceptions.SessionNotFound(creation.parent.id)
        insert = "INSERT INTO sessions (namespace, id, parent, root, fork, totals) VALUES (?, ?, ?, ?, ?, '[]')"
        place = (parent.number, parent.root) if parent else (None, None)
        fork = creation.fork and json.dumps(creation.fork.source)
        number = self.db.execute(insert, (path_of(key.namespace), key.id.encode(), *place, fork)).lastrowid
        row = Row(number, place[1] or number, heads.new_head(key, creation))
        parts = """INSERT INTO parts SELECT ?1, holder, first, min(last, ?2) FROM parts
            WHERE session = ?3 AND first <= ?2 UNION ALL SELECT ?1, ?1, ?2 + 1, ?4"""
        self.db.execute(parts, (number, row.head.inherited, place[0], 2**60))
        return self.write(row, commit)

    @in_transaction
    def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        if (row := self.find(key)) is None:
            raise exceptions.SessionNotFound(key.id)
        commit_rules.check_incarnation(row.head, commit)
        return self.write(row, commit)

    @in_transaction
    def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: commit_records.Guard | None) -> None:
        row = self.find(key)
        if row is None or row.head.creation_id != creation_id:
            return
        commit_rules.check_guard(row.head, guard)
        below = self.all("SELECT fork, id FROM sessions WHERE parent = ?", row.number)
        if below and not cascade:
            fork_ids = [name.decode() for fork, name in below if fork]
            raise forks.still_needed(key.id, len(below) - len(fork_ids), fork_ids)
        self.db.execute("DELETE FROM sessions WHERE number = ?", (row.number,))  # foreign keys do the rest

    @in_transaction
    def load(self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool) -> list[LoadedSession | None]:
        return [None if (row := self.find(key)) is None else self.loaded(row, last, whole_head) for key in keys]

    @in_transaction
    def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> read_records.LogPage | None:
        if (row := self.find(key)) is None:
            return None
        head, final = row.head, min(after + limit, row.head.last_seq)
        events = self.events(row, after + 1, final) if after < final else []
        is_last = after + len(events) >= head.last_seq
        shown = paging.retractions_of_page(self.retractions(row), after, events, is_last=is_last)
        return read_records.LogPage(head.creation_id, head.revision, events, shown, head.hidden, is_last, head.tag)

    @in_transaction
    def children(self, key: SessionKey, *, cursor: str | None, limit: int) -> SessionPage | None:
        row, start = self.find(key), paging.ordinal_of(cursor)
        query = "SELECT id, number FROM sessions WHERE parent = ? AND fork IS NULL AND number > ? ORDER BY 2 LIMIT ?"
        found = self.all(query, row.number, start, limit + 1) if row else ()
        return row and paging.page_of([(name.decode(), str(number)) for name, number in found], limit)

    @in_transaction
    def tree(self, key: SessionKey) -> list[TreeNode] | None:
        row = self.find(key)
        query = """SELECT one.id, above.id, one.fork FROM sessions AS one LEFT JOIN sessions AS above
            ON above.number = one.parent WHERE ? IN (one.number, one.root) ORDER BY one.number"""
        return row and [node(*line) for line in self.all(query, row.root)]

    @in_transaction
    def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        row = self.find(key)
        return TreeTotals(row.head.creation_id, self.totals(row)) if row and row.number == row.root else None

    @in_transaction
    def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        start, after = (text.encode("utf-8", "surrogatepass") for text in (prefix, cursor or ""))
        which = "namespace = ? AND id >= ? AND id < ? AND id > ?" + (" AND parent IS NULL" if roots_only else "")
        query = f"SELECT id FROM sessions WHERE {which} ORDER BY id LIMIT ?"  # and UTF-8 has no byte 255
        found = self.all(query, path_of(namespace), start, start + b"\xff", after, limit + 1)
        return paging.page_of([(name.decode(), name.decode()) for (name,) in found], limit)

    @in_transaction
    def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> read_records.NamespacePage:
        paths = [path for (path,) in self.all("SELECT DISTINCT namespace FROM sessions")]
        return paging.names_page(names_below(paths, namespace), cursor, limit)

    def all(self, query: str, *values: Any) -> list[Any]:
        return list(self.db.execute(query, values))

    def find(self, key: SessionKey) -> Row | None:
        query = "SELECT number, root, head FROM sessions WHERE namespace = ? AND id = ?"
        found = self.all(query, path_of(key.namespace), key.id.encode())
        return Row(found[0][0], found[0][1] or found[0][0], decode_head(found[0][2], key)) if found else None

    def repeated(self, row: Row, commit: EncodedCommit) -> Receipt | None:
        first = self.first_result(row, commit.write_id)
        return first and commit_rules.repeat(row.head, commit, first, partial(self.seq_of, row.number))

    def first_result(self, row: Row, write_id: str | None) -> FirstResult | None:
        query = "SELECT * FROM writes WHERE session = ? AND write_id = ?"
        for _, _, revision, last_seq, is_change, hidden, restored, is_pop, _ in self.all(query, row.number, write_id):
            return FirstResult(revision, last_seq, bool(is_change), spans(hidden), spans(restored), bool(is_pop))
        return None

    def retractions(self, row: Row) -> list[read_records.StoredRetraction]:
        query = "SELECT revision, after_seq, hidden, restored FROM writes WHERE session = ? AND %s ORDER BY revision"
        lines = self.all(query % "(hidden != '[]' OR restored != '[]')", row.number)
        return [read_records.StoredRetraction(at, place, spans(hid), spans(shown)) for at, place, hid, shown in lines]

    def write(self, row: Row, commit: EncodedCommit) -> Receipt:
        if (receipt := self.repeated(row, commit)) is not None:
            return receipt
        (number, _, head), back = row, commit.restoration
        history = History(self.retractions(row), self.first_result(row, back.write_id)) if back else NO_HISTORY
        made = commit_rules.decide(head, commit, partial(self.seq_of, number), partial(self.counted, number), history)
        after, fresh = head.last_seq, enumerate(made.fresh, head.last_seq + 1)
        inherited = [] if head.revision else list(head.hidden)  # what a fork has hidden, it has hidden at its beginning
        commit_rules.apply(head, commit, made)
        lines = [(number, seq, made.revision, event.id, event.data, *counted(event.usage)) for seq, event in fresh]
        self.db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", lines)
        if commit.write_id is not None:
            *result, hidden, restored, is_pop = made.first_result
            changed = json.dumps(hidden or inherited), json.dumps(restored)
            line = (number, commit.write_id, *result, *changed, is_pop, after)
            self.db.execute("INSERT INTO writes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", line)
        self.db.execute("UPDATE sessions SET head = ? WHERE number = ?", (encode_head(head), number))
        if any(event.usage for event in made.fresh):
            totals = self.totals(row)
            for event in made.fresh:
                commit_rules.add_usage(totals, event)
            cells = json.dumps(totals_document(totals))
            self.db.execute("UPDATE sessions SET totals = ? WHERE number = ?", (cells, row.root))
        return made.receipt

    def totals(self, row: Row) -> records.Totals:
        return totals_in(json.loads(self.all("SELECT totals FROM sessions WHERE number = ?", row.root)[0][0]))

    def loaded(self, row: Row, last: int | None, whole_head: bool) -> LoadedSession:
        head, most = row.head, row.head.last_seq if last is None else last
        tail = ranges.visible_tail(head.last_seq, most, head.hidden)
        events = [event for first, final in tail for event in self.events(row, first, final)]
        query = "SELECT id FROM sessions WHERE parent = ? AND fork IS NULL ORDER BY number"
        child_ids = [name.decode() for (name,) in self.all(query, row.number)] if whole_head else []
        return LoadedSession(heads.copied(head, whole_head=whole_head), events, child_ids)

    def events(self, row: Row, first: int, final: int) -> list[read_records.StoredEvent]:
        query = "SELECT seq, revision, data FROM log WHERE session = ? AND seq BETWEEN ? AND ? ORDER BY seq"
        return [read_records.StoredEvent(*line) for line in self.all(query, row.number, first, final)]

    def seq_of(self, number: int, event_id: str) -> int | None:
        query = "SELECT seq FROM log WHERE session = ? AND id = ?"
        return next((seq for (seq,) in self.all(query, number, event_id)), None)

    def counted(self, number: int, response_id: str) -> CountedResponse | None:
        query = "SELECT counted FROM log WHERE session = ? AND response = ? ORDER BY seq DESC LIMIT 1"
        return next((CountedResponse(*json.loads(text)) for (text,) in self.all(query, number, response_id)), None)


class SqliteSessionStore(BaseSessionStore):
    """Sessions in one SQLite file, which is opened on first use."""

    def __init__(self, path: Path | str, *, limits: StoreLimits | None = None) -> None:
        super().__init__(SqliteBackend(Path(path)), limits=limits or StoreLimits())


def counted(usage: records.UsageDelta | None) -> tuple[str | None, str | None]:
    return (usage.response_id, json.dumps(counted_by(usage))) if usage and usage.response_id else (None, None)


def node(name: bytes, above: bytes | None, fork: str | None) -> TreeNode:
    return TreeNode(name.decode(), above.decode() if above else None, ForkedFrom(*json.loads(fork)) if fork else None)


async def main(path: Path) -> None:
    async with SqliteSessionStore(path) as store, SessionManager(store).open("oslo-trip") as chat:
        async with chat.run(agent="planner") as run, run.child(agent="flights") as flights:
            await flights.tool("search", {"to": "OSL"}, result={"eur": 120})
        await chat.user("Two days in Oslo?")
    async with SqliteSessionStore(path) as store:
        trip = await SessionManager(store).get("oslo-trip")
        for below in await trip.descendants(last=None):
            print(f"{trip.id}: {len(trip.events)} event, run {trip.runs[0].status}")
            print(f"below it: {below.metadata.get_property('agent')}, {len(below.events)} events")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else f"{folder}/sessions.db")))
