"""What the file store logs: damage and what was done about it, sidecars left out, files that are held; no payload."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.file import FileSessionStore, sidecars, writes
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.processes.common import file_of, write_checkpoints_every
from tests.storage.logged import told

LOGGER = "a2a_session_manager.storage.file"


@pytest.fixture(autouse=True)
def all_levels(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.DEBUG):
        yield


async def grow(directory: Path, *, events: int = 12) -> Path:
    """Append to a session, made where there is none, and return where its log is."""
    async with FileSessionStore(directory) as store:
        if await store.get("chat", last=0) is None:
            await store.create("chat")
        for _ in range(events):
            await store.append("chat", said("s3cret" * 20))
    return file_of(directory, "chat")


async def read(directory: Path) -> int:
    """Return how many events a store reads that is new to them."""
    async with FileSessionStore(directory) as store:
        return len(await store.events("chat"))


@asynccontextmanager
async def held(path: Path) -> AsyncIterator[None]:
    """Hold a file as another process would."""
    file = await asyncio.to_thread(path.open, "rb")
    await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
    yield
    await asyncio.to_thread(file.close)


async def test_nothing_is_logged_above_debug_while_all_is_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoints_every(monkeypatch, 500)
    await grow(tmp_path)
    assert await read(tmp_path) == 12
    await grow(tmp_path)
    async with FileSessionStore(tmp_path, durability="disk") as store:
        await store.create("kid", parent_id="chat")
        await asyncio.gather(*[store.append("kid", said("s3cret")) for _ in range(20)])
        await store.delete("chat", children="cascade")
        await store.create("chat")
        assert await store.list_sessions() == ["chat"]

    assert told(LOGGER, caplog) == []
    assert ("DEBUG", "a batch: 1 writes to 1 files") in told(LOGGER, caplog, logging.DEBUG)
    assert "s3cret" not in caplog.text


async def test_the_torn_end_of_a_write_is_told_when_it_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = await grow(tmp_path)
    await asyncio.to_thread(lambda: os.truncate(log, log.stat().st_size - 7))
    torn = await asyncio.to_thread(lambda: log.stat().st_size)
    assert await read(tmp_path) == 11
    assert told(LOGGER, caplog) == []

    await grow(tmp_path, events=1)

    [(level, text)] = told(LOGGER, caplog)
    assert level == "WARNING"
    assert text.startswith(f"{log}: cut ")
    assert text.endswith(" bytes of a write that was cut off")
    assert 0 < int(text.split()[2]) < torn
    assert await read(tmp_path) == 12


@pytest.mark.parametrize("tear", ["truncated", "changed"])
async def test_a_torn_sidecar_is_told_once_and_so_is_the_new_one(
    tmp_path: Path, tear: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoints_every(monkeypatch, 500)
    checkpoint = (await grow(tmp_path)).with_suffix(".ckpt")

    def torn() -> None:
        data = checkpoint.read_bytes()
        checkpoint.write_bytes(data[:-20] if tear == "truncated" else data[:60] + b"~" + data[61:])

    await asyncio.to_thread(torn)

    await grow(tmp_path)

    (level, text), *others = told(LOGGER, caplog)
    assert level == "INFO"
    assert text.startswith(f"{checkpoint} is left out, and the log is read from its start: ")
    assert others == [("INFO", f"{checkpoint} is made anew")]
    assert await read(tmp_path) == 24


async def test_a_sidecar_that_points_elsewhere_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoints_every(monkeypatch, 500)
    index = (await grow(tmp_path)).with_suffix(".idx")
    await asyncio.to_thread(lambda: index.write_bytes(b"\1" * index.stat().st_size))

    assert await read(tmp_path) == 12

    checkpoint = index.with_suffix(".ckpt")
    assert told(LOGGER, caplog) == [
        ("INFO", f"{checkpoint} is left out, and the log is read from its start: it does not fit the log")
    ]


async def test_a_sidecar_that_cannot_be_written_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoints_every(monkeypatch, 500)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sidecars, "write_file", full)
    log = await grow(tmp_path)

    assert told(LOGGER, caplog) == [
        ("WARNING", f"{log.with_suffix('.ckpt')} could not be written: No space left on device")
    ]
    assert await read(tmp_path) == 12


async def test_who_waits_long_for_a_file_is_told_once_by_its_escaped_id(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "BUSY_SECONDS", 1.5)
    async with FileSessionStore(tmp_path) as store:
        await store.create("kid\nWARNING all is lost")
        async with held(file_of(tmp_path, "kid\nWARNING all is lost")):
            waiting = [asyncio.create_task(store.append("kid\nWARNING all is lost", said())) for _ in range(5)]
            results = await asyncio.gather(*waiting, return_exceptions=True)

    assert {type(result) for result in results} == {StoreUnavailable}
    [(level, text)] = told(LOGGER, caplog)
    assert (level, text[:52]) == ("WARNING", r"session 'kid\nWARNING all is lost' has waited for 1.")
    assert text.endswith(" s: a file of it is held elsewhere; after 1.5 s its writes fail")


async def test_who_waits_for_a_moment_is_nothing_to_talk_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        async with held(file_of(tmp_path, "chat")):
            waiting = asyncio.create_task(store.append("chat", said()))
            await asyncio.sleep(0.1)
        await waiting

    assert told(LOGGER, caplog) == []


async def test_where_a_damaged_end_went_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = await grow(tmp_path)
    size = await asyncio.to_thread(lambda: log.stat().st_size)
    await asyncio.to_thread(lambda: log.write_bytes(log.read_bytes() + b"nonsense\n"))
    async with FileSessionStore(tmp_path) as store:
        assert await store.cut_damaged_tail("chat") == 9

    assert told(LOGGER, caplog) == [
        ("WARNING", f"{log}: moved 9 bytes from byte {size} on to {log.with_suffix('.cut')}")
    ]


async def test_what_a_copy_has_lost_is_told_by_its_escaped_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with FileSessionStore(tmp_path / "store") as store:
        await store.create("kid\nWARNING all is lost")

    def copy_without_the_log() -> None:
        shutil.copytree(tmp_path / "store", tmp_path / "copy")
        (tmp_path / "copy" / "in-use").unlink()
        file_of(tmp_path / "copy", "kid\nWARNING all is lost").unlink()

    await asyncio.to_thread(copy_without_the_log)
    async with FileSessionStore(tmp_path / "copy") as store:
        assert await store.list_sessions() == []

    [(level, text)] = told(LOGGER, caplog)
    assert level == "WARNING"
    assert text.endswith(r".tree: session 'kid\nWARNING all is lost' was deleted while it was copied")


async def test_no_payload_is_in_any_record_of_what_goes_wrong(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "BUSY_SECONDS", 1.5)
    write_checkpoints_every(monkeypatch, 500)
    log = await grow(tmp_path)

    def damage() -> None:
        os.truncate(log, log.stat().st_size - 7)
        checkpoint = log.with_suffix(".ckpt")
        checkpoint.write_bytes(checkpoint.read_bytes()[:-20])
        for journal in tmp_path.glob("*/catalog/journal"):
            journal.write_bytes(b"nonsense\n")

    await asyncio.to_thread(damage)
    await grow(tmp_path)
    async with FileSessionStore(tmp_path) as store, held(log):
        with pytest.raises(StoreUnavailable):
            await store.append("chat", said("s3cret", metadata={"of": "s3cret"}))
    await asyncio.to_thread(lambda: log.write_bytes(log.read_bytes() + b"s3cret\n"))
    async with FileSessionStore(tmp_path) as store:
        await store.cut_damaged_tail("chat")
        await store.page()

    written = "\n".join(map(logging.Formatter("%(message)s").format, caplog.records))
    for said_so in ("of a write that was cut off", "is left out", "is made anew", "is held elsewhere", ".cut"):
        assert said_so in written
    assert "s3cret" not in written
