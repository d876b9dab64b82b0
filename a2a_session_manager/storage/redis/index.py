"""The listing index: every session's id in a sorted set of its namespace, in shards; `index_lines.py` reads them.

A line is written before its session is created, and looked for afterwards; one that leads nowhere is passed over and
removed. Lines of sessions that expire are in a second sorted set, too, by the end of the session: whoever creates or
refreshes a session there is told of those whose end has passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.due_lines import DueLines
from a2a_session_manager.storage.redis.entries import IndexedSession
from a2a_session_manager.storage.redis.entry_calls import EntryCalls
from a2a_session_manager.storage.redis.index_lines import IndexLines, line_lifetime
from a2a_session_manager.storage.redis.keys import (
    SessionKeys,
    names_entries,
)
from a2a_session_manager.storage.redis.script import Call, PlainCall, ScriptCall, Value
from a2a_session_manager.storage.redis.shards import listing, run_all


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
    """Lists sessions, and looks whether they are listed."""

    def __init__(self, connections: Connections, lines: IndexLines, prefix: str, ttl: int, entries: EntryCalls) -> None:
        self._connections = connections
        self._lines = lines
        self._prefix = prefix
        self._ttl = ttl
        self._entries = entries
        self._due = DueLines(prefix, ttl)

    async def announce(self, keys: SessionKeys, planned: IndexedSession, *, expires: bool) -> Announced:
        """List a session that will be created; see `announcement` and `enter`."""
        commands = list(map(PlainCall, self._lines.commands_below_roots(keys.key)))
        while True:
            answers = await run_all(self._connections, [*self.announcement(keys, planned, expires=expires), *commands])
            if answers[0][0] == b"OK":
                return self.announced(keys, answers[0], await self._lines.listed_below_roots(keys.key, answers[-2:]))
            self._entries.known.learn(keys.index_entry[0], answers[0][1])

    def announcement(
        self, keys: SessionKeys, planned: IndexedSession, *, expires: bool, is_at_once: bool = False
    ) -> list[Call]:
        """Return the calls that list a session which will be created; `announced` takes the first answer.

        `expires`: it has the time to live of the store. `is_at_once`: the creation goes along, and so it is listed also
        where others say what sessions are found by.
        """
        lifetime = line_lifetime(self._ttl, is_mortal=expires)
        listed = self._entries.listing(keys, lifetime, planned, is_at_once=is_at_once)
        return [listed, *self._namings([keys], lifetime)]

    def announced(self, keys: SessionKeys, answer: Any, below_roots: Sequence[SessionKeys]) -> Announced:
        """Return what an announcement has found."""
        _, _, stays, before, entry, properties = answer
        self._entries.known.learn(keys.index_entry[0], properties)
        return Announced(below_roots, bool(stays), before, entry)

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
            lifetime = line_lifetime(self._ttl, is_mortal=is_mortal)
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

    def _namings(self, sessions: Sequence[SessionKeys], lifetime: str) -> list[ScriptCall]:
        """Return the calls that list the namespaces of sessions, and those above them."""
        namespaces = dict.fromkeys(keys.key.namespace for keys in sessions)
        entries = dict.fromkeys(each for namespace in namespaces for each in names_entries(self._prefix, namespace))
        return [listing(self._prefix, *entry, lifetime) for entry in entries]
