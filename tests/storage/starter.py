"""A commit queue over a `start` that the test answers by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence
from itertools import islice
from typing import Any

from a2a_session_manager.concurrency.cancellation import QueuedWrite
from a2a_session_manager.storage.batching import BatchPolicy, CommitQueue, KeyStrategy
from a2a_session_manager.storage.busy_keys import BusyKeys


class Starter:
    """Keeps each batch that was started, until the test answers it."""

    def __init__(self, *, policy: BatchPolicy | None = None) -> None:
        self.batches: list[list[Any]] = []
        self.answers: list[asyncio.Future[dict[Hashable, list[Any]]]] = []
        self._started: list[Mapping[Hashable, Sequence[Any]]] = []
        self.queue = CommitQueue(self.start, keys=self.keys(), policy=policy)

    def keys(self) -> KeyStrategy:
        """Return the strategy of the keys that is tested."""
        return BusyKeys(seconds=1, message="")

    def start(self, batch: Mapping[Hashable, Sequence[Any]]) -> asyncio.Future[dict[Hashable, list[Any]]]:
        self.batches.append([work for works in batch.values() for work in works])
        self._started.append(batch)
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    def put(self, *works: str, ordering_key: Hashable = "key", size: int = 1) -> list[QueuedWrite[Any]]:
        return [self.queue.put(ordering_key, work, size) for work in works]

    async def answer(self, answers: Sequence[Any] | None = None) -> None:
        """Answer the batch in flight, each job with its own work when nothing else is said."""
        self.settle(-1, answers)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # who was answered together leaves together

    def settle(self, number: int, answers: Sequence[Any] | None = None) -> None:
        """Answer one batch, key by key; who waits hears of it in the loop's next turn."""
        each = iter(self.batches[number] if answers is None else answers)
        self.answers[number].set_result(
            {key: list(islice(each, len(works))) for key, works in self._started[number].items()}
        )

    async def next_batch(self, count: int) -> list[Any]:
        """Wait until `count` batches were started and return the newest."""
        async with asyncio.timeout(20):
            while len(self.batches) < count:  # noqa: ASYNC110  # the queue's own timer starts it
                await asyncio.sleep(0.001)
        return self.batches[-1]
