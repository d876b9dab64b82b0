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

from a2a_session_manager import Backend, BaseSessionStore, SessionManager, SessionPage, StoreLimits, exceptions
from a2a_session_manager.namespaces import Namespace, names_in, path_of
from a2a_session_manager.storage import (
    commit_records,
    commit_rules,
    heads,
    hiding,
    paging,
    ranges,
    read_records,
    records,
)
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.counted_responses import CountedResponse, counted_by
from a2a_session_manager.storage.head_codec import decode_head, encode_head
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey

P = ParamSpec("P")
R = TypeVar("R")

# A number is never used twice: it names one incarnation of an id, and its place in the order of creation.
# Ids are blobs, because text functions of SQLite stop at a NUL. A root's `root` is NULL.
SCHEMA = """
PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS sessions (number INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT, id BLOB,
    parent INTEGER REFERENCES sessions ON DELETE CASCADE, root INTEGER, head BLOB, tree_totals BLOB,
    UNIQUE (namespace, id));
CREATE INDEX IF NOT EXISTS by_parent ON sessions (parent); CREATE INDEX IF NOT EXISTS by_root ON sessions (root);
CREATE TABLE IF NOT EXISTS events (session INTEGER REFERENCES sessions ON DELETE CASCADE,
    seq INTEGER, revision INTEGER, id TEXT, data BLOB, response TEXT, counted TEXT, PRIMARY KEY (session, seq),
    UNIQUE (session, id)); CREATE INDEX IF NOT EXISTS by_response ON events (session, response, seq);
CREATE TABLE IF NOT EXISTS writes (session INTEGER REFERENCES sessions ON DELETE CASCADE,
    write_id TEXT, revision INTEGER, last_seq INTEGER, is_change INTEGER, hidden TEXT, restored TEXT,
    is_pop INTEGER, after_seq INTEGER, PRIMARY KEY (session, write_id));
"""


class Row(NamedTuple):
    number: int
    root: int
    head: read_records.HeadRecord


def in_transaction(
    work: Callable[Concatenate[SqliteBackend, P], R],
) -> Callable[Concatenate[SqliteBackend, P], Coroutine[Any, Any, R]]:
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
            if code == sqlite3.SQLITE_FULL:
                raise exceptions.StoreFull(f"{self.path}: {error}: make room") from error
            if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise exceptions.CorruptSession("", f"{self.path}: {error}: restore a backup") from error
            raise exceptions.StoreUnavailable(f"{self.path}: {error}: try again with the same ids") from error

    async def aclose(self) -> None:
        if not self.is_closed:
            closing = self.in_thread(lambda: self.db and self.db.close())  # it runs after all others
            self.is_closed = True
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
        insert = "INSERT INTO sessions (namespace, id, parent, root, tree_totals) VALUES (?, ?, ?, ?, '[]')"
        place = (parent.number, parent.root) if parent else (None, None)
        number = self.db.execute(insert, (path_of(key.namespace), key.id.encode(), *place)).lastrowid
        return self.write(Row(number, place[1] or number, heads.new_head(key, creation)), commit)

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
        if not cascade and self.all("SELECT 1 FROM sessions WHERE parent = ? LIMIT 1", row.number):
            raise exceptions.InvalidSessionOperation(f"session {key.id!r} has children: pass children='cascade'")
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
        if (row := self.find(key)) is None:
            return None
        query = "SELECT number, id FROM sessions WHERE parent = ? AND number > ? ORDER BY number LIMIT ?"
        found = self.all(query, row.number, paging.ordinal_of(cursor), limit + 1)
        return page([(name.decode(), str(number)) for number, name in found], limit)

    @in_transaction
    def tree(self, key: SessionKey) -> list[read_records.TreeNode] | None:
        if (row := self.find(key)) is None:
            return None
        query = "SELECT number, id, parent FROM sessions WHERE ? IN (number, root) ORDER BY number"
        names = {number: (name.decode(), parent) for number, name, parent in self.all(query, row.root)}
        return [read_records.TreeNode(name, names[parent][0] if parent else None) for name, parent in names.values()]

    @in_transaction
    def tree_totals(self, key: SessionKey) -> read_records.TreeTotals | None:
        row = self.find(key)
        is_root = row is not None and row.number == row.root
        return read_records.TreeTotals(row.head.creation_id, self.totals(row)) if row and is_root else None

    @in_transaction
    def list_page(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> SessionPage:
        start, after = (text.encode("utf-8", "surrogatepass") for text in (prefix, cursor or ""))
        query = "SELECT id FROM sessions WHERE namespace = ? AND id >= ? AND id < ? AND id > ? %s ORDER BY id LIMIT ?"
        query %= "AND parent IS NULL" if roots_only else ""
        found = self.all(query, path_of(namespace), start, start + b"\xff", after, limit + 1)  # UTF-8 has no byte 255
        return page([(name.decode(), name.decode()) for (name,) in found], limit)

    @in_transaction
    def list_namespaces(self, namespace: Namespace, *, cursor: str | None, limit: int) -> read_records.NamespacePage:
        every = [tuple(names_in(path)) for (path,) in self.all("SELECT DISTINCT namespace FROM sessions")]
        depth = len(namespace)
        found = {names[depth] for names in every if len(names) > depth and names[:depth] == namespace}
        return paging.names_page(sorted(found), cursor, limit)

    def all(self, query: str, *values: Any) -> list[Any]:
        return list(self.db.execute(query, values))

    def find(self, key: SessionKey) -> Row | None:
        query = "SELECT number, root, head FROM sessions WHERE namespace = ? AND id = ?"
        found = self.all(query, path_of(key.namespace), key.id.encode())
        return Row(found[0][0], found[0][1] or found[0][0], decode_head(found[0][2], key)) if found else None

    def repeated(self, row: Row, commit: EncodedCommit) -> Receipt | None:
        first = self.first_result(row, commit.write_id)
        return first and commit_rules.repeat(row.head, commit, first, partial(self.seq_of, row.number))

    def first_result(self, row: Row, write_id: str | None) -> commit_records.FirstResult | None:
        columns = "revision, last_seq, is_change, hidden, restored, is_pop"
        known = f"SELECT {columns} FROM writes WHERE session = ? AND write_id = ?"
        for revision, last_seq, is_change, *changed, is_pop in self.all(known, row.number, write_id):
            hidden, restored = map(spans, changed)
            return commit_records.FirstResult(revision, last_seq, bool(is_change), hidden, restored, bool(is_pop))
        return None

    def retractions(self, row: Row) -> list[read_records.StoredRetraction]:
        query = "SELECT revision, after_seq, hidden, restored FROM writes WHERE session = ? AND %s ORDER BY revision"
        lines = self.all(query % "(hidden != '[]' OR restored != '[]')", row.number)
        return [read_records.StoredRetraction(at, place, spans(hid), spans(shown)) for at, place, hid, shown in lines]

    def write(self, row: Row, commit: EncodedCommit) -> Receipt:
        if (receipt := self.repeated(row, commit)) is not None:
            return receipt
        number, _, head = row
        back, history = commit.restoration, hiding.NO_HISTORY
        if back is not None:
            history = hiding.History(self.retractions(row), self.first_result(row, back.write_id))
        finders = partial(self.seq_of, number), partial(self.counted, number)
        outcome = commit_rules.decide(head, commit, *finders, history)
        after, fresh = head.last_seq, enumerate(outcome.fresh, head.last_seq + 1)
        commit_rules.apply(head, commit, outcome)
        lines = [(number, seq, outcome.revision, event.id, event.data, *counted(event.usage)) for seq, event in fresh]
        self.db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", lines)
        if commit.write_id is not None:
            *result, hidden, restored, is_pop = outcome.first_result
            line = (number, commit.write_id, *result, json.dumps(hidden), json.dumps(restored), is_pop, after)
            self.db.execute("INSERT INTO writes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", line)
        self.db.execute("UPDATE sessions SET head = ? WHERE number = ?", (encode_head(head), number))
        if any(event.usage for event in outcome.fresh):
            totals = self.totals(row)
            for event in outcome.fresh:
                commit_rules.add_usage(totals, event)
            cells = json.dumps([[*cell, counters] for cell, counters in totals.items()])
            self.db.execute("UPDATE sessions SET tree_totals = ? WHERE number = ?", (cells, row.root))
        return outcome.receipt

    def totals(self, row: Row) -> records.Totals:
        ((cells,),) = self.all("SELECT tree_totals FROM sessions WHERE number = ?", row.root)
        return {(model, source): counters for model, source, counters in json.loads(cells)}

    def loaded(self, row: Row, last: int | None, whole_head: bool) -> LoadedSession:
        head = row.head
        tail = ranges.visible_tail(head.last_seq, head.last_seq if last is None else last, head.hidden)
        events = [event for first, final in tail for event in self.events(row, first, final)]
        query = "SELECT id FROM sessions WHERE parent = ? ORDER BY number"
        child_ids = [name.decode() for (name,) in self.all(query, row.number)] if whole_head else []
        return LoadedSession(heads.copied(head, whole_head=whole_head), events, child_ids)

    def events(self, row: Row, first: int, final: int) -> list[read_records.StoredEvent]:
        query = "SELECT seq, revision, data FROM events WHERE session = ? AND seq BETWEEN ? AND ? ORDER BY seq"
        return [read_records.StoredEvent(*line) for line in self.all(query, row.number, first, final)]

    def seq_of(self, number: int, event_id: str) -> int | None:
        found = self.all("SELECT seq FROM events WHERE session = ? AND id = ?", number, event_id)
        return found[0][0] if found else None

    def counted(self, number: int, response_id: str) -> CountedResponse | None:
        query = "SELECT counted FROM events WHERE session = ? AND response = ? ORDER BY seq DESC LIMIT 1"
        return next((CountedResponse(*json.loads(text)) for (text,) in self.all(query, number, response_id)), None)


class SqliteSessionStore(BaseSessionStore):
    """Sessions in one SQLite file, which is opened on first use."""

    def __init__(self, path: Path | str, *, limits: StoreLimits | None = None) -> None:
        super().__init__(SqliteBackend(Path(path)), limits=limits or StoreLimits())


def page(found: list[tuple[str, str]], limit: int) -> SessionPage:
    """Return a page of the first `limit` ids. `found` is one (id, cursor) longer when another page follows."""
    return SessionPage([name for name, _ in found[:limit]], found[limit - 1][1] if len(found) > limit else None)


def counted(usage: records.UsageDelta | None) -> tuple[str | None, str | None]:
    return (usage.response_id, json.dumps(counted_by(usage))) if usage and usage.response_id else (None, None)


def spans(text: str) -> tuple[records.Range, ...]:
    return tuple((first, last) for first, last in json.loads(text))


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
