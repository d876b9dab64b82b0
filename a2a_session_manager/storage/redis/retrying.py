"""Asking again after what passes by itself: bounded in tries and in time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from a2a_session_manager.exceptions import StoreUnavailable

_FIRST_PAUSE = 0.01
_LONGEST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a command is tried, and how long all the tries together may take."""

    tries: int = 8
    seconds: float = 10.0

    async def attempts(self) -> AsyncIterator[int]:
        """Yield 0, 1, 2 …, with a pause before each but the first."""
        pause = _FIRST_PAUSE
        for attempt in range(self.tries):
            if attempt:
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            yield attempt

    def exhausted(self) -> StoreUnavailable:
        """Return the error of a caller whose time is over."""
        return StoreUnavailable(
            f"redis did not answer within {self.seconds:g} s: check its address, and write again with the same ids"
        )


# A cluster or Sentinels find another primary by themselves within seconds: worth waiting for.
FAILOVER_PATIENCE = Patience(tries=14)
PATIENCE = Patience()
