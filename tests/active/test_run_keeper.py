"""A run's record against a store that does not answer, or answers late."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager import BaseSessionStore, RunStatus, SessionManager
from a2a_session_manager.concurrency import cancellation
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.testing.contract.lossy import LossyBackend


async def test_a_cancelled_block_is_left_in_time_when_the_store_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cancellation, "_END_SECONDS", 0.05)
    backend = LossyBackend(MemoryBackend())
    started = asyncio.Event()

    async def work() -> None:
        async with (
            SessionManager(BaseSessionStore(backend)).open("talk") as chat,
            chat.run(id="r"),
        ):
            backend.hold()
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=10)
    backend.go.set()

    assert done == {task}
    with pytest.raises(asyncio.CancelledError) as caught:
        task.result()
    assert any("did not answer" in note for note in caught.value.__notes__)


async def test_a_run_whose_start_lost_its_reply_begins_once_and_ends() -> None:
    backend = LossyBackend(MemoryBackend())
    async with SessionManager(BaseSessionStore(backend)).open("talk") as chat:
        backend.replies_to_lose = 1
        async with chat.run(id="r"):
            pass

        runs = await chat._store.runs("talk")
    assert [(run.id, run.status) for run in runs] == [("r", RunStatus.COMPLETED)]
