"""What waits in a commit queue: single writes, and those of one event loop."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from a2a_session_manager.concurrency.cancellation import QueuedWrite


class QueuedJob(QueuedWrite[Any]):
    """One write: what to do, which others it keeps its order with, and how large it is."""

    __slots__ = ("busy_since", "is_logged", "ordering_key", "size", "work")

    def __init__(self, loop: asyncio.AbstractEventLoop, ordering_key: Hashable, work: Any, size: int) -> None:
        super().__init__(loop)
        self.ordering_key = ordering_key
        self.work = work
        self.size = size
        # The notes of a strategy that tries it again.
        self.busy_since: float | None = None
        self.is_logged = False


@dataclass(slots=True, weakref_slot=True)
class LoopQueue:
    """What waits on one loop, which it does not name: the queue forgets a loop that is gone."""

    waiting: deque[QueuedJob] = field(default_factory=deque)
    # The keys that have left, or are not settled, each with what came in its turn meanwhile.
    held: dict[Hashable, deque[QueuedJob]] = field(default_factory=dict)
    unfinished: int = 0  # jobs that are not settled, wherever they are
    writers: int = 0  # when a batch was last done: who was woken by it, and who waited
    in_flight: int = 0
    most_in_flight: int = 1
    # Until the writes of a turn of the loop leave, so many that wait leave at once; 0 at other times.
    start_size: int = 0
    is_sending: bool = False
    settled_waiters: list[asyncio.Future[None]] = field(default_factory=list)
    # What the first caller has set in its context must not stick to everybody's writes. One for each loop:
    # two threads cannot be in the same context at once.
    context: contextvars.Context = field(default_factory=contextvars.Context)

    @property
    def waiting_writes(self) -> int:
        """How many writes have not left: not yet, or not again."""
        return len(self.waiting) + sum(map(len, list(self.held.values())))

    def expected(self) -> int:
        """Return how many writes are under way, or were when the callers who write together were last woken."""
        return max(self.writers, self.unfinished)

    def note_woken(self, woken: int) -> None:
        self.writers = woken + self.unfinished

    def release(self, key: Hashable) -> None:
        """Let what was held of a key wait in front of all others."""
        self.waiting.extendleft(reversed(self.held.pop(key)))

    @property
    def is_settled(self) -> bool:
        return not (self.held or self.waiting)

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
