"""How many files a store keeps open: few at a time, those that were used last."""

from __future__ import annotations

import resource
import threading
from collections import OrderedDict
from typing import Protocol

_MOST_OPEN = 256


class PooledFile(Protocol):
    """A file that can be closed at any time, and is opened again when it is used."""

    lock: threading.RLock

    def close(self) -> None: ...
    def close_if_idle(self) -> bool:
        """Close the file unless a thread is using it."""
        if not self.lock.acquire(blocking=False):
            return False
        try:
            self.close()
            return True
        finally:
            self.lock.release()


class HandlePool:
    """Keeps the most recently used files open, within what the process may open at all."""

    def __init__(self, *, most: int = _MOST_OPEN) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.most = max(4, min(most, soft // 4))
        self._open: OrderedDict[PooledFile, None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def open_files(self) -> int:
        """How many files are open now."""
        return len(self._open)

    def used(self, handle: PooledFile) -> None:
        """Note that `handle` is open and in use; close others that were not used for longest."""
        with self._lock:
            self._open[handle] = None
            self._open.move_to_end(handle)
            if len(self._open) <= self.most:
                return
            idle = list(self._open)[: len(self._open) - self.most]
        for other in idle:
            # One that is in use stays open, and goes another time.
            if other is not handle:
                other.close_if_idle()

    def closed(self, handle: PooledFile) -> None:
        with self._lock:
            self._open.pop(handle, None)

    def close_all(self) -> None:
        for handle in list(self._open):
            with handle.lock:
                handle.close()
