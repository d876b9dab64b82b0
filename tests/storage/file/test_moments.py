"""Bad moments of the machine: no thread to be had, a fork in the midst of a write, the directory removed."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import SessionNotFound, StoreUnavailable
from a2a_session_manager.storage.file import Durability, FileSessionStore
from a2a_session_manager.storage.file.handles import FileHandle
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.processes.common import looked

NO_HANG_SECONDS = 20

# Dies while it holds the files of a creation, and leaves a child that was forked in that moment.
FORKING = """
import asyncio, os, signal, sys
from a2a_session_manager.storage.file import Durability, FileSessionStore
from a2a_session_manager.storage.file.tree import TreeFile

def fork_and_die(*_):
    if os.fork() == 0:
        os.write(1, b"%d\\n" % os.getpid())
        signal.pause()
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    store = FileSessionStore(sys.argv[1], durability="disk")
    await store.create("root")
    TreeFile.add = fork_and_die
    await store.create("child", parent_id="root")

asyncio.run(main())
"""


class Threads:
    """Says whether the system gives any threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = 1_000
        start = threading.Thread.start

        def limited(thread: threading.Thread) -> None:
            if self.left == 0:
                raise RuntimeError("can't start new thread")
            self.left -= 1
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", limited)


@pytest.fixture
def system_threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(monkeypatch)


@pytest.mark.parametrize("durability", ["process", "disk"])
async def test_without_a_thread_to_be_had_writes_and_reads_fail_with_an_error_of_ours_and_go_on_afterwards(
    tmp_path: Path, system_threads: Threads, durability: Durability
) -> None:
    async with FileSessionStore(tmp_path, durability=durability) as store, asyncio.timeout(NO_HANG_SECONDS):
        system_threads.left = 0
        for verb in (lambda: store.create("chat"), lambda: store.get("chat"), lambda: store.append("chat", said("x"))):
            with pytest.raises(StoreUnavailable, match="no thread can be started"):
                await verb()
        system_threads.left = 1_000
        await store.create("chat")
        await asyncio.gather(*(store.append("chat", said(id=f"{number}")) for number in range(20)))

    found = await asyncio.to_thread(looked, tmp_path, "chat")
    assert found is not None
    assert found["shown"] == [str(number) for number in range(20)]


async def test_one_thread_serves_where_no_second_one_can_be_had(tmp_path: Path, system_threads: Threads) -> None:
    async with FileSessionStore(tmp_path, durability="disk") as store, asyncio.timeout(NO_HANG_SECONDS):
        for name in ("a", "b", "c"):
            await store.create(name)
        system_threads.left = 0
        await asyncio.gather(*(store.append(name, said("x")) for name in "abc" for _ in range(5)))
        system_threads.left = 1_000  # for the first read

        assert [len(await store.events(name)) for name in "abc"] == [5, 5, 5]


async def test_a_store_closes_also_without_a_thread_to_be_had(tmp_path: Path, system_threads: Threads) -> None:
    store = FileSessionStore(tmp_path)
    system_threads.left = 0

    await store.aclose()


async def test_a_payload_that_needs_a_thread_fails_with_an_error_of_ours(
    tmp_path: Path, system_threads: Threads
) -> None:
    large = "x" * 400_000
    async with FileSessionStore(tmp_path) as store, asyncio.timeout(NO_HANG_SECONDS):
        await store.create("chat")
        system_threads.left = 0
        with pytest.raises(StoreUnavailable, match="no thread can be started"):
            await store.append("chat", said(large))
        system_threads.left = 1_000
        await store.append("chat", said(large))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_child_forked_while_a_lock_is_held_does_not_keep_it_when_its_parent_dies(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", FORKING, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        try:
            assert parent.wait(NO_HANG_SECONDS) == -signal.SIGKILL

            async def write() -> None:
                async with FileSessionStore(tmp_path) as store:
                    await store.append("root", said(id="after"))
                    await store.create("child", parent_id="root")
                    await store.append("child", said(id="made"))

            asyncio.run(write())
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("durability", ["process", "disk"])
async def test_a_store_whose_directory_is_removed_goes_on_in_a_new_one(tmp_path: Path, durability: Durability) -> None:
    directory = tmp_path / "sessions"
    async with FileSessionStore(directory, durability=durability) as store:
        await store.create("chat")
        await store.create("below", parent_id="chat")
        await store.append("chat", said("x"))
        await asyncio.to_thread(shutil.rmtree, directory)

        assert await store.get("chat") is None
        assert await store.list_sessions() == []
        with pytest.raises(SessionNotFound):
            await store.append("chat", said("x"))
        with pytest.raises(SessionNotFound):
            await store.create("other", parent_id="chat")
        await store.create("chat")
        await store.append("chat", said(id="again"))

    async with FileSessionStore(directory) as cold:
        assert [event.id for event in await cold.events("chat")] == ["again"]
        assert await cold.list_sessions() == ["chat"]


async def _create(directory: Path, session_id: str) -> None:
    async with FileSessionStore(directory) as store:
        await store.create(session_id)


async def test_a_root_is_made_though_its_new_tree_file_is_removed_by_another_creation_that_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = FileHandle._newly_opened
    removed: list[Path] = []

    def made_and_removed(handle: FileHandle, create: bool) -> int:
        fd = made(handle, create)
        if create and not removed:
            handle.path.unlink()
            removed.append(handle.path)
        return fd

    monkeypatch.setattr(FileHandle, "_newly_opened", made_and_removed)
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await store.create("child", parent_id="root")
    assert [path.name for path in removed] == ["root.tree"]

    async with FileSessionStore(tmp_path) as cold:
        assert await cold.tree("root") == [("root", None), ("child", "root")]


def test_only_old_leftovers_that_nobody_holds_are_removed(tmp_path: Path) -> None:
    asyncio.run(_create(tmp_path, "a"))
    long_ago = time.time() - 100_000
    for name in ("young", "old", "held"):
        (tmp_path / "new" / name).write_bytes(b"x")
    for name in ("old", "held"):
        os.utime(tmp_path / "new" / name, (long_ago, long_ago))
    with (tmp_path / "new" / "held").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        asyncio.run(_create(tmp_path, "b"))

    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["held", "young"]
