"""The contract on memory: as it is, yielding at every step of its writes, and reopened as a durable store would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.testing import StoreContract
from tests.storage.yielding import YieldingStore, damage_first_event


class TestInMemorySessionStore(StoreContract):
    is_durable = False

    async def open_store(self, place: Path) -> BaseSessionStore:
        return InMemorySessionStore()

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        damage_first_event(store, session_id)


class TestYieldingMemory(StoreContract):
    """Plain memory never yields, so a race cannot happen to it: this one invites them."""

    is_durable = False

    async def open_store(self, place: Path) -> BaseSessionStore:
        return YieldingStore()

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        damage_first_event(store, session_id)


@pytest.mark.soak  # files and Redis are read through cold stores by default
class TestReopenedMemory(StoreContract):
    """Opened again at a place, it is another store over the same data: so the contract reads through cold ones."""

    def setup_method(self) -> None:
        self._places: dict[Path, MemoryBackend] = {}

    async def open_store(self, place: Path) -> BaseSessionStore:
        first = self._places.setdefault(place, MemoryBackend())
        backend = MemoryBackend()
        backend._sessions, backend._ids, backend._indexes = first._sessions, first._ids, first._indexes
        return BaseSessionStore(backend)

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        damage_first_event(store, session_id)
