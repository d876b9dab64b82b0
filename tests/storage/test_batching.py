"""The commit queue over a `start` that the test answers by hand."""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice
from typing import Any

import pytest

from a2a_session_manager.concurrency.cancellation import QueuedWrite, finish
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage import batching
from a2a_session_manager.storage.batching import BUSY, LONG, CommitQueue


class Starter:
    """Keeps each batch that was started, until the test answers it."""

    def __init__(self, *, busy_seconds: float = 5.0, overlaps: bool = False) -> None:
        self.batches: list[list[Any]] = []
        self.answers: list[asyncio.Future[dict[Hashable, list[Any]]]] = []
        self._lanes: list[Mapping[Hashable, Sequence[Any]]] = []
        self.queue = CommitQueue(
            self.start, busy_seconds=busy_seconds, busy_message="held elsewhere", overlaps=overlaps
        )

    def put_long(self, work: str, *, lane: Hashable) -> QueuedWrite[Any]:
        return self.queue.put(lane, work, 1, is_long=True)

    def start(self, batch: Mapping[Hashable, Sequence[Any]]) -> asyncio.Future[dict[Hashable, list[Any]]]:
        self.batches.append([work for works in batch.values() for work in works])
        self._lanes.append(batch)
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    def put(self, *works: str, lane: Hashable = "lane", size: int = 1) -> list[QueuedWrite[Any]]:
        return [self.queue.put(lane, work, size) for work in works]

    async def answer(self, answers: Sequence[Any] | None = None) -> None:
        """Answer the batch in flight, each job with its own work when nothing else is said."""
        self.settle(-1, answers)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # who was answered together leaves together

    def settle(self, number: int, answers: Sequence[Any] | None = None) -> None:
        """Answer one batch, lane by lane; who waits hears of it in the loop's next turn."""
        each = iter(self.batches[number] if answers is None else answers)
        self.answers[number].set_result(
            {lane: list(islice(each, len(works))) for lane, works in self._lanes[number].items()}
        )

    async def next_batch(self, count: int) -> list[Any]:
        """Wait until `count` batches were started and return the newest."""
        async with asyncio.timeout(20):
            while len(self.batches) < count:  # noqa: ASYNC110  # the queue's own timer starts it
                await asyncio.sleep(0.001)
        return self.batches[-1]


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
            await finish(starter.queue.put("lane", f"{name} {turn}", 1), patience=5)

    callers = [asyncio.create_task(writes_twice(name)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    for count in (1, 2, 3):
        await starter.next_batch(count)
        await starter.answer()
    await asyncio.gather(*callers)

    assert starter.batches == [["a first"], ["b first", "c first"], ["a second", "b second", "c second"]]


async def halved(lanes: int = 20) -> Starter:
    """Return a queue with two batches in flight, of one write in each lane but the first."""
    starter = Starter(overlaps=True)
    for lane in range(lanes + 1):
        starter.put(f"{lane}", lane=lane)
    await starter.answer()
    return starter


async def test_many_writes_leave_in_halves() -> None:
    starter = await halved()

    assert [len(batch) for batch in starter.batches] == [1, 11, 9]
    assert {*starter.batches[1], *starter.batches[2]} == {str(lane) for lane in range(1, 21)}


async def test_of_many_writes_in_one_lane_the_other_half_leaves_when_the_first_is_back() -> None:
    starter = Starter(overlaps=True)
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

    starter.put(*"abcdefghi", lane="new")
    assert len(starter.batches) == 3
    starter.put("j", lane="new")
    assert starter.batches[3] == list("abcdefghij")


async def test_few_writes_leave_whole() -> None:
    starter = Starter(overlaps=True)
    for number in range(10):
        starter.put(f"{number}", lane=number)
    await starter.answer()

    assert [len(batch) for batch in starter.batches] == [1, 9]


async def test_a_half_that_is_back_goes_on_without_the_other_and_no_lane_overtakes_itself() -> None:
    starter = await halved()
    _, one, other = starter.batches
    starter.put("again one", lane=int(one[0]))
    starter.put("again other", lane=int(other[0]))
    starter.put("other's third", lane=int(other[0]))
    assert len(starter.batches) == 3

    starter.settle(1)
    await starter.next_batch(4)
    assert starter.batches[3] == ["again one"]

    starter.put("new lane", lane="new")
    await asyncio.sleep(0)
    assert len(starter.batches) == 4
    starter.settle(2)
    await starter.next_batch(5)
    assert starter.batches[4] == ["again other", "other's third", "new lane"]


async def test_a_half_that_cannot_start_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    starter = Starter(overlaps=True)
    writes = [starter.put(f"{lane}", lane=lane)[0] for lane in range(21)]
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


async def test_a_write_that_fails_behind_its_caller_who_has_left_says_nothing_in_the_log(
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


async def test_a_busy_lane_is_tried_again_in_order_and_holds_up_no_other() -> None:
    starter = Starter()
    first = starter.put("a1", lane="a")
    rest = [*starter.put("a2", lane="a"), *starter.put("b1", lane="b")]
    await starter.answer([BUSY])
    rest += starter.put("a3", lane="a")

    assert starter.batches == [["a1"], ["b1"]]
    await starter.answer()
    assert await starter.next_batch(3) == ["a1", "a2", "a3"]
    await starter.answer()
    assert [write.outcome.result() for write in [*first, *rest]] == ["a1", "a2", "b1", "a3"]


async def test_a_busy_lane_keeps_its_order_behind_a_queue_longer_than_a_batch() -> None:
    starter = Starter()
    starter.put("a1", lane="a")
    starter.put(*(f"b{number}" for number in range(batching.BATCH_WRITES)), lane="b")
    starter.put("a2", lane="a")
    await starter.answer([BUSY])
    starter.put("a3", lane="a")
    sent: list[str] = []
    while len(sent) < batching.BATCH_WRITES + 3:
        await starter.next_batch(len(starter.answers))
        if not starter.answers[-1].done():
            sent += starter.batches[-1]
            await starter.answer()
        else:
            await asyncio.sleep(0.001)

    assert [work for work in sent if work[0] == "a"] == ["a1", "a2", "a3"]


async def test_a_lane_that_stays_busy_fails_after_the_bound_and_the_next_write_is_tried_afresh() -> None:
    starter = Starter(busy_seconds=0.02)
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


async def test_the_caller_of_a_lane_that_stays_busy_hears_of_it() -> None:
    starter = Starter(busy_seconds=0)
    (write,) = starter.put("a")
    caller = asyncio.create_task(finish(write, patience=5))
    await asyncio.sleep(0)
    await starter.answer([BUSY])

    async with asyncio.timeout(20):
        with pytest.raises(StoreUnavailable, match="held elsewhere"):
            await caller


async def test_many_settled_batches_leave_one_retry_of_a_busy_lane_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = 0
    retry = CommitQueue._retry

    def counted(self: CommitQueue, queue: Any) -> None:
        nonlocal retries
        retries += 1
        retry(self, queue)

    monkeypatch.setattr(CommitQueue, "_retry", counted)
    monkeypatch.setattr(batching, "_RETRY_SECONDS", 0.2)
    starter = Starter()
    starter.put("a", lane="a")
    await starter.answer([BUSY])
    for number in range(20):
        starter.put(f"b{number}", lane="b")
        await starter.answer()
    assert await starter.next_batch(22) == ["a"]
    await starter.answer()
    await asyncio.sleep(0.3)

    assert retries == 1


async def test_a_long_work_leaves_alone_and_others_leave_while_it_is_under_way() -> None:
    starter = Starter()
    starter.put_long("long", lane="a")
    starter.put("b1", lane="b")
    starter.put("a2", lane="a")
    starter.put("c1", lane="c")
    starter.settle(1)
    assert await starter.next_batch(3) == ["c1"]

    starter.settle(0)
    await asyncio.sleep(0)
    assert len(starter.batches) == 3  # a batch is in flight still
    starter.settle(2)
    assert await starter.next_batch(4) == ["a2"]
    assert starter.batches[:2] == [["long"], ["b1"]]


async def test_a_long_work_waits_for_those_of_its_lane_and_is_overtaken_by_none_of_them() -> None:
    starter = Starter()
    starter.put("first", lane="b")
    starter.put("a1", lane="a")
    starter.put_long("a2", lane="a")
    starter.put("a3", lane="a")
    starter.put("b1", lane="b")
    await starter.answer()
    assert starter.batches[1:] == [["a1", "b1"]]

    await starter.answer()
    assert starter.batches[2:] == [["a2"]]
    await starter.answer()
    assert starter.batches[3:] == [["a3"]]


async def test_a_lane_that_turns_out_to_take_long_is_started_again_apart() -> None:
    starter = Starter()
    first = starter.put("first", lane="b")
    writes = [*starter.put("a1", "a2", lane="a"), *starter.put("b1", lane="b")]
    await starter.answer()
    await starter.answer([LONG, LONG, "b1"])
    writes += starter.put("a3", lane="a")
    assert starter.batches[2:] == [["a1", "a2"]]

    starter.put("b2", lane="b")
    assert starter.batches[3:] == [["b2"]]
    starter.settle(3)
    starter.settle(2)
    assert await starter.next_batch(5) == ["a3"]
    await starter.answer()
    assert [write.outcome.result() for write in [*first, *writes]] == ["first", "a1", "a2", "b1", "a3"]


async def test_a_long_work_that_finds_its_lane_busy_waits_with_all_behind_it() -> None:
    starter = Starter()
    starter.put_long("a1", lane="a")
    starter.put("a2", lane="a")
    await starter.answer([BUSY])
    starter.put("a3", lane="a")

    assert await starter.next_batch(2) == ["a1"]
    await starter.answer()
    assert await starter.next_batch(3) == ["a2", "a3"]


async def test_a_long_work_that_cannot_start_fails_alone() -> None:
    starter = Starter()

    def refuse(batch: Mapping[Hashable, Sequence[Any]]) -> batching.Answers:
        raise OSError("no thread")

    queue = CommitQueue(starter.start, start_long=refuse, busy_seconds=1, busy_message="")
    failed = queue.put("lane", "a", 1, is_long=True)
    later = queue.put("lane", "b", 1)
    await starter.answer()

    with pytest.raises(OSError, match="no thread"):
        failed.outcome.result()
    assert later.outcome.result() == "b"


async def test_aclose_waits_for_long_works_and_what_is_behind_them() -> None:
    starter = Starter()
    writes = [starter.put_long("a1", lane="a"), *starter.put("a2", lane="a")]
    closing = asyncio.create_task(starter.queue.aclose())
    await asyncio.sleep(0)
    assert not closing.done()
    await starter.answer()
    await starter.answer()
    async with asyncio.timeout(20):
        await closing

    assert [write.outcome.result() for write in writes] == ["a1", "a2"]


async def test_a_start_that_raises_fails_its_batch_alone() -> None:
    starter = Starter()
    start, starts = starter.start, 0

    def refuse(batch: Mapping[Hashable, Sequence[Any]]) -> asyncio.Future[dict[Hashable, list[Any]]]:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise RuntimeError("no threads")
        return start(batch)

    queue = CommitQueue(refuse, busy_seconds=1, busy_message="")
    failed = queue.put("lane", "a", 1)
    with pytest.raises(RuntimeError, match="no threads"):
        failed.outcome.result()
    later = queue.put("lane", "b", 1)
    await starter.answer()
    assert later.outcome.result() == "b"


@pytest.mark.parametrize("overlaps", [False, True])
async def test_any_number_of_batches_may_fail_to_start_in_a_row(
    monkeypatch: pytest.MonkeyPatch, overlaps: bool
) -> None:
    monkeypatch.setattr(batching, "BATCH_WRITES", 2)
    starter = Starter(overlaps=overlaps)
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


async def test_aclose_waits_for_what_is_in_flight_queued_and_busy() -> None:
    starter = Starter()
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
