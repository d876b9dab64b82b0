"""What sessions are found by, read of many at once, without the scripts that make heads of them."""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.entries import IndexedSession
from a2a_session_manager.storage.redis.heads import creation_of
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.script import Command

# A session that has lost a part: it is found, as the oldest of all, and its reader is told.
DAMAGED = IndexedSession(0, 0, {})


class IndexedSessions:
    """Looks at sessions that the index leads to, and removes what it says of those that are gone."""

    def __init__(self, connections: Connections, reaper: Reaper) -> None:
        self._connections = connections
        self._reaper = reaper

    async def look(self, sessions: Sequence[SessionKeys], names: Sequence[str]) -> list[IndexedSession | None]:
        """Return what the sessions are found by, with their properties of these `names`.

        None for one that is gone, which is listed no more, or that was made a moment ago. DAMAGED for one that has lost
        its head.
        """
        fields = [b"creation", b"created", b"updated", b"depth", b"segments", *map(_field, names)]
        commands: list[Command] = []
        for keys in sessions:
            commands += [("HGET", keys.tree, f"n:{keys.key.id}"), ("HMGET", keys.head, *fields)]
        answers = iter(await self._connections.read_many(commands))
        found = [_session(line, values, names) for line, values in zip(answers, answers, strict=True)]
        doubtful = [at for at, session in enumerate(found) if session is None]
        if doubtful:
            damaged = await self._damaged([sessions[at] for at in doubtful])
            for at, is_damaged in zip(doubtful, damaged, strict=True):
                found[at] = DAMAGED if is_damaged else None
        return found

    async def _damaged(self, sessions: Sequence[SessionKeys]) -> list[bool]:
        """Tell which of the sessions have lost a part; those that are gone are listed no more."""
        alive = await self._reaper.are_alive(sessions)
        gone = [keys for keys, is_alive in zip(sessions, alive, strict=True) if not is_alive]
        if gone:
            await self._reaper.clear(gone)
        heads = await self._connections.read_many([("HGET", keys.head, "creation") for keys in sessions])
        return [is_alive and creation is None for is_alive, creation in zip(alive, heads, strict=True)]


def _session(line: bytes | None, values: Sequence[bytes | None], names: Sequence[str]) -> IndexedSession | None:
    creation, created_at, updated_at, depth, segments, *values_of = values
    if line is None or creation is None or created_at is None or updated_at is None or depth is None:
        return None
    if creation.decode() != creation_of(line):
        return None
    # Above a fork that is listed among the roots, there is nothing but what it is made of.
    is_top = 1 < int(depth) == 1 + (segments or b"").count(b";")
    return IndexedSession(int(created_at), int(updated_at), dict(zip(names, values_of, strict=True)), is_top)


def _field(name: str) -> bytes:
    return b"p:" + name.encode("utf-8", "surrogatepass")
