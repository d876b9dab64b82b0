"""The commit queue: writes that wait while one is in flight leave together.

A store owns one; each running loop has a queue of its own in it. Grouping is the largest single gain there is for many
small writes, and it makes a caller's cancellation harmless to the I/O: nobody's task carries the batch. The queue
lives in callbacks, not in a task, so a loop that cancels its tasks at shutdown cannot cut a batch off.
"""

from __future__ import annotations

import asyncio
import contextvars
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.statistics import StoreStatistics
from a2a_session_manager.storage.observer import QueueObserver
from a2a_session_manager.storage.queued_jobs import LoopQueue, QueuedJob

# Where grouping stops; a single larger write still goes as it is.
BATCH_WRITES = 256
BATCH_BYTES = 1_000_000


class Unsettled:
    """An answer that settles nothing: the strategy of the keys says how the work goes on."""


class Answers(Protocol):
    """Brings what a batch comes to: for each key the answers to its works, in their order. A future is one.

    An answer is a result, an exception, or `Unsettled`.
    """

    def add_done_callback(self, tell: Callable[[Any], object], /, *, context: contextvars.Context) -> object: ...
    def cancelled(self) -> bool: ...
    def exception(self) -> BaseException | None: ...
    def result(self) -> Mapping[Any, Sequence[Any]]: ...


# Takes the works of each key, in their order.
StartBatch = Callable[[Mapping[Any, Sequence[Any]]], Answers]
Batch = Mapping[Hashable, Sequence[QueuedJob]]


class BatchPolicy:
    """How many writes leave together, and how many batches at once: by this one, all that wait, and one."""

    def batch_limit(self, writers: int) -> int:
        """Return how many writes are worth a batch of their own, where so many are under way or will come."""
        return BATCH_WRITES

    def most_in_flight(self, count: int, in_flight: int) -> int:
        """Return how many batches may be in flight, with one of `count` writes that leaves beside `in_flight`."""
        return 1


class KeyStrategy(ABC):
    """What becomes of jobs that a batch does not serve."""

    def answer_before(self, job: QueuedJob) -> Unsettled | None:
        """Return how a job that must not be in a batch is answered instead of leaving in one; None if it may be."""
        return None

    @abstractmethod
    def go_on(self, held: HeldKey, answer: Unsettled) -> None:
        """See to it that jobs which were answered so are answered, or parked and released later."""


class CommitQueue:
    """Hands batches to `start`; writes of one ordering key keep their order, and never are in two batches at once."""

    def __init__(
        self,
        start: StartBatch,
        *,
        keys: KeyStrategy,
        policy: BatchPolicy | None = None,
    ) -> None:
        self._start = start
        self._keys = keys
        self._policy = BatchPolicy() if policy is None else policy
        self._loops: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopQueue] = WeakKeyDictionary()
        # The threads of all loops share these: Python switches between threads before and after a `+=`, not in it.
        self._answered_writes = 0
        self._batches = 0
        self._largest_batch = 0
        self._retries = 0
        self.observer: QueueObserver | None = None

    def put(self, ordering_key: Hashable, work: Any, size: int) -> QueuedWrite[Any]:
        """Queue a write of about `size` bytes and return its outcome. Call it on a running loop."""
        loop = asyncio.get_running_loop()
        queue = self._loops.get(loop)
        if queue is None:
            queue = self._loops[loop] = LoopQueue()
        job = QueuedJob(loop, ordering_key, work, size)
        queue.unfinished += 1
        held = queue.held.get(ordering_key)
        if held is not None and not queue.waiting:
            held.append(job)  # nothing waits before it, and it cannot leave before its key is released
        else:
            queue.waiting.append(job)
            self._send_due(queue)
        return job

    def statistics(self) -> StoreStatistics:
        """Return what the queue has done, on all loops, and what it holds now. Any thread may call it."""
        queues = [self._loops[loop] for reference in self._loops.keyrefs() if (loop := reference()) is not None]
        waiting = sum(queue.waiting_writes for queue in queues)
        return StoreStatistics(
            commits=self._answered_writes,
            batches=self._batches,
            largest_batch=self._largest_batch,
            retries=self._retries,
            commits_waiting=waiting,
            commits_in_flight=max(sum(queue.unfinished for queue in queues) - waiting, 0),
        )

    async def aclose(self) -> None:
        """Wait until everything queued on this loop is settled."""
        queue = self._loops.get(asyncio.get_running_loop())
        if queue is not None:
            await queue.settled()

    def _next_batch(self, queue: LoopQueue) -> tuple[dict[Hashable, list[QueuedJob]], list[tuple[HeldKey, Unsettled]]]:
        """Decide what leaves now: a batch, and the jobs whose turn has come to leave apart. Nothing is started."""
        batch: dict[Hashable, list[QueuedJob]] = {}
        apart: list[tuple[HeldKey, Unsettled]] = []
        limit = self._policy.batch_limit(queue.expected())
        count = size = 0
        while queue.waiting and count < limit and size < BATCH_BYTES:
            job = queue.waiting.popleft()
            key = job.ordering_key
            if job.outcome.cancelled():
                queue.unfinished -= 1
                continue  # withdrawn by its caller
            jobs, held = batch.get(key), queue.held.get(key)
            answer = self._keys.answer_before(job)
            if held is None:
                queue.held[key] = deque()
            elif held or jobs is None or answer is not None:
                held.append(job)
                continue
            job.has_begun = True
            if answer is not None:
                apart.append((HeldKey(self, queue, key, [job]), answer))
                self._largest_batch = self._largest_batch or 1
                continue
            if jobs is None:
                batch[key] = [job]
            else:
                jobs.append(job)
            count += 1
            size += job.size
        self._batches += len(apart) + (count > 0)
        if count > self._largest_batch:
            self._largest_batch = count
        if self.observer is not None:
            for size in [1] * len(apart) + [count] * (count > 0):
                self.observer.batch_sent(size)
        queue.most_in_flight = self._policy.most_in_flight(count, queue.in_flight)
        return batch, apart

    def _send_due(self, queue: LoopQueue) -> None:
        """Start whatever may leave now."""
        if queue.is_sending:
            return  # what cannot start is answered at once, and the call that starts it goes on
        queue.is_sending = True
        try:
            while queue.waiting and queue.in_flight < queue.most_in_flight:
                if len(queue.waiting) < queue.start_size:
                    break  # more will come in this turn of the loop
                batch, apart = self._next_batch(queue)
                for held, answer in apart:
                    self._keys.go_on(held, answer)
                if batch:
                    self._send(queue, batch)
                elif not apart:
                    break
        finally:
            queue.is_sending = False
        if queue.settled_waiters:
            queue.tell_if_settled()

    def _send(self, queue: LoopQueue, batch: Batch) -> None:
        queue.in_flight += 1
        try:
            answers = self._start({key: [job.work for job in jobs] for key, jobs in batch.items()})
        except Exception as error:
            self._batch_done(queue, batch, _all_failed(batch, error))
        else:
            answers.add_done_callback(partial(self._answered, queue, batch), context=queue.context)

    def _answered(self, queue: LoopQueue, batch: Batch, answers: Answers) -> None:
        self._batch_done(queue, batch, answers_of(batch, answers))

    def _batch_done(self, queue: LoopQueue, batch: Batch, answers: Mapping[Hashable, Sequence[Any]]) -> None:
        queue.in_flight -= 1
        woken = sum([self._settle(queue, key, jobs, answers[key]) for key, jobs in batch.items()])
        queue.note_woken(woken)
        if woken > 1:
            # Callers that wrote together are likely to write again at once: in a turn of the loop they leave together.
            if not queue.start_size:
                asyncio.get_running_loop().call_soon(self._start_due, queue, context=queue.context)
            queue.start_size = self._policy.batch_limit(queue.expected())
        self._send_due(queue)

    def _settle(self, queue: LoopQueue, key: Hashable, jobs: Sequence[QueuedJob], answers: Sequence[Any]) -> int:
        """Settle the jobs of a key, and let the next of them leave; return how many callers that wakes."""
        woken = 0
        unsettled: list[QueuedJob] = []
        for job, answer in zip(jobs, answers, strict=True):
            if isinstance(answer, Unsettled):
                unsettled.append(job)
                reason = answer
            else:
                woken += job.set_outcome(answer)
        queue.unfinished -= len(jobs) - len(unsettled)
        self._answered_writes += len(jobs) - len(unsettled)
        if unsettled:
            self._keys.go_on(HeldKey(self, queue, key, unsettled), reason)
        else:
            queue.release(key)
        return woken

    def _start_due(self, queue: LoopQueue) -> None:
        queue.start_size = 0
        self._send_due(queue)


class HeldKey:
    """Jobs of one key, which is held: no other job of it leaves until these are answered or released."""

    __slots__ = ("_owner", "_queue", "jobs", "key")

    def __init__(self, owner: CommitQueue, queue: LoopQueue, key: Hashable, jobs: Sequence[QueuedJob]) -> None:
        self._owner = owner
        self._queue = queue
        self.key = key
        self.jobs = jobs

    @property
    def context(self) -> contextvars.Context:
        """The context in which callbacks of the queue run."""
        return self._queue.context

    def answer(self, answers: Sequence[Any]) -> None:
        """Settle the jobs, each with its answer, as a batch would."""
        self._owner._settle(self._queue, self.key, self.jobs, answers)
        self._owner._send_due(self._queue)

    def fail(self, jobs: Sequence[QueuedJob], error: Exception) -> None:
        """Fail some of the jobs; the key stays held."""
        for job in jobs:
            job.set_outcome(error)
        self._queue.unfinished -= len(jobs)
        self._owner._answered_writes += len(jobs)
        self.jobs = [job for job in self.jobs if job not in jobs]

    def park(self) -> None:
        """Let the jobs wait, in front of what came after them, until the key is released."""
        for job in self.jobs:
            job.has_begun = False
        self._queue.held[self.key].extendleft(reversed(self.jobs))
        self._owner._retries += len(self.jobs)
        if self._owner.observer is not None:
            self._owner.observer.retried(len(self.jobs))

    def release(self) -> None:
        """Let what waits for the key leave, in front of all others."""
        self._queue.release(self.key)
        self._owner._send_due(self._queue)


def answers_of(batch: Batch, answers: Answers) -> Mapping[Hashable, Sequence[Any]]:
    """Return what the works of a batch came to."""
    if answers.cancelled():
        return _all_failed(batch, StoreUnavailable("the event loop is shutting down: write again"))
    failure = answers.exception()
    return answers.result() if failure is None else _all_failed(batch, failure)


def _all_failed(batch: Batch, error: BaseException) -> dict[Hashable, list[BaseException]]:
    return {key: [error] * len(jobs) for key, jobs in batch.items()}
