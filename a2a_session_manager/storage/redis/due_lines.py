"""Lines of the index that somebody must look after, in time: those of sessions that expire or are being deleted."""

from __future__ import annotations

from typing import Any, Final

from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.keys import SessionKeys, due_key, listed_keys
from a2a_session_manager.storage.redis.script import Command, PlainCall, ScriptCall, Value
from a2a_session_manager.storage.redis.shards import FOR_EVER

_DUE_AT_ONCE: Final = 20
# A deletion that is not done within this time has died.
_DELETE_SECONDS: Final = 60


class DueLines:
    """Makes the calls that add and remove such lines, and tells which sessions an answer means."""

    def __init__(self, prefix: str, ttl: int) -> None:
        """Take the store's prefix, and its time to live in milliseconds, 0 for ever."""
        self._prefix = prefix
        self._ttl = ttl

    def exist(self, keys: SessionKeys) -> PlainCall:
        """Return the call that tells whether the namespace has such lines."""
        return PlainCall(("EXISTS", self._key(keys)))

    def add(self, keys: SessionKeys, deadline: int, *, limit: int = _DUE_AT_ONCE, stays: bool = False) -> ScriptCall:
        """Return the call that adds the line of a session, if that expires, and answers with those that are due.

        Args:
            keys: Where the session lies.
            deadline: When it will expire, 0 for never: then no line is added.
            limit: How many lines that are due the answer may hold.
            stays: What tells of the session does not expire with it, nor may its line.
        """
        line = keys.index_entry[1] if deadline else b""
        # Where lines of the index may stay for ever, so does the word that this one does not.
        lifetime = FOR_EVER if stays or not self._ttl else f"@{deadline}"
        return ScriptCall(scripts.KEEP, [self._key(keys)], [line, str(deadline), lifetime, limit])

    def watch(self, keys: SessionKeys, *, is_mortal: bool) -> ScriptCall:
        """Return the call that adds the line of a session that is about to be deleted; see `Index.watch`."""
        lifetime = str(max(2 * self._ttl, 4_000 * _DELETE_SECONDS)) if is_mortal else FOR_EVER
        arguments: list[Value] = [keys.index_entry[1], f"+{1_000 * _DELETE_SECONDS}", lifetime, _DUE_AT_ONCE]
        return ScriptCall(scripts.KEEP, [self._key(keys)], arguments)

    def remove(self, keys: SessionKeys) -> Command:
        """Return the command that removes the line of a session."""
        return ("ZREM", self._key(keys), keys.index_entry[1])

    def sessions(self, keys: SessionKeys, answer: Any) -> list[SessionKeys]:
        """Return the sessions, in the namespace of `keys`, whose lines an answer to `add` or `watch` holds."""
        return [listed_keys(self._prefix, keys.key.namespace, line) for line in answer[1]]

    def _key(self, keys: SessionKeys) -> bytes:
        return due_key(self._prefix, keys.key.namespace)
