"""A process that moves sessions, each time in a process of its own, which may kill itself in the middle of a write.

It reads a JSON object a line: `verb` is import, copy, claim or salvage, `source` and `target` are URLs, or the path of
a bundle, and `kill_at` the number of the write in whose middle it dies, 0 for none. It answers with the exit status.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from a2a_session_manager import BaseSessionStore, SessionEvent, SessionManager, StoreLimits
from a2a_session_manager.models.change import Retraction, SessionChange
from a2a_session_manager.storage import file, redis, store_from_url
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Guard, Receipt
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.lossy import LossyBackend

# So few events a batch, that a session takes several.
SMALL = StoreLimits(page_events=4)
_MIDDLE_SECONDS = 0.002
# Here once, and not in each of the processes.
_LOADED = (file, redis)


class Writes:
    """Counts the writes of all stores, and dies in the middle of one."""

    def __init__(self, kill_at: int) -> None:
        self._left = kill_at
        self._chance = random.Random(kill_at)

    async def make(self, write: Awaitable[Any]) -> Any:
        self._left -= 1
        if self._left == 0:
            begun = asyncio.ensure_future(write)
            await asyncio.wait([begun], timeout=self._chance.uniform(0, _MIDDLE_SECONDS))
            os.kill(os.getpid(), signal.SIGKILL)
        return await write


class DyingBackend(LossyBackend):
    """Lets `writes` make all of its own."""

    writes: Writes

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        receipt: Receipt = await self.writes.make(super().create(key, creation, commit))
        return receipt

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        receipt: Receipt = await self.writes.make(super().commit(key, commit))
        return receipt

    async def delete(self, key: SessionKey, creation_id: str, *, cascade: bool, guard: Guard | None) -> None:
        await self.writes.make(super().delete(key, creation_id, cascade=cascade, guard=guard))


async def move(verb: str, source: str, target: str, kill_at: int) -> None:
    """Do what a line asks for."""
    writes = Writes(kill_at)

    def opened(url: str) -> SessionManager:
        backend = DyingBackend(store_from_url(url)._open_backend)
        backend.writes = writes
        return SessionManager(BaseSessionStore(backend, limits=SMALL))

    there = opened(target)
    here = there if source == target else opened(source) if ":" in source else there
    if verb == "import":
        await there.import_bundle(source)
    elif verb == "copy":
        await here.copy(there)
    elif verb == "claim":
        await here.claim("trip", "ann", into=there)
    else:
        await here.salvage("trip", new_id="saved")
    for each in {here, there}:
        await each.store.aclose()


async def write(sessions: SessionManager, name: str) -> None:
    """Append to the session `busy` until the process is killed: each commit hides the event of the one before."""
    number = 0
    while True:
        hidden = Retraction((f"{name}{number - 1}",)) if number else None
        event = SessionEvent(id=f"{name}{number}", message="busy")
        change = SessionChange(events=[event], set_state={name: number + 1}, retraction=hidden)
        await sessions.commit("busy", change)
        number += 1
        await asyncio.sleep(0.05)  # copies, which are killed again and again, would never catch up on a busy machine


def in_child(work: Callable[[], Any]) -> int:
    """Do `work` in a process of its own; return its exit status, below zero for the signal that has ended it."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        work()
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def main() -> None:
    """Answer line by line."""
    for line in sys.stdin:
        print(in_child(partial(_run, json.loads(line))), flush=True)


def _run(asked: dict[str, Any]) -> None:
    asyncio.run(move(**asked))


if __name__ == "__main__":
    main()
