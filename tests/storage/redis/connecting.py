"""Connections to a real server, by way of a proxy, and a look at those that are open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from a2a_session_manager.storage.redis.connections import Connections
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.scripts import connected
from tests.redis_servers.server import RedisServer


@pytest.fixture
def name() -> str:
    return f"list {uuid4().hex}"


async def users_client(server: RedisServer, **settings: Any) -> Redis:
    """Return a client as a user makes it; redis-py reads its own package's files for that."""
    return await asyncio.to_thread(Redis, host="127.0.0.1", port=server.port, **settings)


@pytest_asyncio.fixture
async def proxy(redis_server: RedisServer) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(redis_server.port) as proxy:
        yield proxy


@pytest_asyncio.fixture
async def connections(proxy: FaultyProxy) -> AsyncIterator[Connections]:
    connections = connected(proxy.url)
    yield connections
    await connections.aclose()
