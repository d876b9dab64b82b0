"""An app in this process, over a store in memory or on files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Limits

from a2a_session_manager import InMemorySessionStore, SessionManager
from a2a_session_manager.integrations.fastapi import get_sessions
from tests.integrations.fastapi.serving import ADMIN_TOKEN, Served


@pytest.fixture
def sessions() -> SessionManager:
    return SessionManager(InMemorySessionStore())


@pytest.fixture
def indexed() -> SessionManager:
    """Sessions that are found by their owner."""
    return SessionManager(InMemorySessionStore(indexed=["owner"]))


@asynccontextmanager
async def client_of(app: FastAPI, sessions: SessionManager) -> AsyncIterator[AsyncClient]:
    """Return a client of `app` without a server; the transport hands a response out when it is complete."""
    app.dependency_overrides[get_sessions] = lambda: sessions
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture
def served(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Served]:
    """The example, or what the test's indirect parameter says, served by uvicorn over files."""
    how = {"app": "fastapi_chat:app", **getattr(request, "param", {})}
    with Served(directory=tmp_path / "sessions", **how) as served:
        yield served


@pytest.fixture
def client(served: Served) -> AsyncClient:
    """A client of the served app, for `async with`; made here because making one reads files."""
    limits = Limits(max_connections=256)
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    return AsyncClient(base_url=served.url, headers=headers, timeout=60, limits=limits, verify=False, trust_env=False)
