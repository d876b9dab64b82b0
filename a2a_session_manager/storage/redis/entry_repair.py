"""Entries are made of what sessions are: those of a namespace that may be missing, and those that are found wrong.

Entries are read before their sessions, and put in place only where they are still what they were: what a writer has
done meanwhile stays. A process that dies in between leaves what it has done, and the next one goes on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from a2a_session_manager.exceptions import StoreFull, StoreUnavailable
from a2a_session_manager.identifiers import shown
from a2a_session_manager.namespaces import Namespace, path_of
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.entries import TOLERANCE, Entry, names_in
from a2a_session_manager.storage.redis.entry_calls import EntryCalls
from a2a_session_manager.storage.redis.indexed_sessions import IndexedSessions
from a2a_session_manager.storage.redis.keys import SessionKeys, index_keys, listed_keys
from a2a_session_manager.storage.redis.shards import run_all

_log = logging.getLogger("a2a_session_manager.storage.redis")

_LINES_A_CALL: Final = 200
# Writers may begin entries while a shard is walked through; it is done again, not for ever.
_WALKS: Final = 20


@dataclass(slots=True)
class _Walk:
    """How far a shard was looked through, and what `complete.lua` told in its first part and in the latest one."""

    shard: bytes
    step: str
    made: bytes = b""
    after: bytes = b""
    generation: int = 0
    properties: str = ""
    walks: int = 0
    lines: Sequence[bytes] = ()
    is_wrong: bool = False  # something could not be put in place

    def take(self, answer: Any) -> bool:
        """Take in what the script has answered; tell whether there is more to do."""
        if answer[0] == b"WHOLE":
            return False
        if answer[0] == b"AGAIN":
            self.after, self.lines, self.is_wrong = b"", (), True
            return True
        _, made, generation, properties, self.after, self.lines = answer
        self.generation, self.properties = int(generation), properties.decode()
        if self.step != "next":
            self.made, self.is_wrong = made, False
        return True

    def go_on(self) -> None:
        """Choose the next part, when the lines of this one were looked at."""
        if self.after:
            self.step = "next"
        elif not self.is_wrong:
            self.step = "last"
        else:
            self.step, self.walks = "first", self.walks + 1
            if self.walks == _WALKS:
                raise StoreUnavailable(
                    f"the index {self.shard.decode()!r} changes faster than it is made anew: try again"
                )


class EntryRepair:
    """Makes entries of sessions."""

    def __init__(self, connections: Connections, prefix: str, calls: EntryCalls, indexed: IndexedSessions) -> None:
        self._connections = connections
        self._calls = calls
        self._indexed = indexed
        self._prefix = prefix

    async def complete(self, namespace: Namespace, *, anew: bool = False) -> int:
        """Make all entries that are missing, or with `anew` all there are; return how many sessions were looked at.

        Raises CorruptSession when a session must be looked at and is damaged.
        """
        walks = [
            _Walk(shard, "anew" if anew else "first") for shard in index_keys(self._prefix, namespace, roots_only=False)
        ]
        looked_at = 0
        while walks:
            calls = [
                self._calls.complete(walk.shard, walk.step, walk.made, walk.after, _LINES_A_CALL) for walk in walks
            ]
            answers = zip(walks, await run_all(self._connections, calls), strict=True)
            walks = [walk for walk, answer in answers if walk.take(answer)]
            looked_at += await self._make(namespace, walks)
            for walk in walks:
                walk.go_on()
        if looked_at:
            _log.info("%d entries of the index of namespace %s were made anew", looked_at, shown(path_of(namespace)))
        return looked_at

    async def mend(self, sessions: Sequence[SessionKeys], now: int) -> bool:
        """Make the entries of sessions that were found wrong; tell whether one of them has another time now.

        `now` is the server's time in microseconds.
        """
        entries = await self._connections.run_many([self._calls.look(keys) for keys in sessions])
        found = [(keys, data) for keys, data in zip(sessions, entries, strict=True) if isinstance(data, bytes)]
        by_shard: dict[bytes, list[tuple[bytes, bytes, bytes]]] = {}
        is_moved = False
        looked_at = await self._indexed.look([keys for keys, _ in found], self._names(keys for keys, _ in found))
        for (keys, data), session in zip(found, looked_at, strict=True):
            entry = Entry.read(data)
            if session is None or entry.generation == 0:
                continue
            shard, line = keys.index_entry
            after = entry.looked_at(session, entry.generation, self._calls.known.names(shard), now)
            if after.data != data:
                is_moved = is_moved or _is_elsewhere(entry, after)
                by_shard.setdefault(shard, []).append((line, data, after.data))
        calls = [
            self._calls.settle(shard, self._calls.known.text(shard), changes) for shard, changes in by_shard.items()
        ]
        with suppress(StoreFull):  # whoever reads next does it
            for shard, answer in zip(by_shard, await run_all(self._connections, calls), strict=True):
                if answer[0] == b"PROPERTIES":
                    self._calls.known.learn(shard, answer[1])
        return is_moved

    async def _make(self, namespace: Namespace, walks: Sequence[_Walk]) -> int:
        """Make the entries of the lines that walks are at; return how many sessions were looked at."""
        wanted: list[tuple[_Walk, SessionKeys, bytes]] = []
        for walk in walks:
            pairs = zip(walk.lines[::2], walk.lines[1::2], strict=True)
            wanted += [(walk, listed_keys(self._prefix, namespace, line), entry) for line, entry in pairs]
        names = dict.fromkeys(name for walk in walks for name in names_in(walk.properties))
        sessions = await self._indexed.look([keys for _, keys, _ in wanted], list(names))
        changes: dict[bytes, list[tuple[bytes, bytes, bytes]]] = {}
        for (walk, keys, data), session in zip(wanted, sessions, strict=True):
            if session is None:
                walk.is_wrong = True  # it is listed no more, or it is there by now
                continue
            entry = Entry.read(data).looked_at(session, walk.generation, names_in(walk.properties), 0)
            changes.setdefault(walk.shard, []).append((keys.index_entry[1], data, entry.data))
        changed = [walk for walk in walks if walk.shard in changes]
        calls = [self._calls.settle(walk.shard, walk.properties, changes[walk.shard]) for walk in changed]
        for walk, answer in zip(changed, await run_all(self._connections, calls), strict=True):
            is_done = answer[0] == b"OK" and answer[1] == [after for _, _, after in changes[walk.shard]]
            walk.is_wrong = walk.is_wrong or not is_done
        return len(wanted)

    def _names(self, sessions: Iterable[SessionKeys]) -> list[str]:
        shards = {keys.index_entry[0] for keys in sessions}
        return list(dict.fromkeys(name for shard in shards for name in self._calls.known.names(shard)))


def _is_elsewhere(before: Entry, after: Entry) -> bool:
    return before.created_at != after.created_at or abs(before.updated_at - after.updated_at) > TOLERANCE
