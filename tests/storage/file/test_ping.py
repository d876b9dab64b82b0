"""Pings: whether files can be written below the directory."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import StoreFull, StoreUnavailable
from a2a_session_manager.storage.file import FileSessionStore, atomic_files


async def test_a_ping_leaves_no_file(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path / "sessions", durability="disk") as store:
        await store.ping()
        names = await asyncio.to_thread(os.listdir, tmp_path / "sessions" / "new")

    assert names == []


async def test_a_directory_that_is_a_file_answers_no_ping(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "sessions").write_text, "mine")
    async with FileSessionStore(tmp_path / "sessions") as store:
        with pytest.raises(StoreUnavailable, match="sessions: "):
            await store.ping()


@pytest.mark.parametrize(
    ("code", "error", "remedy"),
    [(errno.ENOSPC, StoreFull, "free some"), (errno.EROFS, StoreUnavailable, "check the path and its permissions")],
)
async def test_a_disk_that_is_full_or_turned_read_only_says_so_and_no_file_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, error: type[Exception], remedy: str
) -> None:
    def refuse(fd: int, data: bytes) -> None:
        raise OSError(code, os.strerror(code))

    async with FileSessionStore(tmp_path) as store:
        await store.ping()
        with monkeypatch.context() as patch:
            patch.setattr(atomic_files, "_write_whole", refuse)
            with pytest.raises(error, match=remedy):
                await store.ping()
        await store.ping()
        names = await asyncio.to_thread(os.listdir, tmp_path / "new")

    assert names == []
