"""No session holds up another: what takes long in one is done beside the commits of the others, and in its order."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.storage.file import FileSessionStore, committing, creating, existence, purging, session_reader
from a2a_session_manager.storage.file.handles import FileHandle
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.testing.contract.making import said, several, spending

NO_HANG_SECONDS = 20


class Gate:
    """Stops whatever thread comes to it until it is opened."""

    def __init__(self) -> None:
        self._is_reached = threading.Event()
        self._is_open = threading.Event()

    def stop(self) -> None:
        self._is_reached.set()
        self._is_open.wait(NO_HANG_SECONDS)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self._is_reached.wait, NO_HANG_SECONDS)

    def open(self) -> None:
        self._is_open.set()


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


@contextmanager
def stopping(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, gate: Gate, at: Callable[..., bool]
) -> Iterator[None]:
    """Stop the calls of a function that `at` tells, until the block ends."""
    real = getattr(owner, name)

    def stopped(*args: Any, **options: Any) -> Any:
        if at(*args):
            gate.stop()
        return real(*args, **options)

    monkeypatch.setattr(owner, name, stopped)
    try:
        yield
    finally:
        gate.open()


async def _goes_on(store: FileSessionStore) -> None:
    """Write to other sessions, in whatever way, while one is held up."""
    async with asyncio.timeout(NO_HANG_SECONDS / 2):
        await store.append("other", said("x"))
        await asyncio.gather(*(store.append("other", said(f"{number}")) for number in range(20)))
        await store.create("new")
        await store.append("new", said("x"))


@pytest.fixture
async def store(tmp_path: Path) -> Any:
    async with FileSessionStore(tmp_path) as store:
        for name, parent_id in (("root", None), ("slow", "root"), ("other", None)):
            await store.create(name, parent_id=parent_id)
        await store.append("slow", spending(1))
        yield store


async def test_a_long_deletion_holds_up_nobody(
    store: FileSessionStore, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    with stopping(monkeypatch, purging, "purge", gate, lambda _, tree, __: tree.root.id == "root"):
        deletion = asyncio.create_task(store.delete("root", children="cascade"))
        await gate.reached()
        await _goes_on(store)
        assert not deletion.done()
    await deletion

    assert sorted(await store.list_sessions()) == ["new", "other"]


async def test_a_large_commit_holds_up_nobody_and_keeps_its_place(
    store: FileSessionStore, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    def is_large(log: LogFile, commits: Any, *_: object) -> bool:
        return len(commits[0].events) == 300

    with stopping(monkeypatch, committing, "commit_all", gate, is_large):
        large = asyncio.create_task(store.append("slow", *several(300)))
        await gate.reached()
        after = asyncio.create_task(store.append("slow", said(id="after")))
        await _goes_on(store)
        assert not large.done()
        assert not after.done()
    await asyncio.gather(large, after)

    found = [event.id for event in await store.events("slow", limit=1_000)]
    assert found[1:] == [*(event.id for event in several(300)), "after"]


async def test_a_session_that_a_reader_of_this_process_is_busy_with_holds_up_no_other(
    store: FileSessionStore, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    def is_slow(log: LogFile, *_: object) -> bool:
        return log.key.id == "slow"

    with stopping(monkeypatch, LogFile, "read_ranges", gate, is_slow):
        reading = asyncio.create_task(store.get("slow"))
        await gate.reached()
        write = asyncio.create_task(store.append("slow", said(id="meanwhile")))
        await _goes_on(store)
        assert not write.done()
    await asyncio.gather(reading, write)

    assert [event.id for event in await store.events("slow")][1:] == ["meanwhile"]


async def test_long_reads_hold_up_nobody_who_reads_little_or_writes(
    store: FileSessionStore, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    monkeypatch.setattr(session_reader, "MOST_BYTES_AT_ONCE", 20_000)
    slow = [f"slow{number}" for number in range(5)]
    for name in slow:
        await store.create(name)
        await store.append(name, said("x" * 20_000))

    def is_slow(log: LogFile, *_: object) -> bool:
        return log.key.id in slow

    with stopping(monkeypatch, LogFile, "read_ranges", gate, is_slow):
        # Whole sessions, and a little of one that another thread is reading.
        reading = [asyncio.create_task(store.get(name)) for name in slow]
        await gate.reached()
        reading += [asyncio.create_task(store.get(slow[0], last=1)) for _ in range(5)]
        await _goes_on(store)
        async with asyncio.timeout(NO_HANG_SECONDS / 2):
            await store.get("other")
            await store.events("other")
            await store.delete("new")
        assert not any(task.done() for task in reading)
    found = await asyncio.gather(*reading)

    assert [session.id for session in found if session is not None] == [*slow, *[slow[0]] * 5]


async def test_reading_a_long_log_for_the_first_time_holds_up_no_other(
    tmp_path: Path, store: FileSessionStore, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    monkeypatch.setattr(existence, "MOST_AT_ONCE", 100)

    def is_slow(handle: FileHandle, *_: int) -> bool:
        return handle.path.name == "slow.log"

    async with FileSessionStore(tmp_path) as cold:
        with stopping(monkeypatch, FileHandle, "read", gate, is_slow):
            write = asyncio.create_task(cold.append("slow", said(id="late")))
            await gate.reached()
            await _goes_on(cold)
            assert not write.done()
        await write

    assert [event.id for event in await store.events("slow")][1:] == ["late"]


async def test_a_creation_that_waits_holds_up_no_commit(
    store: FileSessionStore, monkeypatch: pytest.MonkeyPatch, gate: Gate
) -> None:
    with stopping(monkeypatch, creating, "create_atomically", gate, lambda _, path, __: path.name == "made.log"):
        creation = asyncio.create_task(store.create("made"))
        await gate.reached()
        async with asyncio.timeout(NO_HANG_SECONDS / 2):
            await store.append("other", said("x"))
        assert not creation.done()
    await creation


async def test_a_deletion_writes_to_its_tree_in_chunks_and_lets_others_in_between(
    store: FileSessionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.gather(*(store.create(f"c{number}", parent_id="slow") for number in range(200)))
    writes: list[str] = []
    append = FileHandle.append

    def noted(handle: FileHandle, data: bytes) -> int:
        writes.append(handle.path.name)
        return append(handle, data)

    monkeypatch.setattr(FileHandle, "append", noted)
    await asyncio.gather(
        store.delete("slow", children="cascade"), *(store.create(f"n{number}", parent_id="root") for number in range(3))
    )

    assert writes.count("root.tree") <= 1 + 3 + 201 // 8
    assert sorted(await store.children("root")) == ["n0", "n1", "n2"]
    assert (await store.usage("root", tree=True)).total_tokens == 2
