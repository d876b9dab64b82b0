"""Sessions that are written by the quick way of an append and by that of every other commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.storage.redis.private import ways_of
from a2a_session_manager.testing.contract.making import Event, said
from tests.redis_servers.server import RedisServer

directly = pytest.mark.skipif(not ways_of(Redis()).sends_directly, reason="this redis-py lacks the parts")


def plain(number: int) -> Event:
    return said(f"text {number}", id=f"plain {number}", timestamp=datetime(2026, 1, 1, tzinfo=UTC))


@asynccontextmanager
async def both_ways(server: RedisServer, protocol: int = 2) -> AsyncIterator[list[BaseSessionStore]]:
    """Open two stores over the same sessions: one that loads fast, one that asks the script."""
    prefix = f"test-{uuid4().hex}:"
    client = await asyncio.to_thread(Redis, host="127.0.0.1", port=server.port)
    async with client, store_from_url(f"{server.url}?key_prefix={prefix}&protocol={protocol}") as fast:
        yield [fast, RedisSessionStore(client, key_prefix=prefix)]


def spent(number: int, tokens: int, model: str = "m", **fields: Any) -> Event:
    usage = TokenUsage(prompt_tokens=min(tokens, 10**12), model=model, cost_pico_usd=tokens)
    return said(id=f"spent {number}", token_usage=usage, timestamp=datetime(2026, 1, 1, tzinfo=UTC), **fields)
