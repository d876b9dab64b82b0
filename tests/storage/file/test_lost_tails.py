"""The end of a log that is not whole: lost with the power, which may be, or damaged, which is an error."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import CorruptSession
from a2a_session_manager.storage.file import Durability, FileSessionStore
from a2a_session_manager.storage.file.framing import read_frames
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.processes.common import covered_bytes, file_of, write_checkpoints_every

PAGE = 4_096
LOST = ["zeros", "garbage"]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a loss of power leaves is made by hand here."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)


async def _append(directory: Path, *event_ids: str, text: str = "x" * 100, durability: Durability = "disk") -> None:
    """Append the events in as many commits of one batch, after making the session if there is none."""
    async with FileSessionStore(directory, durability=durability) as store:
        if await store.get("chat", last=0) is None:
            await store.create("chat")
        await asyncio.gather(*(store.append("chat", said(text, id=event_id)) for event_id in event_ids))


async def _ids(directory: Path, durability: Durability) -> list[str]:
    async with FileSessionStore(directory, durability=durability) as store:
        return [event.id for event in await store.events("chat")]


def _made(directory: Path, durability: Durability, *batches: Sequence[str], text: str = "x" * 100) -> Path:
    for batch in batches:
        asyncio.run(_append(directory, *batch, text=text, durability=durability))
    return file_of(directory, "chat")


def _filled(data: bytes, start: int, end: int, what: str) -> bytes:
    size = min(end, len(data)) - start
    filling = bytes(size) if what == "zeros" else random.Random(start).randbytes(size).replace(b"\n", b"x")
    return data[:start] + filling + data[start + size :]


@pytest.mark.parametrize("opened", ["process", "disk"])
@pytest.mark.parametrize("what", LOST)
def test_a_process_that_dies_leaves_no_zeros_and_no_garbage_so_they_are_damage(
    tmp_path: Path, what: str, opened: Durability
) -> None:
    log = _made(tmp_path, "process", ["e0"], ["e1"], ["e2", "e3"])
    whole = log.read_bytes()

    for start in range(0, len(whole), 61):
        log.write_bytes(_filled(whole, start, len(whole), what))
        with pytest.raises(CorruptSession, match=r"chat\.log is damaged, at byte \d+"):
            asyncio.run(_ids(tmp_path, opened))
        with pytest.raises(CorruptSession, match=r"chat\.log is damaged, at byte \d+"):
            asyncio.run(_append(tmp_path, "later", durability=opened))
    assert log.read_bytes() == _filled(whole, start, len(whole), what)


@pytest.mark.parametrize("opened", ["process", "disk"])
@pytest.mark.parametrize("what", LOST)
def test_what_was_on_disk_before_the_newest_write_is_damaged_not_lost_with_the_power(
    tmp_path: Path, what: str, opened: Durability
) -> None:
    log = _made(tmp_path, "disk", ["e0"], ["e1"], ["e2", "e3"], ["e4"])
    whole = log.read_bytes()
    newest = read_frames(whole, 0)[-1].start

    for start in range(0, newest, 61):
        for end in (len(whole), start + 40, newest):
            log.write_bytes(_filled(whole, start, max(end, start + 1), what))
            with pytest.raises(CorruptSession, match=r"chat\.log is damaged"):
                asyncio.run(_ids(tmp_path, opened))


def test_damage_in_the_middle_is_an_error_also_without_the_mark_as_after_a_restored_backup(tmp_path: Path) -> None:
    log = _made(tmp_path, "disk", ["e0"], ["e1"], ["e2"], ["e3"])
    log.with_suffix(".durable").unlink()
    whole = log.read_bytes()
    newest = read_frames(whole, 0)[-1].start

    for start in range(0, newest - 1, 31):
        log.write_bytes(_filled(whole, start, start + 1, "zeros"))
        with pytest.raises(CorruptSession, match=r"chat\.log is damaged"):
            asyncio.run(_ids(tmp_path, "disk"))


@pytest.mark.parametrize("opened", ["process", "disk"])
def test_what_the_newest_write_left_unsynced_goes_in_whatever_shape_the_power_left_it(
    tmp_path: Path, opened: Durability, caplog: pytest.LogCaptureFixture
) -> None:
    log = _made(tmp_path, "disk", ["e0"], ["e1"])
    _made(tmp_path, "disk", ["u0", "u1", "u2", "u3"], text="y" * 3_000)
    whole = log.read_bytes()
    frames = read_frames(whole, 0)
    newest = [frame.start for frame in frames if frame.synced == frames[-1].synced]
    acknowledged = ["e0", "e1", "u0", "u1", "u2", "u3"][: -len(newest)]
    assert len(newest) > 1
    pages = [newest[0], *range(newest[0] // PAGE * PAGE + PAGE, len(whole), PAGE), len(whole)]
    shapes = [
        _filled(whole, first, last, what)
        for at, first in enumerate(pages[:-1])
        for last in pages[at + 1 :]
        for what in LOST
    ]

    for data in shapes:
        log.write_bytes(data)
        caplog.clear()
        found = asyncio.run(_ids(tmp_path, opened))
        assert found[: len(acknowledged)] == acknowledged
        assert found == ["e0", "e1", "u0", "u1", "u2"][: len(found)]
        assert [(record.name, record.levelno) for record in caplog.records] == [
            ("a2a_session_manager.storage.file", logging.WARNING)
        ]
        assert "chat.log: left out" in caplog.text

        # Sent again, all of it is there once, and nothing of the old shape comes back.
        asyncio.run(_append(tmp_path, "u0", "u1", "u2", "u3", text="y" * 3_000, durability=opened))
        assert asyncio.run(_ids(tmp_path, opened)) == ["e0", "e1", "u0", "u1", "u2", "u3"]


def test_a_log_that_lost_what_was_on_disk_before_its_newest_write_is_not_shorter_but_damaged(tmp_path: Path) -> None:
    log = _made(tmp_path, "disk", ["e0"], ["e1"], ["e2"], ["e3"])
    whole = log.read_bytes()
    frames = read_frames(whole, 0)

    for size in (*[frame.end for frame in frames[:-2]], frames[-2].start + 30):
        log.write_bytes(whole[:size])
        for _ in range(2):
            with pytest.raises(CorruptSession, match=rf"was on disk up to byte {frames[-1].start}, and ends, at byte"):
                asyncio.run(_ids(tmp_path, "disk"))


def test_the_first_write_for_the_disk_brings_all_to_disk_that_was_written_without(tmp_path: Path) -> None:
    log = _made(tmp_path, "process", ["e0"], ["e1"])
    before = log.stat().st_size
    _made(tmp_path, "disk", ["under way"], text="y" * 9_000)
    whole = log.read_bytes()

    log.write_bytes(_filled(whole, before, before + 5_000, "zeros"))
    assert asyncio.run(_ids(tmp_path, "process")) == ["e0", "e1"]
    log.write_bytes(_filled(whole, before - 50, before, "zeros"))
    with pytest.raises(CorruptSession, match=r"chat\.log is damaged"):
        asyncio.run(_ids(tmp_path, "disk"))


@pytest.mark.parametrize("damage", ["gone", "empty", "garbage", "a fifo", "a folder", "of another log"])
def test_a_mark_that_cannot_be_used_tells_nothing_and_holds_up_nobody(tmp_path: Path, damage: str) -> None:
    log = _made(tmp_path, "disk", ["e0"], ["e1"])
    mark = log.with_suffix(".durable")
    written = mark.read_bytes()
    mark.unlink()
    if damage == "a fifo":
        os.mkfifo(mark)
    elif damage == "a folder":
        mark.mkdir()
    elif damage == "of another log":
        _made(tmp_path / "other", "disk", ["f0"], ["f1"], text="z")
        shutil.copy(file_of(tmp_path / "other", "chat").with_suffix(".durable"), mark)
    elif damage != "gone":
        mark.write_bytes(b"" if damage == "empty" else written[:-9] + b"12345678\n")

    _made(tmp_path, "disk", ["e2"], ["e3"])

    assert asyncio.run(_ids(tmp_path, "disk")) == ["e0", "e1", "e2", "e3"]


@pytest.mark.parametrize("is_cut_by_hand", [False, True])
def test_what_comes_after_a_lost_tail_is_read_again_though_the_tail_was_known_to_be_on_disk(
    tmp_path: Path, is_cut_by_hand: bool
) -> None:
    log = _made(tmp_path, "disk", ["e0"], ["e1"])
    whole = log.read_bytes()
    log.write_bytes(_filled(whole, len(whole) - 30, len(whole), "garbage"))

    async def cut() -> None:
        async with FileSessionStore(tmp_path, durability="disk") as store:
            assert await store.cut_damaged_tail("chat") == 0  # a lost tail is no damage

    if is_cut_by_hand:
        asyncio.run(cut())
    asyncio.run(_append(tmp_path, "e2", text="short"))
    assert asyncio.run(_ids(tmp_path, "disk")) == ["e0", "e2"]
    asyncio.run(_append(tmp_path, "e3", text="short"))
    assert asyncio.run(_ids(tmp_path, "disk")) == ["e0", "e2", "e3"]


def test_a_tail_that_begins_where_a_checkpoint_ends_is_only_lost_when_the_whole_log_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoints_every(monkeypatch, 3_000)
    log = _made(tmp_path, "disk", ["e0"], ["e1"], text="x" * 3_000)
    asyncio.run(_append(tmp_path, "e2"))
    assert covered_bytes(tmp_path, "chat") == read_frames(log.read_bytes(), 0)[-1].start
    # A line that stands twice moves the checkpoint's end into the middle of a record.
    records = log.read_bytes().split(b"\n\n")
    damaged = b"\n\n".join([records[0], *records])
    log.write_bytes(damaged)

    async def spent() -> object:
        async with FileSessionStore(tmp_path, durability="disk") as store:
            return await store.usage("chat", tree=True)

    with pytest.raises(CorruptSession, match=r"chat\.log is"):
        asyncio.run(spent())
    with pytest.raises(CorruptSession, match=r"chat\.log is"):
        asyncio.run(_append(tmp_path, "later"))
    assert log.read_bytes() == damaged
