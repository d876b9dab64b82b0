"""StoreStatistics: what a store has done and holds open, for those who operate it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatistics:
    """What a store has done in this process since it was made, and what it holds open at this moment.

    A view of a namespace returns the numbers of the whole store. What a backend does not count stays 0.

    Attributes:
        commits: how many commits were answered, including those that were refused. Creations and deletions do not
            count.
        batches: how many round trips (Redis) or jobs of a thread (files) carried these commits. Memory makes none.
        largest_batch: how many commits the largest of these carried.
        retries: how often something was tried again: a round trip after a transient fault (Redis), or a commit whose
            file was locked or whose slot was being moved.
        commits_waiting: commits that are not sent yet, because others of their session or a whole batch are under way,
            or because their file is locked.
        commits_in_flight: commits that were sent and are not answered yet.
        connections: open connections to Redis, as far as the client shows them.
        open_files: logs, trees and catalogs that are kept open for their next use.
        followers: streams of `follow` that have yielded everything and wait for the next event.
    """

    commits: int = 0
    batches: int = 0
    largest_batch: int = 0
    retries: int = 0
    commits_waiting: int = 0
    commits_in_flight: int = 0
    connections: int = 0
    open_files: int = 0
    followers: int = 0

    @property
    def mean_batch(self) -> float:
        """How many commits a batch carried on average; 0.0 before the first."""
        return self.commits / self.batches if self.batches else 0.0
