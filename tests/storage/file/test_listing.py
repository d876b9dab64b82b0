"""Listing files: few bytes of each session tell that it exists, and where they do not, all of them are read."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import FileSessionStore, StoreUnavailable
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.processes.common import file_of


async def listed(directory: Path, *, roots_only: bool = False) -> list[str]:
    """Return what a cold store lists, page by page."""
    async with FileSessionStore(directory) as cold:
        return sorted([each async for each in cold.iter_sessions(roots_only=roots_only, page_size=3)])


async def write(directory: Path) -> None:
    async with FileSessionStore(directory) as store:
        for name in ("alone", "parent", "Größe", "x" * 300):
            await store.create(name)
        await store.create("child", parent_id="parent")
        await store.create("grand/child", parent_id="child")
        await store.append("alone", said("one"))


ROOTS = sorted(["alone", "parent", "Größe", "x" * 300])
ALL = sorted([*ROOTS, "child", "grand/child"])


async def test_roots_and_children_are_listed(tmp_path: Path) -> None:
    await write(tmp_path)

    assert await listed(tmp_path) == ALL
    assert await listed(tmp_path, roots_only=True) == ROOTS


async def test_a_session_without_children_is_listed_without_reading_its_log(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        for number in range(20):
            await store.create(f"s{number}")
    async with FileSessionStore(tmp_path) as cold:
        assert len(await cold.list_sessions()) == 20

        backend: Any = cold._backend
        assert list(backend._directory._known._files) == []


def _empty_tree(directory: Path) -> None:
    file_of(directory, "alone", ".tree").write_bytes(b"")


def _no_tree(directory: Path) -> None:
    file_of(directory, "alone", ".tree").unlink()


def _torn_tree(directory: Path) -> None:
    tree = file_of(directory, "alone", ".tree")
    tree.write_bytes(tree.read_bytes()[:-3])


@pytest.mark.parametrize("cut", [_empty_tree, _no_tree, _torn_tree])
async def test_what_a_cut_off_creation_left_is_not_listed(tmp_path: Path, cut: Callable[[Path], None]) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("alone")
    await asyncio.to_thread(cut, tmp_path)

    assert await listed(tmp_path) == []


def _without_last_line(directory: Path) -> None:
    tree = file_of(directory, "parent", ".tree")
    tree.write_bytes(tree.read_bytes()[: tree.read_bytes().rindex(b"\n", 0, -1)])


async def test_a_child_that_its_tree_does_not_name_is_not_listed(tmp_path: Path) -> None:
    await write(tmp_path)
    await asyncio.to_thread(_without_last_line, tmp_path)

    assert await listed(tmp_path) == sorted({*ALL} - {"grand/child"})


async def test_a_log_of_another_life_than_its_tree_names_is_not_listed(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("alone")
        tree = file_of(tmp_path, "alone", ".tree")
        of_the_first_life = await asyncio.to_thread(tree.read_bytes)
        await store.delete("alone")
        await store.create("alone")
    await asyncio.to_thread(tree.write_bytes, of_the_first_life)

    assert await listed(tmp_path) == []


def _flip_log(directory: Path) -> None:
    _flip(file_of(directory, "alone"))


def _flip_tree(directory: Path) -> None:
    _flip(file_of(directory, "alone", ".tree"))


def _flip_log_of_a_child(directory: Path) -> None:
    _flip(file_of(directory, "child"))


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [_flip_log, _flip_tree, _flip_log_of_a_child])
async def test_damage_is_not_absence(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    await write(tmp_path)
    await asyncio.to_thread(damage, tmp_path)

    assert await listed(tmp_path) == ALL


@pytest.mark.parametrize("name", ["alone", "parent", "x" * 300])
@pytest.mark.parametrize("is_folder_lost", [False, True])
async def test_a_root_whose_log_is_lost_is_listed(tmp_path: Path, name: str, is_folder_lost: bool) -> None:
    await write(tmp_path)
    log = file_of(tmp_path, name)
    if is_folder_lost:
        await asyncio.to_thread(shutil.rmtree, log.parent)
    else:
        await asyncio.to_thread(log.unlink)

    assert name in await listed(tmp_path)
    assert name in await listed(tmp_path, roots_only=True)


async def test_what_was_deleted_and_is_not_swept_is_not_listed(tmp_path: Path) -> None:
    await write(tmp_path)
    log = file_of(tmp_path, "child")
    data = await asyncio.to_thread(log.read_bytes)
    async with FileSessionStore(tmp_path) as store:
        await store.delete("child", children="cascade")
    await asyncio.to_thread(log.write_bytes, data)

    assert await listed(tmp_path) == ROOTS


@pytest.mark.parametrize("suffix", [".log", ".tree"])
async def test_a_symlink_is_an_error(tmp_path: Path, suffix: str) -> None:
    await write(tmp_path)
    path = file_of(tmp_path, "alone", suffix)
    await asyncio.to_thread(os.rename, path, tmp_path / "elsewhere")
    await asyncio.to_thread(os.symlink, tmp_path / "elsewhere", path)

    with pytest.raises(StoreUnavailable, match="symlink"):
        await listed(tmp_path)
