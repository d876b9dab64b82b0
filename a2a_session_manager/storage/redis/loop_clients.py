"""The client of each event loop, one we build or the one that was handed in: opened when it is first asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field
from typing import Final

from redis.asyncio import RedisCluster

from a2a_session_manager.concurrency.threads import in_thread
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.observer import QueueObserver
from a2a_session_manager.storage.redis import clients
from a2a_session_manager.storage.redis.address import RedisAddress
from a2a_session_manager.storage.redis.clients import AnyClient
from a2a_session_manager.storage.redis.command_executor import CommandExecutor
from a2a_session_manager.storage.redis.private import Ways, ways_of
from a2a_session_manager.storage.redis.pubsub_listener import PubSubListener
from a2a_session_manager.storage.redis.retry_policy import RetryPolicy

_log = logging.getLogger("a2a_session_manager.storage.redis")

# A server that hangs does not take what is left to say.
_CLOSE_SECONDS: Final = 1.0


@dataclass(slots=True, eq=False, repr=False)  # redis-py's older releases show passwords in theirs
class OpenClient:
    """What belongs to one event loop."""

    client: AnyClient
    executor: CommandExecutor
    listener: PubSubListener
    cluster: RedisCluster | None  # the client, if it is one's; asking its type takes long
    lifetime: AsyncGenerator[OpenClient, None] = field(init=False)


class LoopClients:
    """Opens a client for each event loop, and closes it with its loop, if we have built it.

    Attributes:
        open_now: What belongs to each loop that has a client.
        retries: How many round trips were made again.
        observer: Who is told of each of these.
    """

    def __init__(self, address: RedisAddress | None, handed_in: AnyClient | None, retry_policy: RetryPolicy) -> None:
        self.open_now: dict[asyncio.AbstractEventLoop, OpenClient] = {}
        self.retries = 0
        self.observer: QueueObserver | None = None
        self._address = address
        self._handed_in = handed_in
        self._retry_policy = retry_policy
        self._openings: dict[asyncio.AbstractEventLoop, asyncio.Task[OpenClient]] = {}
        self._is_closed = False

    async def opened(self) -> OpenClient:
        """Return what belongs to the running loop. Raises StoreUnavailable after `aclose`."""
        loop = asyncio.get_running_loop()
        opened = self.open_now.get(loop)
        if opened is None:
            self._check_open()
            opening = self._openings.get(loop)
            if opening is None:
                self._forget_closed_loops()
                # In a task, since whoever comes first may be cancelled, and the others wait for the same client.
                opening = self._openings[loop] = loop.create_task(self._open(loop), context=Context())
                opening.add_done_callback(_take_note)
            opened = await asyncio.shield(opening)
        return opened

    async def aclose(self, *, waits: bool) -> None:
        """Close what belongs to the running loop; see `Connections.aclose`."""
        self._is_closed = True
        loop = asyncio.get_running_loop()
        self._forget_closed_loops()
        if (opening := self._openings.get(loop)) is not None:
            await asyncio.wait({opening})
        opened = self.open_now.get(loop)
        if opened is not None:
            if not waits:
                opened.executor.hurry()
            await opened.lifetime.aclose()

    async def _open(self, loop: asyncio.AbstractEventLoop) -> OpenClient:
        lifetime = self._lifetime(loop)
        try:
            opened = await anext(lifetime)
            opened.lifetime = lifetime
            if self._is_closed:
                await lifetime.aclose()
                self._check_open()
            self.open_now[loop] = opened
        finally:
            del self._openings[loop]
        return opened

    def _forget_closed_loops(self) -> None:
        """Close what belongs to loops that were closed without ending their generators, unlike `asyncio.run`."""
        for loop in [*self._openings, *self.open_now]:
            if loop.is_closed():
                self._openings.pop(loop, None)
                opened = self.open_now.pop(loop, None)
                if opened is not None and self._handed_in is None:
                    _log.warning("an event loop was closed without `aclose` of the store: its connections are dropped")
                    clients.abandon(opened.client)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreUnavailable("the store is closed: open a new one")

    async def _lifetime(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[OpenClient, None]:
        """Yield a client and, when closed, close it.

        A generator, since a loop that ends (`asyncio.run`) closes those that are left: so connections are
        closed on the loop they belong to even where nobody closes the store.
        """
        client, ways = (self._handed_in, None) if self._handed_in is not None else await self._built()
        executor = CommandExecutor(client, self._retry_policy, ways, note_retry=self._note_retry)
        cluster = client if isinstance(client, RedisCluster) else None
        opened = OpenClient(client, executor, PubSubListener(client), cluster)
        try:
            yield opened
        finally:
            if self.open_now.get(loop) is opened:
                del self.open_now[loop]
            try:
                await opened.listener.aclose()
                await opened.executor.aclose()
            finally:
                if self._handed_in is None:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_CLOSE_SECONDS):
                            await clients.close(client)

    def _note_retry(self) -> None:
        self.retries += 1
        if self.observer is not None:
            self.observer.retried(1)

    async def _built(self) -> tuple[AnyClient, Ways]:
        assert self._address is not None
        client = await in_thread(clients.built, self._address)
        return client, await in_thread(ways_of, client)


def _take_note(opening: asyncio.Task[OpenClient]) -> None:
    """Let asyncio not complain about an error that nobody waits for any more."""
    if not opening.cancelled():
        opening.exception()
