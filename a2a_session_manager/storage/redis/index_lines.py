"""What is read of the listing index, a page of lines at a time; a part of it that was lost is made anew."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.namespaces import Namespace, path_of
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.entry_calls import EntryCalls
from a2a_session_manager.storage.redis.heads import expires
from a2a_session_manager.storage.redis.keys import (
    SessionKeys,
    escaped,
    index_keys,
    index_range_below_roots,
    listed_keys,
    shard_with_marks,
)
from a2a_session_manager.storage.redis.replies import hash_of, lost
from a2a_session_manager.storage.redis.script import Command, ScriptCall
from a2a_session_manager.storage.redis.shards import FOR_EVER, is_doubtful, lost_shard, run_all

_log = logging.getLogger("a2a_session_manager.storage.redis")

_AFTER_ALL = b"\xff"
_ROOTS_A_PIPELINE: Final = 100
_LINES_OF_AN_ID: Final = 16  # below roots: those of its former incarnations are removed


class Line(NamedTuple):
    """A line of the index: which session it lists, and the cursor of what comes after it."""

    keys: SessionKeys
    cursor: str


class IndexLines:
    """Reads the lines of each namespace, shard by shard, by id within a shard."""

    def __init__(self, connections: Connections, prefix: str, ttl: int, entries: EntryCalls) -> None:
        self._connections = connections
        self._prefix = prefix
        self._ttl = ttl
        self._entries = entries

    async def lines(
        self, namespace: Namespace, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> tuple[list[Line], bool]:
        """Return lines whose ids begin with `prefix`, after `cursor`, and whether these are all there are.

        At most `limit` lines; fewer, and yet not all, when some were removed meanwhile. Raises CorruptSession when
        a shard of roots was lost; one of those below them is made anew.
        """
        keys = index_keys(self._prefix, namespace, roots_only=roots_only)
        number, after = listing_position(cursor, len(keys))
        first = escaped(prefix).encode()
        highest = b"(" + first + _AFTER_ALL
        lowest = [b"[" + first] * len(keys)
        if after and after >= first:
            lowest[number] = b"(" + after
        open_shards = range(number, len(keys))
        commands: list[Command] = []
        for at in open_shards:
            commands += [
                ("ZLEXCOUNT", keys[at], lowest[at], highest),
                ("EXISTS", *shard_with_marks(self._prefix, keys[at])),
            ]
        answers = await self._connections.read_many(commands)
        counts = answers[::2]
        doubtful = [keys[at] for at, parts in zip(open_shards, answers[1::2], strict=True) if is_doubtful(parts)]
        if doubtful and await self.mend(namespace, doubtful):
            return await self.lines(namespace, prefix=prefix, cursor=cursor, limit=limit, roots_only=roots_only)
        wanted = _as_many(open_shards, counts, limit)
        pages = await self._connections.read_many(
            [("ZRANGEBYLEX", keys[at], lowest[at], highest, "LIMIT", 0, limit) for at in wanted]
        )
        lines = [
            Line(listed_keys(self._prefix, namespace, member), f"{at}:{member.decode()}")
            for at, page in zip(wanted, pages, strict=True)
            for member in page
        ]
        return lines[:limit], sum(counts) <= limit

    def commands_below_roots(self, key: SessionKey) -> list[Command]:
        """Return the commands whose answers `listed_below_roots` takes, to be asked along with others."""
        shard, lowest, highest = index_range_below_roots(self._prefix, key)
        return [
            ("ZRANGEBYLEX", shard, lowest, highest, "LIMIT", 0, _LINES_OF_AN_ID),
            ("EXISTS", *shard_with_marks(self._prefix, shard)),
        ]

    async def listed_below_roots(self, key: SessionKey, answers: Sequence[Any]) -> list[SessionKeys]:
        """Return below which roots the index lists an id."""
        members, parts = answers
        if is_doubtful(parts):
            shard, _, _ = index_range_below_roots(self._prefix, key)
            if await self.mend(key.namespace, [shard]):
                members = (await self._connections.read_many(self.commands_below_roots(key)))[0]
        return [listed_keys(self._prefix, key.namespace, member) for member in members]

    async def mend(self, namespace: Namespace, doubtful: Sequence[bytes]) -> bool:
        """Write marks that are missing, and make lost shards of sessions below roots anew; tell whether any was lost.

        Raises CorruptSession when a shard of roots was lost.
        """
        answers = await run_all(self._connections, [self._entries.mark(shard) for shard in doubtful])
        lost_ones = {shard for shard, answer in zip(doubtful, answers, strict=True) if answer[1]}
        for shard in lost_ones:
            if shard in index_keys(self._prefix, namespace, roots_only=True):
                raise lost_shard(self._prefix, namespace, shard)
        if lost_ones:
            _log.warning("a part of the index of namespace %s was lost: it is made anew", shown(path_of(namespace)))
            await self._rebuild(namespace, lost_ones)
        return bool(lost_ones)

    async def _rebuild(self, namespace: Namespace, shards: set[bytes]) -> None:
        """List the sessions below roots anew whose shards were lost, from the trees of all roots."""
        cursor, is_all = None, False
        while not is_all:
            lines, is_all = await self.lines(
                namespace, prefix="", cursor=cursor, limit=_ROOTS_A_PIPELINE, roots_only=True
            )
            commands: list[Command] = []
            for line in lines:
                commands += [("HGETALL", line.keys.tree), ("EXISTS", *line.keys.of_root)]
            answers = iter(await self._connections.read_many(commands))
            calls: list[ScriptCall] = []
            for line, tree, has_root in zip(lines, answers, answers, strict=False):
                if has_root and not tree:
                    raise lost(line.keys.key.id, "tree")
                for name, value in hash_of(tree).items():
                    keys = line.keys.of(name[2:].decode())
                    if name.startswith(b"n:") and keys.index_entry[0] in shards:
                        calls.append(self._entries.listing(keys, line_lifetime(self._ttl, is_mortal=expires(value))))
            await run_all(self._connections, calls)
            cursor = lines[-1].cursor if lines else cursor
        whole = [self._entries.mark(shard, is_whole=True) for shard in shards]
        await run_all(self._connections, whole)


def line_lifetime(ttl: int, *, is_mortal: bool) -> str:
    """Return how long a line stays: it is there before its session is, which begins with `ttl` if it expires."""
    return str(2 * ttl) if ttl and is_mortal else FOR_EVER


def listing_position(cursor: str | None, shards: int) -> tuple[int, bytes]:
    """Return in which shard, and after which line, a page of a listing begins. Raises InvalidSessionOperation."""
    if cursor is None:
        return 0, b""
    number, colon, member = cursor.partition(":")
    is_number = number.isascii() and number.isdecimal() and len(number) <= 3
    if not colon or not is_number or int(number) >= shards or not member.isascii():
        raise InvalidSessionOperation(f"cursor {shown(cursor)} is not one of a page: start again without it")
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
