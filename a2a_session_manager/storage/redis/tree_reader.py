"""What is read of trees: who is below whom, who of them has not expired, and what all have spent together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from operator import itemgetter
from typing import Final

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.protocols import SessionPage
from a2a_session_manager.storage.read_records import (
    TreeNode,
    TreeTotals,
)
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import (
    fork_of,
    node_of,
    totals_of,
)
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Found, Locator
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.replies import pairs
from a2a_session_manager.storage.redis.script import Command, ScriptCall, Value

_NODES_A_PIPELINE: Final = 1_000


class StoredTreeReader:
    """Reads trees wherever they lie; sessions that it finds expired leave their tree."""

    def __init__(self, connections: Connections, locator: Locator, reaper: Reaper) -> None:
        self._connections = connections
        self._locator = locator
        self._reaper = reaper

    async def children(self, key: SessionKey, *, after: int, limit: int, of_forks: bool = False) -> SessionPage | None:
        """Return a page of children, or of forks, after the ordinal `after`; see `Backend.children`."""

        def call_at(keys: SessionKeys) -> ScriptCall:
            arguments: list[Value] = [key.id, int(keys.is_root), after, limit + 1, int(of_forks)]
            return ScriptCall(scripts.CHILDREN, (*keys.core, keys.children), arguments, key.id)

        found = await self._locator.ask(key, call_at)
        if found is None:
            return None
        _, page, may_expire = found.reply
        rows = [(name.decode(), abs(int(ordinal))) for name, ordinal in pairs(page)]
        cursor = str(rows[limit - 1][1]) if len(rows) > limit else None
        names = [name for name, _ in rows[:limit]]
        return SessionPage(await self.living(found.keys, names) if may_expire else names, cursor)

    async def living_children(self, keys: SessionKeys) -> tuple[list[str], list[str]]:
        """Return the children, and the forks, that have not expired; the others leave the tree."""
        above: Command = ("ZRANGE", keys.children, "(0", "+inf", "BYSCORE")
        below: Command = ("ZRANGE", keys.children, "(0", "-inf", "BYSCORE", "REV")
        children, forks = await self._connections.read_many([above, below])
        names = [name.decode() for name in [*children, *forks]]
        living = set(await self.living(keys, names))
        count = len(children)
        return [name for name in names[:count] if name in living], [name for name in names[count:] if name in living]

    async def tree(self, key: SessionKey) -> list[TreeNode] | None:
        """Return the whole tree in creation order; see `Backend.tree`."""

        def call_at(keys: SessionKeys) -> ScriptCall:
            return ScriptCall(scripts.TREE, keys.core, [key.id, int(keys.is_root)], key.id)

        found = await self._locator.ask(key, call_at)
        return None if found is None else await self._nodes(found)

    async def tree_totals(self, key: SessionKey) -> TreeTotals | None:
        """Return what a root's tree has spent; see `Backend.tree_totals`."""
        # A session below a root has no tree of its own id, and needs no second look.
        keys = self._locator.keys_in(key, key.id)
        [answer] = await self._locator.ask_at(
            [keys], [ScriptCall(scripts.TOTALS, (*keys.core, keys.totals), [key.id], key.id)]
        )
        if isinstance(answer, SessionManagerError):
            raise answer
        if answer is None:
            return None
        _, creation_id, totals = answer.reply
        return TreeTotals(creation_id.decode(), await totals_of(key, totals))

    async def living(self, keys: SessionKeys, names: Sequence[str]) -> list[str]:
        """Return those of `names`, of sessions in the same tree, that have not expired; the others leave the tree."""
        sessions = [keys.of(name) for name in names]
        living: list[str] = []
        for at in range(0, len(sessions), _NODES_A_PIPELINE):
            some = sessions[at : at + _NODES_A_PIPELINE]
            alive = dict(zip(some, await self._reaper.are_alive(some), strict=True))
            living += [each.key.id for each, is_alive in alive.items() if is_alive]
            await self._reaper.remove_expired([each for each, is_alive in alive.items() if not is_alive])
        return living

    async def _nodes(self, found: Found) -> list[TreeNode]:
        keys = found.keys
        rows: list[tuple[int, TreeNode, bytes]] = []
        may_expire = False
        sources: dict[str, bytes] = {}
        for number, (name, line) in enumerate(pairs(found.reply[1])):
            if number % _NODES_A_PIPELINE == 0:
                await asyncio.sleep(0)
            if name.startswith(b"n:"):
                ordinal, node, expires = node_of(name[2:].decode(), line)
                may_expire = may_expire or expires
                rows.append((ordinal, node, line))
            elif name.startswith(b"f:"):
                sources[name[2:].decode()] = line
        rows.sort(key=itemgetter(0))
        nodes = [fork_of(node, line, source) if (source := sources.get(node.id)) else node for _, node, line in rows]
        if may_expire:
            living = set(await self.living(keys, [node.id for node in nodes]))
            nodes = [node for node in nodes if node.id in living]
        for node in nodes:
            self._locator.remember(SessionKey(keys.key.namespace, node.id), keys.root_id)
        return nodes
