"""The calls of the scripts over the entries of a shard, by which pages of heads are found."""

from __future__ import annotations

from collections.abc import Sequence

from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.entries import IndexedSession, KnownProperties, time_text
from a2a_session_manager.storage.redis.keys import SessionKeys, entry_keys, mark_of_loss, shard_with_marks
from a2a_session_manager.storage.redis.script import PlainCall, ScriptCall, Value
from a2a_session_manager.storage.redis.shards import FOR_EVER


class EntryCalls:
    """Makes the calls, with the properties that a shard's entries have facets of as far as is known."""

    def __init__(self, prefix: str, known: KnownProperties) -> None:
        self._prefix = prefix
        self.known = known

    def listing(
        self, keys: SessionKeys, lifetime: str, planned: IndexedSession | None = None, *, is_at_once: bool = False
    ) -> ScriptCall:
        """Return the call of `list.lua` for a session, and what is `planned` for one that is about to be created."""
        shard, line = keys.index_entry
        arguments: list[Value] = [line, lifetime, 2 if is_at_once else 0, self.known.text(shard)]
        if planned is not None:
            arguments += [time_text(planned.updated_at), time_text(planned.created_at)]
            arguments += planned.facets(self.known.names(shard))
        return ScriptCall(scripts.LIST, self._all_keys(shard), arguments)

    def mark(self, shard: bytes, *, is_whole: bool = False) -> ScriptCall:
        """Return the call of `list.lua` that writes a shard's marks; `is_whole` says that what was lost is there."""
        return ScriptCall(scripts.LIST, self._all_keys(shard), [b"", FOR_EVER, int(is_whole)])

    def unlisting(self, shard: bytes, lines: Sequence[Value]) -> ScriptCall:
        """Return the call that removes lines and their entries, and the shard's marks with the last line."""
        return ScriptCall(scripts.UNLIST, self._all_keys(shard), lines)

    def move(self, keys: SessionKeys, updated_at: int | None, facets: Sequence[str] | None = None) -> ScriptCall:
        """Return the call of `move.lua`; `facets` are those of all properties that a commit sets, None for no such."""
        shard, line = keys.index_entry
        updated = "" if updated_at is None else time_text(updated_at)
        arguments: list[Value] = [line, self.known.text(shard), updated, int(facets is not None), *(facets or ())]
        return ScriptCall(scripts.MOVE, self.keys(shard), arguments)

    def look(self, keys: SessionKeys) -> PlainCall:
        """Return the call that reads the entry of a session."""
        shard, line = keys.index_entry
        return PlainCall(("HGET", entry_keys(self._prefix, shard)[0], line))

    def settle(self, shard: bytes, properties: str, changes: Sequence[tuple[bytes, bytes, bytes]]) -> ScriptCall:
        """Return the call of `settle.lua` for lines, each with its entry before and after."""
        arguments: list[Value] = [properties, *(value for change in changes for value in change)]
        return ScriptCall(scripts.SETTLE, self.keys(shard), arguments)

    def put_back(self, keys: SessionKeys, now: bytes, before: bytes) -> ScriptCall:
        """Return the call that makes an entry what it was, if it is still what it became."""
        shard, line = keys.index_entry
        return ScriptCall(scripts.PUT_BACK, self.keys(shard), [line, now, before])

    def complete(self, shard: bytes, step: str, made: bytes, after: bytes, limit: int) -> ScriptCall:
        """Return the call of `complete.lua`."""
        arguments: list[Value] = [self.known.own, step, made, after, limit]
        return ScriptCall(scripts.COMPLETE, self.keys(shard), arguments)

    def page(self, shard: bytes, arguments: Sequence[Value]) -> ScriptCall:
        """Return the call of `page.lua`."""
        keys = *shard_with_marks(self._prefix, shard), *entry_keys(self._prefix, shard)
        return ScriptCall(scripts.PAGE, keys, arguments)

    def keys(self, shard: bytes) -> tuple[bytes, bytes, bytes]:
        """Return a shard, its entries and their rows."""
        return shard, *entry_keys(self._prefix, shard)

    def _all_keys(self, shard: bytes) -> tuple[bytes, ...]:
        marks = *shard_with_marks(self._prefix, shard), mark_of_loss(self._prefix, shard)
        return *marks, *entry_keys(self._prefix, shard)
