"""What was counted of a response is found wherever its newest record lies, and the log alone is the truth about it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from a2a_session_manager.storage.file import FileSessionStore, index
from a2a_session_manager.testing.contract.counting_once import reply, tally
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.processes.common import covered_bytes, sidecars_of, write_checkpoints_every

RESPONSES = 40


async def spend(directory: Path, tokens: int) -> None:
    """Record a usage of each response, among much else that has the checkpoints written."""
    async with FileSessionStore(directory) as store:
        for number in range(RESPONSES):
            await store.append("talk", reply(f"msg_{number}", tokens + number), said("x" * 400))


async def check(directory: Path, tokens: int, repeated: int) -> None:
    async with FileSessionStore(directory) as cold:
        total = (await cold.usage("talk")).total
    assert total == tally(RESPONSES, sum(range(RESPONSES)) + tokens * RESPONSES, repeated=repeated)


@pytest.mark.parametrize("has_collisions", [False, True])
async def test_checkpoints_lead_to_what_was_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_collisions: bool
) -> None:
    write_checkpoints_every(monkeypatch, 2_000)
    if has_collisions:
        monkeypatch.setattr(index, "fingerprint", lambda kind, identifier: hash(kind) % 2**63)
    async with FileSessionStore(tmp_path) as store:
        await store.create("talk")

    for again, tokens in enumerate((5, 9, 7, 9)):
        await spend(tmp_path, tokens)
        await check(tmp_path, min(9, 5 + 4 * again), again * RESPONSES)

    assert await asyncio.to_thread(covered_bytes, tmp_path, "talk") > 10_000


async def test_without_the_files_beside_it_the_log_tells_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoints_every(monkeypatch, 2_000)
    async with FileSessionStore(tmp_path) as store:
        await store.create("talk")
    await spend(tmp_path, 5)
    for path in await asyncio.to_thread(sidecars_of, tmp_path, "talk"):
        await asyncio.to_thread(path.unlink)
    await check(tmp_path, 5, 0)

    await spend(tmp_path, 6)

    await check(tmp_path, 6, RESPONSES)
