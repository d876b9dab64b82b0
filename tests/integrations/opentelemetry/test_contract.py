"""The whole contract on instrumented stores: who uses them notices nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from a2a_session_manager.integrations.opentelemetry.observed_backend import ObservedBackend
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.testing import StoreContract
from tests.integrations.opentelemetry.recorded import Recorded
from tests.storage.file.test_store import TestFileSessionStore as OnFiles
from tests.storage.redis.test_contract import OnServer
from tests.storage.yielding import damage_first_event

# Made once and here: the SDK takes locks when it sets up.
_RECORDED = Recorded()


def below(store: BaseSessionStore) -> BaseSessionStore:
    """Return the store as it is without telemetry: so those who damage it know where its data lies."""
    backend = store._open_backend
    assert isinstance(backend, ObservedBackend)
    return BaseSessionStore(backend._backend)


@pytest.mark.soak
class TestInstrumentedMemory(StoreContract):
    is_durable = False

    async def open_store(self, place: Path) -> BaseSessionStore:
        return _RECORDED.instrument(InMemorySessionStore())

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        damage_first_event(below(store), session_id)


@pytest.mark.soak
class TestInstrumentedFiles(OnFiles):
    async def open_store(self, place: Path) -> BaseSessionStore:
        return _RECORDED.instrument(await super().open_store(place))

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        await super().damage(below(store), session_id)


@pytest.mark.soak
class TestInstrumentedRedis(OnServer, StoreContract):
    async def open_store(self, place: Path) -> BaseSessionStore:
        return _RECORDED.instrument(await super().open_store(place))

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        await super().damage(below(store), session_id)


del OnFiles  # its tests are not this module's
