"""A store over memory that a test can slow down and break, and looks at what it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from a2a_session_manager import (
    ActiveSession,
    SessionManager,
    StoreUnavailable,
)
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.store import BaseSessionStore


class SlowBackend(MemoryBackend):
    """Memory that gives way before and after each write, and that can be switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.is_down = False

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        receipt = await super().create(key, creation, commit)
        await asyncio.sleep(0)
        return receipt

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        if self.is_down:
            raise StoreUnavailable("the line is dead")
        receipt = await super().commit(key, commit)
        await asyncio.sleep(0)
        return receipt


@pytest.fixture
def backend() -> SlowBackend:
    return SlowBackend()


@pytest.fixture
def store(backend: SlowBackend) -> BaseSessionStore:
    return BaseSessionStore(backend)


@pytest.fixture
async def chat(store: BaseSessionStore) -> AsyncIterator[ActiveSession]:
    async with SessionManager(store).open("chat") as chat:
        yield chat


async def payloads(store: BaseSessionStore, session_id: str = "chat") -> list[Any]:
    return [event.message for event in await store.events(session_id)]
