"""Sessions that pages find, and pages compared with what reading all heads comes to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from a2a_session_manager import FileSessionStore, SessionChange
from a2a_session_manager.storage.page_records import PageQuery
from a2a_session_manager.storage.page_walk import count_by_walking, page_by_walking

OWNERS = ("ada", "bob", "eve")
SESSIONS = 6


def store_in(directory: Path, *indexed: str) -> FileSessionStore:
    return FileSessionStore(directory, indexed=indexed or ("owner",))


async def write(store: FileSessionStore) -> None:
    """Make sessions of three owners, each active after the one before, and a child."""
    for number in range(SESSIONS):
        properties = {"owner": OWNERS[number % len(OWNERS)], "team": "all", "title": f"Trip {number}"}
        await store.create(f"s{number}", change=SessionChange(set_properties=properties))
    await store.create("child", parent_id="s0", change=SessionChange(set_properties={"owner": "ada"}))


async def check(directory: Path, *indexed: str) -> None:
    """Compare what the catalog brings a cold store with what reading all heads does."""
    async with store_in(directory, *indexed) as cold:
        await check_store(cold)


async def check_store(store: FileSessionStore) -> None:
    backend: Any = store._backend
    for query in queries(*backend.indexed):
        truth = await page_by_walking(backend, store._namespace, query, cursor=None, limit=1_000, last=0)
        page = await backend.page(store._namespace, query, cursor=None, limit=1_000, last=0)
        found = [each.head.key.id for each in page.sessions]
        assert sorted(found) == sorted(each.head.key.id for each in truth.sessions), query
        assert page.cursor is None
        if not query.title:
            count = await backend.count(store._namespace, query)
            assert count == await count_by_walking(backend, store._namespace, query) == len(found), query


def queries(*indexed: str) -> list[PageQuery]:
    found = [PageQuery("updated"), PageQuery("updated", newest_first=False), PageQuery("created", roots_only=True)]
    found.append(PageQuery("updated", title="trip 1"))
    owner = {"owner": f'"{OWNERS[0]}"'.encode()}
    if "owner" in indexed:
        found += [PageQuery("updated", properties=owner), PageQuery("created", properties=owner)]
    return found


async def rows(store: FileSessionStore) -> int:
    """Return how many sessions are in the tables, gone ones as well."""
    backend: Any = store._backend
    return int(await asyncio.to_thread(lambda: backend._pages._ready(store._namespace, PageQuery("id")).size()))


def journal_of(directory: Path) -> Path:
    return directory / "default" / "catalog" / "journal"


async def tables_in(directory: Path) -> set[Path]:
    """Return the files of the tables."""
    return set(await asyncio.to_thread(lambda: list(journal_of(directory).parent.glob("*.db*"))))


async def size_of(path: Path) -> int:
    return (await asyncio.to_thread(path.stat)).st_size
