"""Stores over memory with one planted fault each, in what followers are told, and in when they are let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.models.session import Session
from a2a_session_manager.models.session_event import SessionEvent
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LogPage
from a2a_session_manager.storage.records import SessionKey


class FollowsTheGivenOneAgain(InMemorySessionStore):
    """Begins with the event after which somebody wants to go on."""

    async def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        async for event in super().follow(session, after=max(after - 1, 0)):
            yield event


class TellsEverythingTwice(InMemorySessionStore):
    """Tells followers of each event again."""

    async def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        async for event in super().follow(session, after=after):
            yield event
            yield event


class FollowsALaterSession(InMemorySessionStore):
    """Goes on with whichever session has the id after the one that is followed was deleted."""

    async def follow(self, session: Session[Any] | str, *, after: int = 0) -> AsyncGenerator[SessionEvent[Any], None]:
        while True:
            try:
                async for event in super().follow(session, after=after):
                    after = event.seq or 0
                    yield event
            except SessionNotFound:
                after = 0
                await asyncio.sleep(0.01)


class _WaitsForTheAbsent(MemoryBackend):
    async def read_log(self, key: SessionKey, *, after: int, limit: int, max_bytes: int) -> LogPage | None:
        page = await super().read_log(key, after=after, limit=limit, max_bytes=max_bytes)
        if page is None:
            await asyncio.Event().wait()
        return page


class WaitsForWhatWasDeleted(BaseSessionStore):
    """Lets followers of a deleted session wait for it."""

    def __init__(self) -> None:
        super().__init__(_WaitsForTheAbsent())


class WaitsForWhatIsNotThere(WaitsForWhatWasDeleted):
    """The same, of a session that never was."""


class _WakesNobody(MemoryBackend):
    async def aclose(self) -> None:
        self.is_closed = True


class LetsFollowersWaitOnceClosed(BaseSessionStore):
    """Is closed, and its followers wait for news."""

    def __init__(self) -> None:
        super().__init__(_WakesNobody())
