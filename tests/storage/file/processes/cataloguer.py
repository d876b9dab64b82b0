"""Writes to sessions that others write to as well, and reads pages of them, until it is killed.

Usage: cataloguer.py DIRECTORY SEED NOTES. What it finds wrong ends it with an error. NOTES get a byte for each thing
that was done.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from a2a_session_manager import FileSessionStore, SessionChange
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.models import clock
from a2a_session_manager.testing.contract.making import said

INDEXED = ("owner", "kind")
OWNERS = ("ada", "bob", "eve")
FIXED = [f"fixed{number}" for number in range(4)]
IDS = [f"s{number}" for number in range(12)]
# Pages are right whatever the clocks of writers say.
JUMPS = (0, 0, 0, 11_000_000_000, -3_600_000_000_000, 3_600_000_000_000)


def store_in(directory: Path) -> FileSessionStore:
    return FileSessionStore(directory, indexed=INDEXED)


async def make_fixed(directory: Path) -> None:
    """Make the sessions that nobody deletes."""
    async with store_in(directory) as store:
        for session_id in FIXED:
            await store.create(session_id, change=SessionChange(set_properties={"kind": "fixed", "owner": "ada"}))


class Cataloguer:
    """Does one thing by chance after the other."""

    def __init__(self, store: FileSessionStore, seed: int) -> None:
        self._store = store
        self._chance = random.Random(seed)
        self._works: list[Callable[[], Awaitable[object]]] = [
            self._create, self._create, self._create_below, self._append, self._append, self._change, self._change,
            self._entitle, self._delete, self._read,
        ]  # fmt: skip

    async def work(self) -> None:
        jump = self._chance.choice(JUMPS)
        clock.time_ns = lambda: time.time_ns() + jump
        with suppress(SessionAlreadyExists, SessionNotFound, InvalidSessionOperation):
            await self._chance.choice(self._works)()

    @property
    def _any(self) -> str:
        return self._chance.choice(IDS + FIXED)

    async def _create(self) -> None:
        await self._store.create(self._chance.choice(IDS), change=self._owned())

    async def _create_below(self) -> None:
        await self._store.create(self._chance.choice(IDS), parent_id=self._any, change=self._owned())

    async def _append(self) -> None:
        await self._store.append(self._any, said())

    async def _change(self) -> None:
        await self._store.commit(self._any, self._owned())

    async def _entitle(self) -> None:
        title = f"Trip {self._chance.randrange(3)}"
        await self._store.commit(self._any, SessionChange(set_properties={"title": title}))

    async def _delete(self) -> None:
        await self._store.delete(self._chance.choice(IDS), children="cascade")

    async def _read(self) -> None:
        page = await self._store.page(properties={"kind": "fixed"}, order=self._chance.choice(["updated", "created"]))
        assert sorted(each.id for each in page) == FIXED, [each.id for each in page]
        assert await self._store.count(properties={"kind": "fixed"}) == len(FIXED)

    def _owned(self) -> SessionChange:
        return SessionChange(set_properties={"owner": self._chance.choice(OWNERS)})


async def main() -> None:
    directory, seed, notes = sys.argv[1:]
    file = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    async with store_in(Path(directory)) as store:
        cataloguer = Cataloguer(store, int(seed))
        while True:
            await cataloguer.work()
            os.write(file, b".")


if __name__ == "__main__":
    asyncio.run(main())
