"""Writes that somebody else is in the way of, over a `start` that the test answers by hand."""

from __future__ import annotations

import asyncio

import pytest

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage import batching, busy_keys
from a2a_session_manager.storage.batching import HeldKey
from a2a_session_manager.storage.busy_keys import BUSY, BusyKeys
from tests.storage.starter import Starter


class BusyStarter(Starter):
    def __init__(self, *, busy_seconds: float = 5.0) -> None:
        self._busy_seconds = busy_seconds
        super().__init__()

    def keys(self) -> BusyKeys:
        return BusyKeys(seconds=self._busy_seconds, message="held elsewhere")


async def test_a_busy_key_is_tried_again_in_order_and_holds_up_no_other() -> None:
    starter = BusyStarter()
    first = starter.put("a1", ordering_key="a")
    rest = [*starter.put("a2", ordering_key="a"), *starter.put("b1", ordering_key="b")]
    await starter.answer([BUSY])
    rest += starter.put("a3", ordering_key="a")

    assert starter.batches == [["a1"], ["b1"]]
    await starter.answer()
    assert await starter.next_batch(3) == ["a1", "a2", "a3"]
    await starter.answer()
    assert [write.outcome.result() for write in [*first, *rest]] == ["a1", "a2", "b1", "a3"]


async def test_a_key_that_stays_busy_fails_after_the_bound_and_the_next_write_is_tried_afresh() -> None:
    starter = BusyStarter(busy_seconds=0.02)
    (write,) = starter.put("a")
    while not write.outcome.done():
        await starter.next_batch(len(starter.answers))
        if not starter.answers[-1].done():
            await starter.answer([BUSY] * len(starter.batches[-1]))
        await asyncio.sleep(0.001)
    with pytest.raises(StoreUnavailable, match=r"held elsewhere for 0\.02 s: write again later"):
        write.outcome.result()

    (again,) = starter.put("b")
    await starter.answer()
    assert again.outcome.result() == "b"


async def test_the_caller_of_a_key_that_stays_busy_hears_of_it() -> None:
    starter = BusyStarter(busy_seconds=0)
    (write,) = starter.put("a")
    caller = asyncio.create_task(finish(write, patience=5))
    await asyncio.sleep(0)
    await starter.answer([BUSY])

    async with asyncio.timeout(20):
        with pytest.raises(StoreUnavailable, match="held elsewhere"):
            await caller


async def test_many_settled_batches_leave_one_retry_of_a_busy_key_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = 0
    release = HeldKey.release

    def counted(self: HeldKey) -> None:
        nonlocal retries
        retries += 1
        release(self)

    monkeypatch.setattr(HeldKey, "release", counted)
    monkeypatch.setattr(busy_keys, "_RETRY_SECONDS", 0.2)
    starter = BusyStarter()
    starter.put("a", ordering_key="a")
    await starter.answer([BUSY])
    for number in range(20):
        starter.put(f"b{number}", ordering_key="b")
        await starter.answer()
    assert await starter.next_batch(22) == ["a"]
    await starter.answer()
    await asyncio.sleep(0.3)

    assert retries == 1


async def test_aclose_waits_for_what_is_in_flight_queued_and_busy() -> None:
    starter = BusyStarter()
    writes = starter.put("a", "b")
    closing = asyncio.create_task(starter.queue.aclose())
    await starter.answer()
    await starter.answer([BUSY])
    await asyncio.sleep(0)
    assert not closing.done()
    await starter.next_batch(3)
    await starter.answer()
    await closing

    assert [write.outcome.result() for write in writes] == ["a", "b"]
    await starter.queue.aclose()


async def test_a_busy_key_keeps_its_order_in_a_queue_longer_than_a_batch() -> None:
    starter = BusyStarter()
    starter.put("a1", ordering_key="a")
    starter.put(*(f"b{number}" for number in range(batching.BATCH_WRITES)), ordering_key="b")
    starter.put("a2", ordering_key="a")
    await starter.answer([BUSY])
    starter.put("a3", ordering_key="a")
    sent: list[str] = []
    while len(sent) < batching.BATCH_WRITES + 3:
        await starter.next_batch(len(starter.answers))
        if not starter.answers[-1].done():
            sent += starter.batches[-1]
            await starter.answer()
        else:
            await asyncio.sleep(0.001)

    assert [work for work in sent if work[0] == "a"] == ["a1", "a2", "a3"]
