"""The commit queue: writes that wait while one is in flight leave together.

Owned by a store, one per running loop. Grouping is the largest single gain there is for many small writes,
and it makes a caller's cancellation harmless to the I/O: nobody's task carries the batch. It lives in
callbacks, not in a task, so a loop that cancels its tasks at shutdown cannot cut a batch off.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.exceptions import StoreUnavailable

# Where grouping stops; a single larger write still goes as it is.
BATCH_WRITES = 256
BATCH_BYTES = 1_000_000
_RETRY_SECONDS = 0.01
# Until then, somebody else's writes are nothing to talk about.
_LONG_BUSY_SECONDS = 1.0
# So many writers are worth two batches.
_WORTH_HALVING = 16


class Busy:
    """The answer of a lane that somebody else holds: its writes wait, and are tried again."""


BUSY: Final = Busy()


class Long:
    """The answer of a lane whose writes would hold up the others of the batch: they are started again, apart."""


LONG: Final = Long()


class QueuedJob(QueuedWrite[Any]):
    """One write: what to do, how large it is, whether it takes long, and since when its lane is busy."""

    __slots__ = ("busy_since", "is_logged", "is_long", "lane", "size", "work")

    def __init__(self, loop: asyncio.AbstractEventLoop, lane: Hashable, work: Any, size: int, is_long: bool) -> None:
        super().__init__(loop)
        self.lane = lane
        self.work = work
        self.size = size
        self.is_long = is_long
        self.busy_since: float | None = None
        self.is_logged = False


class Answers(Protocol):
    """Brings what a batch comes to: for each lane the answers to its works, in their order. A future is one.

    An answer is a result, an exception, BUSY, or LONG for all works of a lane.
    """

    def add_done_callback(self, tell: Callable[[Any], object], /, *, context: contextvars.Context) -> object: ...
    def cancelled(self) -> bool: ...
    def exception(self) -> BaseException | None: ...
    def result(self) -> Mapping[Any, Sequence[Any]]: ...


# Takes the works of each lane, in their order.
StartBatch = Callable[[Mapping[Any, Sequence[Any]]], Answers]
_Batch = Mapping[Hashable, Sequence[QueuedJob]]


class CommitQueue:
    """Hands batches to `start`; within a lane, order is kept.

    Per loop one at a time, or with `overlaps` up to two, whose lanes are apart. Then many writes leave in halves:
    the server works on one while the callers of the other encode what they write next.
    Lanes that are busy elsewhere wait and are tried again, and hold up nobody else; after `busy_seconds`
    their writes fail with StoreUnavailable, and before, after a second, `log_busy` is called with the lane and how
    many seconds it has waited. What takes long is given to `start_long`, one lane at a time, beside the batches; what
    comes in its lane meanwhile waits for it alone.
    """

    def __init__(
        self,
        start: StartBatch,
        *,
        busy_seconds: float,
        busy_message: str,
        log_busy: Callable[[Any, float], object] = lambda *_: None,
        overlaps: bool = False,
        start_long: StartBatch | None = None,
    ) -> None:
        self._start = start
        self._start_long = start if start_long is None else start_long
        self._overlaps = overlaps
        self._busy_seconds = busy_seconds
        self._busy_message = busy_message
        self._log_busy = log_busy
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopQueue] = WeakKeyDictionary()

    def put(self, lane: Hashable, work: Any, size: int, *, is_long: bool = False) -> QueuedWrite[Any]:
        """Queue a write and return its outcome. Call it on a running loop."""
        loop = asyncio.get_running_loop()
        queue = self._loops.get(loop)
        if queue is None:
            queue = self._loops[loop] = _LoopQueue(self._overlaps)
        job = QueuedJob(loop, lane, work, size, is_long)
        queue.waiting.append(job)
        self._go_on(queue)
        return job

    async def aclose(self) -> None:
        """Wait until everything queued on this loop is settled."""
        queue = self._loops.get(asyncio.get_running_loop())
        if queue is not None:
            await queue.settled()

    def _go_on(self, queue: _LoopQueue) -> None:
        while queue.waiting and queue.in_flight < queue.most_in_flight:
            if queue.is_start_due and len(queue.waiting) < queue.share():
                return  # more will come in this turn of the loop
            batch, long = queue.take_batch()
            for lane, jobs in long.items():
                self._send_long(queue, lane, jobs)
            if batch:
                self._send(queue, batch)
            elif not long:
                return

    def _send(self, queue: _LoopQueue, batch: _Batch) -> None:
        queue.note_in_flight(batch)
        try:
            answers = self._start({lane: [job.work for job in jobs] for lane, jobs in batch.items()})
        except Exception as error:
            # Who called goes on, not this: batch upon batch that cannot start would be one call deeper each.
            self._settle(queue, batch, _all_failed(batch, error))
        else:
            answers.add_done_callback(partial(self._answered, queue, batch), context=queue.context)

    def _send_long(self, queue: _LoopQueue, lane: Hashable, jobs: Sequence[QueuedJob]) -> None:
        queue.note_long(lane)
        try:
            answers = self._start_long({lane: [job.work for job in jobs]})
        except Exception as error:
            queue.note_long_back(lane)
            self._settle_jobs(queue, {lane: jobs}, _all_failed({lane: jobs}, error))
        else:
            answers.add_done_callback(partial(self._long_answered, queue, lane, jobs), context=queue.context)

    def _answered(self, queue: _LoopQueue, batch: _Batch, answers: Answers) -> None:
        self._settle(queue, batch, _answers(batch, answers))
        self._go_on(queue)
        queue.tell_if_settled()

    def _long_answered(self, queue: _LoopQueue, lane: Hashable, jobs: Sequence[QueuedJob], answers: Answers) -> None:
        queue.note_long_back(lane)
        self._settle_jobs(queue, {lane: jobs}, _answers({lane: jobs}, answers))
        self._go_on(queue)
        queue.tell_if_settled()

    def _settle(self, queue: _LoopQueue, batch: _Batch, answers: Mapping[Hashable, Sequence[Any]]) -> None:
        queue.note_back(batch)
        self._settle_jobs(queue, batch, answers)

    def _settle_jobs(self, queue: _LoopQueue, batch: _Batch, answers: Mapping[Hashable, Sequence[Any]]) -> None:
        woken = 0
        for lane, jobs in batch.items():
            if answers[lane][0] is LONG:
                self._send_long(queue, lane, jobs)
                continue
            if answers[lane][0] is BUSY:
                self._log_if_long_busy(lane, jobs)
            for job, answer in zip(jobs, answers[lane], strict=True):
                if answer is BUSY:
                    self._park(queue, job)
                else:
                    woken += job.settle(answer)
        queue.writers = woken + queue.writes_in_flight + len(queue.waiting)
        if queue.parked and not queue.is_retry_due:
            queue.is_retry_due = True
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._retry, queue, context=queue.context)
        if woken > 1 and not queue.is_start_due:
            # Who wrote together is likely to write again at once: after one turn of the loop they leave together.
            queue.is_start_due = True
            asyncio.get_running_loop().call_soon(self._start_due, queue, context=queue.context)

    def _park(self, queue: _LoopQueue, job: QueuedJob) -> None:
        now = asyncio.get_running_loop().time()
        job.busy_since = now if job.busy_since is None else job.busy_since
        if now - job.busy_since < self._busy_seconds:
            queue.park(job)
        else:
            job.settle(StoreUnavailable(f"{self._busy_message} for {self._busy_seconds:g} s: write again later"))

    def _log_if_long_busy(self, lane: Hashable, jobs: Sequence[QueuedJob]) -> None:
        """Log once that a lane has been busy for long, however many writes wait in it."""
        since = jobs[0].busy_since
        if since is None or (seconds := asyncio.get_running_loop().time() - since) < _LONG_BUSY_SECONDS:
            return
        if not any(job.is_logged for job in jobs):
            self._log_busy(lane, seconds)
        for job in jobs:
            job.is_logged = True

    def _start_due(self, queue: _LoopQueue) -> None:
        queue.is_start_due = False
        self._go_on(queue)
        queue.tell_if_settled()

    def _retry(self, queue: _LoopQueue) -> None:
        queue.is_retry_due = False
        queue.unpark()
        self._go_on(queue)
        queue.tell_if_settled()


@dataclass(slots=True, weakref_slot=True)
class _LoopQueue:
    """What waits on one loop, which it does not name: the queue forgets a loop that is gone.

    A lane that is parked takes its later jobs along as their turn comes, so that order is kept.
    """

    overlaps: bool
    waiting: deque[QueuedJob] = field(default_factory=deque)
    parked: dict[Hashable, deque[QueuedJob]] = field(default_factory=dict)
    # The lanes of long works in flight, each with what came meanwhile.
    behind_long: dict[Hashable, deque[QueuedJob]] = field(default_factory=dict)
    in_flight: int = 0
    most_in_flight: int = 1
    writes_in_flight: int = 0
    writers: int = 0  # when a batch was last back: who was woken by it, and who waited
    lanes_in_flight: set[Hashable] = field(default_factory=set)
    is_start_due: bool = False
    is_retry_due: bool = False
    settled_waiters: list[asyncio.Future[None]] = field(default_factory=list)
    # What the first caller has set in its context must not stick to everybody's writes. One for each loop:
    # two threads cannot be in the same context at once.
    context: contextvars.Context = field(default_factory=contextvars.Context)

    def share(self) -> int:
        """Return how many writes are worth a batch of their own: half of the writers', where batches overlap."""
        writers = max(self.writers, self.writes_in_flight + len(self.waiting))
        is_halved = self.overlaps and writers >= _WORTH_HALVING
        return min((writers + 1) // 2, BATCH_WRITES) if is_halved else BATCH_WRITES

    def take_batch(self) -> tuple[dict[Hashable, list[QueuedJob]], dict[Hashable, list[QueuedJob]]]:
        """Return the next batch, and the long works whose turn has come."""
        batch: dict[Hashable, list[QueuedJob]] = {}
        long: dict[Hashable, list[QueuedJob]] = {}
        ended: set[Hashable] = set()  # lanes of the batch that go on with a long work
        held_back: list[QueuedJob] = []
        most = self.share()
        count = size = 0
        while self.waiting and count < most and size < BATCH_BYTES:
            job = self.waiting.popleft()
            if job.outcome.cancelled():
                continue  # withdrawn by its caller
            jobs = batch.get(job.lane)
            if jobs is None:
                if job.lane in self.lanes_in_flight:
                    held_back.append(job)
                    continue
                if job.lane in self.parked:
                    self.parked[job.lane].append(job)
                    continue
                if job.lane in self.behind_long:
                    self.behind_long[job.lane].append(job)
                    continue
                if job.is_long:
                    job.has_begun = True
                    long[job.lane] = [job]
                    self.note_long(job.lane)
                    continue
                jobs = batch[job.lane] = []
            elif job.is_long or job.lane in ended:
                ended.add(job.lane)
                held_back.append(job)
                continue
            job.has_begun = True
            jobs.append(job)
            count += 1
            size += job.size
        self.waiting.extendleft(reversed(held_back))
        # Beside a few writes no others leave; and what only waits for its lane is not worth another look.
        least = 1 if self.in_flight else _WORTH_HALVING // 2
        self.most_in_flight = 2 if self.overlaps and count >= least else 1
        return batch, long

    def note_in_flight(self, batch: _Batch) -> None:
        self.in_flight += 1
        self.writes_in_flight += sum(map(len, batch.values()))
        self.lanes_in_flight.update(batch)

    def note_back(self, batch: _Batch) -> None:
        self.in_flight -= 1
        self.writes_in_flight -= sum(map(len, batch.values()))
        self.lanes_in_flight.difference_update(batch)

    def note_long(self, lane: Hashable) -> None:
        self.behind_long.setdefault(lane, deque())

    def note_long_back(self, lane: Hashable) -> None:
        self.waiting.extendleft(reversed(self.behind_long.pop(lane)))

    def park(self, job: QueuedJob) -> None:
        job.has_begun = False
        self.parked.setdefault(job.lane, deque()).append(job)

    def unpark(self) -> None:
        for jobs in self.parked.values():
            self.waiting.extendleft(reversed(jobs))
        self.parked.clear()

    @property
    def is_settled(self) -> bool:
        return not (self.in_flight or self.behind_long or self.waiting or self.parked)

    async def settled(self) -> None:
        while not self.is_settled:
            waiter = asyncio.get_running_loop().create_future()
            self.settled_waiters.append(waiter)
            await waiter

    def tell_if_settled(self) -> None:
        if self.is_settled:
            for waiter in self.settled_waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self.settled_waiters.clear()


def _all_failed(batch: _Batch, error: BaseException) -> dict[Hashable, list[BaseException]]:
    return {lane: [error] * len(jobs) for lane, jobs in batch.items()}


def _answers(batch: _Batch, answers: Answers) -> Mapping[Hashable, Sequence[Any]]:
    if answers.cancelled():
        return _all_failed(batch, StoreUnavailable("the event loop is shutting down: write again"))
    failure = answers.exception()
    return answers.result() if failure is None else _all_failed(batch, failure)
