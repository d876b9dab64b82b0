"""Streams that outlive their requests: each goes on in a task of its own, which the app's lifespan keeps and ends."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing

from a2a_session_manager.concurrency.cancellation import wait_out
from a2a_session_manager.limits import DEFAULT_LIMITS

GENERATIONS_KEY = "session_generations"

_logger = logging.getLogger(__name__)


class Generation:
    """One stream under way. Whoever watches gets its frames as they come, and may leave."""

    def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
        self._frames = frames
        self._ready: deque[bytes] = deque()
        self._is_watched = True
        self._news = asyncio.Event()
        self.task = asyncio.create_task(self._go_on())
        self.task.add_done_callback(self._ended)

    async def watched(self) -> AsyncGenerator[bytes, None]:
        """Yield the frames. Raises what the stream raised; one that was cancelled ends here, too."""
        try:
            while self._ready or not self.task.done():
                if self._ready:
                    yield self._ready.popleft()
                else:
                    self._news.clear()
                    await self._news.wait()
            if not self.task.cancelled():
                self.task.result()
        finally:
            self._is_watched = False
            self._ready.clear()

    async def _go_on(self) -> None:
        async with aclosing(self._frames):
            async for frame in self._frames:
                if self._is_watched:
                    # However slow the client is: it must not hold up the model.
                    self._ready.append(frame)
                    self._news.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._news.set()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            # A client that has left is told nothing.
            _logger.error("a detached stream failed: %s: %s", type(error).__name__, error, exc_info=error)


class Generations:
    """The streams of an app that outlive their requests."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()  # a loop keeps no task from the garbage collector

    def start(self, frames: AsyncGenerator[bytes, None]) -> Generation:
        """Let `frames` go on by themselves, from now to their end."""
        generation = Generation(frames)
        self._tasks.add(generation.task)
        generation.task.add_done_callback(self._tasks.discard)
        return generation

    async def aclose(self, patience: float) -> None:
        """Wait for those under way; those that take longer than `patience` seconds are cancelled, and end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        late = [task for task in self._tasks if task.cancel()]
        if late:
            await wait_out(asyncio.ensure_future(asyncio.wait(late)), DEFAULT_LIMITS.cancel_seconds)


# Of apps without our lifespan, such as those under httpx.ASGITransport: nobody waits for them.
of_no_app = Generations()
