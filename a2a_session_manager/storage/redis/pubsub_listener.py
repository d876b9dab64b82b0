"""Wakes who waits for news of a session: one pub/sub connection for all channels, open while somebody listens.

A message is a hint: it may be lost, and then the waiting ends by its time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from a2a_session_manager.storage.redis.clients import AnyClient, may_listen
from a2a_session_manager.storage.redis.errors import is_transient, outage

_log = logging.getLogger("a2a_session_manager.storage.redis")

_READ_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 5.0
_IDLE_SECONDS: Final = 30.0
_CLOSE_SECONDS: Final = 1.0
_RECONNECT_SECONDS: Final = 0.5
# Until a user who may not subscribe is tried again.
_REFUSED_SECONDS: Final = 60.0


@dataclass(slots=True, eq=False)
class _Channel:
    """The callers that wait on one channel, and the highest number heard on it."""

    last_heard: float = 0
    told: set[int] = field(default_factory=set)  # callers at these were told of `last_heard` at once
    used_at: float = 0.0
    waiting: set[asyncio.Future[None]] = field(default_factory=set)

    def wake(self) -> None:
        for future in self.waiting:
            if not future.done():
                future.set_result(None)


class PubSubListener:
    """The channels listened to on one event loop."""

    def __init__(self, client: AnyClient) -> None:
        self._client = client
        self._may_listen = may_listen(client)
        self._channels: dict[bytes, _Channel] = {}
        self._requested: set[bytes] = set()
        self._subscribed: set[bytes] = set()
        self._is_hearing = False
        self._is_closed = False
        self._is_silent = False  # said so: it is logged once, and once more when it ends
        self._pubsub: Any = None
        self._reader: asyncio.Task[None] | None = None

    async def wait(self, name: bytes, seen: int, seconds: float) -> None:
        """Return when a number above `seen` was published on channel `name`, or after `seconds`.

        Returns early when the subscription begins, or has begun anew: what was published before is unheard.
        """
        loop = asyncio.get_running_loop()
        channel = self._channels.setdefault(name, _Channel())
        channel.used_at = loop.time()
        if channel.last_heard > seen and name in self._subscribed:
            channel.told.add(seen)
            return
        if self._may_listen:
            await self._listen(name)
        else:
            self._log_silence("the client has no connection for it")
        woken = loop.create_future()
        channel.waiting.add(woken)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await woken
        finally:
            channel.waiting.discard(woken)
            channel.used_at = loop.time()

    def doubtful(self, name: bytes, seen: int) -> float | None:
        """Return the number above `seen` that was heard, if somebody who had seen as much was told of it before.

        Either he has looked and found no more, since it is lost, or another one comes with the same number.
        """
        channel = self._channels.get(name)
        return channel.last_heard if channel is not None and seen in channel.told else None

    def correct(self, name: bytes, heard: float, current: int) -> None:
        """Take note that nothing above `current` was there after `heard`; what was heard since then counts."""
        channel = self._channels.get(name)
        if channel is not None and channel.last_heard == heard:
            channel.last_heard = current
            channel.told.clear()

    async def aclose(self) -> None:
        """Stop listening, within a second or two, and wake everybody."""
        self._is_closed = True
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.cancel()
            await asyncio.wait({reader}, timeout=2 * _CLOSE_SECONDS)
        self._wake_all()

    async def _listen(self, name: bytes) -> None:
        """See to it that messages on a channel are heard. Raises the mistake in code that ended the last reader."""
        if self._reader is not None and self._reader.done():
            ended, self._reader = self._reader, None
            if not ended.cancelled() and (mistake := ended.exception()) is not None:
                raise mistake
        if self._reader is None:
            self._reader = asyncio.get_running_loop().create_task(self._read(), name="a2a-session-wakeups")
        elif self._is_hearing and name not in self._requested:
            # The reader waits for messages of other channels; a reader that is not there yet brings this one, too.
            try:
                await self._subscribe({name})
            except Exception as error:
                outage(error)  # the reader finds out by itself

    async def _read(self) -> None:
        """Hear messages until nobody has listened for a while, connecting again where that is needed."""
        loop = asyncio.get_running_loop()
        try:
            # Before Python 3.12, a wait with a timeout may swallow the cancellation that `aclose` sends.
            while not self._is_closed and self._drop_idle(loop.time()):
                try:
                    await self._hear()
                except Exception as error:
                    is_refused = not is_transient(outage(error))
                    self._log_silence(type(error).__name__)
                    was_subscribed = bool(self._subscribed)
                    await self._drop_connection()
                    if was_subscribed:
                        self._wake_all()  # to look for themselves what they have missed; once, then by the clock
                    await asyncio.sleep(_REFUSED_SECONDS if is_refused else _RECONNECT_SECONDS)
        finally:
            await self._drop_connection()
            self._wake_all()

    def _drop_idle(self, now: float) -> bool:
        """Forget channels that nobody has waited on for a while; tell whether any are left."""
        for name, channel in list(self._channels.items()):
            if not channel.waiting and now - channel.used_at > _IDLE_SECONDS:
                del self._channels[name]
        return bool(self._channels)

    async def _hear(self) -> None:
        if self._pubsub is None:
            await self._client.initialize()  # a cluster's client must know a node
            self._pubsub = self._client.pubsub()
        while new := self._channels.keys() - self._requested:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._subscribe(new)
        for name in self._requested - self._channels.keys():
            self._requested.discard(name)
            self._subscribed.discard(name)
            await self._pubsub.unsubscribe(name)
        self._is_hearing = True
        message = await self._pubsub.get_message(timeout=_READ_SECONDS)
        self._is_hearing = False
        if message is not None:
            self._heard(message)

    def _heard(self, message: dict[str, Any]) -> None:
        name = message["channel"]
        name = name.encode() if isinstance(name, str) else name
        channel = self._channels.get(name)
        if channel is None:
            return
        if message["type"] == "subscribe":
            if self._is_silent:
                self._is_silent = False
                _log.info("pub/sub brings news again")
            self._subscribed.add(name)
            channel.wake()
        elif message["type"] == "message":
            channel.last_heard = _number(message["data"])
            channel.told.clear()
            channel.wake()

    async def _subscribe(self, names: Set[bytes]) -> None:
        self._requested |= names
        await self._pubsub.subscribe(*names)

    async def _drop_connection(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        self._is_hearing = False
        self._requested.clear()
        self._subscribed.clear()
        if pubsub is not None:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await pubsub.aclose()
            except Exception as error:
                outage(error)

    def _log_silence(self, reason: str) -> None:
        if not self._is_silent:
            self._is_silent = True
            _log.warning("pub/sub brings no news (%s): followers look every two seconds", reason)

    def _wake_all(self) -> None:
        for channel in self._channels.values():
            channel.wake()


def _number(data: bytes | str) -> float:
    """Return what was published; what is no number is above all of them."""
    try:
        return int(data)
    except ValueError:
        return float("inf")
