"""What a page asks of a catalog's tables: a query as SQL, and the rows that come of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from a2a_session_manager.storage.file.catalog_records import LONG_TITLE, value_text
from a2a_session_manager.storage.page_records import PageQuery, TimePosition

TIMES: Final[Mapping[str, str]] = {"updated": "updated", "created": "created"}


class CatalogRow(NamedTuple):
    """A session that a query may mean; only its head tells. `at` is the time that it stands at."""

    creation_id: str
    id: str
    root_id: str
    at: int


def selected(query: PageQuery, position: TimePosition | None) -> tuple[str, list[object]]:
    """Return from where, and under which conditions, the sessions come that the query may mean."""
    time = TIMES.get(query.order, "updated")
    at = f"sessions.{time}"
    conditions: list[str] = []
    values: list[object] = []
    source = "FROM sessions"
    for number, (name, value) in enumerate(query.properties.items()):
        pair = [blob_of(name), blob_of(value_text(value))]
        if number == 0:
            source = "FROM property_values JOIN sessions ON sessions.number = property_values.session"
            at = f"property_values.{time}"
            conditions.append("property_values.name = ? AND property_values.value = ?")
        else:
            conditions.append(
                "EXISTS (SELECT 1 FROM property_values AS other WHERE other.session = sessions.number "
                "AND other.name = ? AND other.value = ?)"
            )
        values += pair
    if query.title:
        conditions.append(
            "EXISTS (SELECT 1 FROM titles WHERE titles.session = sessions.number AND (instr(title, ?) OR title = ?))"
        )
        values += [blob_of(query.title), blob_of(LONG_TITLE)]
    if query.roots_only:
        conditions.append("sessions.is_root")
    if position is not None:
        sign = "<" if query.newest_first else ">"
        conditions.append(f"{at} {sign}= ? AND ({at} {sign} ? OR sessions.id {sign} ?)")
        values += [position.at, position.at, blob_of(position.id)]
        if position.until is not None:
            conditions.append(f"{at} <= ?")
            values.append(position.until)
    return f"{source} WHERE {' AND '.join(conditions) or 'true'}", values


def row_of(found: tuple[bytes, bytes, bytes, int]) -> CatalogRow:
    creation, session_id, root, at = found
    return CatalogRow(text_of(creation), text_of(session_id), text_of(root), at)


def blob_of(text: str) -> bytes:
    """Return a text as SQLite keeps it: lone surrogates, which JSON may hold, are no text for it."""
    return text.encode("utf-8", "surrogatepass")


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
