"""The listing index: every session's id in a sorted set of its namespace, in shards, read a page at a time.

A line is written before its session is made and again afterwards; one that leads nowhere is passed over and
removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.keys import Place, escaped, index_entry, index_keys, listed_place

_BEHIND_ALL = b"\xff"


class Line(NamedTuple):
    """A line of the index: which session it lists, and the cursor that leads behind it."""

    place: Place
    cursor: str


class Index:
    """Lists the sessions of each namespace, shard by shard, by id within a shard."""

    def __init__(self, connections: Connections, prefix: str) -> None:
        self._connections = connections
        self._prefix = prefix

    async def add(self, places: Sequence[Place]) -> None:
        """List sessions."""
        await self._connections.read_many([("ZADD", *_scored(place)) for place in places])

    async def remove(self, places: Sequence[Place]) -> None:
        """List sessions no more."""
        await self._connections.read_many([("ZREM", *index_entry(place)) for place in places])

    async def lines(
        self, namespace: str, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> tuple[list[Line], bool]:
        """Return lines whose ids begin with `prefix`, from behind `cursor`, and whether these are all there are.

        At most `limit` lines; fewer, and yet not all, when some were removed meanwhile.
        """
        keys = index_keys(self._prefix, namespace, roots_only=roots_only)
        number, behind = _position(cursor, len(keys))
        first = escaped(prefix).encode()
        highest = b"(" + first + _BEHIND_ALL
        lowest = [b"[" + first] * len(keys)
        if behind and behind >= first:
            lowest[number] = b"(" + behind
        open_shards = range(number, len(keys))
        counts = await self._connections.read_many([("ZLEXCOUNT", keys[at], lowest[at], highest) for at in open_shards])
        wanted = _as_many(open_shards, counts, limit)
        pages = await self._connections.read_many(
            [("ZRANGEBYLEX", keys[at], lowest[at], highest, "LIMIT", 0, limit) for at in wanted]
        )
        lines = [
            Line(listed_place(self._prefix, namespace, member), f"{at}:{member.decode()}")
            for at, page in zip(wanted, pages, strict=True)
            for member in page
        ]
        return lines[:limit], sum(counts) <= limit


def _scored(place: Place) -> tuple[bytes, int, bytes]:
    key, member = index_entry(place)
    return key, 0, member


def _position(cursor: str | None, shards: int) -> tuple[int, bytes]:
    if cursor is None:
        return 0, b""
    number, colon, member = cursor.partition(":")
    if not colon or not number.isdecimal() or int(number) >= shards or not member.isascii():
        raise InvalidSessionOperation(f"cursor {cursor!r} is not one of a page: start again without it")
    return int(number), member.encode()


def _as_many(shards: Sequence[int], counts: Sequence[int], limit: int) -> list[int]:
    """Return the first shards that hold `limit` lines together, the empty ones left out."""
    wanted: list[int] = []
    for shard, count in zip(shards, counts, strict=True):
        if limit <= 0:
            break
        if count:
            wanted.append(shard)
            limit -= count
    return wanted
