"""What a store says of its directory: the file system, permissions, room, and what is left there."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from a2a_session_manager.storage.file import FileSessionStore, diagnosis
from a2a_session_manager.testing.contract.making import said


async def _codes(path: Path) -> set[str]:
    async with FileSessionStore(path) as store:
        return {finding.code for finding in await store.diagnose() if finding.severity != "note"}


async def test_a_directory_that_is_as_it_was_made_has_nothing_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnosis, "file_system_of", lambda path: "ext4")
    async with FileSessionStore(tmp_path / "sessions") as store:
        await store.create("a")
        await store.append("a", said())
        found = await store.diagnose()

    assert [(finding.severity, finding.code, finding.text) for finding in found] == [
        ("note", "file_system", "it lies on ext4")
    ]


@pytest.mark.parametrize(
    ("kind", "codes"), [("nfs4", {"remote_file_system"}), ("tmpfs", {"fleeting_file_system"}), (None, set())]
)
async def test_file_systems_that_break_promises_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None, codes: set[str]
) -> None:
    monkeypatch.setattr(diagnosis, "file_system_of", lambda path: kind)

    assert await _codes(tmp_path / "sessions") == codes


def test_the_file_system_is_that_of_the_longest_mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
        "30 22 0:5 / /mnt/my\\040files rw shared:1 - nfs4 host:/x rw\n"
        "31 22 0:6 / /mnt rw - xfs /dev/sdb rw\n"
    )
    monkeypatch.setattr(diagnosis, "_MOUNTS", mounts)

    found = [diagnosis.file_system_of(Path(path)) for path in ("/home", "/mnt/my files/a", "/mnt/my", "/mntx")]

    assert found == ["ext4", "nfs4", "xfs", "ext4"]
    monkeypatch.setattr(diagnosis, "_MOUNTS", tmp_path / "not-there")
    assert diagnosis.file_system_of(tmp_path) is None


def _leave_things_behind(path: Path) -> Path:
    [log] = path.rglob("*.log")
    for left in (log.with_suffix(".cut.1"), path / "new" / "dead", path / "new" / "alive"):
        left.write_bytes(b"x")
    os.utime(path / "new" / "dead", (0, 0))
    path.chmod(0o755)
    return log


async def test_open_permissions_a_full_disk_and_what_is_left_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sessions"
    monkeypatch.setattr(diagnosis, "file_system_of", lambda path: "ext4")
    async with FileSessionStore(path) as store:
        await store.namespace("acme").create("a")
        log = await asyncio.to_thread(_leave_things_behind, path)
        room = SimpleNamespace(f_bavail=10, f_frsize=4_096)
        monkeypatch.setattr(os, "statvfs", lambda path: room)
        found = {finding.code: finding.where for finding in await store.diagnose()}

    assert found == {
        "file_system": str(path),
        "permissions": str(path),
        "nearly_full": str(path),
        "leftover": str(path / "new" / "dead"),
        "cut_tail": str(log.with_suffix(".cut.1")),
    }


async def test_a_directory_that_cannot_be_used_is_one_finding(tmp_path: Path) -> None:
    await asyncio.to_thread((tmp_path / "sessions").write_text, "mine")

    assert await _codes(tmp_path / "sessions") == {"unavailable"}
