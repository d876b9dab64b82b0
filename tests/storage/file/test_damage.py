"""Damaged files: the same data, or an error that names file and offset; never other data, never less of it."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.models.event_message import MessageTail
from a2a_session_manager.storage.file import FileSessionStore
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
    sidecars_of,
    write_checkpoints_every,
)

NAMES_FILE_AND_OFFSET = re.compile(r"\.(log|tree) .*(at byte \d+|ends at byte \d+|has lost the line)", re.DOTALL)


@pytest.fixture
def small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoints_every(monkeypatch, 200)


def _flips(size: int, *, step: int) -> Iterator[tuple[int, int]]:
    """One bit of every byte in `step`; of a step of 0, every bit of every byte."""
    for at in range(0, size, step or 1):
        bits = [(at // step * 5) % 8] if step else range(8)
        for bit in bits:
            yield at, bit


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


async def _resent(directory: Path, session_id: str, first: int) -> None:
    """Send the commits from `first` on (again), each with its ids."""
    async with FileSessionStore(directory) as store:
        for step in range(first, STEPS):
            await commit_step(store, session_id, step)


def _made(directory: Path) -> tuple[list[Picture], list[int]]:
    """Make a session step by step; return what could be seen, and the log's length, after each."""
    pictures, ends = [], []
    for step in range(STEPS):

        async def one(step: int = step) -> None:
            async with FileSessionStore(directory) as store:
                await commit_step(store, "chat", step)

        asyncio.run(one())
        pictures.append(looked(directory, "chat"))
        ends.append(file_of(directory, "chat").stat().st_size)
    return pictures, ends


@pytest.mark.parametrize("every", [23, pytest.param(1, marks=pytest.mark.soak)])
def test_a_log_cut_at_any_byte_recovers_to_whole_commits_and_takes_the_lost_ones_again(
    tmp_path: Path, every: int
) -> None:
    pictures, ends = _made(tmp_path)
    log = file_of(tmp_path, "chat")
    whole = log.read_bytes()

    at_the_ends = {end + beside for end in ends for beside in (-1, 0, 1)}
    for size in sorted({*range(0, len(whole), every), *at_the_ends} & set(range(len(whole)))):
        log.write_bytes(whole[:size])
        commits = sum(end <= size for end in ends)
        if commits == 0:
            with pytest.raises(CorruptSession, match=r"chat\.log .*at byte 0"):
                looked(tmp_path, "chat")
            with pytest.raises(CorruptSession):
                asyncio.run(_resent(tmp_path, "chat", 0))
            assert log.stat().st_size == size
        else:
            assert looked(tmp_path, "chat") == pictures[commits - 1], size
            if size in ends or size % max(2 * every, 20) == 0:
                asyncio.run(_resent(tmp_path, "chat", commits))
                assert looked(tmp_path, "chat") == pictures[-1], size


@pytest.mark.usefixtures("small_checkpoints")
@pytest.mark.parametrize("every", [17, pytest.param(1, marks=pytest.mark.soak)])
def test_a_log_cut_before_the_end_of_its_checkpoint_is_damaged_not_shorter(tmp_path: Path, every: int) -> None:
    pictures, ends = _made(tmp_path)
    covered = covered_bytes(tmp_path, "chat")
    assert 0 < covered <= ends[-1]
    log = file_of(tmp_path, "chat")
    whole = log.read_bytes()

    for size in sorted({*range(0, len(whole), every), covered - 1, covered, len(whole) - 1} & set(range(len(whole)))):
        log.write_bytes(whole[:size])
        if size < covered:
            with pytest.raises(CorruptSession, match=r"chat\.log"):
                looked(tmp_path, "chat")
        else:
            assert looked(tmp_path, "chat") == pictures[sum(end <= size for end in ends) - 1]


@pytest.mark.parametrize("every", [13, pytest.param(1, marks=pytest.mark.soak)])
def test_a_tree_file_cut_at_any_byte_never_shows_a_session_empty_or_lets_it_be_made_anew(
    tmp_path: Path, every: int
) -> None:
    """A session with only its first commit looks like a creation that was cut off; one with more is damage."""

    async def make() -> None:
        async with FileSessionStore(tmp_path) as store:
            await store.create("root")
            await store.append("root", spending(1))
            for name in ("a", "b"):
                await store.create(name, parent_id="root")
                await store.append(name, said(name))

    asyncio.run(make())
    before = {name: looked(tmp_path, name) for name in ("root", "a", "b")}
    tree = file_of(tmp_path, "root", ".tree")
    whole = tree.read_bytes()
    ends = [frame.end for frame in read_frames(whole, 0)]
    assert len(ends) == 3

    async def create_again(name: str) -> None:
        async with FileSessionStore(tmp_path) as store:
            await store.create(name, parent_id=None if name == "root" else "root")

    at_the_ends = {end + beside for end in ends for beside in (-1, 0, 1)}
    for size in sorted({*range(0, len(whole), every), *at_the_ends} & set(range(len(whole)))):
        named = sum(end <= size for end in ends)
        for at, name in enumerate(before):
            tree.write_bytes(whole[:size])
            if at < named:
                found = looked(tmp_path, name)
                assert found is not None
                assert found["log"] == (before[name] or {})["log"]
            else:
                with pytest.raises(CorruptSession, match="has lost the line"):
                    looked(tmp_path, name)
                with pytest.raises(CorruptSession):
                    asyncio.run(create_again(name))
    tree.write_bytes(whole)

    assert {name: looked(tmp_path, name) for name in before} == before


def test_a_tree_file_removed_by_hand_is_damage_not_absence(tmp_path: Path) -> None:
    asyncio.run(commit_steps(tmp_path, "chat"))
    file_of(tmp_path, "chat", ".tree").unlink()

    with pytest.raises(CorruptSession, match=r"chat\.tree"):
        looked(tmp_path, "chat")
    with pytest.raises(CorruptSession, match=r"chat\.tree"):
        asyncio.run(_resent(tmp_path, "chat", 0))


def _same_or_error(directory: Path, before: Picture, path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    error = None
    try:
        found = looked(directory, "chat")
    except CorruptSession as corrupt:
        error = str(corrupt)
    if error is None:
        assert found == before, path
        return True
    assert NAMES_FILE_AND_OFFSET.search(error) or "holds session" in error, error
    return False


def _check_flips(directory: Path, scratch: Path, *, step: int) -> None:
    """Flip bits of every file of the session, look at all of it, then send all its commits again."""
    asyncio.run(commit_steps(directory, "chat"))
    before = looked(directory, "chat")
    log, tree = file_of(directory, "chat"), file_of(directory, "chat", ".tree")
    sidecars = sidecars_of(directory, "chat")
    for path in (log, tree, *sidecars):
        whole = path.read_bytes()
        for at, bit in _flips(len(whole), step=step):
            is_same = _same_or_error(directory, before, path, _flipped(whole, at, bit))
            assert is_same or path not in sidecars, (path, at, bit)
            if at % (5 if step else 10) == 0:
                _check_resent(directory, scratch, before, path, is_same)
        path.write_bytes(whole)


def _check_resent(directory: Path, scratch: Path, before: Picture, path: Path, is_same: bool) -> None:
    """Every id is still known, or the error is the same: on a copy, so that nothing heals here."""
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(directory, scratch)
    try:
        asyncio.run(_resent(scratch, "chat", 0))
        assert is_same
        assert looked(scratch, "chat") == before
    except CorruptSession:
        # The picture may not have needed what the duplicate check looks at.
        assert path.suffix in (".log", ".tree")


def test_a_flipped_bit_in_log_or_tree_file_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    _check_flips(tmp_path / "sessions", tmp_path / "scratch", step=11)


@pytest.mark.usefixtures("small_checkpoints")
def test_a_flipped_bit_in_any_file_beside_a_checkpoint_is_an_error_or_changes_nothing(tmp_path: Path) -> None:
    _check_flips(tmp_path / "sessions", tmp_path / "scratch", step=23)


@pytest.mark.soak
@pytest.mark.parametrize("checkpoint_bytes", [200, 600, 256_000])
def test_no_flipped_bit_at_all_changes_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint_bytes: int
) -> None:
    write_checkpoints_every(monkeypatch, checkpoint_bytes)
    _check_flips(tmp_path / "sessions", tmp_path / "scratch", step=0)


@pytest.mark.usefixtures("small_checkpoints")
@pytest.mark.parametrize("step", [19, pytest.param(0, marks=pytest.mark.soak)])
def test_a_flipped_bit_in_a_log_is_an_error_or_changes_no_message(tmp_path: Path, step: int) -> None:
    async def messages() -> MessageTail:
        async with FileSessionStore(tmp_path) as cold:
            return await cold.read_messages("chat")

    asyncio.run(commit_steps(tmp_path, "chat"))
    before = asyncio.run(messages())
    assert covered_bytes(tmp_path, "chat") > 0
    assert [message.id for message in before.messages] == ["e0", "e2", "e5", "e6"]
    log = file_of(tmp_path, "chat")
    whole = log.read_bytes()
    errors: list[str] = []
    for at, bit in _flips(len(whole), step=step):
        log.write_bytes(_flipped(whole, at, bit))
        try:
            assert asyncio.run(messages()) == before
        except CorruptSession as error:
            errors.append(str(error))
    assert errors
    assert [error for error in errors if not NAMES_FILE_AND_OFFSET.search(error)] == []


@pytest.mark.usefixtures("small_checkpoints")
@pytest.mark.parametrize("every", [29, pytest.param(1, marks=pytest.mark.soak)])
def test_a_sidecar_cut_at_any_byte_or_gone_is_passed_over(tmp_path: Path, every: int) -> None:
    asyncio.run(commit_steps(tmp_path, "chat"))
    before = looked(tmp_path, "chat")
    sidecars = sidecars_of(tmp_path, "chat")
    assert {path.suffixes[0] for path in sidecars} == {".ckpt", ".idx", ".ids"}

    for path in sidecars:
        whole = path.read_bytes()
        for size in sorted({*range(0, len(whole), every), 1, len(whole) - 1} & set(range(len(whole)))):
            path.write_bytes(whole[:size])
            assert looked(tmp_path, "chat") == before, (path, size)
        path.unlink()
        assert looked(tmp_path, "chat") == before
        path.write_bytes(whole)


@pytest.mark.usefixtures("small_checkpoints")
def test_sidecars_that_were_lost_are_made_anew_by_the_next_writer(tmp_path: Path) -> None:
    asyncio.run(commit_steps(tmp_path, "chat"))
    for path in sidecars_of(tmp_path, "chat"):
        path.unlink()
    assert covered_bytes(tmp_path, "chat") == 0

    async def append() -> None:
        async with FileSessionStore(tmp_path) as store:
            await store.append("chat", said("more", id="more"))

    asyncio.run(append())

    assert covered_bytes(tmp_path, "chat") == file_of(tmp_path, "chat").stat().st_size


@pytest.mark.usefixtures("small_checkpoints")
@pytest.mark.parametrize("with_sidecars", [False, True])
def test_swapped_logs_are_an_error_that_names_the_session_inside(tmp_path: Path, with_sidecars: bool) -> None:
    for name in ("one", "two"):
        asyncio.run(commit_steps(tmp_path, name))
    pairs = [(file_of(tmp_path, "one"), file_of(tmp_path, "two"))]
    if with_sidecars:
        pairs += list(zip(sidecars_of(tmp_path, "one"), sidecars_of(tmp_path, "two"), strict=True))
    for one, two in pairs:
        one.rename(tmp_path / "held")
        two.rename(one)
        (tmp_path / "held").rename(two)

    with pytest.raises(CorruptSession, match="holds session 'two'"):
        looked(tmp_path, "one")
    with pytest.raises(CorruptSession, match="holds session 'one'"):
        asyncio.run(_resent(tmp_path, "two", 0))


@pytest.mark.usefixtures("small_checkpoints")
@pytest.mark.parametrize("damage", ["emptied", "removed"])
async def test_an_emptied_or_removed_log_is_damage_for_every_verb(tmp_path: Path, damage: str) -> None:
    await commit_steps(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    await asyncio.to_thread(log.write_bytes, b"")
    if damage == "removed":
        await asyncio.to_thread(log.unlink)

    async with FileSessionStore(tmp_path) as store:
        for verb in (
            store.get("chat"),
            store.append("chat", said("x")),
            store.create("chat"),
            store.delete("chat"),
            store.usage("chat", tree=True),
            store.events("chat"),
        ):
            with pytest.raises(CorruptSession, match=r"chat\.log.*restore it from a backup"):
                await verb
    assert await asyncio.to_thread(log.exists) == (damage == "emptied")


async def test_the_lost_log_of_a_child_is_not_made_anew_and_its_spend_not_left_out(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await store.create("child", parent_id="root")
        await store.create("grandchild", parent_id="child")
        await store.append("grandchild", spending(5))
    await asyncio.to_thread(file_of(tmp_path, "grandchild").unlink)

    async with FileSessionStore(tmp_path) as store:
        for verb in (
            store.create("grandchild", parent_id="child"),
            store.usage("root", tree=True),
            store.usage("child", tree=True),
            store.tree("child"),
        ):
            with pytest.raises(CorruptSession, match=r"grandchild\.log is missing"):
                await verb
        await store.delete("child", children="cascade")
        assert await store.tree("root") == [("root", None)]


@pytest.mark.parametrize("suffix", [".log", ".tree"])
async def test_a_file_of_a_newer_format_is_refused_with_the_remedy(tmp_path: Path, suffix: str) -> None:
    await commit_steps(tmp_path, "chat")
    path = file_of(tmp_path, "chat", suffix)

    def age() -> None:
        frames = read_frames(path.read_bytes(), 0)
        payloads = [frame.payload.replace(b'"v":1', b'"v":4', 1) for frame in frames[:1]]
        path.write_bytes(b"".join(map(framed, [*payloads, *(frame.payload for frame in frames[1:])])))

    await asyncio.to_thread(age)

    async with FileSessionStore(tmp_path) as store:
        for verb in (store.get("chat"), store.append("chat", said("x")), store.create("chat")):
            with pytest.raises(CorruptSession, match="format 4 by a newer release: upgrade"):
                await verb


async def test_a_store_that_has_a_log_open_sees_it_damaged_truncated_or_restored(tmp_path: Path) -> None:
    await commit_steps(tmp_path, "chat")
    log = file_of(tmp_path, "chat")
    backup = tmp_path / "backup"
    before = await picture(tmp_path, "chat")
    async with FileSessionStore(tmp_path) as store:
        await store.get("chat")
        await asyncio.to_thread(shutil.copy, log, backup)

        await asyncio.to_thread(log.write_bytes, b"")
        with pytest.raises(CorruptSession, match="shorter than what was read"):
            await store.get("chat")
        with pytest.raises(CorruptSession):
            await store.append("chat", said("x"))
        await asyncio.to_thread(backup.rename, log)
        await store.append("chat", said("last", id="e6"))

    assert await picture(tmp_path, "chat") == before


async def test_a_damaged_child_does_not_keep_its_tree_from_being_deleted_or_made_again(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await store.create("child", parent_id="root")
        await store.append("child", said("x"))
    log = file_of(tmp_path, "child")
    await asyncio.to_thread(log.write_bytes, _flipped(await asyncio.to_thread(log.read_bytes), 20, 1))

    async with FileSessionStore(tmp_path) as store:
        await store.delete("root", children="cascade")
        assert await store.get("root") is None
        await store.create("root")
        await store.create("other", parent_id="root")

        assert (await store.usage("root", tree=True)).total_tokens == 0


async def test_listing_a_damaged_session_of_a_long_name_is_a_clear_error(tmp_path: Path) -> None:
    name = "é" * 300
    async with FileSessionStore(tmp_path) as store:
        await store.create(name)
        log = file_of(tmp_path, name)
        await asyncio.to_thread(log.write_bytes, b"\nnonsense\n")
        with pytest.raises(SessionManagerError, match=re.escape(log.name)):
            await store.list_sessions()
