"""Loops, closing, syncing, and the few files and logs a store keeps at hand."""

from __future__ import annotations

import asyncio
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.exceptions import CorruptSession, SessionConflict, SessionNotFound, StoreUnavailable
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.file import FileSessionStore, handle_pool, known_files
from a2a_session_manager.storage.file.log import LogFile
from a2a_session_manager.testing.contract.making import said, spending
from tests.storage.file.opening import created, open_in
from tests.storage.file.processes.common import file_of, looked, picture

NO_HANG_SECONDS = 30
# Longer than a tick of the clock that stamps files.
SETTLED_SECONDS = 0.05


# --- loops and closing ---


def test_one_store_serves_one_loop_after_another(tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path)

    async def append(number: int) -> None:
        if number == 0:
            await store.create("chat")
        await asyncio.gather(*(store.append("chat", said(id=f"{number} {each}")) for each in range(20)))

    for number in range(3):
        asyncio.run(append(number))
    asyncio.run(store.aclose())

    found = looked(tmp_path, "chat")
    assert found is not None
    assert found["shown"] == [f"{number} {each}" for number in range(3) for each in range(20)]


def test_two_loops_in_two_threads_share_one_store(tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path)
    asyncio.run(created(store, "chat"))

    async def append(name: str) -> None:
        for number in range(60):
            await asyncio.gather(*(store.append("chat", said(id=f"{name} {number} {each}")) for each in range(3)))

    threads = [threading.Thread(target=asyncio.run, args=(append(name),), daemon=True) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(NO_HANG_SECONDS)
        assert not thread.is_alive()
    asyncio.run(store.aclose())

    found = looked(tmp_path, "chat")
    assert found is not None
    assert len(found["shown"]) == 360


def test_a_loop_that_ends_with_writes_in_flight_loses_no_acknowledged_one_and_does_not_hang(tmp_path: Path) -> None:
    acknowledged: list[str] = []
    store = FileSessionStore(tmp_path)

    async def append(task: int) -> None:
        for number in range(100_000):
            await store.append("chat", said(id=f"{task} {number}"))
            acknowledged.append(f"{task} {number}")

    async def begin(rounds: int) -> None:
        if rounds == 0:
            await store.create("chat")
        tasks = [asyncio.create_task(append(rounds * 10 + task)) for task in range(8)]
        await asyncio.sleep(0.01 + rounds / 300)
        del tasks  # asyncio.run cancels them

    for rounds in range(5):
        asyncio.run(begin(rounds))
    asyncio.run(store.aclose())

    found = looked(tmp_path, "chat")
    assert found is not None
    assert acknowledged
    assert set(acknowledged) <= set(found["shown"])
    assert len(found["shown"]) == len(set(found["shown"]))
    for task in {each.split()[0] for each in found["shown"]}:
        own = [each for each in found["shown"] if each.split()[0] == task]
        assert own == [f"{task} {number}" for number in range(len(own))]


async def test_aclose_finishes_what_is_queued(tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path)
    await store.create("chat")
    writes = [asyncio.create_task(store.append("chat", said(id=f"e{number}"))) for number in range(600)]
    await asyncio.sleep(0)
    await asyncio.gather(store.aclose(), store.aclose())
    results = await asyncio.gather(*writes, return_exceptions=True)
    done = sum(not isinstance(result, BaseException) for result in results)

    assert all(isinstance(result, list | StoreUnavailable) for result in results)
    assert done > 0
    found = await picture(tmp_path, "chat")
    assert found is not None
    assert found["shown"] == [f"e{number}" for number in range(done)]


async def test_every_verb_is_refused_after_aclose_and_aclose_may_be_repeated(tmp_path: Path) -> None:
    store = FileSessionStore(tmp_path)
    await store.create("chat")
    await store.aclose()
    await store.aclose()

    for verb in (store.get("chat"), store.create("new"), store.append("chat", said("x")), store.list_sessions()):
        with pytest.raises(StoreUnavailable, match="the store is closed"):
            await verb


async def test_aclose_closes_all_files(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await created(store, *(f"s{number}" for number in range(20)))
        await asyncio.gather(*(store.append(f"s{number}", said("x")) for number in range(20)))
        assert await asyncio.to_thread(open_in, tmp_path)

    assert await asyncio.to_thread(open_in, tmp_path) == []


# --- threads of one process ---


async def test_reads_of_a_tree_and_writes_in_it_never_wait_for_each_other_for_ever(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store, asyncio.timeout(NO_HANG_SECONDS):
        await store.create("root")
        children = [f"c{number}" for number in range(20)]
        for child in children:
            await store.create(child, parent_id="root")

        async def append(child: str) -> None:
            for _ in range(40):
                await store.append(child, spending(1))

        async def make_and_delete() -> None:
            for number in range(20):
                await store.create(f"d{number}", parent_id="root")
                await store.append(f"d{number}", spending(1))
                await store.delete(f"d{number}")

        async def look() -> None:
            for _ in range(60):
                await store.usage("root", tree=True)
                await store.get("c1")
                await store.children("root")

        await asyncio.gather(*map(append, children), make_and_delete(), look(), look(), look())

        assert (await store.usage("root", tree=True)).total_tokens == 2 * (20 * 40 + 20)


async def test_a_trees_spend_counts_what_another_store_has_appended_since(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store, FileSessionStore(tmp_path) as other:
        await store.create("root")
        await store.create("child", parent_id="root")
        await store.append("child", spending(1))
        await asyncio.sleep(SETTLED_SECONDS)  # from here on, what has not changed is not opened
        spent = [(await store.usage("root", tree=True)).total_tokens for _ in range(2)]

        for appended in (2, 3):
            await other.append("child", spending(appended))
            spent.append((await store.usage("root", tree=True)).total_tokens)
        await store.append("child", spending(4))
        spent.append((await store.usage("root", tree=True)).total_tokens)
        await other.delete("child")
        spent.append((await store.usage("root", tree=True)).total_tokens)

    assert spent == [2, 2, 6, 12, 20, 20]  # a prompt and a completion each


async def test_a_trees_spend_opens_no_file_that_has_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        for number in range(5):
            await store.create(f"c{number}", parent_id="root")
            await store.append(f"c{number}", spending(1))
        await asyncio.sleep(SETTLED_SECONDS)
        await store.usage("root", tree=True)
        await store.append("c1", spending(1))
        caught_up: list[str] = []
        catch_up = LogFile.catch_up

        def noted(log: LogFile, **how: Any) -> bool:
            caught_up.append(log.key.id)
            return catch_up(log, **how)

        monkeypatch.setattr(LogFile, "catch_up", noted)
        spent = await store.usage("root", tree=True)

    assert spent.total_tokens == 2 * 6
    assert set(caught_up) <= {"root", "c1"}


async def test_a_log_that_is_lost_after_its_spend_was_read_is_missed(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        await store.create("child", parent_id="root")
        await store.append("child", spending(5))
        await asyncio.sleep(SETTLED_SECONDS)
        await store.usage("root", tree=True)
        await asyncio.to_thread(file_of(tmp_path, "child").unlink)

        with pytest.raises(CorruptSession, match=r"child\.log is missing"):
            await store.usage("root", tree=True)


async def test_a_trees_spend_never_seems_less_while_another_store_deletes(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store, FileSessionStore(tmp_path) as other:
        await store.create("root")
        for number in range(40):
            await store.create(f"c{number}", parent_id="root")
            await store.append(f"c{number}", spending(1))
        seen: set[int] = set()

        async def look() -> None:
            for _ in range(80):
                seen.add((await store.usage("root", tree=True)).total_tokens)

        async def delete() -> None:
            for number in range(40):
                await other.delete(f"c{number}")

        await asyncio.gather(look(), look(), delete())

    assert seen == {80}


async def test_a_session_that_another_store_makes_and_deletes_is_there_or_absent_but_never_damaged(
    tmp_path: Path,
) -> None:
    async with FileSessionStore(tmp_path) as maker, FileSessionStore(tmp_path) as reader:

        async def make() -> None:
            for _ in range(60):
                await maker.create("chat")
                await maker.append("chat", said("x"))
                await maker.delete("chat")

        async def look() -> None:
            for _ in range(300):
                await reader.get("chat")
                await reader.list_sessions()

        await asyncio.gather(make(), look(), look())

        assert await reader.get("chat") is None


async def test_a_cascade_over_more_sessions_than_a_store_keeps_at_hand_is_one_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_files, "MOST_KNOWN", 12)
    monkeypatch.setattr(handle_pool, "_MOST_OPEN", 6)
    async with FileSessionStore(tmp_path) as store:
        await store.create("root")
        for number in range(40):
            await store.create(f"c{number}", parent_id="root", change=SessionChange(events=[spending(1)]))
        assert (await store.usage("root", tree=True)).total_tokens == 80
        await store.create("keeper")
        await store.delete("root", children="cascade")
        assert await store.list_sessions() == ["keeper"]
        with pytest.raises(SessionNotFound):
            await store.append("c1", said("x"))

    assert await asyncio.to_thread(file_of(tmp_path, "root", ".tree").exists) is False


async def test_a_deleted_session_is_not_brought_back_by_another_store_over_the_same_directory(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as one, FileSessionStore(tmp_path) as two:
        session = await one.create("chat")
        await two.delete("chat")
        session.add_event(said())

        with pytest.raises(SessionNotFound):
            await two.save(session)

    assert await picture(tmp_path, "chat") is None


async def test_a_session_read_through_a_store_that_is_closed_by_now_is_saved_through_the_next(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as one:
        session = await one.create("chat")
    session.add_event(said(id="e"))

    async with FileSessionStore(tmp_path) as two:
        await two.save(session)

    assert ((await picture(tmp_path, "chat")) or {})["shown"] == ["e"]


async def test_a_session_read_before_a_restore_guards_nothing_that_was_written_since(tmp_path: Path) -> None:
    directory, backup = tmp_path / "store", tmp_path / "backup"
    async with FileSessionStore(directory) as store:
        await store.create("talk")
        await asyncio.to_thread(shutil.copytree, directory, backup)
        await store.append("talk", said(id="lost"))
        seen = await store.get("talk")
        assert seen is not None
    await asyncio.to_thread(shutil.rmtree, directory)
    await asyncio.to_thread(shutil.copytree, backup, directory)

    async with FileSessionStore(directory) as restored:
        with pytest.raises(SessionConflict):
            await restored.append(seen, said(id="too late"), expected_revision=seen.revision)
        await restored.append("talk", said(id="written since"))
        with pytest.raises(SessionConflict, match="not at the one that was read"):
            await restored.append(seen, said(id="late"), expected_revision=seen.revision)

        assert [event.id for event in await restored.events("talk")] == ["written since"]
