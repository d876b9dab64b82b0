"""Sessions of openai-agents in SQLite: branches of AdvancedSQLiteSession become forks.

The file is read from a copy, with what its write-ahead log holds: nothing is written to it, nor is it locked.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

from a2a_session_manager.foreign_records.held import text_of
from a2a_session_manager.importers.records import EventRecord, Record, SessionStart, opaque, said
from a2a_session_manager.importers.source import SourceFile
from a2a_session_manager.importers.times import Clock, Moment, time_of
from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.usage.recorded import recorded_usage

NAME: Final = "openai-agents"
WHAT: Final = "sessions of openai-agents: an SQLite file, or redis://…?key_prefix=agents:session"
MAGIC: Final = b"SQLite format 3\x00"

_BESIDE: Final = ("-wal", "-shm")
_TRIES: Final = 5
_ENCRYPTED: Final = "__enc__"


class _Tables(NamedTuple):
    """The names of a pair of tables, quoted, and whether they have branches."""

    sessions: str
    messages: str
    has_branches: bool


def read(source: SourceFile) -> Iterator[Record]:
    """Yield the sessions of an SQLite file, and a fork for each branch."""
    with tempfile.TemporaryDirectory(prefix="a2a-sessions-") as directory:
        copy = _copied(source, Path(directory))
        try:
            with closing(sqlite3.connect(copy, check_same_thread=False)) as database:
                for tables in _tables_in(database, source):
                    yield from _Sessions(database, tables, source).records()
        except sqlite3.DatabaseError as error:
            raise source.fault(f"SQLite says that it is damaged: {error}") from error


def item_of(session_id: str, text: str, event_id: str, at: Moment, usage: TokenUsage | None = None) -> EventRecord:
    """Return the event of an item, of which a session holds the JSON text."""
    about: dict[str, Any] = {"id": event_id, "at": at, "usage": usage, "weight": len(text)}
    try:
        item = json.loads(text)
    except (ValueError, RecursionError):
        return opaque(session_id, text, "text", **about)
    if not isinstance(item, Mapping):
        return opaque(session_id, item, type(item).__name__, **about)
    if item.get(_ENCRYPTED):
        return opaque(session_id, dict(item), "encrypted", **about)
    return said(session_id, item, **about)


def _copied(source: SourceFile, directory: Path) -> Path:
    """Copy the file and what is beside it, as they were at one moment."""
    copy = directory / "copy"
    for _ in range(_TRIES):
        before = _stamps(source.path)
        try:
            shutil.copyfile(source.path, copy)
            for ending in _BESIDE:
                beside, target = Path(f"{source.path}{ending}"), Path(f"{copy}{ending}")
                target.unlink(missing_ok=True)
                if beside.exists():
                    shutil.copyfile(beside, target)
        except OSError as error:
            raise source.fault(f"it cannot be copied: {error.strerror}") from error
        if _stamps(source.path) == before:
            return copy
    raise source.fault("somebody writes to it all the time: stop the program that does, or import a backup")


def _stamps(path: Path) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for ending in ("", _BESIDE[0]):
        place = Path(f"{path}{ending}")
        status = place.stat() if place.exists() else None
        found.append(None if status is None else (status.st_size, status.st_mtime_ns))
    return found


def _tables_in(database: sqlite3.Connection, source: SourceFile) -> list[_Tables]:
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    columns = {name: {row[1] for row in database.execute(f"PRAGMA table_info({_quoted(name)})")} for name in names}
    found: list[_Tables] = []
    for name in names:
        if not {"id", "session_id", "message_data"} <= columns[name]:
            continue
        owners = [row[2] for row in database.execute(f"PRAGMA foreign_key_list({_quoted(name)})")]
        owner = next((each for each in owners if "session_id" in columns.get(each, ())), None)
        if owner is not None:
            structure = database.execute("PRAGMA foreign_key_list(message_structure)")
            found.append(_Tables(_quoted(owner), _quoted(name), name in [row[2] for row in structure]))
    if not found:
        tables = ", ".join(sorted(names)[:8]) or "none"
        raise source.fault(f"this SQLite file has no sessions of openai-agents: its tables are {tables}")
    return found


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


class _Sessions:
    def __init__(self, database: sqlite3.Connection, tables: _Tables, source: SourceFile) -> None:
        self._database = database
        self._tables = tables
        self._source = source

    def records(self) -> Iterator[Record]:
        rows = self._database.execute(f"SELECT session_id, created_at, updated_at FROM {self._tables.sessions}")
        for session_id, created_at, updated_at in rows:
            clock = Clock(self._source.modified_at)
            clock.at(created_at)
            name = str(session_id)  # SQLite keeps bytes as well
            yield SessionStart(name, created_at=time_of(created_at), updated_at=time_of(updated_at), about={"id": name})
            branches = self._branches(session_id) if self._tables.has_branches else {}
            if branches:
                yield from self._branched(session_id, branches, clock)
            else:
                yield from self._messages(session_id, name, None, {}, clock)

    def _branches(self, session_id: str) -> dict[str, list[int]]:
        """Return the rows of each branch, the oldest branch first, as it is there before those that leave it."""
        found: dict[str, list[int]] = {}
        query = (
            "SELECT branch_id, message_id FROM message_structure WHERE session_id = ? "
            "ORDER BY branch_id <> 'main', id, sequence_number"
        )
        for branch_id, message_id in self._database.execute(query, (session_id,)):
            found.setdefault(branch_id, []).append(message_id)
        return found

    def _branched(self, session_id: str, branches: dict[str, list[int]], clock: Clock) -> Iterator[Record]:
        told: dict[str, list[int]] = {}
        for number, (branch_id, rows) in enumerate(branches.items()):
            usages = self._usages(session_id, branch_id)
            if not number:
                yield from self._messages(session_id, session_id, rows, usages, clock)
                told[session_id] = rows
                continue
            source_id, shared = _longest_shared(told, rows)
            fork_id = f"{session_id}/{branch_id}"
            about = {"id": session_id, "branch": branch_id}
            own = rows[shared:]
            made = clock.at(self._time_of(own[0] if own else rows[-1])).time
            if shared:
                yield SessionStart(fork_id, source_id, str(rows[shared - 1]), created_at=made, about=about)
            else:
                yield SessionStart(fork_id, session_id, created_at=made, about=about)
            yield from self._messages(session_id, fork_id, own, usages, clock)
            told[fork_id] = rows
        known = {row for rows in branches.values() for row in rows}
        left = [row for row in self._ids(session_id) if row not in known]
        yield from self._messages(session_id, session_id, left, {}, clock)

    def _messages(
        self,
        owner_id: str,
        session_id: str,
        rows: Sequence[int] | None,
        usages: Mapping[int, TokenUsage],
        clock: Clock,
    ) -> Iterator[EventRecord]:
        """Yield the events of rows; None means all of the session."""
        columns = f"SELECT id, message_data, created_at FROM {self._tables.messages}"
        if rows is None:
            found: Iterator[Any] = self._database.execute(f"{columns} WHERE session_id = ? ORDER BY id", (owner_id,))
        else:
            found = (row for each in rows for row in self._database.execute(f"{columns} WHERE id = ?", (each,)))
        for row, text, created_at in found:
            yield item_of(session_id, str(text), str(row), clock.at(created_at), usages.get(row))

    def _ids(self, session_id: str) -> list[int]:
        query = f"SELECT id FROM {self._tables.messages} WHERE session_id = ? ORDER BY id"
        return [row for (row,) in self._database.execute(query, (session_id,))]

    def _time_of(self, row: int) -> Any:
        query = f"SELECT created_at FROM {self._tables.messages} WHERE id = ?"
        return (self._database.execute(query, (row,)).fetchone() or (None,))[0]

    def _usages(self, session_id: str, branch_id: str) -> dict[int, TokenUsage]:
        """Return what each turn of a branch has used, by its last row."""
        query = (
            "SELECT MAX(s.message_id), u.requests, u.input_tokens, u.output_tokens, u.total_tokens, "
            "u.input_tokens_details, u.output_tokens_details FROM turn_usage u JOIN message_structure s "
            "ON s.session_id = u.session_id AND s.branch_id = u.branch_id "
            "AND s.user_turn_number = u.user_turn_number WHERE u.session_id = ? AND u.branch_id = ? "
            "GROUP BY u.user_turn_number"
        )
        names = ("requests", "input_tokens", "output_tokens", "total_tokens")
        found: dict[int, TokenUsage] = {}
        for row, *counts, asked, answered in self._database.execute(query, (session_id, branch_id)):
            usage: dict[str, Any] = dict(zip(names, counts, strict=True))
            for name, text in (("input_tokens_details", asked), ("output_tokens_details", answered)):
                if text_of(text) is not None:
                    usage[name] = json.loads(text)
            found[row] = recorded_usage(usage)
        return found


def _longest_shared(told: Mapping[str, Sequence[int]], rows: Sequence[int]) -> tuple[str, int]:
    """Return the session whose rows begin like these for longest, and for how many."""
    best = ("", 0)
    for session_id, others in told.items():
        pairs = zip(rows, others, strict=False)
        shared = next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(rows), len(others)))
        best = max(best, (session_id, shared), key=lambda each: each[1])
    return best
