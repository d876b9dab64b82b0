"""What each durability syncs, once for a batch, and what a sync that fails leaves."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.file import FileSessionStore, handle_pool
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.file.opening import created, open_in
from tests.storage.file.processes.common import picture, write_checkpoints_every

# --- syncing ---


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count what is synced: data and directories."""
    counts = {"fdatasync": 0, "fsync": 0}

    def counted(name: str) -> Callable[[int], None]:
        real = getattr(os, name)

        def sync(fd: int) -> None:
            counts[name] += 1
            real(fd)

        return sync

    for name in counts:
        monkeypatch.setattr(os, name, counted(name))
    return counts


async def test_durability_disk_syncs_each_write_and_the_folders_of_new_files(
    tmp_path: Path, syncs: dict[str, int]
) -> None:
    async with FileSessionStore(tmp_path, durability="disk") as store:
        await store.create("root")
        made = dict(syncs)
        assert made["fdatasync"] >= 2  # its log and its tree file
        assert made["fsync"] >= 4  # the folders of both, new as they are, and those above
        await store.append("root", said("x"))
        assert syncs["fdatasync"] == made["fdatasync"] + 1
        await store.create("child", parent_id="root")
        await store.append("child", spending(1))
        before = syncs["fdatasync"]
        await store.delete("child")
        assert syncs["fdatasync"] == before + 2  # that it is gone, then what it had spent, before its log goes


async def test_one_sync_serves_a_whole_batch(tmp_path: Path, syncs: dict[str, int]) -> None:
    async with FileSessionStore(tmp_path, durability="disk") as store:
        await store.create("chat")
        before = syncs["fdatasync"]
        await asyncio.gather(*(store.append("chat", said(f"{number}")) for number in range(100)))

        assert syncs["fdatasync"] - before <= 3


async def test_what_a_checkpoint_covers_is_on_disk_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoints_every(monkeypatch, 500)
    steps: list[str] = []
    synced, replaced = os.fdatasync, os.replace

    def sync(fd: int) -> None:
        steps.append(f"sync {Path(os.readlink(f'/proc/self/fd/{fd}')).name}")
        synced(fd)

    def replace(new: Path, old: Path) -> None:
        steps.append(f"replace {old.name}")
        replaced(new, old)

    async with FileSessionStore(tmp_path, durability="disk") as store:
        await store.create("chat")
        monkeypatch.setattr(os, "fdatasync", sync)
        monkeypatch.setattr(os, "replace", replace)
        await store.append("chat", said("x" * 1_000))

    assert steps[:2] == ["sync chat.log", "replace chat.ckpt"]


async def test_durability_process_syncs_nothing(tmp_path: Path, syncs: dict[str, int]) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await store.create("child", parent_id="root")
        await store.append("child", spending(1))
        await store.delete("root", children="cascade")

    assert syncs == {"fdatasync": 0, "fsync": 0}


@pytest.mark.parametrize("most_open", [4, 256])
async def test_every_session_of_a_batch_is_synced_and_no_file_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncs: dict[str, int], most_open: int
) -> None:
    monkeypatch.setattr(handle_pool, "_MOST_OPEN", most_open)
    async with FileSessionStore(tmp_path, durability="disk") as store:
        await created(store, *(f"s{number}" for number in range(20)))
        before = syncs["fdatasync"]
        await asyncio.gather(*(store.append(f"s{number}", said("x")) for number in range(20)))
        assert syncs["fdatasync"] == before + 20

    assert await asyncio.to_thread(open_in, tmp_path) == []


async def test_a_sync_that_fails_fails_its_session_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fdatasync

    def broken_for_one(fd: int) -> None:
        if os.readlink(f"/proc/self/fd/{fd}").endswith("s2.log"):
            raise OSError(errno.EIO, "input/output error")
        real(fd)

    async with FileSessionStore(tmp_path, durability="disk") as store:
        await created(store, "s0", "s1", "s2", "s3")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken_for_one)
            appends = [store.append(f"s{number}", said(id="e")) for number in range(4)]
            answers = await asyncio.gather(*appends, return_exceptions=True)
        assert [isinstance(answer, StoreUnavailable) for answer in answers] == [False, False, True, False]
        [[again], [later]] = [await store.append("s2", said(id=event_id)) for event_id in ("e", "later")]

    assert (again.seq, later.seq) == (1, 2)


async def test_a_sync_that_fails_is_told_and_a_retry_with_the_same_id_syncs_again_and_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncs: dict[str, int]
) -> None:
    def broken(fd: int) -> NoReturn:
        raise OSError(errno.EIO, "input/output error")

    async with FileSessionStore(tmp_path, durability="disk") as store:
        await store.create("chat")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken)
            for verb in (
                store.append("chat", said(id="e")),
                store.commit("chat", SessionChange(set_state={"a": 1}), write_id="w"),
                store.create("new", write_id="c"),
            ):
                with pytest.raises(StoreUnavailable, match="input/output error"):
                    await verb
        before = syncs["fdatasync"]
        await store.append("chat", said(id="e"))
        assert syncs["fdatasync"] == before + 1
        await store.commit("chat", SessionChange(set_state={"a": 1}), write_id="w")
        assert syncs["fdatasync"] == before + 2
        await store.create("new", write_id="c")

    found = await picture(tmp_path, "chat")
    assert found is not None
    assert (found["shown"], found["state"], found["revision"]) == (["e"], {"a": 1}, 3)
    assert await picture(tmp_path, "new") is not None
