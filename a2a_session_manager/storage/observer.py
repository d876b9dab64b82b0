"""What may watch a store while it works: told of batches, of retries, and of runs. Nothing here knows who does."""

from __future__ import annotations

from typing import Protocol

from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage.records import SessionKey


class QueueObserver(Protocol):
    """Is told what the queues of commits do, on the loops of all callers."""

    def batch_sent(self, commits: int) -> None:
        """Take note of a batch of so many commits that leaves."""

    def retried(self, times: int) -> None:
        """Take note that something is tried again, so many times; see `StoreStatistics.retries`."""


class WatchedRun(Protocol):
    """Watches one block of a run."""

    def end(self, run: SessionRun, error: BaseException | None) -> None:
        """Take note of how the block ended: `run` as it is known now, and the error that left the block."""


class RunObserver(Protocol):
    """Is told of each block of a run that begins."""

    def begin_run(self, key: SessionKey, run: SessionRun) -> WatchedRun:
        """Return what watches the block; its caller calls `end`, whatever happens."""
