"""Does one piece of work again and again, each time in a process that dies one file-system step later.

It reads lines of a SCENARIO, a TEMPLATE and a TARGET, apart by tabs, and answers each with a line when it is done.
It leaves TARGET/0, TARGET/1, … as each death left them; the last one had no death any more. Where TEMPLATE does not
exist, the work is the first use of its directory. Steps are counted where Python reports them (audit events) and around
os.write and os.pwrite, which die with half of their bytes written, and with all.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from a2a_session_manager.models.change import Restoration, Retraction, SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.file import FileSessionStore, index
from tests.storage.file.processes.made import said, spending

CHECKPOINT_BYTES = 600
_STEPS = frozenset({"os.link", "os.rename", "os.remove", "os.mkdir", "os.truncate"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


async def create_root(store: BaseSessionStore) -> None:
    change = SessionChange(events=[spending(3, id="n1")], set_state={"a": 1})
    await store.create("new", change=change, write_id="w")


async def create_child(store: BaseSessionStore) -> None:
    change = SessionChange(events=[spending(3, id="n1")])
    await store.create("new", parent_id="root", change=change, write_id="w")


async def fork(store: BaseSessionStore) -> None:
    await store.fork("other", at=2, new_id="new")


async def append_to_fork(store: BaseSessionStore) -> None:
    await store.append("fork", said(id="other-3"), said("x" * CHECKPOINT_BYTES, id="n1"), spending(3, id="n2"))


async def delete_source(store: BaseSessionStore) -> None:
    await store.delete("other", children="cascade")


async def delete_leaf(store: BaseSessionStore) -> None:
    await store.delete("leaf")


async def delete_subtree(store: BaseSessionStore) -> None:
    await store.delete("child", children="cascade")


async def delete_root(store: BaseSessionStore) -> None:
    await store.delete("root", children="cascade")


async def append(store: BaseSessionStore) -> None:
    await store.append("root", spending(3, id="n1"), said("x" * CHECKPOINT_BYTES, id="n2"))


async def restore(store: BaseSessionStore) -> None:
    change = SessionChange(
        restoration=Restoration(write_id="hid"),
        retraction=Retraction(["other-3"]),
        events=[said("x" * CHECKPOINT_BYTES, id="n1")],
    )
    await store.commit("other", change, write_id="w")


SCENARIOS: dict[str, Callable[[BaseSessionStore], Awaitable[None]]] = {
    work.__name__: work
    for work in (
        create_root,
        create_child,
        fork,
        delete_leaf,
        delete_subtree,
        delete_root,
        delete_source,
        append,
        append_to_fork,
        restore,
    )
}


async def make_template(directory: Path) -> None:
    """A tree root → child → leaf, each with spend, and a checkpoint beside the root's log."""
    async with FileSessionStore(directory) as store:
        for name, parent_id, tokens in (("root", None, 1), ("child", "root", 10), ("leaf", "child", 100)):
            await store.create(name, parent_id=parent_id)
            await store.append(name, spending(tokens, id=f"{name}-1"))
        await store.append("root", said("x" * CHECKPOINT_BYTES, id="root-2"))
        await store.create("other", change=SessionChange(events=[said(id=f"other-{number}") for number in (1, 2, 3)]))
        await store.fork("other", at=3, new_id="fork")
        await store.retract("other", "other-1", write_id="hid")


class _Death:
    """Counts steps and ends the process in front of one."""

    def __init__(self, step: int) -> None:
        self._left = step
        self._write, self._pwrite = os.write, os.pwrite
        setattr(os, "write", self.write)  # noqa: B010  # mypy knows it as a function
        setattr(os, "pwrite", self.pwrite)  # noqa: B010
        sys.addaudithook(self.hear)

    def step(self) -> None:
        if self._left == 0:
            os._exit(9)
        self._left -= 1

    def hear(self, event: str, details: tuple[Any, ...]) -> None:
        if event in _STEPS or (event == "open" and isinstance(details[2], int) and details[2] & _WRITING):
            self.step()

    def write(self, fd: int, data: bytes) -> int:
        if self._left == 0:
            self._write(fd, data[: len(data) // 2])
        self.step()
        written = self._write(fd, data)
        self.step()
        return written

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        if self._left == 0:
            self._pwrite(fd, data[: len(data) // 2], offset)
        self.step()
        return self._pwrite(fd, data, offset)


async def _work(scenario: str, directory: Path, step: int, is_first: bool) -> None:
    store = FileSessionStore(directory)
    if not is_first:
        await store.get("other")  # the directory is checked before the first step counts
    _Death(step)
    await SCENARIOS[scenario](store)


def _dies(scenario: str, directory: Path, step: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(_work(scenario, directory, step, is_first=not directory.exists()))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code not in (0, 9):
        raise SystemExit(f"{scenario} failed at step {step}")
    return code == 9


def main() -> None:
    index.CHECKPOINT_BYTES, index.CHECKPOINT_RECORDS = CHECKPOINT_BYTES, 1
    for line in sys.stdin:
        scenario, template, target = line.rstrip("\n").split("\t")
        _die_at_each_step(scenario, Path(template), Path(target))
        print("done", flush=True)


def _die_at_each_step(scenario: str, template: Path, target: Path) -> None:
    target.mkdir()
    step = 0
    while True:
        directory = target / str(step)
        if template.exists():
            shutil.copytree(template, directory)
        if not _dies(scenario, directory, step):
            return
        step += 1


if __name__ == "__main__":
    main()
