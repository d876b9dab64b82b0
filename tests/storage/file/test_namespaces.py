"""Where the file store keeps nested namespaces, and what it lists of them when files are damaged or copied."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager import CorruptSession
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.testing.contract.making import said
from a2a_session_manager.testing.contract.namespaces import inside

LONG = "é" * 512


def made_in(path: Path, *places: tuple[str, ...]) -> None:
    """Make a session in each namespace."""

    async def make() -> None:
        async with FileSessionStore(path) as store:
            for names in places:
                await inside(store, names).create("talk")
                await inside(store, names).append("talk", said("hello"))

    asyncio.run(make())


def listed_in(path: Path, *names: str) -> list[str]:
    """Return what a cold store lists as directly inside a namespace."""

    async def read() -> list[str]:
        async with FileSessionStore(path) as store:
            return await inside(store, names).namespaces()

    return asyncio.run(read())


def test_a_namespace_lies_in_the_folder_of_that_outside_and_one_alone_where_it_always_lay(tmp_path: Path) -> None:
    made_in(tmp_path, (), ("acme",), ("acme", "EU"))
    logs = sorted(tmp_path.rglob("*.log"))

    found = [str(log.relative_to(tmp_path)).partition("/logs/")[0] for log in logs]
    assert found == ["@acme/@%45%55", "@acme", "default"]
    assert [_first_record(log)["birth"][0] for log in logs] == [["acme", "EU"], "acme", ""]


def _first_record(log: Path) -> dict[str, Any]:
    line = log.read_bytes().split(b"\n", 2)[1].partition(b"\t")[0]
    record: dict[str, Any] = json.loads(line[line.index(b"{") :])
    return record


def test_a_name_too_long_for_a_folder_is_told_by_the_sessions_in_it(tmp_path: Path) -> None:
    made_in(tmp_path, (LONG, LONG, "inner"))

    assert listed_in(tmp_path) == listed_in(tmp_path, LONG) == [LONG]
    next(tmp_path.rglob("*.log")).unlink()
    with pytest.raises(CorruptSession, match="its namespace's name"):
        listed_in(tmp_path)


def test_a_damaged_namespace_is_listed_and_what_is_none_is_not(tmp_path: Path) -> None:
    made_in(tmp_path, ("acme",))
    next(tmp_path.rglob("*.log")).write_bytes(b"nonsense")
    for name in ("@%zz", "@Upper", "acme", "@empty", "@"):
        (tmp_path / name / "logs" / "00").mkdir(parents=True)
    (tmp_path / "@file").write_text("no folder")
    (tmp_path / "@link").symlink_to(tmp_path / "@acme", target_is_directory=True)

    assert listed_in(tmp_path) == ["acme"]


def test_a_copy_is_brought_in_order_in_nested_namespaces_too(tmp_path: Path) -> None:
    names = ("acme", LONG, "eu")
    path, copy = tmp_path / "sessions", tmp_path / "copy"
    made_in(path, names, (*names, "inner"))
    shutil.copytree(path, copy)
    (copy / "in-use").unlink()
    next(copy.rglob("@inner/logs/*/talk.log")).unlink()  # as if it had been deleted before its turn to be copied came
    next(copy.rglob("@eu/trees/*/talk.tree")).unlink()  # as if it had been made after the turn of the trees

    assert listed_in(copy, "acme", LONG) == ["eu"]
    assert listed_in(copy, *names) == []
    assert asyncio.run(_messages(copy, names)) == ["hello"]


async def _messages(path: Path, names: tuple[str, ...]) -> list[Any]:
    async with FileSessionStore(path) as store:
        return [event.message for event in await inside(store, names).events("talk")]
