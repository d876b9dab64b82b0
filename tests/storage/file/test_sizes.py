"""What sessions take as files: all that is on disk for them, and no more."""

from __future__ import annotations

import asyncio
from pathlib import Path

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.making import said


def test_the_sizes_of_all_sessions_are_what_lies_in_their_folders(tmp_path: Path) -> None:
    sizes = asyncio.run(_sizes(tmp_path))

    assert sum(size or 0 for size in sizes) == sum(path.stat().st_size for path in tmp_path.glob("default/**/*.*"))
    assert [bool(size) for size in sizes] == [True, True, True, False]


async def _sizes(path: Path) -> list[int | None]:
    async with FileSessionStore(path, durability="disk") as store:
        await store.create("small")
        await store.create("child", parent_id="small")
        await store.create("large")
        for number in range(8):  # large enough for a checkpoint and tables
            events = [said("x" * 1_000, id=f"{number}-{index}") for index in range(100)]
            await store.commit("large", SessionChange(events=events))
        names = ("small", "child", "large", "nowhere")
        return await store._open_backend.sizes([SessionKey((), name) for name in names])
