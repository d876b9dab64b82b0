"""Startable: the base of servers that are started and stopped by a `with` block."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

START_SECONDS = 20.0


class Startable(ABC):
    """A server or several, for `with`: started and ready inside the block, ended after it."""

    @abstractmethod
    def start(self) -> None:
        """Start, and wait until it answers."""

    @abstractmethod
    def stop(self) -> None:
        """Let it shut down, and wait for its end."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


def wait_until(is_ready: Callable[[], bool], complaint: str) -> None:
    """Call `is_ready` until it returns True; fail with `complaint` when that takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not is_ready():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.05)
