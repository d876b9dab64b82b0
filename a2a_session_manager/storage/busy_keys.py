"""Writes that somebody else is in the way of for the moment: they wait, are tried again, and hold up nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.batching import HeldKey, KeyStrategy, Unsettled

_RETRY_SECONDS = 0.01
# Until then, somebody else's writes are nothing to talk about.
_LONG_BUSY_SECONDS = 1.0


class Busy(Unsettled):
    """The answer to a write whose file, or slot, somebody else holds."""


BUSY: Final = Busy()


class BusyKeys(KeyStrategy):
    """Tries the writes of a busy key again until, after so many seconds, they fail with StoreUnavailable.

    After one second `log` is called once, with the key and how many seconds its first write has waited.
    """

    def __init__(self, *, seconds: float, message: str, log: Callable[[Any, float], object] = lambda *_: None) -> None:
        self._seconds = seconds
        self._message = message
        self._log = log

    def go_on(self, held: HeldKey, answer: Unsettled) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for job in held.jobs:
            job.busy_since = now if job.busy_since is None else job.busy_since
        self._log_if_long_busy(held, now)
        late = [job for job in held.jobs if now - (job.busy_since or 0.0) >= self._seconds]
        held.fail(late, StoreUnavailable(f"{self._message} for {self._seconds:g} s: write again later"))
        held.park()
        loop.call_later(_RETRY_SECONDS if held.jobs else 0, held.release, context=held.context)

    def _log_if_long_busy(self, held: HeldKey, now: float) -> None:
        """Log once that a key has been busy for long, however many writes wait for it."""
        seconds = now - (held.jobs[0].busy_since or now)
        if seconds >= _LONG_BUSY_SECONDS:
            if not any(job.is_logged for job in held.jobs):
                self._log(held.key, seconds)
            for job in held.jobs:
                job.is_logged = True
