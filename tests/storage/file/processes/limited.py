"""Work within limits of the operating system. Usage: limited.py SCENARIO DIRECTORY."""

from __future__ import annotations

import asyncio
import os
import resource
import shutil
import sys
import tempfile
from collections.abc import Awaitable
from contextlib import aclosing
from pathlib import Path

from a2a_session_manager.exceptions import StoreFull, StoreUnavailable
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.file.processes.common import file_of

_NO_LIMIT = resource.RLIM_INFINITY


def _largest_file(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, _NO_LIMIT))


async def _refused(verb: Awaitable[object], kind: type[Exception], *words: str) -> None:
    (error,) = await asyncio.gather(verb, return_exceptions=True)
    assert isinstance(error, kind), error
    assert all(word in str(error) for word in words), error


async def few_files(directory: Path) -> None:
    """A thousand open sessions, a tree among them, and 64 files."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    names = [f"s{number}" for number in range(1_000)]
    async with FileSessionStore(directory) as store:
        await asyncio.gather(*(store.create(name) for name in names))
        await store.create("root")
        await asyncio.gather(*(store.create(f"c{number}", parent_id="root") for number in range(100)))
        await asyncio.gather(*(store.append(name, spending(1, id="e")) for name in names))
        await asyncio.gather(*(store.append(f"c{number}", spending(1)) for number in range(100)))
        assert len(os.listdir("/proc/self/fd")) < 64
        found = await store.get_many(names, last=1)
        assert all(session is not None and session.last_seq == 1 for session in found)
        assert (await store.usage("root", tree=True)).total_tokens == 200
        assert len(await store.list_sessions()) == 1_101
        await store.delete("root", children="cascade")
        assert await store.get("c7") is None


async def full_log(directory: Path) -> None:
    """The file's limit is met by the second of three records of one batch."""
    async with FileSessionStore(directory) as store:
        await store.create("chat")
        await store.create("other")
        sizes = {"first": 100, "second": 3_000, "third": 100}
        events = [said("x" * size, id=name) for name, size in sizes.items()]
        _largest_file(file_of(directory, "chat").stat().st_size + 1_500)
        results = await asyncio.gather(
            *(store.append("chat", event) for event in events),
            store.append("other", said("o", id="o")),
            return_exceptions=True,
        )
        assert [isinstance(result, StoreFull) for result in results] == [False, True, True, False], results
        await store.append("chat", said("small", id="small"))
        async with FileSessionStore(directory) as cold:
            assert [event.id for event in await cold.events("chat")] == ["first", "small"]
        _largest_file(_NO_LIMIT)
        for event in events:
            await store.append("chat", event)


async def full_create(directory: Path) -> None:
    """Neither log nor tree file can be written, then only the tree file cannot."""
    async with FileSessionStore(directory) as store:
        await store.create("root")
        for number in range(20):
            await store.create(f"a child of some name {number}", parent_id="root")
        for limit in (10, 1_000):
            _largest_file(limit)
            for parent_id in ("root",) if limit == 1_000 else ("root", None):
                await _refused(store.create("new", parent_id=parent_id, write_id="w"), StoreFull, str(directory))
            assert await store.get("new") is None
            await _refused(store.delete("root", children="cascade"), StoreFull, str(directory))
            assert await store.get("root") is not None
            _largest_file(_NO_LIMIT)
        await store.create("new", parent_id="root", write_id="w")
        assert "new" in await store.children("root")
        await store.delete("root", children="cascade")
        assert await store.list_sessions() == []


def _permit(directory: Path, folders: int, files: int) -> None:
    for path in [directory, *directory.rglob("*")]:
        path.chmod(folders if path.is_dir() else files)


def _below(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


async def _all_read(store: FileSessionStore) -> None:
    """Read the session and its child in every way."""
    async with store:
        chat = await store.get("chat")
        assert chat is not None
        assert (len(chat.events), chat.child_ids) == (300, ["chat/below"])
        assert sorted(await store.list_sessions()) == ["chat", "chat/below"]
        assert (await store.usage("chat", tree=True)).total_tokens == 0
        async with aclosing(store.follow("chat")) as events:
            assert (await anext(events)).message == "0"


async def read_only(_: Path) -> None:
    """Nobody may write below the directory; for root nothing is read-only, so it becomes somebody else."""
    public = Path(tempfile.mkdtemp(dir="/tmp"))
    try:
        async with FileSessionStore(public / "sessions") as store:
            await store.create("chat")
            await store.append("chat", *(said(f"{number}") for number in range(300)))
            await store.create("chat/below", parent_id="chat")
        await asyncio.to_thread((public / "bare").mkdir)
        await asyncio.to_thread(shutil.rmtree, public / "sessions" / "new")
        _permit(public, 0o555, 0o444)
        there = _below(public)
        if os.geteuid() == 0:
            os.seteuid(65534)
        await _all_read(FileSessionStore(public / "sessions"))
        await _all_read(FileSessionStore(public / "sessions", durability="disk"))
        async with FileSessionStore(public / "bare") as bare:
            assert await bare.list_sessions() == []
        assert _below(public) == there
        async with FileSessionStore(public / "sessions") as refused, FileSessionStore(public / "new") as unmade:
            for verb in (
                refused.create("other"),
                refused.append("chat", said("x")),
                refused.delete("chat"),
                unmade.create("chat"),
                unmade.get("chat"),
                FileSessionStore(public / "bare").create("chat"),
            ):
                await _refused(verb, StoreUnavailable, f"{public}", "check the path and its permissions")
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        _permit(public, 0o755, 0o644)
        shutil.rmtree(public)


def fork(directory: Path) -> None:
    """Fork with an open store, and write from both processes."""
    store = FileSessionStore(directory)

    async def append(name: str) -> None:
        await asyncio.gather(*(store.append("chat", said(id=f"{name} {number}")) for number in range(50)))

    async def begin() -> None:
        await store.create("chat")
        await append("before")

    asyncio.run(begin())
    child = os.fork()
    asyncio.run(append("parent" if child else "child"))
    if child == 0:
        asyncio.run(store.aclose())
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    asyncio.run(store.aclose())


if __name__ == "__main__":
    if sys.argv[1] == "fork":
        fork(Path(sys.argv[2]))
    else:
        asyncio.run(globals()[sys.argv[1]](Path(sys.argv[2])))
