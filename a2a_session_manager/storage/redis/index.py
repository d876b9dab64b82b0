"""The listing index: every session's id in a sorted set of its namespace, in shards, read a page at a time.

A line is written before its session is made and again afterwards; one that leads nowhere is passed over and
removed. Lines of sessions that expire are in a second sorted set, too, by the end of the session: who makes or
refreshes a session there is told of those whose end has passed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import CorruptSession, InvalidSessionOperation
from a2a_session_manager.models.identifier import shown
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.commits import flat, lost, pairs
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import expires
from a2a_session_manager.storage.redis.keys import (
    Place,
    due_key,
    escaped,
    index_entry,
    index_keys,
    index_range_below_roots,
    listed_place,
    mark_keys,
    shard_name,
)
from a2a_session_manager.storage.redis.script import Command, ScriptCall
from a2a_session_manager.storage.redis.shards import FOR_EVER, Kept, Marks, keep, kept, run_all

_BEHIND_ALL = b"\xff"
# A shard's mark is written with each of its first lines: the writer of the very first may have died before.
_FIRST_LINES: Final = 2
_DUE_AT_ONCE: Final = 20
_ROOTS_A_PIPELINE: Final = 100
# A delete that is not done within this time has died.
_DELETE_SECONDS: Final = 60
# Lines of one id below roots: those of its former lives are removed.
_LINES_OF_AN_ID: Final = 16
# Where nothing was listed below roots a moment ago, nothing has been lost.
_EMPTY_SECONDS: Final = 10.0
_SHARDS_REMEMBERED: Final = 1_024


class Line(NamedTuple):
    """A line of the index: which session it lists, and the cursor that leads behind it."""

    place: Place
    cursor: str


class Index:
    """Lists the sessions of each namespace, shard by shard, by id within a shard."""

    def __init__(self, connections: Connections, prefix: str, ttl: int) -> None:
        self._connections = connections
        self._prefix = prefix
        self._marks = Marks(connections, prefix)
        # A line is there before its session is: its shard lives twice as long as a session that begins now.
        self._life = str(2 * ttl) if ttl else FOR_EVER
        self._empty: dict[bytes, float] = {}  # shards that had no mark, and when that was seen

    async def announce(self, place: Place) -> tuple[Kept, list[Place]]:
        """List a session that will be made; see `enter`. Return below which roots its id is listed, too."""
        namespace = place.key.namespace
        shard, member = index_entry(place)
        below, lowest, highest = index_range_below_roots(self._prefix, place.key)
        first, (_, has_below, members) = await run_all(
            self._connections,
            [
                keep(shard, member, "0", self._life, must_exist=True),
                ScriptCall(scripts.BELOW, [below], [lowest, highest, _LINES_OF_AN_ID]),
            ],
        )
        announced = kept(first)
        if not announced.members or not (has_below or self._is_known_to_be_empty(below)):
            # The first line of a shard, or perhaps of one that was lost: the marks tell.
            *marked, last = await run_all(
                self._connections, [*self._marks.reading(namespace), keep(shard, member, "0", self._life)]
            )
            announced, names = kept(last), self._marks.read(marked)
            if announced.is_new and shard_name(shard) in names:
                await self._replace_lost(namespace, shard)
            if not has_below and shard_name(below) in names:
                members = await self._found_again(place.key)
            elif not has_below:
                self._remember_to_be_empty(below)
        return announced, self._places(place.key, members)

    async def enter(self, place: Place, announced: Kept, deadline: int) -> list[Place]:
        """List a session that was made and will expire at `deadline`, 0 for never; return others to look after."""
        shard, member = index_entry(place)
        # Where lines stay for ever, so does the word that this one does not.
        life = FOR_EVER if announced.end == b"+inf" else f"@{deadline}"
        calls = [keep(shard, member, "0", self._life), self._due_call(place, deadline, life)]
        if announced.members <= _FIRST_LINES or announced.is_new or announced.is_moved:
            calls += self._marks.setting(place.key.namespace, shard, announced.end, self._life)
        return self._overdue(place, (await run_all(self._connections, calls))[1])

    async def extend(self, places: Sequence[Place], deadline: int) -> list[Place]:
        """Keep the lines of sessions that will expire at `deadline` now; return others to look after."""
        life = f"@{deadline}"
        calls: list[ScriptCall] = []
        for place in places:
            shard, member = index_entry(place)
            calls += [keep(shard, member, "0", life), self._due_call(place, deadline, life)]
        answers = await run_all(self._connections, calls)
        marks: list[ScriptCall] = []
        for place, answer in zip(places, answers[::2], strict=True):
            moved = kept(answer)
            if moved.is_moved or moved.is_new:
                marks += self._marks.setting(place.key.namespace, index_entry(place)[0], moved.end, life)
        await run_all(self._connections, marks)
        due = zip(places, answers[1::2], strict=True)
        return [each for place, answer in due for each in self._overdue(place, answer)]

    async def watch(self, place: Place) -> list[Place]:
        """Let somebody look after a session that is about to be deleted; return others to look after."""
        _, member = index_entry(place)
        key = due_key(self._prefix, place.key.namespace)
        call = keep(key, member, f"+{1_000 * _DELETE_SECONDS}", self._life, limit_of_due=_DUE_AT_ONCE)
        return self._overdue(place, (await run_all(self._connections, [call]))[0])

    async def look_later(self, place: Place, deadline: int) -> None:
        """Look after a session no more before `deadline`, 0 for never."""
        if deadline:
            await run_all(self._connections, [self._due_call(place, deadline, f"@{deadline}", limit=0)])
        else:
            await self._connections.read_many([self._not_due(place)])

    async def add(self, places: Sequence[Place]) -> None:
        """List sessions that are there."""
        entries = [index_entry(place) for place in places]
        await run_all(self._connections, [keep(shard, member, "0", self._life) for shard, member in entries])

    async def remove(self, places: Sequence[Place]) -> None:
        """List sessions no more."""
        by_shard: dict[bytes, list[Place]] = {}
        for place in places:
            by_shard.setdefault(index_entry(place)[0], []).append(place)
        answers = zip(by_shard.items(), await self._unlist(by_shard, is_unmarked=False), strict=True)
        await self._remove_last({shard: some for (shard, some), answer in answers if answer[0] == b"LAST"})
        await self._connections.read_many([self._not_due(place) for place in places])

    async def lines(
        self, namespace: str, *, prefix: str, cursor: str | None, limit: int, roots_only: bool
    ) -> tuple[list[Line], bool]:
        """Return lines whose ids begin with `prefix`, from behind `cursor`, and whether these are all there are.

        At most `limit` lines; fewer, and yet not all, when some were removed meanwhile. Raises CorruptSession when
        a shard of roots was lost; one of those below them is made anew.
        """
        keys = index_keys(self._prefix, namespace, roots_only=roots_only)
        number, behind = _position(cursor, len(keys))
        first = escaped(prefix).encode()
        highest = b"(" + first + _BEHIND_ALL
        lowest = [b"[" + first] * len(keys)
        if behind and behind >= first:
            lowest[number] = b"(" + behind
        open_shards = range(number, len(keys))
        counts, marked = await asyncio.gather(
            self._connections.read_many([("ZLEXCOUNT", keys[at], lowest[at], highest) for at in open_shards]),
            run_all(self._connections, self._marks.reading(namespace)),
        )
        names = self._marks.read(marked)
        self._marks.refuse_lost(namespace, [keys[at] for at in open_shards], names)
        # A page goes on within its first shard, and a prefix may have no lines in others: that says nothing of them.
        doubtful = [
            keys[at]
            for at, count in zip(open_shards, counts, strict=True)
            if (not count if shard_name(keys[at]) in names else count)
        ]
        if doubtful and await self._replace_missing(namespace, doubtful, names):
            return await self.lines(namespace, prefix=prefix, cursor=cursor, limit=limit, roots_only=roots_only)
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

    def questions_below_roots(self, key: SessionKey) -> list[Command]:
        """Return the questions whose answers `listed_below_roots` takes, to be asked along with others."""
        shard, lowest, highest = index_range_below_roots(self._prefix, key)
        name = shard_name(shard)
        return [
            ("ZRANGEBYLEX", shard, lowest, highest, "LIMIT", 0, _LINES_OF_AN_ID),
            ("EXISTS", shard),
            *[("ZSCORE", mark, name) for mark in mark_keys(self._prefix, key.namespace)],
        ]

    async def listed_below_roots(self, key: SessionKey, answers: Sequence[Any]) -> list[Place]:
        """Return below which roots the index lists an id."""
        members, has_shard, *marks = answers
        if not has_shard and any(mark is not None for mark in marks):
            members = await self._found_again(key)
        return self._places(key, members)

    async def _found_again(self, key: SessionKey) -> list[bytes]:
        """Make the shard anew that lists an id below roots, and return its lines of that id."""
        shard, _, _ = index_range_below_roots(self._prefix, key)
        await self._rebuild(key.namespace, {shard})
        members: list[bytes] = (await self._connections.read_many(self.questions_below_roots(key)))[0]
        return members

    def _places(self, key: SessionKey, members: Sequence[bytes]) -> list[Place]:
        return [listed_place(self._prefix, key.namespace, member) for member in members]

    def _is_known_to_be_empty(self, shard: bytes) -> bool:
        return time.monotonic() - self._empty.get(shard, -_EMPTY_SECONDS) < _EMPTY_SECONDS

    def _remember_to_be_empty(self, shard: bytes) -> None:
        while len(self._empty) >= _SHARDS_REMEMBERED:
            del self._empty[next(iter(self._empty))]
        self._empty[shard] = time.monotonic()

    def _due_call(self, place: Place, deadline: int, life: str, *, limit: int = _DUE_AT_ONCE) -> ScriptCall:
        _, member = index_entry(place)
        key = due_key(self._prefix, place.key.namespace)
        return keep(key, member if deadline else b"", str(deadline), life, limit_of_due=limit)

    def _not_due(self, place: Place) -> Command:
        return "ZREM", due_key(self._prefix, place.key.namespace), index_entry(place)[1]

    def _overdue(self, place: Place, answer: Any) -> list[Place]:
        return self._places(place.key, kept(answer).due)

    async def _unlist(self, by_shard: dict[bytes, list[Place]], *, is_unmarked: bool) -> list[Any]:
        return await run_all(
            self._connections,
            [
                ScriptCall(scripts.UNLIST, [shard], [int(is_unmarked), *(index_entry(place)[1] for place in some)])
                for shard, some in by_shard.items()
            ],
        )

    async def _remove_last(self, by_shard: dict[bytes, list[Place]]) -> None:
        """Remove lines that are the last of their shards, whose marks go first."""
        for shard, some in by_shard.items():
            await self._marks.remove(some[0].key.namespace, [shard])
        answers = await self._unlist(by_shard, is_unmarked=True)
        for (shard, some), (_, count, end) in zip(by_shard.items(), answers, strict=True):
            if count:  # another session was listed meanwhile
                marking = self._marks.setting(some[0].key.namespace, shard, end, self._life)
                await run_all(self._connections, marking)

    async def _replace_lost(self, namespace: str, shard: bytes) -> None:
        """Make a shard anew, or remember that it was lost, before its first new line hides that."""
        if _holds_roots(shard):
            await self._marks.set_lost(namespace, shard, self._life)
            return
        try:
            await self._rebuild(namespace, {shard})
        except CorruptSession:  # of a tree: some of the lines cannot be told
            await self._marks.set_lost(namespace, shard, self._life)
            raise

    async def _replace_missing(self, namespace: str, doubtful: Sequence[bytes], marked: set[bytes]) -> bool:
        """Make shards anew that are missing, mark those that are not marked; tell whether any was missing."""
        ends = await self._connections.read_many([("PTTL", shard) for shard in doubtful])
        by_shard = dict(zip(doubtful, ends, strict=True))
        missing = {shard for shard, end in by_shard.items() if end == -2 and shard_name(shard) in marked}
        for shard in missing:
            if _holds_roots(shard):
                raise self._marks.lost(namespace, shard)
        if missing:
            await self._rebuild(namespace, missing)
        unmarked = [shard for shard, end in by_shard.items() if end == -1 and shard_name(shard) not in marked]
        marking = [call for shard in unmarked for call in self._marks.setting(namespace, shard, b"+inf", FOR_EVER)]
        await run_all(self._connections, marking)
        return bool(missing)

    async def _rebuild(self, namespace: str, shards: set[bytes]) -> None:
        """List the sessions below roots anew whose shards were lost, from the trees of all roots."""
        cursor, is_all = None, False
        while not is_all:
            lines, is_all = await self.lines(
                namespace, prefix="", cursor=cursor, limit=_ROOTS_A_PIPELINE, roots_only=True
            )
            questions: list[Command] = []
            for line in lines:
                questions += [("HGETALL", line.place.tree), ("EXISTS", *line.place.of_root)]
            answers = iter(await self._connections.read_many(questions))
            calls: list[ScriptCall] = []
            for line, tree, has_root in zip(lines, answers, answers, strict=False):
                if has_root and not tree:
                    raise lost(line.place.key.id, "tree")
                for name, value in pairs(flat(tree)):
                    shard, member = index_entry(line.place.beside(name[2:].decode()))
                    if name.startswith(b"n:") and shard in shards:
                        calls.append(keep(shard, member, "0", self._life if expires(value) else FOR_EVER))
            await run_all(self._connections, calls)
            cursor = lines[-1].cursor if lines else cursor
        ends = await self._connections.read_many([("PTTL", shard) for shard in shards])
        empty = [shard for shard, end in zip(shards, ends, strict=True) if end == -2]
        if empty:
            await self._marks.remove(namespace, empty)


def _holds_roots(shard: bytes) -> bool:
    return shard_name(shard).startswith(b"roots:")


def _position(cursor: str | None, shards: int) -> tuple[int, bytes]:
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
