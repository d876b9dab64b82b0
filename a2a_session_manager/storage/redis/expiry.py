"""Expiry slides with writes: before a session's deadline moves, those of its ancestors do, the root's first."""

from __future__ import annotations

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.claims import touch_locator
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.index import Index
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.script import ScriptCall
from a2a_session_manager.storage.redis.shards import run_all


class Expiry:
    """Moves deadlines, which are milliseconds since the epoch by the server's clock."""

    def __init__(self, connections: Connections, index: Index, ttl: int) -> None:
        self._connections = connections
        self._index = index
        self.ttl = ttl  # milliseconds, 0 for ever

    async def refresh(self, keys: SessionKeys, deadline: int) -> list[SessionKeys]:
        """Let a session and its ancestors live until `deadline` at least, those that expire at all.

        Returns others of the namespace that should have expired, to look after. Raises SessionNotFound when the
        session has expired meanwhile.
        """
        _, lineage = await self._connections.run(ScriptCall(scripts.LINEAGE, [keys.tree], [keys.key.id]))
        sessions = [keys.of(session_id.decode()) for session_id in lineage]
        # In this order: neither a line of the index nor a locator ends before its session, nor a parent before its
        # children.
        overdue = await self._index.extend(sessions, deadline)
        calls = [touch_locator(each, deadline, is_new=False) for each in sessions if not each.is_root]
        calls += [_refresh(each, deadline) for each in sessions]
        answers = await run_all(self._connections, calls)
        if not answers or answers[-1][0] == b"NOSESSION":
            raise SessionNotFound(keys.key.id)
        return overdue

    async def bound_locator(self, keys: SessionKeys, deadline: int) -> None:
        """Let the locator of a session that was just made expire, too, long after the session."""
        await self._connections.run(touch_locator(keys, deadline, is_new=True))


def _refresh(keys: SessionKeys, deadline: int) -> ScriptCall:
    of_tree = (keys.totals, keys.budgets, keys.refused) if keys.is_root else ()
    head, *others = keys.all_of_session
    touched = [head, keys.tree, *others, *of_tree]
    return ScriptCall(scripts.REFRESH, touched, [keys.key.id, deadline, int(keys.is_root)], keys.key.id)
