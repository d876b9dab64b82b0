"""durability=disk against a modelled loss of power: any page and any name that was not synced may be lost."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path

import pytest

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.file import Durability, FileSessionStore
from a2a_session_manager.testing.contract.making import said, spending
from a2a_session_manager.testing.contract.writes import seen
from tests.storage.file.processes.common import Picture, write_checkpoints_every
from tests.storage.file.processes.power import Disk, Moment, Recorder

NAMES = ("root", "child", "leaf", "other", "fork")
LARGE = "x" * 5_000
Step = Callable[[BaseSessionStore], Awaitable[object]]


def _create(name: str, parent_id: str | None, write_id: str) -> Step:
    change = SessionChange(events=[spending(1, id=write_id)])
    return lambda store: store.create(name, parent_id=parent_id, change=change, write_id=write_id)


def _append(name: str, event_id: str, text: str = "x") -> Step:
    return lambda store: store.append(name, said(text, id=event_id))


# What stands in one group is under way at once.
WORK: list[list[Step]] = [
    [_create("root", None, "w0")],
    [_append("root", "a0"), _append("root", "a1", LARGE), _append("root", "a2", LARGE), _append("root", "a3")],
    [_create("child", "root", "w1")],
    [lambda store: store.append("child", spending(10, id="b0"))],
    [lambda store: store.commit("root", SessionChange(set_state={"plan": LARGE}), write_id="w2")],
    [lambda store: store.retract("root", "a1", write_id="w3")],
    [_create("leaf", "child", "w4")],
    [lambda store: store.append("leaf", spending(100, id="c0"))],
    [lambda store: store.delete("leaf")],
    [_create("other", None, "w5")],
    [lambda store: store.fork("root", at=4, new_id="fork")],
    [_append("fork", "f0"), _append("fork", "a2", LARGE)],
    [lambda store: store.delete("child", children="cascade")],
    [_create("leaf", "root", "w6")],
    [_append("root", f"d{number}", LARGE) for number in range(3)],
    [lambda store: store.delete("other")],
    [_create("other", None, "w7")],
    [_append("other", "e0")],
    [lambda store: store.delete("root", children="cascade")],
]
STEPS = [step for group in WORK for step in group]
State = dict[str, Picture]


@pytest.fixture(autouse=True)
def small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoints_every(monkeypatch, 8_000)


async def _state(directory: Path, durability: Durability = "process") -> State:
    """Return what a cold store sees."""
    async with FileSessionStore(directory, durability=durability) as cold:
        state = {name: await seen(cold, name) for name in NAMES}
        for name, found in state.items():
            if found is not None:
                found["tree"] = await cold.tree(name)
                found["tree spend"] = await cold.usage(name, tree=True)
        return state


async def _states(directory: Path) -> list[State]:
    """Return what can be seen before the first step and after each."""
    states = [dict.fromkeys(NAMES)]
    async with FileSessionStore(directory) as store:
        for step in STEPS:
            await step(store)
            states.append(await _state(directory))
    return states


def _recorded(top: Path) -> list[Moment]:
    """Do all the work and return its moments; `done` counts the steps that were answered."""

    async def work(recorder: Recorder) -> None:
        async with FileSessionStore(top / "sessions", durability="disk") as store:
            for group in WORK:
                await asyncio.gather(*(step(store) for step in group))
                recorder.done += len(group)

    top.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(top, patch)
        asyncio.run(work(recorder))
    return recorder.moments


def _under_way(done: int) -> int:
    """Return how many steps more than the answered ones may have been taken."""
    for group in WORK:
        if done < len(group):
            return len(group) - done
        done -= len(group)
    return 0


async def _check(moment: Moment, disk: Disk, directory: Path, states: list[State], opened: Durability) -> None:
    await asyncio.to_thread(disk.write, directory)
    sessions = directory / "sessions"
    wanted = range(moment.done, moment.done + _under_way(moment.done) + 1)
    found = await _state(sessions, opened)
    taken = next((number for number in wanted if states[number] == found), None)
    assert taken is not None, (moment.call, moment.done, found)
    async with FileSessionStore(sessions, durability=opened) as store:
        assert sorted(await store.list_sessions()) == sorted(name for name in NAMES if states[taken][name])
        for step in STEPS[taken:]:
            await step(store)
    assert await _state(sessions) == states[-1]


def _check_all(tmp_path: Path, disks: Iterable[tuple[Moment, Disk]], states: list[State]) -> int:
    """Check each different disk once; return how many there were."""
    known: set[int] = set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(os, "fdatasync", lambda _: None)
        for moment, disk in disks:
            mark = hash((moment.done, tuple(sorted(disk.files().items()))))
            if mark not in known:
                known.add(mark)
                asyncio.run(_check(moment, disk, tmp_path / "found", states, ("disk", "process")[len(known) % 2]))
    return len(known)


def _some_of_each(moments: list[Moment], chance: random.Random) -> Iterator[tuple[Moment, Disk]]:
    for moment in moments[:: len(moments) // 8]:
        yield moment, chance.choice([*moment.single_losses(), *moment.plain_disks()])
        yield moment, moment.random_disk(chance)


def _all_of_each(moments: list[Moment], chance: random.Random) -> Iterator[tuple[Moment, Disk]]:
    for moment in moments:
        for disk in (*moment.plain_disks(), *moment.single_losses()):
            yield moment, disk
        for _ in range(3):
            yield moment, moment.random_disk(chance)


def test_what_was_answered_is_there_after_a_loss_of_power_whatever_was_not_synced(tmp_path: Path) -> None:
    moments = _recorded(tmp_path / "disk")
    states = asyncio.run(_states(tmp_path / "plain"))

    assert _check_all(tmp_path, _some_of_each(moments, random.Random(16)), states) > 8


@pytest.mark.soak
def test_no_loss_of_power_at_all_loses_what_was_answered(tmp_path: Path) -> None:
    moments = _recorded(tmp_path / "disk")
    states = asyncio.run(_states(tmp_path / "plain"))

    assert _check_all(tmp_path, _all_of_each(moments, random.Random(17)), states) > 1_000


def test_a_fork_brings_to_disk_what_it_inherits_whoever_wrote_that(tmp_path: Path) -> None:
    async def make(top: Path, recorder: Recorder) -> None:
        async with FileSessionStore(top / "sessions") as store:
            await store.create("root")
            await store.append("root", said(LARGE, id="e1"), said(id="e2"))
        async with FileSessionStore(top / "sessions", durability="disk") as store:
            await store.fork("root", new_id="fork")

    async def shown(directory: Path) -> list[str]:
        async with FileSessionStore(directory / "sessions") as cold:
            return [event.id for event in await cold.events("fork")]

    top = tmp_path / "disk"
    top.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(top, patch)
        asyncio.run(make(top, recorder))
    for number, disk in enumerate(recorder.moments[-1].plain_disks()):
        disk.write(tmp_path / f"{number}")
        assert asyncio.run(shown(tmp_path / f"{number}")) == ["e1", "e2"]


def test_the_model_loses_what_was_not_synced_and_nothing_else(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        recorder = Recorder(top, patch)
        file = os.open(top / "file", os.O_RDWR | os.O_CREAT)
        os.write(file, b"a" * 3)
        os.fsync(file)
        folder = os.open(top, os.O_RDONLY)
        os.fsync(folder)
        os.write(file, b"b" * 2)
        os.link(top / "file", top / "late")
        os.close(file)
        os.close(folder)
    now = recorder.moments[-1]

    late = {b"aaabb", b"aaa\0\0", b"aaa"}
    assert {disk.files()["/file"] for disk in now.plain_disks()} == late
    assert {frozenset(disk.files()) for disk in now.plain_disks()} == {
        frozenset({"/file", "/late"}),
        frozenset({"/file"}),
    }
    assert [disk.files() for disk in now.single_losses()] == [
        {"/file": b"aaa\0\0", "/late": b"aaa\0\0"},
        {"/file": b"aaabb"},
    ]
    assert {now.random_disk(random.Random(seed)).files()["/file"] for seed in range(50)} == late
    assert [*recorder.moments[0].plain_disks()][-1].files() == {}
