"""The end of a session and all below it: one step in the tree, then what is left is removed in chunks."""

from __future__ import annotations

from functools import partial

from a2a_session_manager.exceptions import StoreFull
from a2a_session_manager.storage import commit_rules, forks
from a2a_session_manager.storage.commit_records import Guard
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.commit_calls import guard_arg
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.heads import expires, parent_of
from a2a_session_manager.storage.redis.index import Index
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Locator
from a2a_session_manager.storage.redis.reaper import Reaper
from a2a_session_manager.storage.redis.replies import Flat, pairs, status_of
from a2a_session_manager.storage.redis.script import ScriptCall, Value
from a2a_session_manager.storage.redis.session_reader import SessionReader
from a2a_session_manager.storage.redis.tree_reader import StoredTreeReader


class Deleter:
    """Deletes sessions. A crash after the first step leaves keys that nobody reads and that are removed later."""

    def __init__(
        self,
        connections: Connections,
        locator: Locator,
        index: Index,
        reader: SessionReader,
        trees: StoredTreeReader,
        reaper: Reaper,
    ) -> None:
        self._connections = connections
        self._locator = locator
        self._index = index
        self._reader = reader
        self._trees = trees
        self._reaper = reaper

    async def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> None:
        """Delete this incarnation of the session; see `Backend.delete`."""
        keys, line = await self._reader.line(key)
        below: list[tuple[SessionKeys, str]] | None = None
        if line is not None:
            if cascade:
                await self._let_others_finish(keys, line)
            below = await self._ended(keys, parent_of(line), creation_id, cascade=cascade, guard=guard)
        if below:
            await self._reaper.remove_below(below)
        if below is None or below:
            # It was gone before: by a try whose answer was lost, perhaps, and which has removed nothing else. Or there
            # was much to do, and a failover has undone some of it.
            await self._reaper.finish_cascades([keys])
        # The last: until then, the index says that there is something to do.
        await self._reaper.remove([(keys, creation_id)])
        self._locator.forget(key)

    async def _let_others_finish(self, keys: SessionKeys, line: bytes) -> None:
        """See to it that another process finishes what this one begins, should it die in between."""
        try:
            overdue = await self._index.watch(keys, is_mortal=expires(line))
        except StoreFull:
            return  # what frees memory goes on; a listing finishes it, too
        self._reaper.look_after(overdue)

    async def _ended(
        self, keys: SessionKeys, parent_id: str, creation_id: str, *, cascade: bool, guard: Guard | None
    ) -> list[tuple[SessionKeys, str]] | None:
        """End the session; return what cascades took along and is left, with creation ids, None if it was gone."""
        end = partial(self._end, keys, parent_id, creation_id, cascade=cascade, guard=guard)
        reply = await end()
        if status_of(reply, keys.key.id) == b"CHILDREN":
            # Those that have expired do not count, and are no longer in the way after this.
            children, fork_ids = await self._trees.living_children(keys)
            if children or fork_ids:
                raise forks.still_needed(keys.key.id, len(children), fork_ids)
            reply = await end()
            if status_of(reply, keys.key.id) == b"CHILDREN":
                raise forks.still_needed(keys.key.id, reply[1], ())
        if reply[0] == b"CONFLICT":
            assert guard is not None, "only a guard is refused"
            raise commit_rules.late(keys.key.id, guard, reply[1])
        if reply[0] != b"OK":
            return None
        return [(keys.of(name.decode()), creation.decode()) for name, creation in pairs(reply[1])]

    async def _end(
        self, keys: SessionKeys, parent_id: str, creation_id: str, *, cascade: bool, guard: Guard | None
    ) -> Flat:
        touched = (*keys.all_of_creation, keys.gone)
        if parent_id:
            parent = keys.of(parent_id)
            touched = (*touched, parent.head, parent.children)
        arguments: list[Value] = [keys.key.id, creation_id, int(cascade), guard_arg(guard)]
        reply: Flat = await self._connections.run(ScriptCall(scripts.DELETE, touched, arguments, keys.key.id))
        return reply
