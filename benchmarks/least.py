"""The least that grouped appends to a file can cost: encode, wait for a future, one write for all that wait.

No id is looked up, no lock is taken, no number is given. What a store takes beyond this is the price of its promises.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path


class GroupedFile:
    """Appends to one file in a thread; all appends that wait while a write is under way are written together."""

    def __init__(self, file: int, executor: ThreadPoolExecutor) -> None:
        self._file = file
        self._executor = executor
        self._waiting: list[tuple[bytes, asyncio.Future[None]]] = []
        self._is_writing = False

    def append(self, data: bytes) -> asyncio.Future[None]:
        """Return a future that is done when `data` is written."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[None] = loop.create_future()
        self._waiting.append((data, written))
        if not self._is_writing:
            self._is_writing = True
            loop.call_soon(self._write, loop)
        return written

    def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        batch, self._waiting = self._waiting, []
        data = b"".join([each for each, _ in batch])
        done = loop.run_in_executor(self._executor, os.write, self._file, data)
        done.add_done_callback(lambda _: self._settle(loop, batch))

    def _settle(self, loop: asyncio.AbstractEventLoop, batch: list[tuple[bytes, asyncio.Future[None]]]) -> None:
        for _, written in batch:
            written.set_result(None)
        self._is_writing = bool(self._waiting)
        if self._is_writing:
            self._write(loop)


@contextmanager
def grouped_file(path: Path) -> Iterator[GroupedFile]:
    """Open a file to append to, and a thread that writes."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        with ThreadPoolExecutor(1) as executor:
            yield GroupedFile(file, executor)
    finally:
        os.close(file)
