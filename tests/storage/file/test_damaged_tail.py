"""cut_damaged_tail: what is damaged goes into a file beside the log, and the session goes on without it."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from a2a_session_manager.exceptions import CorruptSession, SessionNotFound, StoreUnavailable
from a2a_session_manager.manager import SessionManager
from a2a_session_manager.storage.file import FileSessionStore, writes
from a2a_session_manager.storage.file.framing import framed, read_frames
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.file.processes.common import (
    STEPS,
    Picture,
    commit_step,
    commit_steps,
    covered_bytes,
    file_of,
    looked,
    picture,
    write_checkpoints_every,
)

Damage = Callable[[bytes, int], bytes]


def _zeroed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes(len(data) - at)


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def _with_nonsense(data: bytes, at: int) -> bytes:
    """Put a record with a right checksum that is no commit in front of the first record at or after `at`."""
    at = next((frame.start for frame in read_frames(data, 0) if frame.start >= at), len(data))
    return data[:at] + framed(b'{"r":-1,"s":"one"}') + data[at:]


def _pictures(directory: Path) -> tuple[list[Picture], list[int]]:
    """Make a session step by step; return what could be seen, and the log's length, after each."""
    pictures, ends = [], []
    for step in range(STEPS):
        asyncio.run(_step(directory, step))
        pictures.append(looked(directory, "chat"))
        ends.append(file_of(directory, "chat").stat().st_size)
    return pictures, ends


async def _step(directory: Path, *steps: int) -> None:
    async with FileSessionStore(directory) as store:
        for step in steps:
            await commit_step(store, "chat", step)


def _add(log: Path, data: bytes) -> None:
    log.write_bytes(log.read_bytes() + data)


async def _cut(directory: Path, session_id: str = "chat") -> int:
    async with SessionManager.from_url(f"file:{directory}") as sessions:
        return await sessions.cut_damaged_tail(session_id)


def _cuts(directory: Path) -> dict[str, bytes]:
    folder = file_of(directory, "chat").parent
    return {path.name: path.read_bytes() for path in folder.iterdir() if ".cut" in path.name}


@pytest.mark.parametrize("checkpoint_bytes", [200, 256_000])
@pytest.mark.parametrize("damage", [_zeroed, _flipped, _with_nonsense])
def test_the_session_goes_on_after_its_last_whole_commit_and_what_was_cut_can_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage, checkpoint_bytes: int
) -> None:
    write_checkpoints_every(monkeypatch, checkpoint_bytes)
    made, directory = tmp_path / "made", tmp_path / "damaged"
    pictures, ends = _pictures(made)

    for at in range(ends[0] + 3, ends[-1], 151):
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(made, directory)
        log = file_of(directory, "chat")
        data = damage(log.read_bytes(), at)
        log.write_bytes(data)
        commits = sum(end <= at for end in ends) + (damage is _with_nonsense)
        kept = ends[commits - 1]
        if at >= covered_bytes(directory, "chat"):  # what a checkpoint covers is read only when it is asked for
            with pytest.raises(CorruptSession, match=r"cut_damaged_tail\('chat'\)"):
                asyncio.run(_step(directory, STEPS - 1))

        assert asyncio.run(_cut(directory)) == len(data) - kept
        assert _cuts(directory) == {"chat.cut": data[kept:]}
        assert looked(directory, "chat") == pictures[commits - 1]
        assert asyncio.run(_cut(directory)) == 0

        asyncio.run(_step(directory, *range(STEPS)))
        assert looked(directory, "chat") == pictures[-1]


async def test_a_second_cut_keeps_the_first_ones_file_and_a_deletion_takes_both(tmp_path: Path) -> None:
    await commit_steps(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    for number in range(3):
        await asyncio.to_thread(_add, log, b"nonsense %d" % number)
        assert await _cut(tmp_path) == len("nonsense 0")

    assert await asyncio.to_thread(_cuts, tmp_path) == {
        "chat.cut": b"nonsense 0", "chat.cut.1": b"nonsense 1", "chat.cut.2": b"nonsense 2",
    }  # fmt: skip
    async with FileSessionStore(tmp_path) as store:
        assert await store.list_sessions() == ["chat"]
        await store.delete("chat")
    assert await asyncio.to_thread(_cuts, tmp_path) == {}


async def test_stores_that_have_the_log_open_see_the_cut_and_what_comes_after_it(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as warm, FileSessionStore(tmp_path) as other:
        await warm.create("root")
        await warm.create("chat", parent_id="root")
        for number in range(4):
            await warm.append("chat", spending(10, id=f"e{number}"))
        await other.get("chat")
        log = file_of(tmp_path, "chat")
        await asyncio.to_thread(lambda: log.write_bytes(_flipped(log.read_bytes(), log.stat().st_size - 30)))

        assert await other.cut_damaged_tail("chat") > 0

        for store in (warm, other):
            assert [event.id for event in await store.events("chat")] == ["e0", "e1", "e2"]
            assert (await store.usage("root", tree=True)).total_tokens == 60
        assert [event.seq for event in await warm.append("chat", spending(10, id="e3"), spending(10, id="e1"))] == [
            4,
            2,
        ]
        assert [event.id for event in await other.events("chat")] == ["e0", "e1", "e2", "e3"]
        assert (await other.usage("root", tree=True)).total_tokens == 80


@pytest.mark.parametrize("tail", [b"", b"\n0123", b"\n01234567 1f {"])
async def test_nothing_is_cut_where_nothing_is_damaged(tmp_path: Path, tail: bytes) -> None:
    await commit_steps(tmp_path, "chat")
    before = await picture(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    await asyncio.to_thread(_add, log, tail)
    data = await asyncio.to_thread(log.read_bytes)

    assert await _cut(tmp_path) == 0

    assert await asyncio.to_thread(log.read_bytes) == data
    assert await asyncio.to_thread(_cuts, tmp_path) == {}
    assert await picture(tmp_path, "chat") == before


async def test_a_log_that_lost_its_end_goes_on_with_what_is_left_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_checkpoints_every(monkeypatch, 200)
    await commit_steps(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    frames = read_frames(await asyncio.to_thread(log.read_bytes), 0)
    await asyncio.to_thread(os.truncate, log, frames[2].end + 5)
    with pytest.raises(CorruptSession, match=r"ends at byte .*cut_damaged_tail\('chat'\)"):
        await picture(tmp_path, "chat")

    assert await _cut(tmp_path) == 5

    assert ((await picture(tmp_path, "chat")) or {})["shown"] == ["e0", "e1", "e2"]


@pytest.mark.parametrize("damage", ["first record", "newer format", "another session"])
async def test_what_is_no_way_out_is_refused_and_changes_nothing(tmp_path: Path, damage: str) -> None:
    await commit_steps(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    whole = await asyncio.to_thread(log.read_bytes)
    frames = read_frames(whole, 0)
    if damage == "first record":
        data = _flipped(whole, 30)
    elif damage == "newer format":
        data = whole[: frames[1].end] + framed(b'{"v":4}') + whole[frames[1].end :]
    else:
        await commit_steps(tmp_path, "twin")
        data = await asyncio.to_thread(file_of(tmp_path, "twin").read_bytes)
    await asyncio.to_thread(log.write_bytes, data)

    with pytest.raises(CorruptSession, match=r"restore it from a backup|upgrade|put each log back"):
        await _cut(tmp_path)
    with pytest.raises(SessionNotFound):
        await _cut(tmp_path, "nobody")

    assert await asyncio.to_thread(log.read_bytes) == data
    assert await asyncio.to_thread(_cuts, tmp_path) == {}


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
async def test_a_cut_that_breaks_off_has_lost_nothing_and_can_be_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await commit_steps(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    whole = await asyncio.to_thread(log.read_bytes)
    damaged = _flipped(whole, len(whole) - 30)
    await asyncio.to_thread(log.write_bytes, damaged)

    def broken(*args: Any) -> NoReturn:
        raise OSError(errno.EIO, "input/output error")

    async with FileSessionStore(tmp_path) as store:
        await store.list_sessions()
        with monkeypatch.context() as patch:
            opened = os.open
            patch.setattr(os, step, broken if step != "open" else lambda path, *rest: (
                broken() if str(path).endswith(".cut") else opened(path, *rest)
            ))  # fmt: skip
            with pytest.raises(StoreUnavailable):
                await store.cut_damaged_tail("chat")
        assert await asyncio.to_thread(log.read_bytes) == damaged
        before = await asyncio.to_thread(_cuts, tmp_path)
        kept = read_frames(whole, 0)[-1].start

        assert await store.cut_damaged_tail("chat") == len(damaged) - kept

    after = await asyncio.to_thread(_cuts, tmp_path)
    assert before.items() <= after.items()
    assert list(after.values()) == [damaged[kept:]] * len(after)
    assert await asyncio.to_thread(log.read_bytes) == whole[:kept]


async def test_the_bytes_are_on_disk_beside_the_log_before_they_leave_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit_steps(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    await asyncio.to_thread(lambda: log.write_bytes(_flipped(log.read_bytes(), log.stat().st_size - 30)))
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def synced(fd: int) -> None:
        steps.append("sync " + os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        fsync(fd)

    def replaced(old: Path, new: Path) -> None:
        steps.append(f"{new.name} is the new file")
        replace(old, new)

    async with FileSessionStore(tmp_path) as store:
        await store.list_sessions()
        monkeypatch.setattr(os, "fsync", synced)
        monkeypatch.setattr(os, "replace", replaced)
        await store.cut_damaged_tail("chat")

    folder = log.parent.name
    assert steps[:2] == ["sync chat.cut", f"sync {folder}"]
    assert steps[-2:] == ["chat.log is the new file", f"sync {folder}"]
    assert steps[-3].startswith("sync ")
    assert steps[-3] != f"sync {folder}"


async def test_a_log_that_somebody_holds_is_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "BUSY_SECONDS", 0.05)
    await commit_steps(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    await asyncio.to_thread(_add, log, b"nonsense")

    def held() -> Any:
        file = log.open("rb")
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    file = await asyncio.to_thread(held)
    with pytest.raises(StoreUnavailable, match="another process held the file"):
        await _cut(tmp_path)
    await asyncio.to_thread(file.close)

    assert await _cut(tmp_path) == len("nonsense")


async def test_a_session_with_durability_disk_is_cut_and_goes_on(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path, durability="disk") as store:
        await store.create("chat")
        for number in range(5):
            await store.append("chat", said("x" * 100, id=f"e{number}"))
        log = file_of(tmp_path, "chat")
        await asyncio.to_thread(lambda: log.write_bytes(_zeroed(log.read_bytes(), 700)))
        async with FileSessionStore(tmp_path, durability="disk") as cold:
            assert await cold.cut_damaged_tail("chat") > 0
            left = len(await cold.events("chat"))
            assert 0 < left < 5
            await cold.append("chat", said(id="after"))
        await store.append("chat", said(id="last"))
    async with FileSessionStore(tmp_path, durability="disk") as cold:
        assert [event.id for event in await cold.events("chat")][left:] == ["after", "last"]
