"""StoreStatistics: what a store has done and holds open, for those who operate it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreStatistics:
    """What a store has done in this process since it was made, and what it holds open at this moment.

    A store's views of namespaces tell of the store as a whole. A backend that does not count something leaves it 0.

    Attributes:
        commits: commits that are answered, those that were refused among them. Creations and deletions do not count.
        batches: round trips (Redis) or jobs of a thread (files) that took commits along. Memory makes none.
        largest_batch: how many commits the largest of these took along.
        retries: how often something was tried again: a round trip after a fault that passes by itself (Redis), or a
            commit that found its file held, or its slot on the move.
        commits_waiting: commits that have not left yet, since others of their session, or a whole batch, are on their
            way, or since their file is held.
        commits_in_flight: commits that have left, and are not answered.
        connections: connections to Redis that are open, as far as the client tells.
        open_files: logs and trees that are kept open between two uses.
        followers: streams of `follow` that have yielded all there was, and wait for news.
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
        """How many commits a batch took along on average; 0.0 before the first."""
        return self.commits / self.batches if self.batches else 0.0
