"""Sessions in SQLite and on Redis: read as they are while others use them, and left as they were."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from a2a_session_manager import (
    InMemorySessionStore,
    InvalidSessionOperation,
    StoreUnavailable,
    import_conversations,
)
from tests.importers.conftest import FILES
from tests.importers.summary import summary_of
from tests.redis_servers.server import RedisServer

_HI = json.dumps({"role": "user", "content": "Hi"})


def _digest(path: Path) -> dict[str, str]:
    return {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(path.iterdir())}


async def test_what_lies_in_the_write_ahead_log_is_read_and_nothing_of_the_file_is_touched(tmp_path: Path) -> None:
    path = tmp_path / "talks.db"

    def write() -> sqlite3.Connection:
        database = sqlite3.connect(path, check_same_thread=False)
        database.execute("PRAGMA journal_mode=WAL")
        database.executescript((FILES / "openai-agents" / "plain.sql").read_text())
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        row = ("user-123", _HI, "2026-06-10 08:00:30")
        database.execute("INSERT INTO agent_messages (session_id, message_data, created_at) VALUES (?, ?, ?)", row)
        database.commit()
        database.execute("INSERT INTO agent_messages (session_id, message_data) VALUES ('user-123', 'not committed')")
        return database

    with closing(await asyncio.to_thread(write)):
        before = await asyncio.to_thread(_digest, tmp_path)
        assert "talks.db-wal" in before
        async with InMemorySessionStore() as store:
            await import_conversations(store, path)
            events = await store.events("user-123")

        assert [event.id for event in events] == ["1", "3", "4", "5", "6"]
        assert await asyncio.to_thread(_digest, tmp_path) == before


async def test_a_database_that_was_cut_off_is_refused(files: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.db"
    whole = await asyncio.to_thread((files / "openai-agents" / "plain.db").read_bytes)
    await asyncio.to_thread(path.write_bytes, whole[:9_000])
    async with InMemorySessionStore() as store:
        with pytest.raises(InvalidSessionOperation, match="SQLite says that it is damaged"):
            await import_conversations(store, path)
        assert await store.list_sessions() == []


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[tuple[str, Any]]:
    """A Redis with what openai-agents and release 0.1 leave there, and keys of others."""
    url = f"{redis_server.url}/7"
    with Redis.from_url(url, decode_responses=True) as client:
        client.hset(
            "agents:session:ann", mapping={"session_id": "ann", "created_at": "1780272000", "updated_at": "1780272060"}
        )
        items = [_HI, json.dumps({"type": "function_call", "call_id": "c", "name": "w", "arguments": "{}"}), "no JSON"]
        client.rpush("agents:session:ann:messages", *items)
        client.set("agents:session:ann:counter", "3")
        client.set("session:lonely", (FILES / "0.1" / "lonely.json").read_text())
        client.set("session:other", "text of another program")
        client.hset("session:hash", mapping={"a": "b"})
        client.hset("own*:bob", mapping={"session_id": "bob", "created_at": "1780272000"})
        client.rpush("own*:bob:messages", _HI)
        yield url, client
        client.flushdb()


async def test_sessions_on_redis_are_read_with_their_times_and_nothing_there_changes(server: tuple[str, Any]) -> None:
    url, client = server
    before = await asyncio.to_thread(client.keys, "*")
    async with InMemorySessionStore() as store:
        report = await import_conversations(store, url)
        again = await import_conversations(store, url)
        sessions = await summary_of(store)

    assert dict(report.formats) == {"openai-agents": 1, "0.1": 1}
    assert (report.new_events, again.new_events, again.new_sessions) == (6, 0, 0)
    assert sessions["ann"] == {
        "created": "2026-06-01T00:00:00+00:00",
        "updated": "2026-06-01T00:01:00+00:00",
        "events": [
            "1 2026-06-01T00:00:00 user text",
            "2 2026-06-01T00:00:00 assistant call",
            "3 2026-06-01T00:00:00 (text)",
        ],
    }
    assert sessions["lonely"]["parent"] == "gone"
    assert sorted(await asyncio.to_thread(client.keys, "*")) == sorted(before)


async def test_a_prefix_and_a_format_choose_what_is_read(server: tuple[str, Any]) -> None:
    url, _ = server
    async with InMemorySessionStore() as store:
        await import_conversations(store, f"{url}?key_prefix=own*", format="openai-agents")
        assert await store.list_sessions() == ["bob"]
        with pytest.raises(InvalidSessionOperation, match=r"has no sessions of openai-agents or 0\.1 under nothing"):
            await import_conversations(store, f"{url}?key_prefix=nothing")
        with pytest.raises(InvalidSessionOperation, match="and none of codex"):
            await import_conversations(store, url, format="codex")


async def test_a_server_that_is_not_there_is_named_without_its_password() -> None:
    async with InMemorySessionStore() as store:
        with pytest.raises(StoreUnavailable) as refused:
            await import_conversations(store, "redis://:secret@127.0.0.1:9/0")

    assert "secret" not in str(refused.value)
