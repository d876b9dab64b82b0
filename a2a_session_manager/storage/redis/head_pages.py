"""Pages of heads: the index tells who is on them, and each session that it leads to is looked at.

Each shard gives its first rows, and what comes first of all of them is the page: two round trips, whatever the number
of sessions. What an entry says of a session that is gone, or otherwise by now, is put right on the way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation, StoreFull
from a2a_session_manager.identifiers import shown
from a2a_session_manager.namespaces import Namespace
from a2a_session_manager.storage import page_rules
from a2a_session_manager.storage.page_records import HeadPage, PageQuery
from a2a_session_manager.storage.read_records import HeadRecord, LoadedSession
from a2a_session_manager.storage.redis.entries import TIME_DIGITS, TOLERANCE, IndexedSession
from a2a_session_manager.storage.redis.entry_repair import EntryRepair
from a2a_session_manager.storage.redis.entry_rows import EntryRows, RowRange
from a2a_session_manager.storage.redis.index_lines import listing_position
from a2a_session_manager.storage.redis.indexed_sessions import DAMAGED, IndexedSessions
from a2a_session_manager.storage.redis.keys import SessionKeys, listed_keys
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.session_reader import SessionReader

# Of a title, each session has to be looked at.
_LOOKED_THROUGH: Final = 200
# Entries that were put elsewhere are asked for again; not for ever.
_ATTEMPTS: Final = 3


class Position(NamedTuple):
    """Where a page ends: after the time and the line of a row. `until` is the server's time when the paging began.

    Oldest first by activity, what was active since is left out: it may have been on an earlier page. "" elsewhere.
    """

    place: str
    until: str = ""


class Row(NamedTuple):
    """What the index says of a session: where it stands in the order, and where it lies."""

    place: bytes
    keys: SessionKeys

    @property
    def at(self) -> int:
        """The time that it stands at."""
        return int(self.place[:TIME_DIGITS])


@dataclass(slots=True)
class _Found:
    """What was found for a page, each with its row, and the rows that must be looked after."""

    sessions: list[tuple[Row, LoadedSession]] = field(default_factory=list)
    gone: list[SessionKeys] = field(default_factory=list)
    wrong: list[SessionKeys] = field(default_factory=list)
    now: int = 0


class HeadPages:
    """Finds sessions by the entries of the index."""

    def __init__(
        self,
        prefix: str,
        rows: EntryRows,
        repair: EntryRepair,
        indexed: IndexedSessions,
        reader: SessionReader,
        reaper: Reaper,
    ) -> None:
        self._prefix = prefix
        self._rows = rows
        self._repair = repair
        self._indexed = indexed
        self._reader = reader
        self._reaper = reaper

    async def page(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> HeadPage:
        """Return the page after `cursor` of an order by time; see `Backend.page`."""
        start = _position_of(cursor)
        ranges = await self._rows.ranges(namespace, query)
        for attempt in range(_ATTEMPTS):
            found, until = await self._find(namespace, query, ranges, start, limit, last)
            if not await self._look_after(found) or attempt == _ATTEMPTS - 1:
                break
        page = [session for _, session in found.sessions[:limit]]
        if len(found.sessions) <= limit:
            return HeadPage(page, None)
        row, _ = found.sessions[limit - 1]
        return HeadPage(page, json.dumps(Position(row.place.decode(), until), separators=(",", ":")))

    async def page_by_id(
        self, namespace: Namespace, query: PageQuery, *, cursor: str | None, limit: int, last: int
    ) -> HeadPage:
        """Return the page after `cursor`, in the order of `IndexLines.lines`, of sessions that properties find."""
        ranges = await self._rows.ranges(namespace, query)
        start = listing_position(cursor, len(ranges))
        found, at = _Found(), 0
        lines: list[tuple[int, bytes]] = []
        async for rows in self._rows.walk(namespace, query, ranges):
            found.now = rows.now
            for number, places in enumerate(rows.of_ranges):
                lines += [(number, place[TIME_DIGITS:]) for place in places]
        lines = sorted(line for line in lines if line > start)
        while at < len(lines) and len(found.sessions) <= limit:
            some = lines[at : at + limit + 1 - len(found.sessions)]
            at += len(some)
            chosen = [Row(b"%d:%b" % line, listed_keys(self._prefix, namespace, line[1])) for line in some]
            await self._look_at(found, query, chosen, last)
        await self._look_after(found)
        page = [session for _, session in found.sessions[:limit]]
        is_last = len(found.sessions) <= limit
        return HeadPage(page, None if is_last else found.sessions[limit - 1][0].place.decode())

    async def count(self, namespace: Namespace, query: PageQuery) -> int:
        """Return how many sessions the query takes; each is looked at."""
        # By their creation: those do not move meanwhile.
        query = query._replace(order="created")
        ranges = await self._rows.ranges(namespace, query)
        names = list(query.properties)
        count = 0
        async for rows in self._rows.walk(namespace, query, ranges):
            sessions = [self._row(namespace, place).keys for places in rows.of_ranges for place in places]
            looked_at = await self._indexed.look(sessions, names)
            wrong: list[SessionKeys] = []
            for keys, session in zip(sessions, looked_at, strict=True):
                if session is DAMAGED:
                    await self._reader.load_listed([keys], last=0)  # which says so
                elif session is not None and not _has(query, session):
                    wrong.append(keys)
                elif session is not None:
                    count += not query.roots_only or keys.is_root or session.is_top
            await self._look_after(_Found(wrong=wrong, now=rows.now))
        return count

    async def _find(
        self,
        namespace: Namespace,
        query: PageQuery,
        ranges: Sequence[RowRange],
        start: Position | None,
        limit: int,
        last: int,
    ) -> tuple[_Found, str]:
        """Return what is on the page, and one more where there is; and until when sessions may have been active."""
        found, is_all = _Found(), False
        until = "" if start is None else start.until
        if start is not None:
            ranges = [
                each.after(each.prefix + start.place.encode(), newest_first=query.newest_first) for each in ranges
            ]
        while not is_all and len(found.sessions) <= limit:
            wanted = limit + 1 - len(found.sessions)
            wanted = max(wanted, _LOOKED_THROUGH) if query.title else wanted
            places, is_all, found.now = await self._rows.first(namespace, query, ranges, wanted, until)
            if page_rules.is_bounded(query) and not until:
                until = str(found.now)
            chosen = [self._row(namespace, place) for place in places]
            await self._look_at(found, query, chosen, last)
            if chosen:
                ranges = [
                    each.after(each.prefix + chosen[-1].place, newest_first=query.newest_first) for each in ranges
                ]
        return found, until

    async def _look_at(self, found: _Found, query: PageQuery, chosen: Sequence[Row], last: int) -> None:
        """Load what rows lead to, and add it where it belongs."""
        loaded = await self._reader.load_listed([row.keys for row in chosen], last=last)
        for row, session in zip(chosen, loaded, strict=True):
            if session is None:
                found.gone.append(row.keys)
                continue
            if _is_wrong(query, row, session.head):
                found.wrong.append(row.keys)
            if page_rules.takes(query, session.head):
                found.sessions.append((row, session))

    async def _look_after(self, found: _Found) -> bool:
        """Put right what was found wrong; tell whether one of the sessions has another place now."""
        if found.gone:
            with suppress(StoreFull):  # this is reading; the next page removes them
                await self._reaper.clear(found.gone)
        return bool(found.wrong) and await self._repair.mend(found.wrong, found.now)

    def _row(self, namespace: Namespace, place: bytes) -> Row:
        return Row(place, listed_keys(self._prefix, namespace, place[TIME_DIGITS:]))


def _is_wrong(query: PageQuery, row: Row, head: HeadRecord) -> bool:
    """Tell whether the index says otherwise than the session does."""
    if any(head.properties.get(name) != value for name, value in query.properties.items()):
        return True
    if query.order == "id":
        return False
    off = row.at - page_rules.time_of(query, head)
    return abs(off) > (TOLERANCE if query.order == "updated" else 0)


def _has(query: PageQuery, session: IndexedSession) -> bool:
    return all(session.properties.get(name) == value for name, value in query.properties.items())


def _position_of(cursor: str | None) -> Position | None:
    if cursor is None:
        return None
    try:
        place, until = json.loads(cursor)
    except ValueError:
        place = until = None
    if not (isinstance(place, str) and isinstance(until, str)) or not place[:TIME_DIGITS].isdecimal():
        raise InvalidSessionOperation(f"cursor {shown(cursor)} is not one of a page: start again without it")
    return Position(place, until)
