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
from datetime import timedelta
from pathlib import Path

from a2a_session_manager import FileSessionStore, SessionChange
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionAlreadyExists, SessionNotFound
from a2a_session_manager.models import clock
from a2a_session_manager.models.session_head import SessionHead
from a2a_session_manager.protocols import PageOrder
from a2a_session_manager.testing.contract.making import said

INDEXED = ("owner", "kind")
OWNERS = ("ada", "bob", "eve")
FIXED = [f"fixed{number}" for number in range(4)]
IDS = [f"s{number}" for number in range(12)]
# Nobody changes them, and each was active long after the one before: their order is known.
STILL = [f"still{number}" for number in range(7)]
_APART_NANOSECONDS = 100_000_000_000
ORDERS: tuple[PageOrder, ...] = ("updated", "created", "id")
# Between pages, an order by activity is exact to this.
GRAIN = timedelta(seconds=10)
# Pages are right whatever the clocks of writers say.
JUMPS = (0, 0, 0, 11_000_000_000, -3_600_000_000_000, 3_600_000_000_000)


def store_in(directory: Path) -> FileSessionStore:
    return FileSessionStore(directory, indexed=INDEXED)


async def make_fixed(directory: Path) -> None:
    """Make the sessions that nobody deletes."""
    async with store_in(directory) as store:
        for session_id in FIXED:
            await store.create(session_id, change=SessionChange(set_properties={"kind": "fixed", "owner": "ada"}))
        for number, session_id in enumerate(STILL):
            _set_clock((number - len(STILL)) * _APART_NANOSECONDS)
            await store.create(session_id, change=SessionChange(set_properties={"kind": "still", "owner": "eve"}))


async def check_order(
    store: FileSessionStore, order: PageOrder, *, newest_first: bool, limit: int, properties: dict[str, str]
) -> list[SessionHead]:
    """Read all pages of a query that takes the still ones, hold them to the order that is promised, and return all."""
    found: list[SessionHead] = []
    cursor = None
    while True:
        page = await store.page(
            order=order, newest_first=newest_first, limit=limit, properties=properties, cursor=cursor
        )
        assert len(page) == limit or page.cursor is None
        if order == "updated":
            times = [each.updated_at for each in page]
            assert times == sorted(times, reverse=newest_first), (newest_first, times)
        found += page
        if (cursor := page.cursor) is None:
            break
    if order == "created":
        times = [each.created_at for each in found]
        assert times == sorted(times, reverse=newest_first), (newest_first, times)
    still = [each.id for each in found if each.id in STILL]
    assert order == "id" or still == (STILL[::-1] if newest_first else STILL), (order, newest_first, still)
    assert sorted(still) == STILL
    return found


def _set_clock(jump: int) -> None:
    clock.time_ns = lambda: time.time_ns() + jump


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
        _set_clock(self._chance.choice(JUMPS))
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
        order, is_newest_first = self._chance.choice(ORDERS), self._chance.choice([True, False])
        properties = self._chance.choice([{}, {"kind": "still"}, {"owner": "eve"}, {"kind": "still", "owner": "eve"}])
        limit = self._chance.choice([1, 3, 100])
        await check_order(self._store, order, newest_first=is_newest_first, limit=limit, properties=properties)

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
