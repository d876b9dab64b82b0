"""Forks in files: events of other logs read across the border, that border's proof, damage, deletion, old files."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import pytest

from a2a_session_manager.exceptions import CorruptSession, SessionNotFound
from a2a_session_manager.limits import StoreLimits
from a2a_session_manager.storage.file import FileSessionStore, lineage
from a2a_session_manager.storage.file.framed_file import FramedFile
from a2a_session_manager.storage.file.framing import read_frames
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.testing.contract.counting_once import reply
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.forked import LARGE, check, grow, texts
from tests.storage.file.opening import log_in
from tests.storage.file.processes.common import file_of, sidecars_of, write_checkpoints_every


@pytest.fixture
def small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoints_every(monkeypatch, 500)


async def make_line(store: FileSessionStore) -> dict[str, list[str]]:
    """Make a root, a fork of it, and forks of that on both sides of its border; return what each shows."""
    await store.create("root")
    await grow(store, "root", texts(1, 12))
    await store.fork("root", at=8, new_id="fork")
    await grow(store, "fork", texts(9, 15, "f"))
    await grow(store, "root", texts(13, 14))
    await store.fork("fork", at=11, new_id="above")
    await store.fork("fork", at=8, new_id="border")
    await store.fork("fork", at=3, new_id="below")
    shown = {
        "root": texts(1, 14),
        "fork": [*texts(1, 8), *texts(9, 15, "f")],
        "above": [*texts(1, 8), *texts(9, 11, "f")],
        "border": texts(1, 8),
        "below": texts(1, 3),
    }
    for name in ("above", "border", "below"):
        own = texts(1, 6, name)
        await grow(store, name, own)
        shown[name] += own
    return shown


@pytest.mark.usefixtures("small_checkpoints")
async def test_all_reads_cross_the_borders_with_checkpoints_on_either_side_and_without(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path, limits=StoreLimits(page_bytes=1_500)) as store:
        shown = await make_line(store)
        for name, ids in shown.items():
            await check(store, name, ids)

    async with FileSessionStore(tmp_path) as cold:
        for name, ids in reversed(shown.items()):
            await check(cold, name, ids)
            assert log_in(cold, name).index.covered > 0  # nothing made it read from its start
    for name in shown:
        sidecars = await asyncio.to_thread(sidecars_of, tmp_path, name)
        assert sidecars
        for path in sidecars:
            await asyncio.to_thread(path.unlink)
    async with FileSessionStore(tmp_path) as bare:
        for name, ids in shown.items():
            await check(bare, name, ids)


async def test_an_index_of_a_fork_holds_its_own_events_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await store.append("root", *(said(id=f"e{number}") for number in range(2_000)))
        await store.fork("root", new_id="fork")
        write_checkpoints_every(monkeypatch, 500)
        await grow(store, "fork", texts(1, 20, "f"))

    index = file_of(tmp_path, "fork", ".idx")
    assert 0 < (await asyncio.to_thread(index.stat)).st_size <= 20 * 8


@pytest.mark.usefixtures("small_checkpoints")
@pytest.mark.parametrize("is_cold", [False, True])
async def test_an_inherited_id_is_known_and_a_later_one_of_the_source_is_not(tmp_path: Path, is_cold: bool) -> None:
    async with FileSessionStore(tmp_path) as store:
        shown = await make_line(store)
        if is_cold:
            await store.aclose()
    async with FileSessionStore(tmp_path) as store:
        known = await store.append("above", said(LARGE, id="e2"), said(LARGE, id="f10"), said(LARGE, id="f12"))
        assert [event.seq for event in known] == [2, 10, 18]
        await store.retract("above", "e2", "f10", "f12")
        assert [event.id for event in await store.restore("above", "f10")] == ["f10"]
    shown["above"].remove("e2")

    async with FileSessionStore(tmp_path) as cold:
        assert [event.id for event in await cold.events("above")] == shown["above"]
        assert [event.id for event in await cold.events("fork")] == shown["fork"]


# --- locks ---


async def test_no_two_logs_are_ever_held_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[int, list[FramedFile]] = {}
    entered = FramedFile.__enter__

    def enter(self: FramedFile) -> FramedFile:
        mine = held.setdefault(threading.get_ident(), [])
        if isinstance(self, LogFile):
            assert all(other is self for other in mine), (self.path, [other.path for other in mine])
            mine.append(self)
        return entered(self)

    def leave(
        self: FramedFile, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(self, LogFile) and (mine := held.get(threading.get_ident())):
            mine.pop()
        left(self, kind, error, trace)

    left = FramedFile.__exit__
    monkeypatch.setattr(FramedFile, "__enter__", enter)
    monkeypatch.setattr(FramedFile, "__exit__", leave)
    async with FileSessionStore(tmp_path) as store:
        shown = await make_line(store)
        for name, ids in shown.items():
            await check(store, name, ids)
        await store.append("above", said(LARGE, id="e1"), reply("msg", 5))
        assert len(held) > 1


# --- damage ---


async def _tell(store: FileSessionStore, session_id: str) -> None:
    """Try all that needs an inherited event."""
    for reading in (
        store.get(session_id),
        store.get(session_id, last=9),
        store.events(session_id),
        store.read_messages(session_id),
        store.events_by_id(session_id, "e1"),
        store.append(session_id, said(id="new")),
        store.fork(session_id, at=2, new_id="other"),
    ):
        with pytest.raises(CorruptSession, match=r"root\.log"):
            await reading


@pytest.mark.parametrize("is_cold", [False, True])
async def test_a_lost_source_is_damage_and_never_a_shorter_conversation(tmp_path: Path, is_cold: bool) -> None:
    async with FileSessionStore(tmp_path) as warm, FileSessionStore(tmp_path) as cold:
        await warm.create("top")
        await warm.create("root", parent_id="top")
        await grow(warm, "root", texts(1, 6))
        await warm.fork("root", at=4, new_id="fork")
        await grow(warm, "fork", texts(1, 4, "f"))
        log = file_of(tmp_path, "root")
        await asyncio.to_thread(log.rename, log.with_name("away"))

        await _tell(cold if is_cold else warm, "fork")
        session = await warm.get("fork", last=2)
        assert session is not None
        assert [event.id for event in session.events] == ["f3", "f4"]  # which are its own
        await asyncio.to_thread(log.with_name("away").rename, log)
        await check(warm, "fork", [*texts(1, 4), *texts(1, 4, "f")])
        await check(cold, "fork", [*texts(1, 4), *texts(1, 4, "f")])


@pytest.mark.parametrize("kept", [4, 6])
async def test_a_source_cut_after_the_border_serves_its_forks_and_one_cut_before_it_is_damage(
    tmp_path: Path, kept: int
) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        for number in range(1, 8):
            await store.append("root", said(LARGE, id=f"e{number}"))
        await store.fork("root", at=5, new_id="fork")
        await store.append("fork", said(id="f1"))
        await store.fork("fork", at=4, new_id="early")
    log = file_of(tmp_path, "root")
    data = await asyncio.to_thread(log.read_bytes)
    frames = read_frames(data, 0)
    await asyncio.to_thread(log.write_bytes, data[: frames[kept].end] + b"\n" + data[frames[kept].end + 1 :][::-1])

    async with FileSessionStore(tmp_path) as store:
        with pytest.raises(CorruptSession, match=r"root\.log .*cut_damaged_tail\('root'\)"):
            await store.events("fork")
        assert await store.cut_damaged_tail("root") > 0
        await store.append("root", *(said(LARGE, id=f"later {number}") for number in range(5)))
        await check(store, "early", texts(1, 4))
        if kept == 6:
            await check(store, "fork", [*texts(1, 5), "f1"])
            return
        for _ in range(2):
            with pytest.raises(CorruptSession, match=r"root\.log does not hold the events up to 5 any more"):
                await store.events("fork")
        with pytest.raises(CorruptSession, match="does not hold"):
            await store.append("fork", said(id="e5"))
        await store.delete("fork")  # the way out without a backup
        assert await store.forks("root") == ["early"]


# --- deletion ---


async def test_a_fork_that_is_deleted_while_it_is_read_is_absent_and_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FileSessionStore(tmp_path) as store, FileSessionStore(tmp_path) as other:
        loop = asyncio.get_running_loop()

        def deleting(work: Any) -> Any:
            def first(self: lineage.Lineage, *args: Any, **options: Any) -> Any:
                deletion = other.delete("root", children="cascade")
                asyncio.run_coroutine_threadsafe(deletion, loop).result()
                return work(self, *args, **options)

            return first

        for name in ("read_ranges", "read_blocks", "read_page", "find_events", "known"):
            await store.create("root")
            await store.append("root", *(said(id=f"e{number}") for number in range(4)))
            await store.fork("root", new_id="fork")
            with monkeypatch.context() as patch:
                patch.setattr(lineage.Lineage, name, deleting(getattr(lineage.Lineage, name)))
                if name == "read_ranges":
                    assert await store.get("fork") is None
                    continue
                works: dict[str, Callable[[], Awaitable[Any]]] = {
                    "read_blocks": lambda: store.read_messages("fork"),
                    "read_page": lambda: store.events("fork"),
                    "find_events": lambda: store.events_by_id("fork", "e1"),
                    "known": lambda: store.append("fork", said(id="new")),
                }
                with pytest.raises(SessionNotFound):
                    await works[name]()


async def test_the_tree_tells_forks_from_children_and_forgets_neither(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        shown = await make_line(store)
        await store.create("child", parent_id="root")
        for store_or_cold in (store, FileSessionStore(tmp_path)):
            assert await store_or_cold.children("root") == ["child"]
            assert await store_or_cold.forks("root") == ["fork", "border", "below"]
            assert await store_or_cold.forks("fork") == ["above"]
            nodes = {node.id: node.forked_from for node in await store_or_cold.tree("above")}
            points = {name: None if source is None else source[::2] for name, source in nodes.items()}
            assert points == {
                "root": None,
                "fork": ("root", 8),
                "above": ("fork", 11),
                "border": ("fork", 8),
                "below": ("fork", 3),
                "child": None,
            }
        await store_or_cold.aclose()
        await store.delete("fork", children="cascade")
        await check(store, "below", shown["below"])
        await store.delete("root", children="cascade")
        assert await store.list_sessions() == []
    assert await asyncio.to_thread(lambda: [*tmp_path.rglob("*.log"), *tmp_path.rglob("*.tree")]) == []
