"""Directories that are not what a file store expects: refused with path and remedy, or passed over, never guessed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import (
    CorruptSession,
    InvalidSessionOperation,
    SessionManagerError,
    StoreUnavailable,
)
from a2a_session_manager.storage import encoding
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.file.names import shard_of
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.processes.common import file_of, picture
from tests.storage.file.remotes import _run


async def test_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "sessions").write_text, "mine")
    async with FileSessionStore(tmp_path / "sessions") as store:
        for verb in (store.create("chat"), store.get("chat"), store.list_sessions()):
            with pytest.raises(StoreUnavailable, match=r"sessions.*check the path"):
                await verb

    assert await asyncio.to_thread((tmp_path / "sessions").read_text) == "mine"


async def test_closing_a_store_that_was_never_used_makes_no_directory(tmp_path: Path) -> None:
    await FileSessionStore(tmp_path / "sessions").aclose()

    assert await asyncio.to_thread(os.listdir, tmp_path) == []


def test_a_read_only_directory_is_refused(tmp_path: Path) -> None:
    _run("limited", "read_only", tmp_path)


async def test_a_directory_of_release_0_1_is_refused_with_the_remedy_and_left_alone(tmp_path: Path) -> None:
    old = tmp_path / "3fb1.json"
    await asyncio.to_thread(old.write_text, '{"id": "3fb1"}')
    async with FileSessionStore(tmp_path) as store:
        for verb in (store.get("3fb1"), store.create("3fb1"), store.list_sessions()):
            with pytest.raises(StoreUnavailable, match=r"release 0\.1 \(3fb1\.json\): take an empty directory"):
                await verb

    assert await asyncio.to_thread(os.listdir, tmp_path) == ["3fb1.json"]


async def test_a_directory_of_another_format_is_refused_with_the_remedy(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "format.json").write_text, '{"a2a_session_manager": 3}\n')
    async with FileSessionStore(tmp_path) as store:
        with pytest.raises(StoreUnavailable, match=r"format\.json names format 3, of a newer release: upgrade"):
            await store.get("chat")
        with pytest.raises(StoreUnavailable, match=r"format\.json names format 3, of a newer release: upgrade"):
            await store.create("chat")


def test_a_damaged_format_file_is_an_error_with_file_byte_and_remedy(tmp_path: Path) -> None:
    async def opened() -> list[str]:
        async with FileSessionStore(tmp_path) as store:
            return await store.list_sessions()

    assert asyncio.run(opened()) == []
    marker = tmp_path / "format.json"
    whole = marker.read_bytes()
    flipped = [whole[:at] + bytes([whole[at] ^ (1 << bit)]) + whole[at + 1 :] for at in range(27) for bit in range(8)]
    nonsense = [b"", b"nonsense", bytes(27), b"[" * 100_000, b"[]", b"1", b'{"a2a_session_manager": true}', b"{}"]

    for data in (*flipped, *nonsense):
        marker.write_bytes(data)
        with pytest.raises(
            StoreUnavailable, match=r"format\.json (is damaged, at byte \d+|names format \d).* restore it from a backup"
        ):
            asyncio.run(opened())
        assert marker.read_bytes() == data
    for others in (b'{"a2a_session_manager":2}', b'{"a2a_session_manager":1}'):
        marker.write_bytes(others)
        assert asyncio.run(opened()) == []


async def test_a_directory_of_format_1_is_of_format_2_once_it_is_written_to(tmp_path: Path) -> None:
    marker = tmp_path / "format.json"
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
    await asyncio.to_thread(marker.write_text, '{"a2a_session_manager": 1}\n')

    async with FileSessionStore(tmp_path) as store:
        assert await store.list_sessions() == ["chat"]
        assert await asyncio.to_thread(marker.read_text) == '{"a2a_session_manager": 1}\n'
        await store.create("other")

    assert await asyncio.to_thread(marker.read_text) == '{"a2a_session_manager": 2}\n'


@pytest.mark.parametrize("kind", ["a fifo", "a folder", "a symlink"])
def test_something_else_in_the_place_of_the_format_file_is_an_error_and_holds_up_nobody(
    tmp_path: Path, kind: str
) -> None:
    marker = tmp_path / "format.json"
    if kind == "a fifo":
        os.mkfifo(marker)
    elif kind == "a folder":
        marker.mkdir()
    else:
        (tmp_path / "elsewhere").write_text('{"a2a_session_manager": 1}\n')
        marker.symlink_to(tmp_path / "elsewhere")

    async def opened() -> list[str]:
        async with FileSessionStore(tmp_path) as store:
            return await store.list_sessions()

    with pytest.raises(StoreUnavailable, match=r"format\.json"):
        asyncio.run(opened())


async def test_two_first_uses_at_once_do_not_refuse_each_other(tmp_path: Path) -> None:
    for number in range(30):
        stores = [FileSessionStore(tmp_path / str(number)) for _ in range(4)]
        await asyncio.gather(*(store.create(f"s{at}") for at, store in enumerate(stores)))
        assert len(await stores[0].list_sessions()) == 4
        for store in stores:
            await store.aclose()


def _link_file(directory: Path, outside: Path) -> None:
    log = file_of(directory, "chat")
    log.rename(outside / "elsewhere.log")
    log.symlink_to(outside / "elsewhere.log")


def _link_shard(directory: Path, outside: Path) -> None:
    shard = file_of(directory, "chat").parent
    shard.rename(outside / "elsewhere")
    shard.symlink_to(outside / "elsewhere")


def _link_kind(directory: Path, outside: Path) -> None:
    folder = file_of(directory, "chat").parents[1]
    folder.rename(outside / "elsewhere")
    folder.symlink_to(outside / "elsewhere")


def _link_tree(directory: Path, outside: Path) -> None:
    tree = file_of(directory, "chat", ".tree")
    tree.rename(outside / "elsewhere.tree")
    tree.symlink_to(outside / "elsewhere.tree")


def _everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize("link", [_link_file, _link_shard, _link_kind, _link_tree])
async def test_a_symlink_that_leads_out_is_refused_and_nothing_outside_changes(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    directory, outside = tmp_path / "sessions", tmp_path / "outside"
    async with FileSessionStore(directory) as store:
        await store.create("chat")
        await store.append("chat", said("x"))
    await asyncio.to_thread(outside.mkdir)
    await asyncio.to_thread(link, directory, outside)
    before = await asyncio.to_thread(_everything, outside)

    async with FileSessionStore(directory) as cold:
        for verb in (
            cold.get("chat"),
            cold.append("chat", said("y")),
            cold.create("chat"),
            cold.delete("chat"),
            cold.list_sessions(),
        ):
            with pytest.raises(StoreUnavailable, match="symlink: replace it by the real"):
                await verb
    assert await asyncio.to_thread(_everything, outside) == before


@pytest.mark.parametrize("link", [_link_shard, _link_kind])
async def test_a_store_in_use_makes_nothing_through_a_symlink_that_was_put_there_since(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    directory, outside = tmp_path / "sessions", tmp_path / "outside"
    beside = next(name for number in count() if shard_of(name := f"n{number}") == shard_of("chat"))
    async with FileSessionStore(directory) as store:
        await store.create("source")
        await store.append("source", said("x"))
        await store.create("chat")
        assert (await store.fork("source", new_id="another")).last_seq == 1
        await asyncio.to_thread(outside.mkdir)
        await asyncio.to_thread(link, directory, outside)
        before = await asyncio.to_thread(_everything, outside)
        sources = [name for name in ("source",) if link is _link_shard]

        for verb in (
            store.create(beside),
            *(store.create(beside, parent_id=name) for name in sources),
            *(store.fork(name, new_id=beside) for name in sources),
        ):
            with pytest.raises(StoreUnavailable, match="symlink: replace it by the real"):
                await verb
        assert await asyncio.to_thread(_everything, outside) == before


@pytest.mark.parametrize("is_durable", [False, True])
async def test_a_folder_for_new_files_that_somebody_removes_is_made_again(tmp_path: Path, is_durable: bool) -> None:
    async with FileSessionStore(tmp_path, durability="disk" if is_durable else "process") as store:
        await store.create("source")
        await store.append("source", said("x", id="e"))
        for name in ("fork", "child", "other"):
            await asyncio.to_thread((tmp_path / "new").rmdir)
            if name == "fork":
                await store.fork("source", new_id=name)
            else:
                await store.create(name, parent_id="source" if name == "child" else None)

    async with FileSessionStore(tmp_path) as cold:
        assert {*await cold.list_sessions()} == {"child", "fork", "other", "source"}
        assert [event.id for event in await cold.events("fork")] == ["e"]


async def test_folders_are_not_made_through_a_symlink(tmp_path: Path) -> None:
    directory, outside = tmp_path / "sessions", tmp_path / "outside"
    await asyncio.to_thread(outside.mkdir)
    async with FileSessionStore(directory) as store:
        assert await store.list_sessions() == []
        await asyncio.to_thread((directory / "default").symlink_to, outside)
        with pytest.raises(StoreUnavailable, match="symlink"):
            await store.create("chat")

    assert await asyncio.to_thread(os.listdir, outside) == []


async def test_a_directory_that_a_symlink_of_the_users_own_leads_to_is_fine(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "real").mkdir)
    await asyncio.to_thread((tmp_path / "link").symlink_to, tmp_path / "real")
    async with FileSessionStore(tmp_path / "link") as store:
        await store.create("chat")

    assert await picture(tmp_path / "real", "chat") is not None


async def test_foreign_files_are_passed_over_and_left_alone(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
    log = file_of(tmp_path, "chat")
    wrong = log.parents[1] / ("00" if log.parent.name != "00" else "01")
    foreign = [
        tmp_path / "README.txt",
        tmp_path / "default" / "notes",
        log.parents[1] / "stray.log",
        log.parent / "Chat.log",
        log.parent / "%ff.log",
        log.parent / "%zz.log",
        log.parent / ".log",
        log.parent / "chat.log.bak",
        log.parent / "chat.log~",
        wrong / "chat.log",
        tmp_path / "new" / "left over",
    ]

    def put() -> None:
        wrong.mkdir(exist_ok=True)
        for path in foreign:
            path.write_bytes(log.read_bytes() if path.name == "chat.log" else b"mine")

    await asyncio.to_thread(put)

    async with FileSessionStore(tmp_path) as cold:
        assert await cold.list_sessions() == ["chat"]
        assert await cold.get("Chat") is None
        await cold.append("chat", said("x", id="x"))
        await cold.delete("chat")
        assert await cold.list_sessions() == []
    assert await asyncio.to_thread(lambda: all(path.exists() for path in foreign))


@pytest.mark.parametrize("content", [b"mine", b"\n00000000 {}\n", b"\n\n\n", b"\0" * 100])
async def test_a_foreign_file_under_a_sessions_own_name_is_damage_and_stays(tmp_path: Path, content: bytes) -> None:
    log = file_of(tmp_path, "chat")

    def put() -> None:
        log.parent.mkdir(parents=True)
        log.write_bytes(content)

    await asyncio.to_thread(put)
    assert shard_of("chat") == log.parent.name
    async with FileSessionStore(tmp_path) as store:
        for verb in (store.get("chat"), store.create("chat"), store.append("chat", said("x"))):
            with pytest.raises(CorruptSession, match=r"chat\.log"):
                await verb

    assert await asyncio.to_thread(log.read_bytes) == content


async def test_a_folder_under_a_sessions_own_name_is_a_clear_error(tmp_path: Path) -> None:
    log = file_of(tmp_path, "chat")
    await asyncio.to_thread(lambda: log.mkdir(parents=True))
    async with FileSessionStore(tmp_path) as store:
        for verb in (store.get("chat"), store.create("chat"), store.list_sessions()):
            with pytest.raises(SessionManagerError, match=r"chat\.log"):
                await verb


@pytest.mark.parametrize("cursor", ["nonsense", "/", "zz/zz", "00/../../x"])
async def test_a_strange_cursor_is_refused_or_ends_the_listing(tmp_path: Path, cursor: str) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        if "/" not in cursor:
            with pytest.raises(InvalidSessionOperation, match="start again without it"):
                await store.list_page(cursor=cursor, limit=10)
        else:
            assert (await store.list_page(cursor=cursor, limit=10)).session_ids in ([], ["chat"])


async def test_clocks_that_go_backwards_change_no_order_and_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = count(2_000_000_000_000_000, -60_000_000)
    monkeypatch.setattr(encoding, "now_micros", lambda: next(clock))
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        for number in range(5):
            await store.create(f"c{number}", parent_id="root")
            await store.append("root", said(id=f"e{number}"))
        await store.append("root", said(id="e2"))

    async with FileSessionStore(tmp_path) as cold:
        assert [(event.id, event.seq) for event in await cold.events("root")] == [(f"e{n}", n + 1) for n in range(5)]
        assert await cold.children("root") == [f"c{number}" for number in range(5)]
