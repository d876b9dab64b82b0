"""An app in this process, over a store in memory or on files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from a2a_session_manager import InMemorySessionStore, SessionManager
from a2a_session_manager.integrations.fastapi import get_sessions
from tests.integrations.fastapi.serving import Served


@pytest.fixture
def sessions() -> SessionManager:
    return SessionManager(InMemorySessionStore())


@asynccontextmanager
async def client_of(app: FastAPI, sessions: SessionManager) -> AsyncIterator[AsyncClient]:
    """Return a client of `app` without a server; the transport hands a response out when it is complete."""
    app.dependency_overrides[get_sessions] = lambda: sessions
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        yield client


@pytest.fixture
def served_chat(tmp_path: Path) -> Iterator[Served]:
    """The example, served by uvicorn in a process of its own, over files."""
    with Served("fastapi_chat:app", tmp_path / "sessions") as served:
        yield served
