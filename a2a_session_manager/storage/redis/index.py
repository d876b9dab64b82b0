"""The listing index: every session's id in a sorted set of its namespace, in shards, read a page at a time.

A line is written before its session is created, and looked for afterwards; one that leads nowhere is passed over and
removed. Lines of sessions that expire are in a second sorted set, too, by the end of the session: whoever creates or
refreshes a session there is told of those whose end has passed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from a2a_session_manager.exceptions import InvalidSessionOperation
from a2a_session_manager.identifiers import shown
from a2a_session_manager.namespaces import Namespace, path_of
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.due_lines import DueLines
from a2a_session_manager.storage.redis.entries import IndexedSession
from a2a_session_manager.storage.redis.entry_calls import EntryCalls
from a2a_session_manager.storage.redis.heads import expires
from a2a_session_manager.storage.redis.keys import (
    SessionKeys,
    escaped,
    index_keys,
    index_range_below_roots,
    listed_keys,
    names_entries,
    shard_with_marks,
)
from a2a_session_manager.storage.redis.replies import hash_of, lost
from a2a_session_manager.storage.redis.script import Call, Command, PlainCall, ScriptCall, Value
from a2a_session_manager.storage.redis.shards import FOR_EVER, is_doubtful, listing, lost_shard, run_all

_log = logging.getLogger("a2a_session_manager.storage.redis")

_AFTER_ALL = b"\xff"
_ROOTS_A_PIPELINE: Final = 100
_LINES_OF_AN_ID: Final = 16  # below roots: those of its former incarnations are removed


class Line(NamedTuple):
    """A line of the index: which session it lists, and the cursor of what comes after it."""

    keys: SessionKeys
    cursor: str


class Announced(NamedTuple):
    """What was found when a session was listed that will be created.

    Attributes:
        below_roots: below which roots its id is listed, too.
        line_stays: its own line stays until somebody removes it.
        before: the entry that the id had, by which pages find a session; "" for none.
        entry: the one that it has now.
    """

    below_roots: Sequence[SessionKeys]
    line_stays: bool
    before: bytes
    entry: bytes


class Index:
    """Lists the sessions of each namespace, shard by shard, by id within a shard."""

    def __init__(self, connections: Connections, prefix: str, ttl: int, entries: EntryCalls) -> None:
        self._connections = connections
        self._prefix = prefix
        self._entries = entries
        self._due = DueLines(prefix, ttl)
        # A line is there before its session is: its shard lives twice as long as a session that begins now.
        self._lifetime = str(2 * ttl) if ttl else FOR_EVER

    async def announce(self, keys: SessionKeys, planned: IndexedSession, *, expires: bool) -> Announced:
        """List a session that will be created; see `announcement` and `enter`."""
        commands = list(map(PlainCall, self.commands_below_roots(keys.key)))
        while True:
            answers = await run_all(self._connections, [*self.announcement(keys, planned, expires=expires), *commands])
            if answers[0][0] == b"OK":
                return self.announced(keys, answers[0], await self.listed_below_roots(keys.key, answers[-2:]))
            self._entries.known.learn(keys.index_entry[0], answers[0][1])

    def announcement(
        self, keys: SessionKeys, planned: IndexedSession, *, expires: bool, is_at_once: bool = False
    ) -> list[Call]:
        """Return the calls that list a session which will be created; `announced` takes the first answer.

        `expires`: it has the time to live of the store. `is_at_once`: the creation goes along, and so it is listed also
        where others say what sessions are found by.
        """
        lifetime = self._lifetime_of(expires)
        listed = self._entries.listing(keys, lifetime, planned, is_at_once=is_at_once)
        return [listed, *self._namings([keys], lifetime)]

    def announced(self, keys: SessionKeys, answer: Any, below_roots: Sequence[SessionKeys]) -> Announced:
        """Return what an announcement has found."""
        _, _, stays, before, entry, properties = answer
        self._entries.known.learn(keys.index_entry[0], properties)
        return Announced(below_roots, bool(stays), before, entry)

    def lines_of(self, keys: SessionKeys) -> tuple[tuple[bytes, ...], tuple[bytes, bytes]]:
        """Return the shard, with its marks, that lists an id below roots, and the bounds of its lines there."""
        shard, lowest, highest = index_range_below_roots(self._prefix, keys.key)
        return shard_with_marks(self._prefix, shard), (lowest, highest)

    def look(self, keys: SessionKeys) -> list[Call]:
        """Return the calls whose answers `enter` takes, to be sent along with a creation, after it."""
        entries = [keys.index_entry, *names_entries(self._prefix, keys.key.namespace)]
        return [self._due.exist(keys), *[PlainCall(("ZSCORE", shard, member)) for shard, member in entries]]

    async def enter(
        self, keys: SessionKeys, deadline: int, looked: Sequence[Any] = (), *, stays: bool
    ) -> list[SessionKeys]:
        """List a session that was created and return others to look after.

        It was announced, so that nearly always it is listed; and where nothing expires, nothing is due.

        Args:
            keys: Where the session lies.
            deadline: When it will expire, 0 for never.
            looked: The answers to `look`, if they came along with the creation.
            stays: What tells of it does not expire with it, so that somebody must look after it, however late.
        """
        due_call = self._due.add(keys, deadline, stays=stays)
        if deadline or not looked:
            due_exist, *listed = self.look(keys)
            looked = await run_all(self._connections, [due_call if deadline else due_exist, *listed])
        due, *scores = looked
        if None in scores:
            await self.add([(keys, bool(deadline))])
        if due and not deadline:
            [due] = await run_all(self._connections, [due_call])
        return self._due.sessions(keys, due) if due else []

    async def extend(self, sessions: Sequence[SessionKeys], deadline: int) -> list[SessionKeys]:
        """Keep the lines of sessions that will expire at `deadline` now; return others to look after."""
        calls: list[ScriptCall] = []
        for keys in sessions:
            calls += [self._entries.listing(keys, f"@{deadline}"), self._due.add(keys, deadline)]
        answers = await run_all(self._connections, [*calls, *self._namings(sessions, f"@{deadline}")])
        due = zip(sessions, answers[1 : len(calls) : 2], strict=True)
        return [each for keys, answer in due for each in self._due.sessions(keys, answer)]

    async def watch(self, keys: SessionKeys, *, is_mortal: bool) -> list[SessionKeys]:
        """Let somebody look after a session that is about to be deleted; return others to look after.

        `is_mortal`: it expires, and so does all below it; what is left of others stays until somebody has looked.
        """
        answers = await run_all(self._connections, [self._due.watch(keys, is_mortal=is_mortal)])
        return self._due.sessions(keys, answers[0])

    async def look_later(self, keys: SessionKeys, deadline: int) -> None:
        """Look after a session no more before `deadline`, 0 for never."""
        if deadline:
            await run_all(self._connections, [self._due.add(keys, deadline, limit=0)])
        else:
            await self._connections.read_many([self._due.remove(keys)])

    async def add(self, sessions: Sequence[tuple[SessionKeys, bool]]) -> None:
        """List sessions that are there, each given with whether it expires."""
        calls: list[ScriptCall] = []
        for keys, is_mortal in sessions:
            lifetime = self._lifetime_of(is_mortal)
            calls += [self._entries.listing(keys, lifetime), *self._namings([keys], lifetime)]
        await run_all(self._connections, calls)

    async def remove(self, sessions: Sequence[SessionKeys]) -> None:
        """List sessions no more."""
        by_shard: dict[bytes, list[Value]] = {}
        for shard, member in (keys.index_entry for keys in sessions):
            by_shard.setdefault(shard, []).append(member)
        calls = [self._entries.unlisting(shard, members) for shard, members in by_shard.items()]
        await run_all(self._connections, calls)
        await self._connections.read_many([self._due.remove(keys) for keys in sessions])

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

    def _lifetime_of(self, is_mortal: bool) -> str:
        return self._lifetime if is_mortal else FOR_EVER

    def _namings(self, sessions: Sequence[SessionKeys], lifetime: str) -> list[ScriptCall]:
        """Return the calls that list the namespaces of sessions, and those above them."""
        namespaces = dict.fromkeys(keys.key.namespace for keys in sessions)
        entries = dict.fromkeys(each for namespace in namespaces for each in names_entries(self._prefix, namespace))
        return [listing(self._prefix, *entry, lifetime) for entry in entries]

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
                        calls.append(self._entries.listing(keys, self._lifetime_of(expires(value))))
            await run_all(self._connections, calls)
            cursor = lines[-1].cursor if lines else cursor
        whole = [self._entries.mark(shard, is_whole=True) for shard in shards]
        await run_all(self._connections, whole)


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
