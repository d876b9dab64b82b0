"""The file of leases beside a log: there while a run is held, and no harm when it is damaged."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from a2a_session_manager import FileSessionStore, LeaseLost, SessionManager
from a2a_session_manager.storage.file.lease_file import LeaseFile
from a2a_session_manager.storage.records import Lease

LEASE = Lease("t", 10**13, 30_000, "host:1")


async def files(directory: Path) -> list[str]:
    return await asyncio.to_thread(lambda: sorted(path.suffix for path in directory.rglob("talk.*") if path.is_file()))


def overwrite(directory: Path, data: bytes) -> None:
    [path] = directory.rglob("talk.leases")
    path.write_bytes(data)


async def test_a_session_has_a_file_of_leases_only_while_a_run_is_held(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store, SessionManager(store).open("talk") as chat:
        async with chat.run() as run, chat.run() as other:
            assert await files(tmp_path) == [".leases", ".log", ".tree"]
            await run.user("hello")
            await other.mark_waiting()
            assert await files(tmp_path) == [".leases", ".log", ".tree"]

        assert await files(tmp_path) == [".log", ".tree"]


async def test_the_file_of_leases_goes_with_its_session(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store, SessionManager(store).open("talk") as chat:
        run = await chat.run().__aenter__()
        await store.delete("talk")
        assert await files(tmp_path) == []

        async with SessionManager(store).open("talk") as again, again.run(id=run.id) as other:
            await other.user("of another session")


@pytest.mark.parametrize("damage", [b"", b"nonsense", b"\x00" * 200, b"00000000 []\n"])
async def test_a_damaged_file_of_leases_holds_nothing(tmp_path: Path, damage: bytes) -> None:
    async with FileSessionStore(tmp_path) as store, SessionManager(store).open("talk") as chat:
        run = await chat.run(id="r").__aenter__()
        await asyncio.to_thread(overwrite, tmp_path, damage)

        with pytest.raises(LeaseLost):
            await run.user("late")
        async with chat.run(id="r") as other:
            await other.user("in time")

        assert [event.message for event in await chat.events()] == ["in time"]


def test_what_was_read_is_read_again_once_it_has_changed(tmp_path: Path) -> None:
    mine, theirs = (LeaseFile(tmp_path / "talk.log") for _ in range(2))
    mine.write("life", {"r": LEASE})
    assert mine.read("life") == {"r": LEASE}

    for number in range(50):  # within one tick of the clock that stamps files
        taken = LEASE._replace(token=f"{number:02}"[-1])
        theirs.write("life", {"r": taken})
        assert mine.read("life") == {"r": taken}

    assert mine.read("another life") == {}
    theirs.write("life", {})
    assert mine.read("life") == {}


def test_a_shorter_line_leaves_nothing_of_the_longer_one(tmp_path: Path) -> None:
    file = LeaseFile(tmp_path / "talk.log")
    file.write("life", {"r": LEASE, "s": LEASE})
    file.write("life", {"r": LEASE})

    assert file.read("life") == {"r": LEASE}
