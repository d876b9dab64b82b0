"""StrandsStorage: bytes under keys, on every store, stored as what is new in them."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path

import pytest
from strands.storage import Storage
from strands.types.exceptions import StorageError

from a2a_session_manager import (
    BaseSessionStore,
    CorruptSession,
    InMemorySessionStore,
    InvalidSessionOperation,
    SessionEvent,
    SessionManager,
)
from a2a_session_manager.integrations.strands import StrandsStorage
from a2a_session_manager.integrations.strands.splices import read, record_of
from a2a_session_manager.testing.contract.lossy import LossyBackend
from tests.integrations.strands.opening import Opened, opened

__all__ = ["opened"]  # a fixture


def in_memory() -> StrandsStorage:
    return StrandsStorage(SessionManager(InMemorySessionStore()))


def test_bytes_come_back_as_they_were_through_a_cold_store(opened: Opened) -> None:
    every = [b"", b"text", "\u2028 \u00e4".encode(), b"\x00\xff", bytes(range(256)), b"text again"]

    async def turn(storage: StrandsStorage, data: bytes) -> None:
        await storage.write("k", data)
        assert await storage.read("k") == data

    with opened(StrandsStorage) as storage:
        assert isinstance(storage, Storage)
        assert asyncio.run(storage.read("k")) is None
        for data in every:
            asyncio.run(turn(storage, data))
    with opened(StrandsStorage) as storage:
        assert asyncio.run(storage.read("k")) == every[-1]


def test_keys_are_listed_sorted_by_prefix_and_deleted(opened: Opened) -> None:
    keys = ["b/1", "a/2", "a/1", "a%2F3", "ab"]

    async def turn(storage: StrandsStorage) -> None:
        for key in keys:
            await storage.write(key, key.encode())
        assert await storage.list("") == sorted(keys)
        assert await storage.list("a/") == ["a/1", "a/2"]
        assert await storage.list("nope") == []
        await storage.delete("a/1")
        await storage.delete("a/1")
        assert await storage.list("a/") == ["a/2"]
        assert await storage.read("a/1") is None
        await storage.write("a/1", b"Oslo")
        assert await storage.read("a/1") == b"Oslo"
        assert [each.key for each in await storage.search("oslo")] == ["a/1"]

    with opened(StrandsStorage) as storage:
        asyncio.run(turn(storage))


def test_of_two_writers_the_last_one_wins(opened: Opened) -> None:
    with opened(StrandsStorage) as one, opened(StrandsStorage) as two:
        asyncio.run(one.write("k", b"first of one"))
        asyncio.run(two.write("k", b"then of two"))
        asyncio.run(one.write("k", b"last of one"))

        assert asyncio.run(two.read("k")) == b"last of one"
        asyncio.run(one.delete("k"))
        asyncio.run(two.write("k", b"new"))
        assert asyncio.run(one.read("k")) == b"new"


def test_snapshots_of_a_growing_conversation_take_a_few_times_its_size(tmp_path: Path) -> None:
    messages: list[str] = []
    with StrandsStorage.from_url(f"file:{tmp_path / 's'}") as storage:
        for number in range(100):
            messages.append(f"message {number}: " + random.Random(number).randbytes(100).hex())
            asyncio.run(storage.write("k", json.dumps({"messages": messages, "at": number}).encode()))
        assert json.loads(asyncio.run(storage.read("k")) or b"") == {"messages": messages, "at": 99}
    size = sum(file.stat().st_size for file in (tmp_path / "s").rglob("*") if file.is_file())

    assert size < 6 * len(json.dumps(messages))


@pytest.mark.parametrize("seed", range(20))
def test_any_texts_after_each_other_are_read_back(seed: int) -> None:
    rng, records, blob = random.Random(seed), [], None
    text = ""
    for _ in range(30):
        start, end = sorted(rng.randrange(len(text) + 1) for _ in "12")
        text = text[:start] + "".join(rng.choices("ab\u00e4\U0001f600", k=rng.randrange(6))) + text[end:]
        record, blob = record_of(text.encode(), blob)
        records.append(record)

        assert read("s", records)[0] == text.encode()


@pytest.mark.parametrize("key", ["", "x" * 600])
def test_a_key_that_cannot_be_stored_is_refused_with_the_cause(key: str) -> None:
    with in_memory() as storage, pytest.raises(StorageError) as refused:
        asyncio.run(storage.write(key, b"x"))

    assert isinstance(refused.value.__cause__, InvalidSessionOperation)


def test_a_record_of_another_release_is_an_error_and_no_absence() -> None:
    sessions = SessionManager(InMemorySessionStore())
    with StrandsStorage(sessions) as storage:
        asyncio.run(storage.write("k", b"x"))
        storage._loop.run(sessions.append("storage/k", SessionEvent(message={"gzip": "?"}, type="strands_bytes")))
        with pytest.raises(StorageError) as unread:
            asyncio.run(storage.read("k"))
        assert isinstance(unread.value.__cause__, CorruptSession)


def test_a_lost_reply_doubles_nothing() -> None:
    backend = LossyBackend(InMemorySessionStore()._open_backend)
    sessions = SessionManager(BaseSessionStore(backend))
    with StrandsStorage(sessions) as storage:
        for text in ("a long text", "a long text that grows", "a long text that grows on"):
            backend.replies_to_lose = 1
            asyncio.run(storage.write("k", text.encode()))

        assert asyncio.run(storage.read("k")) == b"a long text that grows on"
        assert len(storage._loop.run(sessions.events("storage/k", include_retracted=True))) == 3
