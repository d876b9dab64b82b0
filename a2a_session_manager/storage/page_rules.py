"""The rules of pages of heads: which sessions a query takes, in which order, and what a cursor of it says."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.serialization.plain_json import parsed
from a2a_session_manager.storage.page_records import PageQuery, TimePosition
from a2a_session_manager.storage.read_records import HeadRecord


def takes(query: PageQuery, head: HeadRecord) -> bool:
    """Tell whether the session is one of those that are meant."""
    if query.roots_only and not head.begins_at_root:
        return False
    if any(head.properties.get(key) != value for key, value in query.properties.items()):
        return False
    return not query.title or query.title in folded(title_of(head))


def title_of(head: HeadRecord) -> str:
    """Return the session's title; "" when it has none, or one that is no text. Raises CorruptSession."""
    data = head.properties.get("title", b"")
    if not data.startswith(b'"'):
        return ""
    try:
        return str(parsed(data))
    except ValueError as error:
        session_id = head.key.id
        raise CorruptSession(
            session_id, f"session {session_id!r}: its title is damaged: set another one, or restore it from a backup"
        ) from error


def folded(text: str) -> str:
    """Return a text as titles are compared: the same for capitals and small letters, and for forms that look alike."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def time_of(query: PageQuery, head: HeadRecord) -> int:
    """Return the time that an order by time goes by."""
    return head.created_at if query.order == "created" else head.updated_at


def is_bounded(query: PageQuery) -> bool:
    """Tell whether a session that was on a page could come again on a later one, were it not for `until`."""
    return query.order == "updated" and not query.newest_first


def is_after(query: PageQuery, at: int, session_id: str, position: TimePosition | None) -> bool:
    """Tell whether a session, whose time is `at`, is on a page after `position`; None is the start."""
    if position is None:
        return True
    if position.until is not None and at > position.until:
        return False
    place = (position.at, position.id)
    return (at, session_id) < place if query.newest_first else (at, session_id) > place


def position_text(position: TimePosition) -> str:
    """Return the backend's cursor that stands for `position`."""
    return json.dumps(position, separators=(",", ":"))


def position_of(cursor: str | None) -> TimePosition | None:
    """Return the position that a backend's cursor stands for; None for None, the start.

    Raises InvalidSessionOperation for what no page has returned as its cursor.
    """
    if cursor is None:
        return None
    try:
        at, session_id, until = json.loads(cursor)
    except (ValueError, TypeError, RecursionError):
        at = session_id = until = None
    if not (_is_time(at) and isinstance(session_id, str) and (until is None or _is_time(until))):
        raise InvalidSessionOperation(f"cursor {shown(cursor)} is not one of a page: start again without it")
    return TimePosition(at, session_id, until)


def _is_time(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
