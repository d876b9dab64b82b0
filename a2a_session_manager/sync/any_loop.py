"""AnyLoop: how an adapter's coroutines are run for callers on asyncio, on another loop, or on none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from a2a_session_manager.manager import SessionManager
from a2a_session_manager.sync.loop_thread import LoopThread
from a2a_session_manager.sync.manager import SyncSessionManager

ResultT = TypeVar("ResultT")


class AnyLoop:
    """Runs coroutines over a manager where they are called, on asyncio, and else on a loop of its own.

    Once there is such a loop, all of them run on it, so that a store in memory is never used by two threads. That of a
    SyncSessionManager is there from the beginning.
    """

    def __init__(self, sessions: SessionManager | SyncSessionManager) -> None:
        self._own: SyncSessionManager | LoopThread | None = None
        if isinstance(sessions, SyncSessionManager):
            self._own = sessions
            sessions = sessions.sessions
        self.sessions = sessions

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run `work`, and return its result; it blocks the calling thread. See LoopThread.run."""
        return self._own_loop().run(work)

    async def wait(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run `work`, and return its result, for a caller on asyncio or trio. See LoopThread.wait."""
        if self._own is None and _is_on_asyncio():
            return await work
        return await self._own_loop().wait(work)

    def close(self) -> None:
        """End the loop, if this began it."""
        if isinstance(self._own, LoopThread):
            self._own.close()

    def _own_loop(self) -> SyncSessionManager | LoopThread:
        if self._own is None:
            self._own = LoopThread()
        return self._own


def _is_on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
