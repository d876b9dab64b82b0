"""A session that asks its store what a response added counts another task's append once, whoever hears back first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.commit_records import EncodedCommit, Receipt
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.counting_once import reply, tally

LATE = "late"


class _InTurns(MemoryBackend):
    """The totals are read before or after the late append is made, and its answer comes when it is let through."""

    def __init__(self, *, reads_before: bool) -> None:
        super().__init__()
        self._reads_before = reads_before
        self.has_read, self.was_made, self.may_answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        receipt = await super().commit(key, commit)
        if commit.events[0].id == LATE:
            self.was_made.set()
            await self.may_answer.wait()
        return receipt

    async def load(
        self, keys: Sequence[SessionKey], *, last: int | None, whole_head: bool
    ) -> list[LoadedSession | None]:
        if not self._reads_before:
            await self.was_made.wait()
        found = await super().load(keys, last=last, whole_head=whole_head)
        self.has_read.set()
        await self.was_made.wait()
        if self._reads_before:
            await asyncio.sleep(0.01)  # the late append has its answer, and the session knows
        return found


async def test_an_append_that_the_store_told_of_is_not_counted_when_its_answer_comes() -> None:
    backend = _InTurns(reads_before=False)
    store = BaseSessionStore(backend)
    handle = await store.create("talk", change=SessionChange(events=[reply("msg_1", 5)]))
    again = asyncio.create_task(store.append(handle, reply("msg_1", 6)))
    late = asyncio.create_task(store.append(handle, reply("msg_2", 1, id=LATE)))
    await again
    assert handle.token_summary.total == tally(2, 7, repeated=1)

    backend.may_answer.set()
    await late

    assert handle.token_summary.total == tally(2, 7, repeated=1)


async def test_an_append_that_was_heard_of_while_the_store_was_asked_is_not_lost() -> None:
    backend = _InTurns(reads_before=True)
    backend.may_answer.set()
    store = BaseSessionStore(backend)
    handle = await store.create("talk", change=SessionChange(events=[reply("msg_1", 5)]))
    again = asyncio.create_task(store.append(handle, reply("msg_1", 6)))
    await backend.has_read.wait()

    await store.append(handle, reply("msg_2", 1, id=LATE))
    await again

    assert handle.token_summary.total == tally(2, 7, repeated=1)
