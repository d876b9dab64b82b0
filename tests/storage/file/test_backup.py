"""A copy taken while the store is in use, as the README says: the trees, the logs, the trees again, no sidecars."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import CorruptSession, SessionManagerError
from a2a_session_manager.storage.file import FileSessionStore, restoring
from a2a_session_manager.storage.file.store_directory import StoreDirectory
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.file.processes.common import file_of, looked

Work = Callable[[FileSessionStore], Awaitable[None]]


def copied(source: Path, target: Path, suffix: str) -> Iterator[None]:
    """Copy the files of a kind one by one, as rsync does, over older ones."""
    for path in sorted(source.rglob(f"*{suffix}")):
        new = target / path.relative_to(source)
        new.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # deleted since the folder was listed
            shutil.copy2(path, new)
        yield


README_PASSES = (".tree", ".log", ".tree")
# Without the last pass, what was deleted meanwhile takes its spend along; all else is as whole.
SHORT_PASSES = (".tree", ".log")


def backed_up(source: Path, target: Path, passes: Sequence[str]) -> Iterator[None]:
    """What the README's commands do, file by file."""
    target.mkdir()
    shutil.copy(source / "format.json", target)
    for suffix in passes:
        yield from copied(source, target, suffix)


async def _line(store: FileSessionStore, *names: str) -> None:
    """Make a root and a chain below it, each with more than its first commit."""
    parent_id = None
    for name in names:
        await store.create(name, parent_id=parent_id)
        await store.append(name, spending(1))
        parent_id = name


async def make_root(store: FileSessionStore) -> None:
    await _line(store, "new", "new-child")


async def make_children(store: FileSessionStore) -> None:
    for name, parent_id in (("late", "root"), ("later", "late"), ("latest", "later"), ("below", "leaf")):
        await store.create(name, parent_id=parent_id)
        await store.append(name, spending(1))


async def make_forks(store: FileSessionStore) -> None:
    """Fork sessions at what was just written to them, which is in a copy only if their logs' turn comes later."""
    for name, source in (("late", "root"), ("later", "late"), ("latest", "leaf")):
        await store.append(source, said("to be forked"))
        await store.fork(source, new_id=name)
        await store.append(name, spending(1))


async def delete_leaf(store: FileSessionStore) -> None:
    await store.delete("leaf", children="cascade")


async def delete_subtree(store: FileSessionStore) -> None:
    await store.delete("child", children="cascade")


async def delete_root(store: FileSessionStore) -> None:
    await store.delete("root", children="cascade")


async def make_again(store: FileSessionStore) -> None:
    await delete_subtree(store)
    await store.create("leaf", parent_id="root")
    await store.append("leaf", said("of another life"))


async def make_root_again(store: FileSessionStore) -> None:
    await delete_root(store)
    await _line(store, "root", "leaf")


async def move(store: FileSessionStore) -> None:
    await delete_leaf(store)
    await store.create("leaf", parent_id="other")
    await store.append("leaf", said("in another tree"))


WORKS: tuple[Work, ...] = (
    make_root,
    make_children,
    make_forks,
    delete_leaf,
    delete_subtree,
    delete_root,
    make_again,
    make_root_again,
    move,
)
NAMES = ("root", "child", "leaf", "other", "new", "new-child", "late", "later", "latest", "below", "early")


async def _made(directory: Path) -> None:
    async with FileSessionStore(directory) as store:
        await _line(store, "root", "child", "leaf")
        await _line(store, "other")


async def _all_reads_or_is_absent(directory: Path) -> None:
    """Whatever can be asked of a copy is answered, and it takes every write."""
    async with FileSessionStore(directory) as copy:
        found = {name: await copy.get(name) for name in NAMES}
        living = sorted(name for name, session in found.items() if session is not None)
        assert sorted(await copy.list_sessions()) == living
        for name in living:
            session = found[name]
            assert session is not None
            assert all([await copy.get(ancestor) for ancestor in (session.parent_id, session.id) if ancestor])
            assert set(await copy.children(name)) <= set(living)
            await copy.usage(name, tree=True)
            await copy.append(name, said("after the backup"))
        for name in NAMES:
            if name not in living:
                with pytest.raises(SessionManagerError, match="no session"):
                    await copy.append(name, said("x"))
                await copy.create(name)
    async with FileSessionStore(directory) as cold:
        assert sorted(await cold.list_sessions()) == sorted(NAMES)
        for name in NAMES:
            await cold.delete(name, children="cascade")
        assert await cold.list_sessions() == []


def _back_up(
    directory: Path, target: Path, at: Mapping[int, Sequence[Work]], passes: Sequence[str] = README_PASSES
) -> int:
    """Copy, and in front of the steps of `at` have others write; return how many steps there were."""

    async def write(works: Sequence[Work]) -> None:
        async with FileSessionStore(directory) as store:
            for work in works:
                with suppress(SessionManagerError):  # what it wanted to delete may be gone
                    await work(store)

    step = -1
    for step, _ in enumerate(backed_up(directory, target, passes)):
        asyncio.run(write(at.get(step, ())))
    return step + 1


@pytest.mark.parametrize("work", WORKS, ids=lambda work: work.__name__)
def test_a_copy_in_whose_midst_others_write_holds_whole_sessions_or_none(tmp_path: Path, work: Work) -> None:
    asyncio.run(_made(tmp_path / "template"))
    steps = _back_up(tmp_path / "template", tmp_path / "unused", {}, SHORT_PASSES)

    for step in range(steps):
        source, target = tmp_path / f"source-{step}", tmp_path / f"target-{step}"
        shutil.copytree(tmp_path / "template", source)
        _back_up(source, target, {step: (work,)}, SHORT_PASSES)
        asyncio.run(_all_reads_or_is_absent(target))


@pytest.mark.soak
@pytest.mark.parametrize("passes", [README_PASSES, SHORT_PASSES], ids=len)
@pytest.mark.parametrize("seed", range(60))
def test_a_copy_in_whose_midst_others_write_again_and_again_holds_whole_sessions_or_none(
    tmp_path: Path, seed: int, passes: Sequence[str]
) -> None:
    chance = random.Random(seed)
    asyncio.run(_made(tmp_path / "source"))

    at = {step: chance.choices(WORKS, k=chance.randint(0, 3)) for step in range(30)}
    _back_up(tmp_path / "source", tmp_path / "target", at, passes)
    asyncio.run(_all_reads_or_is_absent(tmp_path / "target"))


def test_what_was_made_meanwhile_is_in_the_copy_with_what_it_spent(tmp_path: Path) -> None:
    asyncio.run(_made(tmp_path / "source"))
    trees = len(list((tmp_path / "source").rglob("*.tree")))

    async def write(store: FileSessionStore) -> None:
        await make_root(store)
        await make_children(store)

    _back_up(tmp_path / "source", tmp_path / "target", {trees - 1: (write,)})

    for name in ("root", "new", "later"):
        assert looked(tmp_path / "target", name) == looked(tmp_path / "source", name)


async def _fork_meanwhile(store: FileSessionStore) -> None:
    await store.append("root", said("when the log of the source was copied"))
    for name, at in (("early", 1), ("late", None)):
        await store.fork("root", at=at, new_id=name)
        await store.append(name, spending(1, id=f"{name} own"))
    await store.fork("late", new_id="later")


def test_a_fork_of_what_came_after_its_sources_turn_is_left_out_and_one_of_what_was_there_is_whole(
    tmp_path: Path,
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    asyncio.run(_made(source))
    _back_up(source, target, {})

    async def write() -> None:
        async with FileSessionStore(source) as store:
            await _fork_meanwhile(store)

    asyncio.run(write())
    for name, suffix in (("early", ".log"), ("late", ".log"), ("later", ".log"), ("root", ".tree")):
        path = file_of(source, name, suffix)
        new = target / path.relative_to(source)
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, new)

    assert looked(target, "late") is looked(target, "later") is None
    early, root = looked(target, "early"), looked(target, "root")
    assert early is not None
    assert early["shown"][1:] == ["early own"]
    assert early["log"] == (looked(source, "early") or {})["log"]
    assert root is not None
    assert [name for name, _ in root["tree"]] == ["root", "child", "leaf", "early"]
    asyncio.run(_all_reads_or_is_absent(target))


def test_a_copy_is_brought_in_order_once_and_damage_of_later_is_damage(tmp_path: Path) -> None:
    asyncio.run(_made(tmp_path / "source"))
    _back_up(tmp_path / "source", tmp_path / "target", {})
    assert looked(tmp_path / "target", "leaf") == looked(tmp_path / "source", "leaf")

    tree = file_of(tmp_path / "target", "root", ".tree")
    tree.write_bytes(tree.read_bytes().rpartition(b"\n\n")[0] + b"\n")
    with pytest.raises(CorruptSession, match="has lost the line"):
        looked(tmp_path / "target", "leaf")
    file_of(tmp_path / "target", "other").unlink()
    with pytest.raises(CorruptSession, match="is missing"):
        looked(tmp_path / "target", "other")


def test_a_damaged_log_in_a_copy_stays_damaged(tmp_path: Path) -> None:
    asyncio.run(_made(tmp_path / "source"))
    _back_up(tmp_path / "source", tmp_path / "target", {})
    log = file_of(tmp_path / "target", "child")
    log.write_bytes(log.read_bytes().replace(b"child", b"chilD", 1))

    with pytest.raises(CorruptSession):
        looked(tmp_path / "target", "child")
    assert looked(tmp_path / "target", "leaf") == looked(tmp_path / "source", "leaf")


async def test_several_stores_may_open_a_copy_at_once(tmp_path: Path) -> None:
    await _made(tmp_path / "source")
    await asyncio.to_thread(_copied_while_made, tmp_path)
    stores = [FileSessionStore(tmp_path / "target") for _ in range(4)]

    found = await asyncio.gather(*(store.list_sessions() for store in stores))
    assert [sorted(each) for each in found] == [["child", "leaf", "new", "new-child", "other", "root"]] * 4
    for store in stores:
        await store.aclose()


def _copied_while_made(tmp_path: Path) -> None:
    _back_up(tmp_path / "source", tmp_path / "target", {1: (make_root,)})  # when the last tree was copied


def test_a_directory_that_is_taken_for_a_copy_loses_nothing_that_others_write_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(_made(tmp_path))
    roots = restoring._roots
    other = FileSessionStore(tmp_path)
    asyncio.run(make_children(other))  # it works here, and goes on to

    def roots_after_others_wrote(directory: StoreDirectory, folder: Path) -> Iterator[SessionKey]:
        asyncio.run(make_again(other))
        return roots(directory, folder)

    monkeypatch.setattr(restoring, "_roots", roots_after_others_wrote)
    (tmp_path / "in-use").unlink()  # as earlier releases left a directory
    found = looked(tmp_path, "leaf")
    asyncio.run(other.aclose())

    assert found is not None
    assert found == looked(tmp_path, "leaf")
    root = looked(tmp_path, "root")
    assert root is not None
    assert root["children"] == ["late", "leaf"]


def test_a_plain_copy_says_how_to_bring_it_in_order(tmp_path: Path) -> None:
    asyncio.run(_made(tmp_path / "source"))
    shutil.copytree(tmp_path / "source", tmp_path / "copy")
    file_of(tmp_path / "copy", "child").unlink()
    file_of(tmp_path / "copy", "other", ".tree").unlink()

    with pytest.raises(CorruptSession, match="was copied while a store worked there, remove in-use from the copy"):
        looked(tmp_path / "copy", "root")
    with pytest.raises(CorruptSession, match="was copied while a store worked there, remove in-use from the copy"):
        looked(tmp_path / "copy", "other")
    (tmp_path / "copy" / "in-use").unlink()
    asyncio.run(_all_reads_or_is_absent(tmp_path / "copy"))
