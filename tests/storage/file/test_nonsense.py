"""The right checksum over nonsense, lines that stand twice, and what is no file: errors of ours, and nobody waits."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.file.framing import framed, read_frames
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.file.processes.common import (
    commit_steps,
    covered_bytes,
    file_of,
    looked,
    picture,
    sidecars_of,
    write_checkpoints_every,
)

VALUES: list[Any] = [None, True, -1, 0, 1.5, 10**30, "x", "\ud800", [], {}, [[]], {"x": 1}, [1, 2, 3], [["x"]]]
DEEP = b'{"r":' + b"[" * 50_000 + b"]" * 50_000 + b"}"


def _is_ours(work: Callable[[], Any], *, names: str) -> None:
    """Do `work`: it may go well, or fail with an error of ours that names the file."""
    error = None
    try:
        work()
    except SessionManagerError as ours:
        error = ours
    if error is not None:
        assert isinstance(error, CorruptSession), error
        assert names in str(error), error
        assert any(text in str(error) for text in ("at byte", "has lost the line", "is missing", "upgrade")), error


def _changed(header: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a header with each of its values, and each value inside, replaced by each wrong one, or left out."""
    found: list[dict[str, Any]] = [header | {"unknown": 1}]
    for key in header:
        found.append({name: value for name, value in header.items() if name != key})
        found += [header | {key: value} for value in VALUES]
        if isinstance(header[key], list) and header[key]:
            first = header[key][0]
            found += [header | {key: [value, *header[key][1:]]} for value in VALUES]
            if isinstance(first, list):
                found += [
                    header | {key: [[*first[:at], value, *first[at + 1 :]]]}
                    for at in range(len(first))
                    for value in VALUES
                ]
    return found


async def _used(directory: Path) -> None:
    """Read all, and write every kind of thing."""
    async with FileSessionStore(directory) as store:
        await store.get("chat")
        await store.events("chat", include_retracted=True)
        await store.usage("chat", tree=True)
        await store.runs("chat")
        await store.append("chat", said(id="e1"), on_repeat="keep")
        await store.append("chat", spending(3))
        await store.tree("chat")
        await store.list_sessions()


def test_a_record_of_nonsense_is_damage_or_harmless_to_every_verb(tmp_path: Path) -> None:
    asyncio.run(commit_steps(tmp_path, "chat"))
    log = file_of(tmp_path, "chat")
    whole = log.read_bytes()
    frames = read_frames(whole, 0)
    records: list[tuple[int, bytes]] = [(len(frames), payload) for payload in (b"", b"[]", b"1", b'"r"', b"{}", DEEP)]
    for number in (0, 1, 2, 3, 4):
        head, *events = frames[number].payload.split(b"\t")
        records += [
            (number, b"\t".join([json.dumps(header).encode(), *events])) for header in _changed(json.loads(head))[::3]
        ]

    for number, payload in records:
        log.write_bytes(b"".join([*[framed(each.payload) for each in frames[:number]], framed(payload)]))
        _is_ours(lambda: asyncio.run(_used(tmp_path)), names="chat.log")


@pytest.mark.parametrize("number", range(7))
def test_a_record_that_stands_twice_is_damage(tmp_path: Path, number: int) -> None:
    asyncio.run(commit_steps(tmp_path, "chat"))
    log = file_of(tmp_path, "chat")
    frames = read_frames(log.read_bytes(), 0)
    frames.insert(number, frames[number])
    log.write_bytes(b"".join(framed(frame.payload) for frame in frames))

    with pytest.raises(CorruptSession, match=r"chat\.log is not what follows.*at byte \d+: restore it"):
        looked(tmp_path, "chat")


async def _made_tree(directory: Path) -> None:
    async with FileSessionStore(directory) as store:
        await store.create("chat")
        await store.create("child", parent_id="chat")
        await store.append("child", spending(3))
        await store.create("gone", parent_id="chat")
        await store.append("gone", spending(5))
        await store.delete("gone")


@pytest.mark.parametrize("number", range(5))
def test_a_line_of_a_tree_that_stands_twice_is_damage(tmp_path: Path, number: int) -> None:
    asyncio.run(_made_tree(tmp_path))
    tree = file_of(tmp_path, "chat", ".tree")
    frames = read_frames(tree.read_bytes(), 0)
    assert len(frames) == 5
    frames.insert(number, frames[number])
    tree.write_bytes(b"".join(framed(frame.payload) for frame in frames))

    with pytest.raises(CorruptSession, match=r"chat\.tree is not what follows.*at byte \d+: restore it"):
        looked(tmp_path, "chat")


def test_a_line_of_nonsense_in_a_tree_is_damage_or_harmless_to_every_verb(tmp_path: Path) -> None:
    asyncio.run(_made_tree(tmp_path))
    tree = file_of(tmp_path, "chat", ".tree")
    frames = read_frames(tree.read_bytes(), 0)
    lines = [(5, payload) for payload in (b"", b"[]", b"1", b'"+"', b"{}", DEEP)]
    for number in range(5):
        changed = _changed(json.loads(frames[number].payload))[::2]
        lines += [(number, json.dumps(record).encode()) for record in changed]

    for number, payload in lines:
        tree.write_bytes(b"".join([*[framed(each.payload) for each in frames[:number]], framed(payload)]))
        _is_ours(lambda: asyncio.run(_used(tmp_path)), names=".")


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.soak)])
def test_a_checkpoint_of_nonsense_is_passed_over_and_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    write_checkpoints_every(monkeypatch, 200)
    asyncio.run(commit_steps(tmp_path, "chat"))
    before = looked(tmp_path, "chat")
    checkpoint = file_of(tmp_path, "chat", ".ckpt")
    (frame,) = read_frames(checkpoint.read_bytes(), 0)
    document = json.loads(frame.payload)
    head = json.loads(document["head"])
    changed = [json.dumps(each).encode() for each in _changed(document)]
    changed += [json.dumps(document | {"head": json.dumps(each)}).encode() for each in _changed(head)]
    documents = [b"", b"[]", DEEP, *changed[::every]]
    documents.append(json.dumps(document | {"tables": [["chat.log", 1, 1]]}).encode())

    for payload in documents:
        checkpoint.write_bytes(framed(payload))
        found = looked(tmp_path, "chat")
        assert found is not None
        # Numbers that only look right are as true as any: all else is read from the log.
        assert found["log"] == (before or {})["log"], payload
    asyncio.run(_used(tmp_path))
    assert covered_bytes(tmp_path, "chat") > 0


@pytest.mark.parametrize("kind", ["a fifo", "a folder", "a dangling link"])
@pytest.mark.parametrize("suffix", [".ckpt", ".idx", ".ids.1", ".ckpt.new", ".log", ".tree"])
async def test_what_is_no_file_in_a_files_place_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, kind: str
) -> None:
    write_checkpoints_every(monkeypatch, 200)
    await commit_steps(tmp_path, "chat")
    before = await picture(tmp_path, "chat")
    path = file_of(tmp_path, "chat", suffix)

    def replace() -> None:
        for each in sidecars_of(tmp_path, "chat") if suffix == ".ids.1" else ():
            each.unlink()
        path.unlink(missing_ok=True)
        if kind == "a fifo":
            os.mkfifo(path)
        elif kind == "a folder":
            path.mkdir()
        else:
            path.symlink_to(tmp_path / "nowhere")

    await asyncio.to_thread(replace)

    if suffix in {".log", ".tree"}:
        with pytest.raises(SessionManagerError, match=r"chat\.(log|tree)"):
            await asyncio.wait_for(_used(tmp_path), 10)
    else:
        assert await asyncio.wait_for(picture(tmp_path, "chat"), 10) == before
        await asyncio.wait_for(_used(tmp_path), 10)
