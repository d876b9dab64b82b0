"""How a record of a catalog's journal changes its tables: they are a fold over the journal and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from a2a_session_manager.storage.file.catalog_queries import blob_of, text_of
from a2a_session_manager.storage.file.catalog_records import CatalogEntry, Kind, entry_from

if TYPE_CHECKING:  # a Python that was built without SQLite has no tables
    from sqlite3 import Connection, Cursor

# Bits of `unsure`: what a record said ahead of a commit, a creation or a deletion that may not have come about.
_VALUES_UNSURE: Final = 1
_EXISTENCE_UNSURE: Final = 2


def take_record(connection: Connection, kind: Kind, fields: list[Any], generation: str) -> None:
    """Bring the tables to where a record of the journal of `generation` leads."""
    if kind is Kind.GONE:
        _delete(connection, [(blob_of(each),) for each in fields])
    elif kind is Kind.DELETES:
        marks = [(_EXISTENCE_UNSURE, blob_of(each)) for each in fields]
        connection.executemany("UPDATE sessions SET unsure = unsure | ? WHERE creation = ?", marks)
    elif kind in (Kind.PROGRESS, Kind.WHOLE):
        if fields[0] == generation:  # else of a rebuild that another one has overtaken
            _execute(connection, "UPDATE state SET is_whole = ?, progress = ?", kind is Kind.WHOLE, fields[1])
    else:
        _take_entry(connection, kind, entry_from(fields))


def _take_entry(connection: Connection, kind: Kind, entry: CatalogEntry) -> None:
    known = _execute(
        connection, "SELECT number, updated, unsure FROM sessions WHERE creation = ?", blob_of(entry.creation_id)
    ).fetchone()
    if known is None:
        number = _insert(connection, entry, 0 if kind is Kind.SURE else _EXISTENCE_UNSURE)
        _insert_values(connection, number, entry, entry.values, entry.titles)
        return
    number, updated, unsure = known
    is_exact = kind in (Kind.SURE, Kind.CHANGED)
    if not is_exact:
        entry = entry._replace(updated_at=max(entry.updated_at, updated))
    unsure = {
        Kind.SURE: 0,
        Kind.CHANGED: unsure & ~_VALUES_UNSURE,
        Kind.CHANGES: unsure | _VALUES_UNSURE,
        Kind.CREATES: unsure | _EXISTENCE_UNSURE,
    }.get(kind, unsure)
    _execute(
        connection, "UPDATE sessions SET updated = ?, unsure = ? WHERE number = ?", entry.updated_at, unsure, number
    )
    values, titles = _values_of(connection, number)
    if is_exact and (values, titles) != (set(entry.values), set(entry.titles)):
        _execute(connection, "DELETE FROM property_values WHERE session = ?", number)
        _execute(connection, "DELETE FROM titles WHERE session = ?", number)
        values, titles = set(), set()
    _execute(connection, "UPDATE property_values SET updated = ? WHERE session = ?", entry.updated_at, number)
    _insert_values(
        connection,
        number,
        entry,
        [pair for pair in entry.values if pair not in values],
        [title for title in entry.titles if title not in titles],
    )


def _insert(connection: Connection, entry: CatalogEntry, unsure: int) -> int:
    cursor = _execute(
        connection,
        "INSERT INTO sessions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
        blob_of(entry.creation_id),
        blob_of(entry.id),
        blob_of(entry.root_id),
        entry.is_listed_as_root,
        entry.created_at,
        entry.updated_at,
        unsure,
    )
    assert cursor.lastrowid is not None, "a row was inserted"
    return cursor.lastrowid


def _insert_values(
    connection: Connection, number: int, entry: CatalogEntry, values: Sequence[tuple[str, str]], titles: Sequence[str]
) -> None:
    for name, value in values:
        _execute(
            connection,
            "INSERT INTO property_values VALUES (?, ?, ?, ?, ?)",
            number, blob_of(name), blob_of(value), entry.created_at, entry.updated_at,
        )  # fmt: skip
    for title in titles:
        _execute(connection, "INSERT INTO titles VALUES (?, ?)", number, blob_of(title))


def _values_of(connection: Connection, number: int) -> tuple[set[tuple[str, str]], set[str]]:
    values = _execute(connection, "SELECT name, value FROM property_values WHERE session = ?", number)
    titles = _execute(connection, "SELECT title FROM titles WHERE session = ?", number)
    return {(text_of(name), text_of(value)) for name, value in values}, {text_of(title) for (title,) in titles}


def _delete(connection: Connection, creations: Sequence[tuple[bytes]]) -> None:
    for table in ("property_values", "titles"):
        which = "session = (SELECT number FROM sessions WHERE creation = ?)"
        connection.executemany(f"DELETE FROM {table} WHERE {which}", creations)
    connection.executemany("DELETE FROM sessions WHERE creation = ?", creations)


def _execute(connection: Connection, sql: str, *values: object) -> Cursor:
    return connection.execute(sql, values)
