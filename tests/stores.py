"""The stores for tests of what is above them; each can be opened twice, to read with a cold one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage import redis as redis_store
from a2a_session_manager.storage.file import FileSessionStore
from tests.redis_servers.server import RedisServer

# Opens a store. Called again, it opens another one over the same data, which finds what the first one wrote.
OpenStore = Callable[[], AbstractAsyncContextManager[BaseSessionStore]]


@pytest.fixture(params=["memory", "file", "redis"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """A function that opens a store of each kind, over data of this test's own."""
    if request.param == "memory":
        return _only(InMemorySessionStore())
    if request.param == "file":
        return lambda: FileSessionStore(tmp_path / "sessions")
    server: RedisServer = request.getfixturevalue("redis_server")
    url = f"{server.url}?key_prefix={tmp_path.name}:"
    return lambda: redis_store.from_url(url, DEFAULT_LIMITS, DEFAULT_PRICER, ())


def _only(store: BaseSessionStore) -> OpenStore:
    @asynccontextmanager
    async def again() -> AsyncIterator[BaseSessionStore]:
        yield store

    return again
