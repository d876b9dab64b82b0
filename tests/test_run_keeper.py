"""A run's record against a store that does not answer, or answers late."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from a2a_session_manager import BaseSessionStore, RunStatus, SessionManager, StoreUnavailable
from a2a_session_manager.active import run_keeper
from a2a_session_manager.storage.memory import MemoryBackend
from a2a_session_manager.storage.records import EncodedCommit, Receipt, SessionKey


class ReluctantBackend(MemoryBackend):
    """Memory that can stop answering, or lose the reply of a commit that it has made."""

    hangs = False
    replies_to_lose = 0

    def commit(self, key: SessionKey, commit: EncodedCommit) -> Awaitable[Receipt]:  # type: ignore[override]  # both are awaitable
        if self.hangs:
            return asyncio.get_running_loop().create_future()
        receipt = super().commit(key, commit)
        if self.replies_to_lose:
            self.replies_to_lose -= 1
            raise StoreUnavailable("the reply was lost")
        return receipt


async def test_a_cancelled_block_is_left_in_time_when_the_store_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_keeper, "_END_SECONDS", 0.05)
    backend = ReluctantBackend()
    started = asyncio.Event()

    async def work() -> None:
        async with (
            SessionManager(BaseSessionStore(backend)).open("talk") as chat,
            chat.run(id="r"),
        ):
            backend.hangs = True
            started.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await started.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=10)

    assert done == {task}
    with pytest.raises(asyncio.CancelledError) as caught:
        task.result()
    assert any("did not answer" in note for note in caught.value.__notes__)


async def test_a_run_whose_start_lost_its_reply_begins_once_and_ends() -> None:
    backend = ReluctantBackend()
    async with SessionManager(BaseSessionStore(backend)).open("talk") as chat:
        backend.replies_to_lose = 1
        async with chat.run(id="r"):
            pass

        runs = await chat._store.runs("talk")
    assert [(run.id, run.status) for run in runs] == [("r", RunStatus.COMPLETED)]
