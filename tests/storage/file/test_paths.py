"""Where a file store lies: what its URL or its directory says when it is made."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from a2a_session_manager import FileSessionStore, InvalidSessionOperation, create_file_session_store, store_from_url
from a2a_session_manager.storage import BaseSessionStore


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a directory of one's own, with a home below it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


async def use(store: BaseSessionStore) -> None:
    async with store:
        await store.create("talk")


def made() -> list[str]:
    """Return the directories, relative to the working directory, that hold a store."""
    return sorted(str(marker.parent) for marker in Path().rglob("format.json"))


@pytest.mark.parametrize(
    ("url", "directory"),
    [
        ("file:~/sessions", "home/sessions"),
        ("file:~", "home"),
        ("file:./~", "~"),
        ("file:%7E/sessions", "~/sessions"),
        ("file:./mit%23raute", "mit#raute"),
        ("file:./wie%3Fso", "wie?so"),
        ("file:./100%25", "100%"),
        ("file:./my sessions", "my sessions"),
        ("file:./a+b", "a+b"),
        ("file:./gr%C3%BCn?durability=disk", "grün"),
        ("file:./latin%FF", os.fsdecode(b"latin\xff")),
    ],
)
def test_a_url_names_the_directory_that_it_says(url: str, directory: str) -> None:
    asyncio.run(use(store_from_url(url)))

    assert made() == [directory]


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("file:./mit#raute", "write it as %23"),
        ("file:./mit#", "write it as %23"),
        ("file:./wieso?", "write it as %3F"),
        ("file:./wie?so", "its option 1 is unknown"),
        ("file:./x?durability=disk&durability=process", "says durability twice"),
        ("file:~nobody-of-this-name/sessions", "in nobody's home: write ./~"),
        ("file:", "names no local directory"),
    ],
)
def test_a_url_that_could_mean_another_directory_is_refused(url: str, complaint: str, work: Path) -> None:
    with pytest.raises(InvalidSessionOperation, match=complaint):
        store_from_url(url)

    assert list(work.iterdir()) == []


@pytest.mark.parametrize("directory", ["", "a\0b", "a\ud800b"])
def test_a_directory_that_cannot_exist_is_refused(directory: str) -> None:
    with pytest.raises(InvalidSessionOperation, match="take another one"):
        FileSessionStore(directory)


def test_a_relative_directory_stays_where_it_was_when_the_store_was_made(work: Path) -> None:
    stores = [store_from_url("file:./by_url"), create_file_session_store("by_hand"), FileSessionStore(Path("by_path"))]
    (work / "other").mkdir()
    os.chdir(work / "other")
    for store in stores:
        asyncio.run(use(store))
    os.chdir(work)

    assert made() == ["by_hand", "by_path", "by_url"]


async def test_a_relative_directory_may_be_named_on_the_loop() -> None:
    await use(store_from_url("file:./sessions"))


def test_a_url_in_place_of_a_directory_is_refused_with_what_takes_it() -> None:
    with pytest.raises(InvalidSessionOperation, match="takes a directory: for a URL, store_from_url"):
        FileSessionStore("file:./sessions")


def test_a_directory_given_by_hand_may_begin_with_the_home() -> None:
    asyncio.run(use(FileSessionStore(Path("~/sessions"))))

    assert made() == ["home/sessions"]
