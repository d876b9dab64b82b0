"""Writes of two stores over one directory that take turns, so many steps each as a test says.

So every place where others may come in between can be tried, one by one, and nothing depends on time.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import SessionManagerError
from a2a_session_manager.storage.file import FileSessionStore, descriptors, writes
from a2a_session_manager.storage.file.framed_file import FramedFile

Work = Callable[[FileSessionStore], Awaitable[Any]]
Outcome = str

_STEPS = frozenset({"open", "os.link", "os.remove", "os.rename", "os.mkdir", "os.truncate", "fcntl.flock"})
_BUSY_SECONDS = 0.02
_NO_HANG_SECONDS = 30


class Turns:
    """Lets one of two writers go on at a time. It changes in front of a step, when a run of so many is over."""

    def __init__(self, runs: Sequence[int]) -> None:
        self._runs: Iterator[int] = iter(runs)
        self._left = next(self._runs, None)
        self._turn = 0
        self._may_go = (threading.Event(), threading.Event())
        self._is_over = [False, False]
        self.seen: list[tuple[int, str]] = []

    def begin(self, writer: int) -> None:
        if writer == self._turn:
            self._may_go[writer].set()
        self._may_go[writer].wait(_NO_HANG_SECONDS)

    def step(self, event: str) -> None:
        if self._left == 0:
            self._left = next(self._runs, None)
            other = 1 - self._turn
            if not self._is_over[other]:
                self._change(other)
        self.seen.append((self._turn, event))
        if self._left is not None:
            self._left -= 1

    def end(self, writer: int) -> None:
        self._is_over[writer] = True
        self._left = None
        self._turn = 1 - writer
        self._may_go[1 - writer].set()

    def _change(self, other: int) -> None:
        mine = self._may_go[1 - other]
        mine.clear()
        self._turn = other
        self._may_go[other].set()
        mine.wait(_NO_HANG_SECONDS)


_turns: Turns | None = None
_is_listening = False


def _hear(event: str, _: tuple[Any, ...] = ()) -> None:
    # Whoever opens a file to lock it holds a lock of the whole process: nobody can be stopped there.
    if event == "open" and descriptors._lock.locked():
        return
    if _turns is not None and event in _STEPS and threading.current_thread().name.startswith("a2a-session-"):
        _turns.step(event)


def listen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have steps counted in this test, and let nobody wait long for a file that the other writer holds."""
    global _is_listening
    if not _is_listening:  # an audit hook stays for as long as the process
        sys.addaudithook(_hear)
        _is_listening = True
    catch_up = FramedFile.catch_up

    def noted(file: FramedFile, **how: Any) -> bool:
        if _turns is not None:
            _turns.step("catch up")
        return catch_up(file, **how)

    monkeypatch.setattr(FramedFile, "catch_up", noted)
    monkeypatch.setattr(writes, "BUSY_SECONDS", _BUSY_SECONDS)


async def outcome_of(store: FileSessionStore, work: Work) -> Outcome:
    """Do the work and return what its caller hears: "done", or the name of the error."""
    try:
        await work(store)
    except SessionManagerError as error:
        return type(error).__name__
    return "done"


def crossed(
    directory: Path, writers: Sequence[Sequence[Work]], runs: Sequence[int]
) -> tuple[list[list[Outcome]], Turns]:
    """Let two writers do their works in turns: the first one for `runs[0]` steps, the other for `runs[1]`, and so on.

    After the last run the other one goes on to its end. Returns what each heard.
    """
    global _turns
    turns = Turns(runs)
    heard: list[list[Outcome]] = [[], []]
    ready = threading.Barrier(2, timeout=_NO_HANG_SECONDS)

    async def write(writer: int) -> None:
        async with FileSessionStore(directory) as store:
            for name in ("c", "r1", "r2"):  # the directory is prepared, and what is known of it is from before
                await store.get(name)
            await asyncio.to_thread(_start, writer)
            try:
                heard[writer].extend([await outcome_of(store, work) for work in writers[writer]])
            finally:
                turns.end(writer)

    def _start(writer: int) -> None:
        global _turns
        ready.wait()
        _turns = turns
        turns.begin(writer)

    threads = [threading.Thread(target=asyncio.run, args=(write(writer),)) for writer in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_NO_HANG_SECONDS)
    _turns = None
    return heard, turns
