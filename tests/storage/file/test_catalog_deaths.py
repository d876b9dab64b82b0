"""Deaths in the middle of what the catalog is told: no page is short, and nothing of what is gone stays."""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import CorruptSession, SessionChange, StoreUnavailable
from a2a_session_manager.models.clock import now_micros
from a2a_session_manager.storage import encoding
from a2a_session_manager.storage.file import (
    catalog_upkeep,
    creating,
    log_commits,
)
from a2a_session_manager.storage.file.catalog import STALE_MICROS, Catalog
from a2a_session_manager.storage.file.handles import BusyError
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
from tests.storage.file.processes.common import file_of


async def test_a_commit_that_was_cut_off_leaves_order_and_counts_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
    with monkeypatch.context() as dying:
        dying.setattr(log_commits, "append_frames", _dies)
        async with store_in(tmp_path) as store:
            for change in (SessionChange(set_properties={"owner": "bob"}), SessionChange(set_state={"a": 1})):
                with pytest.raises(StoreUnavailable):
                    await store.commit("s0", change)

    async with store_in(tmp_path) as store:
        order = [each.id for each in await store.page(limit=2)]
        assert order == ["child", f"s{SESSIONS - 1}"]
        assert (await store.page(limit=100))[-1].id == "s0"
        await check_store(store)


def _dies(*_: object, **__: object) -> Any:
    raise OSError(5, "died")


async def test_what_was_not_told_after_a_commit_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Catalog, "changed", _is_busy)
    async with store_in(tmp_path) as store:
        await write(store)
        await store.commit("s0", SessionChange(set_properties={"owner": "bob"}))

        await check_store(store)


def _is_busy(*_: object) -> Any:
    raise BusyError


async def test_a_creation_that_was_cut_off_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        with monkeypatch.context() as dying:
            dying.setattr(creating, "create_atomically", _dies)
            for parent_id in (None, "s1"):
                with pytest.raises(StoreUnavailable):
                    await store.create(f"never below {parent_id}", parent_id=parent_id)

        await check_store(store)
        assert await rows(store) == SESSIONS + 1
        assert not await asyncio.to_thread(file_of(tmp_path, "never below None", ".tree").exists)


async def test_a_deletion_that_was_cut_off_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        with monkeypatch.context() as dying:
            dying.setattr(Catalog, "deleted", _is_busy)
            await store.delete("s0", children="cascade")

        await check_store(store)
        assert await rows(store) == SESSIONS - 1


async def test_a_deletion_that_did_not_come_about_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        with monkeypatch.context() as dying:
            dying.setattr("a2a_session_manager.storage.file.tree.TreeFile.delete", _dies)
            with pytest.raises(StoreUnavailable):
                await store.delete("s1")

        await check_store(store)
        assert await rows(store) == SESSIONS + 1


async def test_a_commit_within_ten_seconds_of_the_last_one_tells_the_catalog_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        sizes = [await size_of(journal_of(tmp_path))]
        ahead = 0
        for shift in (0, 0, STALE_MICROS + 1, 0):
            ahead += shift
            monkeypatch.setattr(encoding, "now_micros", partial(_now, ahead))
            await store.append("s0", said())
            sizes.append(await size_of(journal_of(tmp_path)))

        assert sizes[0] == sizes[1] == sizes[2] < sizes[3] == sizes[4]
        assert (await store.page(limit=1))[0].id == "s0"


def _now(ahead: int) -> int:
    return now_micros() + ahead


async def test_a_rebuild_that_was_cut_off_goes_on_where_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
    await asyncio.to_thread(shutil.rmtree, tmp_path / "default" / "catalog")
    monkeypatch.setattr(catalog_upkeep, "_SESSIONS_A_STEP", 1)
    told: list[str] = []
    tell_tree = catalog_upkeep._tell_tree

    def tell(directory: Any, root: Any) -> int:
        if len(told) == SESSIONS // 2:
            told.append("death")
            raise OSError(5, "died")
        told.append(root.id)
        return tell_tree(directory, root)

    monkeypatch.setattr(catalog_upkeep, "_tell_tree", tell)
    async with store_in(tmp_path) as store:
        with pytest.raises((OSError, StoreUnavailable)):
            await store.page()
    await check(tmp_path)

    told.remove("death")
    assert sorted(told) == sorted(f"s{number}" for number in range(SESSIONS))


async def test_a_damaged_session_fails_a_rebuild_by_its_name(tmp_path: Path) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        await store.append("s3", said())
    await asyncio.to_thread(shutil.rmtree, tmp_path / "default" / "catalog")
    await asyncio.to_thread(file_of(tmp_path, "s3", ".tree").unlink)

    async with store_in(tmp_path) as store:
        for _ in range(2):
            with pytest.raises(CorruptSession, match="s3"):
                await store.page()


async def test_an_index_that_is_made_anew_has_all_sessions_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with store_in(tmp_path) as store:
        await write(store)
        before = await tables_in(tmp_path)
        monkeypatch.setattr(Catalog, "deleted", _is_busy)
        await store.delete("s1")
        assert await store.rebuild_index() == SESSIONS
        assert not before & await tables_in(tmp_path)
        assert await store.namespace("nowhere").rebuild_index() == 0
