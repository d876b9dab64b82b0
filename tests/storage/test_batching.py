"""The commit queue, which knows batches alone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pytest

from a2a_session_manager.concurrency.cancellation import finish
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage import batching
from a2a_session_manager.storage.batching import CommitQueue
from tests.storage.starter import Starter


async def test_writes_that_wait_while_one_is_in_flight_leave_together() -> None:
    starter = Starter()
    writes = starter.put("a", "b", "c")
    await starter.answer()
    await starter.answer()

    assert starter.batches == [["a"], ["b", "c"]]
    assert [write.outcome.result() for write in writes] == ["a", "b", "c"]


async def test_callers_who_were_answered_together_and_write_again_leave_together() -> None:
    starter = Starter()

    async def writes_twice(name: str) -> None:
        for turn in ("first", "second"):
            await finish(starter.queue.put("key", f"{name} {turn}", 1), patience=5)

    callers = [asyncio.create_task(writes_twice(name)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    for count in (1, 2, 3):
        await starter.next_batch(count)
        await starter.answer()
    await asyncio.gather(*callers)

    assert starter.batches == [["a first"], ["b first", "c first"], ["a second", "b second", "c second"]]


async def test_each_job_gets_its_own_answer_and_errors_stay_apart() -> None:
    starter = Starter()
    starter.put("first")
    good, bad = starter.put("good", "bad")
    await starter.answer()
    await starter.answer(["fine", StoreUnavailable("no")])

    assert good.outcome.result() == "fine"
    with pytest.raises(StoreUnavailable, match="no"):
        bad.outcome.result()


@pytest.mark.parametrize(("size", "count"), [(1, batching.BATCH_WRITES), (batching.BATCH_BYTES // 4, 4)])
async def test_a_batch_stops_where_grouping_stops(size: int, count: int) -> None:
    starter = Starter()
    starter.put("first")
    starter.put(*map(str, range(count + 3)), size=size)
    await starter.answer()

    assert len(starter.batches[1]) == count
    await starter.answer()
    assert len(starter.batches[2]) == 3


async def test_a_write_comes_after_those_of_its_key_that_found_no_room_in_the_batch() -> None:
    starter = Starter()
    starter.put("first")
    early = [str(number) for number in range(batching.BATCH_WRITES + 1)]
    starter.put(*early)
    await starter.answer()
    starter.put("late")
    await starter.answer()

    assert starter.batches == [["first"], early[:-1], [early[-1], "late"]]


async def test_one_write_above_the_limit_still_goes() -> None:
    starter = Starter()
    (large,) = starter.put("large", size=10 * batching.BATCH_BYTES)
    await starter.answer()

    assert large.outcome.result() == "large"


async def test_a_write_that_has_not_begun_is_withdrawn_with_its_caller() -> None:
    starter = Starter()
    starter.put("in flight")
    (write,) = starter.put("withdrawn")
    caller = asyncio.create_task(finish(write, patience=5))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    starter.put("later")
    await starter.answer()

    assert starter.batches == [["in flight"], ["later"]]


async def test_a_write_that_has_begun_is_finished_for_a_cancelled_caller() -> None:
    starter = Starter()
    (write,) = starter.put("begun")
    caller = asyncio.create_task(finish(write, patience=5))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    await starter.answer()

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert write.outcome.result() == "begun"


async def test_a_write_that_fails_after_its_caller_has_left_says_nothing_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    starter = Starter()
    caller = asyncio.create_task(finish(starter.put("begun")[0], patience=0))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await starter.answer([StoreUnavailable("too late")])
    gc.collect()

    assert caplog.records == []


async def test_a_start_that_raises_fails_its_batch_alone() -> None:
    starter = Starter()
    start, starts = starter.start, 0

    def refuse(batch: Mapping[Hashable, Sequence[Any]]) -> asyncio.Future[dict[Hashable, list[Any]]]:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise RuntimeError("no threads")
        return start(batch)

    queue = CommitQueue(refuse, keys=starter.keys())
    failed = queue.put("key", "a", 1)
    with pytest.raises(RuntimeError, match="no threads"):
        failed.outcome.result()
    later = queue.put("key", "b", 1)
    await starter.answer()
    assert later.outcome.result() == "b"


async def test_a_batch_that_fails_as_a_whole_fails_each_of_its_jobs() -> None:
    starter = Starter()
    starter.put("first")
    writes = starter.put("a", "b")
    await starter.answer()
    starter.answers[-1].set_exception(StoreUnavailable("gone"))
    await asyncio.sleep(0)

    for write in writes:
        with pytest.raises(StoreUnavailable, match="gone"):
            write.outcome.result()


async def test_a_batch_whose_answer_is_cancelled_tells_its_callers_to_write_again() -> None:
    starter = Starter()
    (write,) = starter.put("a")
    starter.answers[-1].cancel()
    await asyncio.sleep(0)

    with pytest.raises(StoreUnavailable, match="write again"):
        write.outcome.result()


async def test_aclose_does_not_wait_for_what_was_withdrawn() -> None:
    starter = Starter()
    starter.put("a")
    (withdrawn,) = starter.put("b")
    withdrawn.outcome.cancel()
    closing = asyncio.create_task(starter.queue.aclose())
    await starter.answer()
    await closing

    assert starter.batches == [["a"]]


def test_each_loop_has_a_queue_of_its_own_and_is_forgotten_with_it() -> None:
    starter = Starter()

    async def left_in_flight() -> None:
        starter.put("first loop")

    async def answered() -> Any:
        (write,) = starter.put("second loop")
        await starter.answer()
        return write.outcome.result()

    asyncio.run(left_in_flight())
    assert asyncio.run(answered()) == "second loop"
    starter.answers.clear()
    gc.collect()

    assert len(starter.queue._loops) == 0
