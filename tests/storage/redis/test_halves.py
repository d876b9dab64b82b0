"""Many writes leave in halves, over a `start` that the test answers by hand."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pytest

from a2a_session_manager.storage import batching
from a2a_session_manager.storage.batching import BatchPolicy
from a2a_session_manager.storage.redis.halves import Halves
from tests.storage.starter import Starter


async def halved(keys: int = 20) -> Starter:
    """Return a queue with two batches in flight, of one write for each key but the first."""
    starter = Starter(policy=Halves())
    for key in range(keys + 1):
        starter.put(f"{key}", ordering_key=key)
    await starter.answer()
    return starter


async def test_many_writes_leave_in_halves() -> None:
    starter = await halved()

    assert [len(batch) for batch in starter.batches] == [1, 11, 9]
    assert {*starter.batches[1], *starter.batches[2]} == {str(key) for key in range(1, 21)}


async def test_of_many_writes_in_one_key_the_other_half_leaves_when_the_first_is_back() -> None:
    starter = Starter(policy=Halves())
    works = [f"{number}" for number in range(21)]
    starter.put(*works)
    await starter.answer()
    assert starter.batches == [works[:1], works[1:12]]

    starter.settle(-1)
    await starter.next_batch(3)
    assert starter.batches[2] == works[12:]


async def test_when_half_of_the_writers_have_written_again_that_leaves_at_once() -> None:
    starter = await halved()
    starter.settle(1)
    await asyncio.sleep(0)  # its 11 callers are woken; those of the 9 wait

    starter.put(*"abcdefghi", ordering_key="new")
    assert len(starter.batches) == 3
    starter.put("j", ordering_key="new")
    assert starter.batches[3] == list("abcdefghij")


async def test_few_writes_leave_whole() -> None:
    starter = Starter(policy=Halves())
    for number in range(10):
        starter.put(f"{number}", ordering_key=number)
    await starter.answer()

    assert [len(batch) for batch in starter.batches] == [1, 9]


async def test_a_half_that_is_back_goes_on_without_the_other_and_no_key_overtakes_itself() -> None:
    starter = await halved()
    _, one, other = starter.batches
    starter.put("again one", ordering_key=int(one[0]))
    starter.put("again other", ordering_key=int(other[0]))
    starter.put("other's third", ordering_key=int(other[0]))
    assert len(starter.batches) == 3

    starter.settle(1)
    await starter.next_batch(4)
    assert starter.batches[3] == ["again one"]

    starter.put("new key", ordering_key="new")
    await asyncio.sleep(0)
    assert len(starter.batches) == 4
    starter.settle(2)
    await starter.next_batch(5)
    assert starter.batches[4] == ["again other", "other's third", "new key"]


async def test_a_half_that_cannot_start_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    starter = Starter(policy=Halves())
    writes = [starter.put(f"{key}", ordering_key=key)[0] for key in range(21)]
    started = starter.queue._start
    refusals = [OSError("no connection")]

    def refuse_once(batch: Mapping[Hashable, Sequence[Any]]) -> batching.Answers:
        if refusals:
            raise refusals.pop()
        return started(batch)

    monkeypatch.setattr(starter.queue, "_start", refuse_once)
    await starter.answer()
    await starter.answer()

    failed = [write for write in writes if isinstance(write.outcome.exception(), OSError)]
    assert len(failed) == 11
    assert len(starter.batches) == 2


async def test_aclose_waits_for_both_halves() -> None:
    starter = await halved()
    closing = asyncio.create_task(starter.queue.aclose())
    for number in (1, 2):
        await asyncio.sleep(0.001)
        assert not closing.done()
        starter.settle(number)

    async with asyncio.timeout(20):
        await closing


@pytest.mark.parametrize("policy", [BatchPolicy(), Halves()])
async def test_any_number_of_batches_may_fail_to_start_in_a_row(
    monkeypatch: pytest.MonkeyPatch, policy: BatchPolicy
) -> None:
    monkeypatch.setattr(batching, "BATCH_WRITES", 2)
    starter = Starter(policy=policy)
    writes = starter.put(*(f"{number}" for number in range(300)))
    depths: set[int] = set()

    def refuse(batch: Mapping[Hashable, Sequence[Any]]) -> batching.Answers:
        depths.add(len(list(traceback.walk_stack(None))))
        raise OSError("no connection")

    monkeypatch.setattr(starter.queue, "_start", refuse)
    closing = asyncio.create_task(starter.queue.aclose())
    await starter.answer()
    async with asyncio.timeout(20):
        await closing

    assert all(isinstance(write.outcome.exception(), OSError) for write in writes[1:])
    assert len(depths) <= 2  # as the loop calls, and not one deeper from batch to batch
