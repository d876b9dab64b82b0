"""The sessions of openai-agents, with its own defaults, which our reads of whole conversations are compared with.

It is imported only when such a row runs: openai-agents makes a hundred thousand objects, which every full garbage
collection walks, and the rows of lateness would show that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agents import SQLiteSession
from agents.extensions.memory import RedisSession
from agents.memory import Session

_ID = "the other side's"


@asynccontextmanager
async def sqlite_session(path: Path | None) -> AsyncIterator[Session]:
    """Open an openai-agents session on a file, or in memory."""
    session = SQLiteSession(_ID) if path is None else SQLiteSession(_ID, path)
    try:
        yield session
    finally:
        session.close()


@asynccontextmanager
async def redis_session(url: str) -> AsyncIterator[Session]:
    """Open an openai-agents session on a server, with a client of its own."""
    session = RedisSession.from_url(_ID, url=url)
    try:
        yield session
    finally:
        await session.close()
