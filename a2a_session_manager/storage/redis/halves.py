"""Many writes leave in halves: the server works on one while the callers of the other encode what they write next."""

from __future__ import annotations

from a2a_session_manager.storage.batching import BATCH_WRITES, BatchPolicy

# So many writers are worth two batches.
_WORTH_HALVING = 16


class Halves(BatchPolicy):
    """Up to two batches at once, each of about half of those who write."""

    def batch_limit(self, writers: int) -> int:
        return min((writers + 1) // 2, BATCH_WRITES) if writers >= _WORTH_HALVING else BATCH_WRITES

    def most_in_flight(self, count: int, in_flight: int) -> int:
        # Beside a few writes no others leave; and what only waits for its key is not worth another try.
        least = 1 if in_flight else _WORTH_HALVING // 2
        return 2 if count >= least else 1
