"""Works that leave apart from the batches, over a `start` that the test answers by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pytest

from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.storage import batching
from a2a_session_manager.storage.batching import CommitQueue
from a2a_session_manager.storage.busy_keys import BUSY, BusyKeys
from a2a_session_manager.storage.file.long_works import LONG, LongWorks
from tests.storage.starter import Starter


class LongStarter(Starter):
    """Takes works for long that were put so; whether they leave apart or not, the test answers them."""

    def __init__(self) -> None:
        self._long: set[str] = set()
        super().__init__()

    def keys(self) -> LongWorks:
        busy = BusyKeys(seconds=5, message="held elsewhere")
        return LongWorks(self.start, busy, lambda job: job.work in self._long)

    def put_long(self, work: str, *, ordering_key: Hashable) -> QueuedWrite[Any]:
        self._long.add(work)
        return self.queue.put(ordering_key, work, 1)


async def test_a_long_work_leaves_alone_and_others_leave_while_it_is_under_way() -> None:
    starter = LongStarter()
    starter.put_long("long", ordering_key="a")
    starter.put("b1", ordering_key="b")
    starter.put("a2", ordering_key="a")
    starter.put("c1", ordering_key="c")
    starter.settle(1)
    assert await starter.next_batch(3) == ["c1"]

    starter.settle(0)
    await asyncio.sleep(0)
    assert len(starter.batches) == 3  # a batch is in flight still
    starter.settle(2)
    assert await starter.next_batch(4) == ["a2"]
    assert starter.batches[:2] == [["long"], ["b1"]]


async def test_a_long_work_waits_for_those_of_its_key_and_is_overtaken_by_none_of_them() -> None:
    starter = LongStarter()
    starter.put("first", ordering_key="b")
    starter.put("a1", ordering_key="a")
    starter.put_long("a2", ordering_key="a")
    starter.put("a3", ordering_key="a")
    starter.put("b1", ordering_key="b")
    await starter.answer()
    assert starter.batches[1:] == [["a1", "b1"]]

    await starter.answer()
    assert starter.batches[2:] == [["a2"]]
    await starter.answer()
    assert starter.batches[3:] == [["a3"]]


async def test_a_key_that_turns_out_to_take_long_is_started_again_apart() -> None:
    starter = LongStarter()
    first = starter.put("first", ordering_key="b")
    writes = [*starter.put("a1", "a2", ordering_key="a"), *starter.put("b1", ordering_key="b")]
    await starter.answer()
    await starter.answer([LONG, LONG, "b1"])
    writes += starter.put("a3", ordering_key="a")
    assert starter.batches[2:] == [["a1", "a2"]]

    starter.put("b2", ordering_key="b")
    assert starter.batches[3:] == [["b2"]]
    starter.settle(3)
    starter.settle(2)
    assert await starter.next_batch(5) == ["a3"]
    await starter.answer()
    assert [write.outcome.result() for write in [*first, *writes]] == ["first", "a1", "a2", "b1", "a3"]


async def test_a_long_work_that_finds_its_key_busy_waits_with_all_after_it() -> None:
    starter = LongStarter()
    starter.put_long("a1", ordering_key="a")
    starter.put("a2", ordering_key="a")
    await starter.answer([BUSY])
    starter.put("a3", ordering_key="a")

    assert await starter.next_batch(2) == ["a1"]
    await starter.answer()
    assert await starter.next_batch(3) == ["a2", "a3"]


async def test_a_long_work_that_cannot_start_fails_alone() -> None:
    starter = LongStarter()

    def refuse(batch: Mapping[Hashable, Sequence[Any]]) -> batching.Answers:
        raise OSError("no thread")

    queue = CommitQueue(
        starter.start, keys=LongWorks(refuse, BusyKeys(seconds=1, message=""), lambda job: job.work == "a")
    )
    failed = queue.put("key", "a", 1)
    later = queue.put("key", "b", 1)
    await starter.answer()

    with pytest.raises(OSError, match="no thread"):
        failed.outcome.result()
    assert later.outcome.result() == "b"


async def test_aclose_waits_for_long_works_and_what_comes_after_them() -> None:
    starter = LongStarter()
    writes = [starter.put_long("a1", ordering_key="a"), *starter.put("a2", ordering_key="a")]
    closing = asyncio.create_task(starter.queue.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    await starter.answer()
    await starter.answer()
    async with asyncio.timeout(20):
        await closing

    assert [write.outcome.result() for write in writes] == ["a1", "a2"]
