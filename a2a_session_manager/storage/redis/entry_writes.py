"""Entries of sessions whose properties change have their facets ahead of the commit, and lose the former ones after it.

So a page is never short, whatever dies in between: what an entry has too much, readers see and put right.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.activity_entries import Moved, is_activity, is_at
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.entries import Entry, IndexedSession, facets_of
from a2a_session_manager.storage.redis.entry_calls import EntryCalls
from a2a_session_manager.storage.redis.index import Announced
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Locator
from a2a_session_manager.storage.redis.script import PlainCall, ScriptCall

_log = logging.getLogger("a2a_session_manager.storage.redis")

# Another process may say meanwhile what sessions are found by; not for ever.
_ATTEMPTS: Final = 5


class EntryWriter:
    """Writes the entries of sessions that are created, and of those whose properties change."""

    def __init__(self, connections: Connections, locator: Locator, calls: EntryCalls) -> None:
        self._connections = connections
        self._locator = locator
        self._calls = calls

    async def announce(self, key: SessionKey, commit: EncodedCommit) -> Moved | None:
        """Add the facets of what the commit sets.

        None where the session is listed nowhere; most likely, there is none.
        """
        keys: SessionKeys | None = self._locator.keys_of(key)
        for _ in range(_ATTEMPTS):
            if keys is None:
                return None
            answer = await self._connections.run(self._announcement(keys, commit))
            if answer[0] == b"OK":
                return Moved(keys, answer[2], answer[1])
            if answer[0] == b"PROPERTIES":
                self._calls.known.learn(keys.index_entry[0], answer[1])
            else:
                found = await self._locator.find(key)
                keys = None if found is None or found.root_id == keys.root_id else found
        return None

    async def settle(self, announced: Moved, commit: EncodedCommit, receipt: Receipt) -> None:
        """Remove, after a commit that set properties, the facets of what they were before.

        Where the entry is another one than was announced, somebody else has to do with it, and nothing is removed:
        readers do that. But what this commit set must be found, also by what was declared a moment ago.
        """
        try:
            if not await self._is_settled(announced, commit, receipt):
                await self.announce(announced.keys.key, commit)
        except SessionManagerError as error:  # the commit is made, and its caller is to know
            _log.info("an entry of the index is put right later: %s", type(error.__cause__ or error).__name__)

    async def withdraw(self, announced: Moved, refused: SessionManagerError) -> None:
        """Put back the entry of a session whose commit was refused, and not just not answered."""
        if announced.before and not is_at(Entry.read(announced.after).updated_at, refused):
            call = self._calls.put_back(announced.keys, announced.after, announced.before)
            await self._connections.run_many([call])

    def names(self, keys: SessionKeys) -> list[str]:
        """Return the properties that the session will be found by, as far as is known."""
        return self._calls.known.names(keys.index_entry[0])

    def look(self, keys: SessionKeys) -> PlainCall:
        """Return the call whose answer `created` takes, to be sent after a creation."""
        return self._calls.look(keys)

    async def created(self, keys: SessionKeys, made: IndexedSession, announced: Announced, now: bytes) -> None:
        """See to the entry of a session that was just created.

        Args:
            keys: Where the session lies.
            made: What it is found by.
            announced: What was found when it was announced.
            now: Its entry, as it was read after the creation; "" for none.
        """
        if now == announced.entry and not announced.before:
            return
        shard, line = keys.index_entry
        for _ in range(_ATTEMPTS):
            if not now:
                now = await self._announced_again(keys, made)
            entry = Entry.read(now) if now else None
            if entry is None or entry.generation == 0:
                return  # whoever looks at the session finds all of it
            after = _as_made(entry, made, self._calls.known.names(shard), Entry.read(announced.entry)).data
            call = self._calls.settle(shard, self._calls.known.text(shard), [(line, now, after)])
            answer = await self._connections.run(call)
            if answer[0] == b"PROPERTIES":
                self._calls.known.learn(shard, answer[1])
                now = b""
            elif not answer[1] or answer[1][0] == after:
                return
            else:
                now = answer[1][0]

    def _announcement(self, keys: SessionKeys, commit: EncodedCommit) -> ScriptCall:
        names = self._calls.known.names(keys.index_entry[0])
        updated_at = commit.written_at if is_activity(commit) else None
        return self._calls.move(keys, updated_at, facets_of(commit.properties, names))

    async def _is_settled(self, announced: Moved, commit: EncodedCommit, receipt: Receipt) -> bool:
        shard, line = announced.keys.index_entry
        names = self._calls.known.names(shard)
        after = Entry.read(announced.after).committed(commit.properties, names)
        if announced.before and not is_at(after.updated_at, receipt):
            before = Entry.read(announced.before)
            after = after._replace(updated_at=before.updated_at, touched_at=before.touched_at)
        call = self._calls.settle(shard, self._calls.known.text(shard), [(line, announced.after, after.data)])
        answer = await self._connections.run(call)
        if answer[0] != b"OK":
            self._calls.known.learn(shard, answer[1])
            return False
        now_there = answer[1][0] if answer[1] else b""
        facets = facets_of(commit.properties, names)
        return bool(now_there) and set(facets) <= Entry.read(now_there).facets.keys()

    async def _announced_again(self, keys: SessionKeys, made: IndexedSession) -> bytes:
        for _ in range(_ATTEMPTS):
            facets = made.facets(self._calls.known.names(keys.index_entry[0]))
            answer = await self._connections.run(self._calls.move(keys, made.updated_at, facets))
            if answer[0] != b"PROPERTIES":
                return bytes(answer[1]) if answer[0] == b"OK" else b""
            self._calls.known.learn(keys.index_entry[0], answer[1])
        return b""


def _as_made(entry: Entry, made: IndexedSession, names: Sequence[str], planned: Entry) -> Entry:
    """Return an entry that an earlier session of the id has left, as that of the one that was made."""
    is_moved = entry.touched_at != planned.touched_at  # by a commit, meanwhile
    updated_at = max(entry.updated_at, made.updated_at) if is_moved else made.updated_at
    own = made.facets(names)
    pending = {facet: since for facet, since in entry.facets.items() if since and facet not in own}
    facets = {**dict.fromkeys(own, 0), **pending}
    return entry._replace(updated_at=updated_at, created_at=made.created_at, facets=facets)
