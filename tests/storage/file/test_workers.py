"""The file store's threads: they end with their store, and not before what was begun is finished."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.file.syncing import Syncer
from a2a_session_manager.storage.file.workers import Work, Workers
from a2a_session_manager.testing.contract.making import said

NO_HANG_SECONDS = 20

# Ends while one piece of work is under way and another one waits for it.
ENDING = """
import asyncio, sys, time
from contextvars import Context
from pathlib import Path
from a2a_session_manager.storage.file.workers import Workers

def slow(name):
    time.sleep(0.2)
    Path(sys.argv[1], name).write_text("finished")

async def main():
    workers = Workers(1, name="test-workers")
    for name in ("begun", "waiting"):
        workers.start(lambda name=name: slow(name)).add_done_callback(print, context=Context())

asyncio.run(main())
"""


def threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(name)]


def have_ended(name: str) -> bool:
    """Tell whether no thread of that name is left, giving them time to let go of their last work and end."""
    deadline = time.monotonic() + NO_HANG_SECONDS
    while threads(name) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.01)
    return not threads(name)


def told(work: Work[str]) -> asyncio.Future[str]:
    """Return a future of what the work tells its loop."""
    outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def tell(work: Work[str]) -> None:
        if (failure := work.exception()) is None:
            outcome.set_result(work.result())
        else:
            outcome.set_exception(failure)

    work.add_done_callback(tell, context=Context())
    return outcome


def raising() -> str:
    raise ZeroDivisionError("for the caller")


async def test_work_tells_its_loop_what_came_of_it() -> None:
    workers = Workers(2, name="test-workers")

    assert await told(workers.start(lambda: "done")) == "done"
    with pytest.raises(ZeroDivisionError, match="for the caller"):
        await told(workers.start(raising))
    workers.close()


async def test_closed_workers_finish_what_was_begun_and_take_no_more() -> None:
    may_end = threading.Event()
    workers = Workers(1, name="test-workers")
    begun = told(workers.start(lambda: str(may_end.wait())))
    waiting = told(workers.start(lambda: "after it"))
    workers.close()
    with pytest.raises(StoreUnavailable, match="the store is closed"):
        workers.start(lambda: "too late")
    may_end.set()

    assert [await begun, await waiting] == ["True", "after it"]
    assert await asyncio.to_thread(have_ended, "test-workers")


async def test_workers_that_nobody_holds_any_more_end() -> None:
    workers = Workers(1, name="test-workers")
    await told(workers.start(lambda: "done"))
    assert threads("test-workers")
    del workers

    assert await asyncio.to_thread(have_ended, "test-workers")


def test_a_process_that_ends_finishes_the_work_that_was_begun_and_that_waits(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDING, str(tmp_path)]
    subprocess.run(command, check=True, timeout=NO_HANG_SECONDS)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["begun", "waiting"]


async def _write_to_many(directory: Path) -> FileSessionStore:
    store = FileSessionStore(directory, durability="disk")
    for number in range(4):
        await store.create(f"s{number}")
    await asyncio.gather(*(store.append(f"s{number}", said("x")) for number in range(4)))
    return store


async def _closed(directory: Path) -> None:
    await (await _write_to_many(directory)).aclose()


async def _forgotten(directory: Path) -> None:
    await _write_to_many(directory)


@pytest.mark.parametrize("leave", [_closed, _forgotten])
def test_the_threads_of_a_store_end_with_it(tmp_path: Path, leave: Callable[[Path], Coroutine[Any, Any, None]]) -> None:
    assert have_ended("a2a-session")  # those of earlier tests
    asyncio.run(leave(tmp_path))

    assert have_ended("a2a-session")


def test_files_are_synced_also_when_the_interpreter_starts_nothing_in_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    syncer = Syncer()
    syncer.close()

    assert syncer.sync([3, 4, 5]) == {}
    assert synced == [3, 4, 5]
