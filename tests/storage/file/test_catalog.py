"""The catalog that pages are read from: right after deaths, damage and copies, by what reading all heads comes to."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import SessionChange, SessionManager
from a2a_session_manager.storage.file import (
    catalog,
    catalog_pages,
    descriptors,
)
from a2a_session_manager.storage.file.catalog_journal import Journal
from a2a_session_manager.storage.file.catalog_tables import CatalogTables
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.catalogued import (
    SESSIONS,
    check,
    check_store,
    journal_of,
    rows,
    size_of,
    store_in,
    tables_in,
    write,
)


async def test_pages_are_those_of_all_heads(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        await check_store(store)
        await store.append("s3", said())
        await store.commit("s4", SessionChange(set_properties={"owner": "ada", "title": "Trip 1, too"}))
        await store.delete("s5")
        await store.delete("s0", children="cascade")
        await check_store(store)

        assert await rows(store) == SESSIONS - 2
    await check(tmp_path)


async def test_another_process_sees_what_was_written_since(tmp_path: Path) -> None:
    async with store_in(tmp_path) as one, store_in(tmp_path) as other:
        await write(one)
        assert len(await other.page(limit=100)) == SESSIONS + 1
        await one.create("new", change=SessionChange(set_properties={"owner": "ada"}))
        await one.delete("s1")

        assert (await other.page(limit=1))[0].id == "new"
        await check_store(other)


def _lose(path: Path) -> None:
    path.unlink()


def _lose_all(path: Path) -> None:
    shutil.rmtree(path.parent)


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _nonsense(path: Path) -> None:
    path.write_bytes(b"nonsense " * 2_000)


def _turn_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def _turn_the_first_bits(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[:8] = bytes(each ^ 4 for each in data[:8])
    path.write_bytes(data)


DAMAGES = (_lose, _lose_all, _empty, _cut, _nonsense, _turn_a_bit, _turn_the_first_bits)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("has_tables", [True, False])
async def test_a_journal_that_is_lost_or_damaged_makes_no_page_short(
    tmp_path: Path, damage: Callable[[Path], None], has_tables: bool
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        if has_tables:
            await store.page()
            await store.create("later", change=SessionChange(set_properties={"owner": "ada"}))
        await asyncio.to_thread(damage, journal_of(tmp_path))

        await check_store(store)
        await store.create("last", change=SessionChange(set_properties={"owner": "ada"}))
        await check_store(store)
    await check(tmp_path)


@pytest.mark.parametrize("damage", [_lose, _lose_all, _empty, _nonsense, _turn_the_first_bits])
async def test_tables_that_are_lost_or_damaged_make_no_page_short(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        await store.page()
    for path in await tables_in(tmp_path):
        await asyncio.to_thread(damage, path)

    await check(tmp_path)


@pytest.mark.parametrize(
    ("owner", "name", "nth"),
    [
        (Journal, "_new_file", 1),
        (Journal, "open", 3),
        (CatalogTables, "open", 1),
        (CatalogTables, "open", 2),
        (CatalogTables, "take", 1),
        (descriptors, "opened", 2),
    ],
    ids=lambda each: getattr(each, "__name__", each),
)
async def test_a_catalog_that_is_removed_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, nth: int
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
    folder = journal_of(tmp_path).parent
    await asyncio.to_thread(shutil.rmtree, folder)
    step, steps = getattr(owner, name), 0

    def disturbed(*arguments: Any, **options: Any) -> Any:
        nonlocal steps
        steps += owner is not descriptors or Path(arguments[0]).parent == folder
        if steps == nth:
            shutil.rmtree(folder, ignore_errors=True)
        return step(*arguments, **options)

    monkeypatch.setattr(owner, name, disturbed)
    async with store_in(tmp_path) as store:
        assert len(await store.page(limit=100)) == SESSIONS + 1
        await store.append("s3", said())
        await store.create("new", change=SessionChange(set_properties={"owner": "ada"}))
        await check_store(store)

    assert steps >= nth


async def test_tables_are_not_made_of_a_journal_that_goes_on_from_lost_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_FOLLOWED_BYTES", 2_000)
    async with store_in(tmp_path) as store:
        await write(store)
        await store.page()
        await store.create("later", change=SessionChange(set_properties={"owner": "ada"}))
    assert await size_of(journal_of(tmp_path)) < 2_000
    for path in await tables_in(tmp_path):
        await asyncio.to_thread(_lose, path)

    await check(tmp_path)


async def test_a_store_with_other_properties_finds_sessions_by_them_and_takes_none_from_the_first(
    tmp_path: Path,
) -> None:
    async with store_in(tmp_path, "owner") as first:
        await write(first)
        await check_store(first)
        async with store_in(tmp_path, "team") as second:
            assert await second.count(properties={"team": "all"}) == SESSIONS
            await second.create("of second", change=SessionChange(set_properties={"owner": "ada", "team": "all"}))
            assert await second.count(properties={"team": "all"}) == SESSIONS + 1
        await check_store(first)
        await first.create("of first", change=SessionChange(set_properties={"owner": "ada", "team": "all"}))
    async with store_in(tmp_path, "team") as second:
        assert await second.count(properties={"team": "all"}) == SESSIONS + 2


async def test_a_directory_that_was_copied_does_not_believe_the_catalog_of_another_moment(tmp_path: Path) -> None:
    async with store_in(tmp_path / "one") as store:
        await write(store)
        await store.page()
        await asyncio.to_thread(shutil.copytree, tmp_path / "one" / "default" / "catalog", tmp_path / "older")
        await store.create("later")
    await asyncio.to_thread(shutil.copytree, tmp_path / "one", tmp_path / "two")
    await asyncio.to_thread(shutil.rmtree, tmp_path / "two" / "default" / "catalog")
    await asyncio.to_thread(shutil.copytree, tmp_path / "older", tmp_path / "two" / "default" / "catalog")

    await check(tmp_path / "two")


async def test_a_catalog_from_before_the_machine_was_started_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        await store.page()
    before = await tables_in(tmp_path)
    monkeypatch.setattr("a2a_session_manager.storage.file.catalog_journal.boot", lambda: "another")

    await check(tmp_path)

    assert not before & await tables_in(tmp_path)


async def test_a_namespace_that_is_not_there_has_no_sessions_and_is_not_made(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        await store.create("one")
        nowhere = store.namespace("nowhere")
        assert len(await nowhere.page()) == await nowhere.count() == 0

    assert not await asyncio.to_thread((tmp_path / "@nowhere").exists)


async def test_a_directory_that_can_only_be_read_has_all_its_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
    await asyncio.to_thread(shutil.rmtree, tmp_path / "default" / "catalog")
    monkeypatch.setattr(os, "access", lambda *_: False)

    async with store_in(tmp_path) as store:
        assert len(await store.page(limit=100)) == await store.count() == SESSIONS + 1
    assert not await asyncio.to_thread((tmp_path / "default" / "catalog").exists)


async def test_a_python_without_sqlite_has_all_its_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog_pages, "HAS_SQLITE", False)
    monkeypatch.setattr(catalog, "HAS_SQLITE", False)
    monkeypatch.setattr(catalog, "_FOLLOWED_BYTES", 1_000)
    async with store_in(tmp_path) as store:
        await write(store)
        assert len(await store.page(limit=100)) == await store.count() == SESSIONS + 1
        assert await store.rebuild_index() is None

    assert not await tables_in(tmp_path)
    monkeypatch.undo()
    await check(tmp_path)


@contextlib.asynccontextmanager
async def held(tables: Path, journal: Path) -> AsyncIterator[None]:
    """Be in the middle of a transaction, and of an append."""

    def hold() -> tuple[sqlite3.Connection, int]:
        reader = sqlite3.connect(tables, isolation_level=None, check_same_thread=False)
        reader.execute("BEGIN IMMEDIATE")
        appender = os.open(journal, os.O_RDONLY)
        fcntl.flock(appender, fcntl.LOCK_SH)
        return reader, appender

    reader, appender = await asyncio.to_thread(hold)
    yield
    await asyncio.to_thread(reader.close)
    await asyncio.to_thread(os.close, appender)


async def test_who_writes_does_not_wait_for_who_reads_pages(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        await store.page()
        [tables] = [path for path in await tables_in(tmp_path) if path.suffix == ".db"]
        async with held(tables, journal_of(tmp_path)):
            await store.create("new", change=SessionChange(set_properties={"owner": "ada"}))
            await store.commit("s0", SessionChange(set_properties={"owner": "bob"}))
            await store.delete("s1")
        await check_store(store)


async def test_journals_are_kept_short_where_nobody_reads_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "_FOLLOWED_BYTES", 1_000)
    async with store_in(tmp_path) as store:
        for number in range(60):
            await store.create(f"s{number}")
        backend: Any = store._backend
        await asyncio.to_thread(backend._directory._catalog_pools.later._executor.shutdown)

    assert await size_of(journal_of(tmp_path)) < 60 * 100
    await check(tmp_path)


async def test_titles_longer_than_a_line_are_found(tmp_path: Path) -> None:
    async with SessionManager(store_in(tmp_path)) as sessions:
        await sessions.create("long")
        await sessions.set_title("long", "x" * 5_000 + "ENDE")
        await sessions.create("other")

        assert [each.id for each in await sessions.page(title="xende")] == ["long"]
