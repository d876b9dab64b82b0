"""Streams that outlive their requests: each runs in a task of its own, which the app's lifespan waits for and ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from a2a_session_manager.concurrency.cancellation import wait_out
from a2a_session_manager.limits import DEFAULT_LIMITS

DETACHED_KEY = "session_detached_streams"

_logger = logging.getLogger(__name__)


class DetachedStream:
    """One stream that runs by itself; the client that watches it gets its frames as they come, and may leave."""

    def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
        self._frames = frames
        self._ready: deque[bytes] = deque()
        self._is_watched = True
        self._changed = asyncio.Event()
        self.task = asyncio.create_task(self._consume())
        self.task.add_done_callback(self._ended)

    async def watched(self) -> AsyncGenerator[bytes, None]:
        """Yield the frames to the client. Raises what the stream raised; when it is cancelled, this ends as well."""
        try:
            while self._ready or not self.task.done():
                if self._ready:
                    yield self._ready.popleft()
                else:
                    self._changed.clear()
                    await self._changed.wait()
            if not self.task.cancelled():
                self.task.result()
        finally:
            self._is_watched = False
            self._ready.clear()

    async def _consume(self) -> None:
        async with aclosing(self._frames):
            async for frame in self._frames:
                if self._is_watched:
                    # Without a limit: a slow client must not hold up the model.
                    self._ready.append(frame)
                    self._changed.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._changed.set()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # The client may have left, and then nobody else learns of the error.
            _logger.error("a detached stream failed: %s: %s", type(error).__name__, error, exc_info=error)


class DetachedStreams:
    """The streams of an app that outlive their requests."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()  # the event loop keeps no strong reference to a task

    def start(self, frames: AsyncGenerator[bytes, None]) -> DetachedStream:
        """Start to consume `frames` in a task of their own, up to their end."""
        stream = DetachedStream(frames)
        self._tasks.add(stream.task)
        stream.task.add_done_callback(self._tasks.discard)
        return stream

    async def aclose(self, seconds: float) -> None:
        """Wait for the streams under way, and cancel those that take longer than `seconds`."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        late = [task for task in self._tasks if task.cancel()]
        if late:
            await wait_out(asyncio.ensure_future(asyncio.wait(late)), DEFAULT_LIMITS.cancel_seconds)


# The streams of apps without our lifespan, such as those under httpx.ASGITransport. Nobody waits for them.
without_lifespan = DetachedStreams()
