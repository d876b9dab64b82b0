"""Several processes on one directory: killed, stopped, full, forked, deleting; cold looks at what is left."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import SessionNotFound, StoreUnavailable
from a2a_session_manager.storage.file import FileSessionStore, watching, writes
from a2a_session_manager.testing.contract.making import listening, said
from tests.storage.file.processes.common import file_of
from tests.storage.file.processes.crowd import TASKS
from tests.storage.file.processes.writer import acknowledged
from tests.storage.file.remotes import PATIENCE_SECONDS, Remote, _run, many_remotes, remote, start

__all__ = ["remote"]

SCRIPTS = Path(__file__).parent / "processes"


@pytest.fixture
def remotes(tmp_path: Path) -> Iterator[list[Remote]]:
    with many_remotes(tmp_path, 2) as made:
        yield made


# --- killed ---


def _wait_for_progress(writers: dict[Path, subprocess.Popen[str]], before: dict[Path, int]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(sum(acknowledged(acks).values()) < before[acks] + 3 for acks in writers):
        assert time.monotonic() < deadline, "a writer makes no progress"
        assert all(process.poll() is None for process in writers.values()), "a writer has failed"
        time.sleep(0.005)


def _check_killed_writers(directory: Path, sessions: list[str], writers: int, rounds: int) -> None:
    sizes = [1_000, 30_000, 1_000_000]
    store_directory = directory / "sessions"

    async def create() -> None:
        async with FileSessionStore(store_directory) as store:
            for session_id in sessions:
                await store.create(session_id)

    asyncio.run(create())
    plans = {
        directory / f"acks-{number}": (sessions[number % len(sessions)], f"w{number}", 2, sizes[number % 3])
        for number in range(writers)
    }
    chance = random.Random(7)
    for _ in range(rounds):
        before = {acks: sum(acknowledged(acks).values()) for acks in plans}
        running = {acks: start("writer", store_directory, *plan, acks) for acks, plan in plans.items()}
        try:
            _wait_for_progress(running, before)
            time.sleep(chance.random() / 20)
        finally:
            for process in running.values():
                process.kill()
                process.wait()
    last = [start("writer", store_directory, *plan, acks, 3) for acks, plan in plans.items()]
    assert [process.wait(PATIENCE_SECONDS) for process in last] == [0] * writers

    asyncio.run(_check_log(store_directory, sessions, plans))


async def _check_log(directory: Path, sessions: list[str], plans: dict[Path, tuple[str, str, int, int]]) -> None:
    for session_id in sessions:
        async with FileSessionStore(directory) as cold:
            events = await cold.events(session_id)
            spent = await cold.usage(session_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert spent.total_tokens == len(events)
        for acks, (written_to, name, tasks, size) in plans.items():
            if written_to != session_id:
                continue
            done = await asyncio.to_thread(acknowledged, acks)
            for task in range(tasks):
                own = [event for event in events if event.id.startswith(f"{name} {task} ")]
                assert [event.id for event in own] == [f"{name} {task} {n}" for n in range(done[task] + 1)]
                assert all(event.message == "x" * size for event in own)


def test_writers_that_are_killed_lose_and_double_no_acknowledged_event(tmp_path: Path) -> None:
    _check_killed_writers(tmp_path, ["chat"], writers=2, rounds=2)


@pytest.mark.soak
@pytest.mark.parametrize("sessions", [1, 3])
def test_writers_that_are_killed_many_times_lose_and_double_nothing(tmp_path: Path, sessions: int) -> None:
    names = [f"chat-{number}" for number in range(sessions)]
    _check_killed_writers(tmp_path, names, writers=6, rounds=25)


# --- many at once ---


def _check_crowd(directory: Path, rounds: int) -> None:
    async def create() -> None:
        async with FileSessionStore(directory) as store:
            await store.create("root")
            await store.create("shared")

    asyncio.run(create())
    names = ["p0", "p1", "p2", "p3"]
    running = [start("crowd", directory, name, rounds) for name in names]
    assert [process.wait(PATIENCE_SECONDS) for process in running] == [0] * 4

    asyncio.run(_check_crowd_result(directory, names, rounds))


async def _check_crowd_result(directory: Path, names: list[str], rounds: int) -> None:
    children = {f"{name}-{task}" for name in names for task in range(TASKS)}
    async with FileSessionStore(directory) as cold:
        for session_id in ("root", "shared"):
            ids = [event.id for event in await cold.events(session_id)]
            assert len(ids) == len(children) * rounds
            for child in children:
                task = child.replace("-", " ") + " "
                assert [each for each in ids if each.startswith(task)] == [f"{task}{n}" for n in range(rounds)]
        assert (await cold.usage("shared")).total_tokens == 2 * len(children) * rounds
        assert (await cold.usage("root", tree=True)).total_tokens == 2 * 2 * len(children) * rounds
        assert set(await cold.children("root")) == children
        assert len(await cold.tree("root")) == 1 + len(children)
        assert set(await cold.list_sessions()) == {"root", "shared", *children}


def test_four_processes_of_sixteen_tasks_on_one_session_and_one_tree_keep_everything(tmp_path: Path) -> None:
    _check_crowd(tmp_path, rounds=2)


@pytest.mark.soak
def test_four_processes_of_sixteen_tasks_for_long(tmp_path: Path) -> None:
    _check_crowd(tmp_path, rounds=150)


async def test_one_id_created_by_two_processes_under_two_roots_at_once_exists_once(
    tmp_path: Path, remotes: list[Remote]
) -> None:
    async with FileSessionStore(tmp_path) as store:
        for root in ("r0", "r1"):
            await store.create(root)
    for number in range(60):
        answers = await asyncio.gather(
            *(asyncio.to_thread(each.ask, "create", f"x{number}", f"r{at}") for at, each in enumerate(remotes))
        )
        assert sorted("error" in answer for answer in answers) == [False, True], answers
        assert {"error": "SessionAlreadyExists"} in answers

    async with FileSessionStore(tmp_path) as cold:
        children = [await cold.children("r0"), await cold.children("r1")]
    assert sorted(children[0] + children[1]) == sorted(f"x{number}" for number in range(60))


# --- held ---


async def test_a_session_whose_lock_a_stopped_process_holds_fails_after_the_bound_and_others_go_on(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "BUSY_SECONDS", 0.3)
    async with FileSessionStore(tmp_path) as store:
        for name in ("held", "free"):
            await store.create(name)
        await remote.do("hold", str(file_of(tmp_path, "held")))
        remote.stop()
        waiting = [asyncio.create_task(store.append("held", said(id=f"h{number}"))) for number in range(3)]
        for number in range(20):
            await store.append("free", said(id=f"f{number}"))
        assert not any(task.done() for task in waiting)
        assert await store.get("held") is not None
        for task in waiting:
            with pytest.raises(StoreUnavailable, match=r"another process held the file for 0\.3 s: write again later"):
                await task

        remote.go_on()
        await remote.do("release")
        for number in range(3):
            await store.append("held", said(id=f"h{number}"))

    async with FileSessionStore(tmp_path) as cold:
        assert [event.id for event in await cold.events("held")] == ["h0", "h1", "h2"]
        assert len(await cold.events("free")) == 20


async def test_a_lock_released_in_time_lets_the_waiting_writes_through_in_order(tmp_path: Path, remote: Remote) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("held")
        await remote.do("hold", str(file_of(tmp_path, "held")))
        waiting = [asyncio.create_task(store.append("held", said(id=f"h{number}"))) for number in range(10)]
        await asyncio.sleep(0.05)
        waiting += [asyncio.create_task(store.append("held", said(id=f"h{number}"))) for number in range(10, 20)]
        await asyncio.sleep(0.05)
        assert not any(task.done() for task in waiting)
        await remote.do("release")
        await asyncio.gather(*waiting)

    async with FileSessionStore(tmp_path) as cold:
        assert [event.id for event in await cold.events("held")] == [f"h{number}" for number in range(20)]


async def test_a_held_tree_file_stops_creations_and_deletions_and_no_commit(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "BUSY_SECONDS", 0.1)
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await store.create("child", parent_id="root")
        await remote.do("hold", str(file_of(tmp_path, "root", ".tree")))
        for verb in (store.create("late", parent_id="root"), store.delete("child")):
            with pytest.raises(StoreUnavailable, match="another process held the file"):
                await verb
        await store.append("child", said(id="c"))
        await remote.do("release")
        await store.create("late", parent_id="root")

    async with FileSessionStore(tmp_path) as cold:
        assert await cold.children("root") == ["child", "late"]
        assert [event.id for event in await cold.events("child")] == ["c"]


async def test_a_deleted_session_whose_log_is_held_is_gone_at_once_and_its_spend_stays(
    tmp_path: Path, remote: Remote
) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await store.create("child", parent_id="root")
        await remote.do("spend", "child", 5)
        await remote.do("hold", str(file_of(tmp_path, "child")))
        await store.delete("child")
        assert await store.get("child") is None
        assert (await store.usage("root", tree=True)).total_tokens == 10
        await remote.do("release")
        await store.create("child", parent_id="root")

    async with FileSessionStore(tmp_path) as cold:
        assert (await cold.usage("root", tree=True)).total_tokens == 10
        assert await cold.events("child") == []


# --- deleted, followed, forked, limited ---


async def test_an_append_is_before_the_other_processs_delete_or_refused_and_nothing_comes_back(
    tmp_path: Path, remote: Remote
) -> None:
    async with FileSessionStore(tmp_path) as store:
        for number in range(15):
            await store.create("chat")
            stops = asyncio.Event()

            async def append(task: int, number: int = number, stops: asyncio.Event = stops) -> None:
                for count in range(100_000):
                    is_late = stops.is_set()
                    try:
                        await store.append("chat", said(id=f"{number} {task} {count}"))
                    except SessionNotFound:
                        return
                    assert not is_late, "appended after the delete had returned"

            tasks = [asyncio.create_task(append(task)) for task in range(4)]
            await asyncio.sleep(number / 1_000)
            await remote.do("delete", "chat")
            stops.set()
            await asyncio.gather(*tasks)
            assert await store.get("chat") is None
            assert await remote.do("ids", "chat") is None

        await remote.do("create", "chat", None)
        await remote.do("append", "chat", "fresh")
        await store.append("chat", said(id="own"))

    async with FileSessionStore(tmp_path) as cold:
        assert [event.id for event in await cold.events("chat")] == ["fresh", "own"]
        assert await cold.list_sessions() == ["chat"]


async def test_a_session_made_again_by_another_process_is_seen_by_who_had_the_old_log_open(
    tmp_path: Path, remote: Remote
) -> None:
    async with FileSessionStore(tmp_path) as store:
        old = await store.create("chat")
        await store.append(old, said(id="old"))
        await remote.do("delete", "chat")
        await remote.do("create", "chat", None)
        await remote.do("append", "chat", "new")

        assert [event.id for event in await store.events("chat")] == ["new"]
        with pytest.raises(SessionNotFound, match="another one has its id now"):
            await store.append(old, said(id="late"))


async def test_a_log_with_another_name_elsewhere_is_known_to_be_gone_when_its_own_is(
    tmp_path: Path, remote: Remote
) -> None:
    """A backup made of hard links keeps the old file alive."""
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        await store.append("chat", said(id="old"))
        for number, suffix in enumerate((".log", ".tree")):
            await asyncio.to_thread(os.link, file_of(tmp_path, "chat", suffix), tmp_path / f"backup-{number}")
        await remote.do("delete", "chat")
        assert await store.get("chat") is None
        await remote.do("create", "chat", None)
        await store.append("chat", said(id="new"))

    async with FileSessionStore(tmp_path) as cold:
        assert [event.id for event in await cold.events("chat")] == ["new"]


async def test_follow_sees_another_process_without_gap_or_double_until_it_deletes_the_session(
    tmp_path: Path, remote: Remote
) -> None:
    assert watching._LONGEST_PAUSE_SECONDS < 1
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        await store.append("chat", said(id="a"))
        async with listening(store, "chat") as take:
            assert [event.id for event in await take(1)] == ["a"]
            await remote.do("append", "chat", "b", "c")
            await store.append("chat", said(id="d"))
            assert [(event.id, event.seq) for event in await take(3)] == [("b", 2), ("c", 3), ("d", 4)]
            await remote.do("retract", "chat", "b")
            await remote.do("append", "chat", "e")
            seen = await take(2)
            assert [(event.id, event.retracted) for event in seen] == [("b", True), ("e", False)]
            await remote.do("delete", "chat")
            with pytest.raises(SessionNotFound):
                await take(1)


def test_both_processes_of_a_fork_go_on_with_an_open_store(tmp_path: Path) -> None:
    _run("limited", "fork", tmp_path)

    async def ids() -> list[str]:
        async with FileSessionStore(tmp_path) as cold:
            return [event.id for event in await cold.events("chat")]

    found = asyncio.run(ids())
    for name in ("before", "parent", "child"):
        assert [each for each in found if each.startswith(name)] == [f"{name} {number}" for number in range(50)]


def test_a_thousand_open_sessions_need_few_files(tmp_path: Path) -> None:
    _run("limited", "few_files", tmp_path)


def test_on_a_full_disk_only_the_writes_that_do_not_fit_fail_and_can_be_repeated(tmp_path: Path) -> None:
    _run("limited", "full_log", tmp_path)

    async def ids() -> list[str]:
        async with FileSessionStore(tmp_path) as cold:
            return [event.id for event in await cold.events("chat")]

    assert asyncio.run(ids()) == ["first", "small", "second", "third"]


def test_on_a_full_disk_a_creation_or_deletion_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    _run("limited", "full_create", tmp_path)
