"""Work that nobody waits for: done in a thread, one piece after the other."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

_log = logging.getLogger("a2a_session_manager.storage.file")


class LaterWork:
    """Does pieces of work in a thread that is started with the first one."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="a2a-session-upkeep")

    def add(self, do: Callable[[], object]) -> None:
        """Do something soon, unless the process is ending."""
        with suppress(RuntimeError):
            self._executor.submit(_done, do)

    def close(self) -> None:
        """Take no more work; what was begun is finished."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _done(do: Callable[[], object]) -> None:
    try:
        do()
    except Exception as error:
        _log.warning("upkeep has failed, and is tried again later: %r", error)
