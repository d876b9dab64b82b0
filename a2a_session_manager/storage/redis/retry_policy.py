"""Asking again after what passes by itself: bounded in tries and in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a command is tried, and how long one try and all of them together may take."""

    tries: int = 8
    try_seconds: float = 5.0
    seconds: float = 10.0

    async def pause(self, attempt: int, deadline: float) -> bool:
        """Wait before the try of that number, longer each time; False when the deadline leaves no time for it."""
        seconds = self.pause_before(attempt)
        if asyncio.get_running_loop().time() + seconds >= deadline:
            return False
        await asyncio.sleep(seconds)
        return True

    def pause_before(self, attempt: int) -> float:
        """Return how many seconds to wait before the try of that number."""
        doubled: float = _FIRST_PAUSE * 2 ** (attempt - 1)
        return min(doubled, _LONGEST_PAUSE)


# A cluster or Sentinels find another primary by themselves within seconds: worth waiting for.
FAILOVER_TRIES: Final = 14
