"""What people say to their agents is nobody else's to read: files and folders are made for their owner alone."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest

from a2a_session_manager import FileSessionStore
from a2a_session_manager.storage.file import Durability
from a2a_session_manager.testing.contract.making import said


async def write(store: FileSessionStore) -> None:
    async with store:
        await store.create("talk")
        await store.create("talk/below", parent_id="talk")
        for _ in range(3):  # the second and third find a log that is long enough for sidecars
            await asyncio.gather(*(store.append("talk", said("a secret " * 40)) for _ in range(500)))
        await store.namespace("acme").create("x" * 300)


@pytest.mark.parametrize(("umask", "durability"), [(0o022, "process"), (0o000, "disk")])
def test_whatever_the_umask_all_is_the_owners_alone(umask: int, durability: Durability, tmp_path: Path) -> None:
    directory = tmp_path / "above" / "sessions"
    before = os.umask(umask)
    try:
        asyncio.run(write(FileSessionStore(directory, durability=durability)))
    finally:
        os.umask(before)

    folders = [directory.parent, directory, *(path for path in directory.rglob("*") if path.is_dir())]
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert {path.suffix for path in files} >= {".log", ".tree", ".ckpt", ".idx", ".json", ".1"}


def test_what_is_there_keeps_its_mode(tmp_path: Path) -> None:
    asyncio.run(write(FileSessionStore(tmp_path)))
    for path in tmp_path.rglob("*.log"):
        path.chmod(0o640)
    tmp_path.chmod(0o750)
    asyncio.run(append(FileSessionStore(tmp_path)))

    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*.log")} == {0o640}
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


async def append(store: FileSessionStore) -> None:
    async with store:
        await store.append("talk", said("more"))
