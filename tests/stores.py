"""The stores for tests of what is above them; each can be opened twice, to read with a cold one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio

from a2a_session_manager import ActiveSession, SessionManager
from a2a_session_manager.limits import DEFAULT_LIMITS
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER
from a2a_session_manager.storage import BaseSessionStore, InMemorySessionStore
from a2a_session_manager.storage import redis as redis_store
from a2a_session_manager.storage.file import FileSessionStore
from tests.redis_servers.cluster import RedisCluster
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
    url = url_of(request.param, request, tmp_path)
    return lambda: redis_store.from_url(url, DEFAULT_LIMITS, DEFAULT_PRICER, ())


@pytest_asyncio.fixture
async def store(open_store: OpenStore) -> AsyncIterator[BaseSessionStore]:
    """A store of each kind."""
    async with open_store() as store:
        yield store


@pytest_asyncio.fixture
async def chat(store: BaseSessionStore) -> AsyncIterator[ActiveSession]:
    """A new session in a store of each kind."""
    async with SessionManager(store).open("chat") as chat:
        yield chat


@pytest.fixture(params=["memory", "file", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store of each kind lies."""
    return url_of(request.param, request, tmp_path)


@pytest.fixture(params=["file", "redis"])
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store lies that several processes use."""
    return url_of(request.param, request, tmp_path)


def url_of(kind: str, request: pytest.FixtureRequest, place: Path) -> str:
    """Return where a store lies that is of this test alone: in memory, below `place`, or on a server under a prefix."""
    if kind == "memory":
        return "memory:"
    if kind == "file":
        return f"file:{place}/sessions"
    name = "redis_cluster" if kind == "cluster" else "redis_server"
    server: RedisServer | RedisCluster = request.getfixturevalue(name)
    return f"{server.url}?key_prefix=test-{uuid4().hex}:"


def _only(store: BaseSessionStore) -> OpenStore:
    @asynccontextmanager
    async def again() -> AsyncIterator[BaseSessionStore]:
        yield store

    return again
