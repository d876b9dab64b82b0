"""The rows that the shards of a namespace's index hold, in their order, once they are known to be whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final, NamedTuple

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.identifiers import shown
from a2a_session_manager.namespaces import Namespace, path_of
from a2a_session_manager.storage.page_records import PageQuery
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.entries import TOP, facet, names_text
from a2a_session_manager.storage.redis.entry_calls import EntryCalls
from a2a_session_manager.storage.redis.entry_repair import EntryRepair
from a2a_session_manager.storage.redis.index_lines import IndexLines
from a2a_session_manager.storage.redis.keys import INDEX_SHARDS, entry_keys, index_keys
from a2a_session_manager.storage.redis.script import PlainCall
from a2a_session_manager.storage.redis.shards import run_all

# What others damage meanwhile is made anew and asked for again; not for ever.
_ATTEMPTS: Final = 5
_ROWS_AT_ONCE: Final = 200


class RowRange(NamedTuple):
    """Rows of a shard between two bounds, which begin with `prefix`, a facet and an order."""

    shard: bytes
    prefix: bytes
    lowest: bytes
    highest: bytes

    def after(self, row: bytes, *, newest_first: bool = False) -> RowRange:
        """Return what comes after a row."""
        bound = b"(" + row
        return self._replace(highest=bound) if newest_first else self._replace(lowest=bound)


class Rows(NamedTuple):
    """Rows without their prefixes, for each range those that come first, and the server's time in microseconds."""

    of_ranges: Sequence[Sequence[bytes]]
    now: int


class EntryRows:
    """Reads the index, and lets it be made anew where something is missing."""

    def __init__(
        self, connections: Connections, prefix: str, lines: IndexLines, calls: EntryCalls, repair: EntryRepair
    ) -> None:
        self._connections = connections
        self._prefix = prefix
        self._lines = lines
        self._calls = calls
        self._repair = repair

    async def ranges(self, namespace: Namespace, query: PageQuery) -> list[RowRange]:
        """Return where the rows of all sessions are that the query takes, and of some more, in their order of time."""
        shards = index_keys(self._prefix, namespace, roots_only=False)
        order = "u" if query.order == "updated" else "c"
        facets = [facet(name, value) for name, value in query.properties.items()]
        chosen = await self._rarest(shards, facets) if len(facets) > 1 else "".join(facets)
        ranges = []
        for number, shard in enumerate(shards):
            is_below = query.roots_only and not chosen and number >= INDEX_SHARDS
            start = (TOP if is_below else chosen) + order
            first, last = start.encode(), (start[:-1] + chr(ord(order) + 1)).encode()
            ranges.append(RowRange(shard, first, b"[" + first, b"(" + last))
        return ranges

    async def read(
        self,
        namespace: Namespace,
        query: PageQuery,
        ranges: Sequence[RowRange],
        limit: int,
        *,
        newest_first: bool = False,
        until: str = "",
    ) -> Rows:
        """Return the first `limit` rows of each range; `until` is the time after which no session has moved.

        Raises CorruptSession where lines of the namespace are lost that nothing tells of.
        """
        wanted = names_text(query.properties)
        calls = [
            self._calls.page(
                each.shard,
                [wanted, each.lowest, each.highest, int(newest_first), limit, until, len(each.prefix) + 17],
            )
            for each in ranges
        ]
        for _ in range(_ATTEMPTS):
            answers = await run_all(self._connections, calls)
            if all(answer[0] == b"OK" for answer in answers):
                rows = [
                    [row[len(each.prefix) :] for row in answer[2]] for each, answer in zip(ranges, answers, strict=True)
                ]
                return Rows(rows, min(int(answer[1]) for answer in answers))
            lost = [each.shard for each, answer in zip(ranges, answers, strict=True) if answer[0] == b"LOST"]
            if lost:
                await self._lines.mend(namespace, lost)
            await self._repair.complete(namespace)
        raise StoreUnavailable(
            f"the index of namespace {shown(path_of(namespace))} is lost as fast as it is made anew: try again"
        )

    async def first(
        self, namespace: Namespace, query: PageQuery, ranges: Sequence[RowRange], limit: int, until: str
    ) -> tuple[list[bytes], bool, int]:
        """Return the first `limit` rows of all ranges together, whether there are no more, and the server's time.

        Of each range, some more than its share are read; where that was not enough, there is a second round trip.
        """
        some = min(limit, limit // 4 + 8)
        while True:
            newest_first = query.newest_first
            rows = await self.read(namespace, query, ranges, some, newest_first=newest_first, until=until)
            places = sorted((place for each in rows.of_ranges for place in each), reverse=newest_first)
            cut_off = [each[-1] for each in rows.of_ranges if len(each) == some]
            if some == limit or all(place not in places[:limit] for place in cut_off):
                return places[:limit], len(places) <= limit and not cut_off, rows.now
            some = limit

    async def walk(self, namespace: Namespace, query: PageQuery, ranges: Sequence[RowRange]) -> AsyncIterator[Rows]:
        """Yield the rows of all ranges, some of each at a time; of those that were read to the end, there are none."""
        open_ranges = dict(enumerate(ranges))
        while open_ranges:
            rows = await self.read(namespace, query, list(open_ranges.values()), _ROWS_AT_ONCE)
            found = dict(zip(open_ranges, rows.of_ranges, strict=True))
            yield Rows([found.get(number, ()) for number in range(len(ranges))], rows.now)
            open_ranges = {
                number: each.after(each.prefix + found[number][-1])
                for number, each in open_ranges.items()
                if len(found[number]) == _ROWS_AT_ONCE
            }

    async def _rarest(self, shards: Sequence[bytes], facets: Sequence[str]) -> str:
        """Return the facet that the fewest sessions have."""
        calls = [
            PlainCall(("ZLEXCOUNT", entry_keys(self._prefix, shard)[1], f"[{each}c", f"({each}d"))
            for each in facets
            for shard in shards
        ]
        # What is damaged is found when rows are read: this only chooses the shorter way.
        answers = await self._connections.run_many(calls)
        counts = (answer if isinstance(answer, int) else 0 for answer in answers)
        sums = {each: sum(next(counts) for _ in shards) for each in facets}
        return min(facets, key=lambda each: sums[each])
