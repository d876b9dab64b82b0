"""Pages of heads and counts of sessions, from the catalog of a namespace: each head is read, and decides.

An entry that its head does not bear out is harmless, and is set right here: it is what a death has left, or another
process is just writing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage import page_rules
from a2a_session_manager.storage.file.catalog import CaughtUp, Readiness
from a2a_session_manager.storage.file.catalog_queries import CatalogRow
from a2a_session_manager.storage.file.catalog_tables import HAS_SQLITE, CatalogTables, LostTablesError
from a2a_session_manager.storage.file.catalog_upkeep import LOGS, TREES, confirm, rebuild
from a2a_session_manager.storage.file.session_reader import SessionReader
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.page_records import HeadPage, PageQuery, TimePosition
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey

ResultT = TypeVar("ResultT")

_TRIES: Final = 3


class NoCatalogError(Exception):
    """There is no catalog where the directory can only be read, and without SQLite: all heads are to be read."""


class CatalogPages:
    """Reads pages from the catalogs of a store's directory. It runs in worker threads."""

    def __init__(self, directory: StoreDirectory, reader: SessionReader) -> None:
        self._directory = directory
        self._reader = reader

    def page(self, namespace: Namespace, query: PageQuery, cursor: str | None, limit: int, last: int) -> HeadPage:
        """Return a page of an order by time. Raises NoCatalogError."""
        start = page_rules.position_of(cursor)
        if self._is_bare(namespace):
            return HeadPage((), None)
        return _though_made_anew(lambda: self._page(namespace, query, start, limit, last))

    def count(self, namespace: Namespace, query: PageQuery) -> int:
        """Return how many sessions a query takes that has no title. Raises NoCatalogError."""
        if self._is_bare(namespace):
            return 0
        return _though_made_anew(lambda: self._count(namespace, query))

    def rebuild(self, namespace: Namespace) -> int:
        """Make the catalog of a namespace anew, and return how many sessions are in it. Raises NoCatalogError."""
        if self._is_bare(namespace):
            return 0
        self._directory.prepare()
        state = rebuild(self._directory, self._reader, namespace, self._directory.indexed, is_anew=True)
        return _tables_of(state).size()

    def _ready(self, namespace: Namespace, query: PageQuery) -> CatalogTables:
        """Return the tables with all that was written until now, which sessions are found in by what `query` names."""
        indexed = {*self._directory.indexed, *query.properties}
        state = self._directory.catalog(namespace).catch_up(indexed)
        if state.readiness is not Readiness.READY:
            self._directory.prepare()
            state = rebuild(self._directory, self._reader, namespace, indexed, is_anew=False)
        return _tables_of(state)

    def _is_bare(self, namespace: Namespace) -> bool:
        """Tell whether there is nothing to look for sessions in. Raises NoCatalogError."""
        folders = [self._directory.folder(namespace, kind) for kind in (LOGS, TREES)]
        if not any(folder.is_dir() for folder in folders):
            return True
        if not (HAS_SQLITE and os.access(folders[0].parent, os.W_OK)):
            raise NoCatalogError
        return False

    def _count(self, namespace: Namespace, query: PageQuery) -> int:
        _, unsure = self._ready(namespace, query).count(query)
        for row in unsure:
            confirm(self._directory, namespace, row)
        sure, unsure = self._ready(namespace, query).count(query)
        return sure + sum(self._is_taken(namespace, query, row) for row in unsure)

    def _page(
        self, namespace: Namespace, query: PageQuery, start: TimePosition | None, limit: int, last: int
    ) -> HeadPage:
        tables = self._ready(namespace, query)
        until = None if start is None else start.until
        if start is None and page_rules.is_bounded(query):
            until = tables.latest(query)
        found: list[tuple[TimePosition, LoadedSession]] = []
        position = start
        while (missing := limit + 1 - len(found)) > 0:
            rows = tables.rows(query, position, missing)
            has_moved = False
            for row in rows:
                loaded = self._loaded(namespace, row, last)
                is_taken = loaded is not None and page_rules.takes(query, loaded.head)
                has_moved = self._has_moved(namespace, query, row, loaded if is_taken else None)
                if has_moved:
                    tables = self._ready(namespace, query)
                    break  # it stands further on
                position = TimePosition(row.at, row.id, until)
                if loaded is not None and is_taken:
                    found.append((position, loaded))
            if len(rows) < missing and not has_moved:
                break
        page = found[:limit]
        cursor = page_rules.position_text(page[-1][0]) if len(found) > limit else None
        return HeadPage([loaded for _, loaded in page], cursor)

    def _has_moved(self, namespace: Namespace, query: PageQuery, row: CatalogRow, loaded: LoadedSession | None) -> bool:
        """Set an entry right that `loaded`, what it leads to, does not bear out; tell whether it stands further on."""
        if loaded is not None and row.at <= page_rules.time_of(query, loaded.head):
            return False
        is_set_right = confirm(self._directory, namespace, row)
        return is_set_right and loaded is not None and query.newest_first

    def _is_taken(self, namespace: Namespace, query: PageQuery, row: CatalogRow) -> bool:
        loaded = self._loaded(namespace, row, 0)
        return loaded is not None and page_rules.takes(query, loaded.head)

    def _loaded(self, namespace: Namespace, row: CatalogRow, last: int) -> LoadedSession | None:
        """Return the head of the session that an entry is of; None when it is not there, or another one of its id."""
        loaded = self._reader.load(SessionKey(namespace, row.id), last=last, whole_head=False)
        return loaded if loaded is not None and loaded.head.creation_id == row.creation_id else None


def _tables_of(state: CaughtUp) -> CatalogTables:
    assert state.tables is not None, "what is ready has tables"
    return state.tables


def _though_made_anew(read: Callable[[], ResultT]) -> ResultT:
    """Read again when the tables were made anew, and the earlier ones removed, meanwhile."""
    for _ in range(_TRIES - 1):
        with suppress(LostTablesError):
            return read()
    try:
        return read()
    except LostTablesError as error:
        raise StoreUnavailable(f"{error}: its index is made anew again and again: try again later") from error
