"""Waiting for news of a session: writers publish while somebody of its tree's followers has said so."""

from __future__ import annotations

import asyncio
import logging
from typing import Final
from weakref import WeakKeyDictionary

from a2a_session_manager.exceptions import StoreFull
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.keys import SessionKeys
from a2a_session_manager.storage.redis.locating import Locator
from a2a_session_manager.storage.redis.script import Command, ScriptCall

_log = logging.getLogger("a2a_session_manager.storage.redis")

# How long one announcement lasts, and after how long it is made again.
_LISTENING_SECONDS: Final = 60
_ANNOUNCED_SECONDS: Final = 20.0
# A message may be lost: then the log itself tells, this much later.
_POLL_SECONDS: Final = 2.0
_SESSIONS_REMEMBERED: Final = 1_024

_Announced = dict[bytes, float]


class Followers:
    """Waits on the channels of sessions; what is heard is a hint, the log is the truth."""

    def __init__(self, connections: Connections, locator: Locator) -> None:
        self._connections = connections
        self._locator = locator
        self._is_full = False  # said so: it is logged once
        self._announced: WeakKeyDictionary[asyncio.AbstractEventLoop, _Announced] = WeakKeyDictionary()

    async def wait(self, key: SessionKey, creation_id: str, revision: int) -> None:
        """Return when this incarnation of the session may have left `revision` or is over; early is fine."""
        keys = self._locator.keys_of(key)
        channel = keys.followers + b":" + creation_id.encode()
        if not await self._announce(keys, channel, creation_id, revision):
            return
        await self._connections.wait(channel, revision, _POLL_SECONDS)

    async def _announce(self, keys: SessionKeys, channel: bytes, creation_id: str, revision: int) -> bool:
        """Say that somebody listens, where that is due; False when there is news already."""
        loop = asyncio.get_running_loop()
        announced = self._announced.setdefault(loop, {})
        doubtful = await self._connections.doubtful(channel, revision)
        if loop.time() - announced.get(channel, -_ANNOUNCED_SECONDS) < _ANNOUNCED_SECONDS and doubtful is None:
            return True
        call = ScriptCall(scripts.LISTEN, [keys.followers, keys.head], [_LISTENING_SECONDS], keys.key.id)
        try:
            current = await self._connections.run(call)
        except StoreFull:
            # Following is reading. Writers do not learn of this follower, which looks by the clock until there is room.
            if not self._is_full:
                _log.warning("redis is full: writers do not learn of followers, which look every two seconds")
            self._is_full = True
            commands: list[Command] = [("HGET", keys.head, "creation"), ("HGET", keys.head, "revision")]
            current = await self._connections.read_many(commands)
        else:
            while len(announced) >= _SESSIONS_REMEMBERED:
                del announced[next(iter(announced))]
            announced[channel] = loop.time()
            self._is_full = False
        is_current = bool(current == [creation_id.encode(), str(revision).encode()])
        if is_current and doubtful is not None:
            await self._connections.correct(channel, doubtful, revision)
        return is_current
