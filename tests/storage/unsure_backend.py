"""A backend over memory whose replies can be lost, and a session to save through it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from a2a_session_manager import (
    RunStatus,
    Session,
    SessionChange,
    SessionEvent,
    SessionRun,
    StoreUnavailable,
    TokenUsage,
)
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore


class UnsureBackend(MemoryBackend):
    """Memory that gives way at every step; a write fails before it lands, or its reply is lost, when told so."""

    def __init__(self) -> None:
        super().__init__()
        self.refuse = 0
        self.lose = 0
        self.write_ids: list[str | None] = []

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        return await self._unsure(commit, lambda: super(UnsureBackend, self).create(key, creation, commit))

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        return await self._unsure(commit, lambda: super(UnsureBackend, self).commit(key, commit))

    async def load(self, *args: Any, **kwargs: Any) -> list[LoadedSession | None]:
        await asyncio.sleep(0)
        return await super().load(*args, **kwargs)

    async def _unsure(self, commit: EncodedCommit, write: Callable[[], Awaitable[Receipt]]) -> Receipt:
        self.write_ids.append(commit.write_id)
        await asyncio.sleep(0)
        if self.refuse:
            self.refuse -= 1
            raise StoreUnavailable("nobody answers")
        receipt = await write()
        await asyncio.sleep(0)
        if self.lose:
            self.lose -= 1
            raise StoreUnavailable("the reply was lost")
        return receipt


@pytest.fixture
def backend() -> UnsureBackend:
    return UnsureBackend()


@pytest.fixture
def store(backend: UnsureBackend) -> BaseSessionStore:
    return BaseSessionStore(backend)


@pytest.fixture
async def session(store: BaseSessionStore) -> Session[Any]:
    """A session of three events, a run, state and properties, just read."""
    change = SessionChange(
        events=[said(text) for text in "abc"],
        set_state={"plan": {"days": 2}, "n": 1},
        set_properties={"owner": "Ann"},
        runs=[SessionRun(id="r", status=RunStatus.RUNNING)],
    )
    await store.create("s", change=change)
    return await read(store)


def said(text: str, tokens: int = 0) -> SessionEvent[Any]:
    return SessionEvent(message=text, token_usage=TokenUsage(prompt_tokens=tokens, model="m"))


async def read(store: BaseSessionStore, session_id: str = "s", last: int | None = None) -> Session[Any]:
    session = await store.get(session_id, last=last)
    assert session is not None
    return session


def texts(session: Session[Any]) -> list[Any]:
    return [event.message for event in session.events]
