"""Long work on the loop, in slices: it gives way every millisecond or so."""

from __future__ import annotations

import asyncio
import time

_SLICE_SECONDS = 0.001


class Slices:
    """Tells when the loop has waited long enough for its turn: `if slices.is_over(): await slices.give_way()`."""

    def __init__(self) -> None:
        self._over_at = time.perf_counter() + _SLICE_SECONDS

    def is_over(self) -> bool:
        return time.perf_counter() > self._over_at

    async def give_way(self) -> None:
        """Let everything else that is due have its turn."""
        await asyncio.sleep(0)
        self._over_at = time.perf_counter() + _SLICE_SECONDS
