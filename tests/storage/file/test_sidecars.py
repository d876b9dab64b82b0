"""Checkpoint, index and id tables: adopted, shared by several writers, lost under an open store, never the truth."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from a2a_session_manager.exceptions import StoreUnavailable
from a2a_session_manager.storage.file import FileSessionStore, commit_lines, id_tables, index, log_records, sidecars
from a2a_session_manager.testing.contract.making import said
from tests.storage.file.opening import log_in
from tests.storage.file.processes.common import (
    commit_steps,
    covered_bytes,
    file_of,
    picture,
    sidecars_of,
    write_checkpoints_every,
)
from tests.storage.file.remotes import Remote, remote

__all__ = ["remote"]  # a fixture

LARGE = "x" * 400


@pytest.fixture(autouse=True)
def small_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    write_checkpoints_every(monkeypatch, 500)


async def _covered(directory: Path, session_id: str) -> int:
    return await asyncio.to_thread(covered_bytes, directory, session_id)


async def _size(path: Path) -> int:
    return (await asyncio.to_thread(os.stat, path)).st_size


async def test_two_stores_that_write_in_turns_keep_the_sidecars_whole(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as one, FileSessionStore(tmp_path) as two:
        await one.create("chat")
        for number in range(60):
            for store, name in ((one, "one"), (two, "two")):
                for part in range(1 + number % 3):
                    await store.append("chat", said(LARGE, id=f"{name} {number} {part}"))
            assert number < 4 or await _covered(tmp_path, "chat") > 0, number

        # All are known to both, however old.
        last_seq = (await one.events("chat"))[-1].seq
        for store in (one, two):
            for number in range(60):
                await store.append("chat", said(LARGE, id=f"one {number} 0"), said(LARGE, id=f"two {number} 0"))
            assert (await store.events("chat"))[-1].seq == last_seq
    assert await _size(file_of(tmp_path, "chat")) - await _covered(tmp_path, "chat") < 40_000
    tables = [path for path in await asyncio.to_thread(sidecars_of, tmp_path, "chat") if ".ids." in path.name]
    assert len(tables) < 12


async def test_a_checkpoint_waits_for_many_records_or_for_large_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "CHECKPOINT_RECORDS", 20)
    async with FileSessionStore(tmp_path) as store:
        for session_id, text, few in (("small", "x", 10), ("large", LARGE, 4)):
            await store.create(session_id)
            for number in range(20):
                await store.append(session_id, said(text, id=f"e{number}"))
                if number == few:
                    assert await _size(file_of(tmp_path, session_id)) > 2 * 500
                    assert await _covered(tmp_path, session_id) == 0
                if session_id == "large" and number == 10:
                    assert await _covered(tmp_path, session_id) > 0
            assert await _covered(tmp_path, session_id) > 0


async def test_a_reader_with_much_remembered_adopts_a_newer_checkpoint(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as reader, FileSessionStore(tmp_path) as writer:
        await writer.create("chat")
        await reader.get("chat")
        for number in range(40):
            await writer.append("chat", said(LARGE, id=f"e{number}"))
            await reader.get("chat", last=1)

        log = log_in(reader, "chat")
        assert log.index.covered > 0
        assert len(log.index._recent_seqs) < 40
        assert [event.id for event in await reader.events("chat")] == [f"e{number}" for number in range(40)]


async def test_sidecars_removed_under_an_open_store_change_no_answer(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        for number in range(20):
            await store.append("chat", said(LARGE, id=f"e{number}"), said(id=f"f{number}"))
        assert log_in(store, "chat").index.covered > 0
        for path in await asyncio.to_thread(sidecars_of, tmp_path, "chat"):
            await asyncio.to_thread(path.unlink)

        assert [event.id for event in await store.events("chat", limit=2)] == ["e0", "f0"]
        known = await store.append("chat", said(LARGE, id="e0"), said(id="f7"))
        assert [event.seq for event in known] == [1, 16]
        await store.append("chat", said(LARGE, id="after"))
        assert len((await picture(tmp_path, "chat") or {})["log"]) == 41


@pytest.mark.parametrize("damage", [b"", b"\xff" * 8, b"\0" * 4_000, b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 500])
async def test_an_index_overwritten_under_an_open_store_changes_no_answer(tmp_path: Path, damage: bytes) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        for number in range(20):
            await store.append("chat", said(LARGE, id=f"e{number}"))
        await asyncio.to_thread(file_of(tmp_path, "chat", ".idx").write_bytes, damage)

        for after in range(0, 20, 3):
            found = await store.events("chat", after=after, limit=2)
            assert [event.seq for event in found] == [seq for seq in (after + 1, after + 2) if seq <= 20]


async def test_a_disk_with_no_room_for_sidecars_costs_no_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> NoReturn:
        raise OSError(errno.ENOSPC, "no room")

    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        for module, name in ((id_tables, "write_file"), (sidecars, "write_file"), (os, "pwrite"), (os, "replace")):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, full)
                await store.append("chat", said(LARGE * 3, id=name + module.__name__))
            async with FileSessionStore(tmp_path) as cold:
                assert (await cold.events("chat"))[-1].id == name + module.__name__
        await store.append("chat", said("now", id="now"))

    assert await _covered(tmp_path, "chat") == await _size(file_of(tmp_path, "chat"))


@pytest.mark.parametrize("name", ["chat.ckpt.new", "chat.ids.1", "chat.idx"])
async def test_sidecars_are_not_written_through_a_symlink(tmp_path: Path, name: str) -> None:
    directory, victim = tmp_path / "sessions", tmp_path / "victim"
    async with FileSessionStore(directory) as store:
        await store.create("chat")
        await asyncio.to_thread(victim.write_bytes, b"precious")
        await asyncio.to_thread((file_of(directory, "chat").parent / name).symlink_to, victim)
        for number in range(10):
            await store.append("chat", said(LARGE, id=f"e{number}"))

    assert await asyncio.to_thread(victim.read_bytes) == b"precious"
    assert len((await picture(directory, "chat") or {})["log"]) == 10


async def test_a_read_error_in_the_middle_of_a_batch_leaves_numbers_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await commit_steps(tmp_path, "chat")
    pread = os.pread

    def broken(*_: int) -> NoReturn:
        raise OSError(errno.EIO, "input/output error")

    async with FileSessionStore(tmp_path) as store:
        await store.get("chat")
        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", broken)
            # The first is staged when the second looks in the file whether its id is known.
            names = ["new", "e1", "e1"]
            batch = [store.append("chat", said(id=name), on_repeat="keep") for name in names]
            results = await asyncio.gather(*batch, return_exceptions=True)
            assert any(isinstance(result, StoreUnavailable) for result in results), results
        assert os.pread is pread
        await store.append("chat", said(id="new"), said(id="e1"), said(id="newer"), on_repeat="keep")

    found = await picture(tmp_path, "chat")
    assert found is not None
    assert [(seq, event_id) for event_id, seq, _ in found["log"]] == [
        (1, "e0"), (2, "e1"), (3, "e2"), (4, "e5"), (5, "e6"), (6, "new"), (7, "newer"),
    ]  # fmt: skip


async def test_sidecars_of_a_deleted_session_do_not_serve_the_next_of_its_id(tmp_path: Path, remote: Remote) -> None:
    await commit_steps(tmp_path, "chat")
    paths = await asyncio.to_thread(sidecars_of, tmp_path, "chat")
    kept = {path: await asyncio.to_thread(path.read_bytes) for path in paths}
    await remote.do("delete", "chat")
    assert await asyncio.to_thread(sidecars_of, tmp_path, "chat") == []
    await remote.do("create", "chat", None)
    for path, data in kept.items():
        await asyncio.to_thread(path.write_bytes, data)
    await remote.do("append", "chat", "e1")

    found = await picture(tmp_path, "chat")
    assert found is not None
    assert found["log"] == [("e1", 1, False)]


async def test_a_checkpoint_written_while_a_log_is_being_opened_is_not_taken_for_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FileSessionStore(tmp_path) as writer, FileSessionStore(tmp_path) as reader:
        await writer.create("chat")
        await reader.get("nobody")  # the directory is checked
        load = sidecars.Sidecars.load

        def late(self: sidecars.Sidecars, first_bytes: bytes) -> sidecars.Checkpoint | None:
            monkeypatch.setattr(sidecars.Sidecars, "load", load)
            asyncio.run(_append(tmp_path, 20))
            return load(self, first_bytes)

        monkeypatch.setattr(sidecars.Sidecars, "load", late)

        assert len(await reader.events("chat")) == 20


async def _append(directory: Path, count: int) -> None:
    async with FileSessionStore(directory) as store:
        for number in range(count):
            await store.append("chat", said(LARGE, id=f"e{number}"))


@pytest.mark.parametrize("is_made_again", [False, True])
async def test_a_session_deleted_while_its_events_are_looked_up_is_absent_not_mixed_up_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_made_again: bool
) -> None:
    async def replace() -> None:
        async with FileSessionStore(tmp_path) as store:
            await store.delete("chat")
        if is_made_again:
            async with FileSessionStore(tmp_path) as store:
                await store.create("chat")
            await _append(tmp_path, 30)

    async with FileSessionStore(tmp_path) as writer, FileSessionStore(tmp_path) as reader:
        await writer.create("chat")
        await _append(tmp_path, 10)
        start_of = index.LogIndex.start_of

        def late(self: index.LogIndex, seq: int, last_seq: int) -> int:
            monkeypatch.setattr(index.LogIndex, "start_of", start_of)
            asyncio.run(replace())
            return start_of(self, seq, last_seq)

        await reader.get("chat", last=0)
        monkeypatch.setattr(index.LogIndex, "start_of", late)
        found = await reader.get("chat", last=5)
        assert found is None or (found.last_seq, len(found.events)) == (10, 5)
        later = await reader.get("chat")
        assert (0 if later is None else len(later.events)) == (30 if is_made_again else 0)


async def test_many_known_events_are_found_by_one_look_at_each_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = [said(LARGE, id=f"e{number}") for number in range(200)]
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        await store.append("chat", *imported[:150])
        await store.append("chat", *imported[150:])
        await store.append("chat", said(id="later"))
    looks: list[bytes] = []

    def counted(payload: bytes) -> dict[str, int]:
        looks.append(payload)
        return commit_lines.seqs_in_line(payload)

    monkeypatch.setattr(log_records, "seqs_in_line", counted)

    async with FileSessionStore(tmp_path) as cold:
        found = await cold.append("chat", *imported)

    assert [event.seq for event in found] == list(range(1, 201))
    assert len(looks) == 2


async def test_a_repeat_that_was_found_is_read_without_looking_it_up_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    start_of = sidecars.Sidecars.start_of

    def counted(self: sidecars.Sidecars, seq: int) -> int:
        looks.append(seq)
        return start_of(self, seq)

    monkeypatch.setattr(sidecars.Sidecars, "start_of", counted)
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        for number in range(1, 41):
            await store.append("chat", said(LARGE, id=f"e{number}"))
        assert await _covered(tmp_path, "chat") > 0
        for number in (2, 9, 2):
            again = await store.append("chat", said(LARGE, id=f"e{number}"))
            assert [(event.seq, event.is_repeat) for event in again] == [(number, True)]
        assert looks == []

        # One that was found says nothing of another one.
        page = await store.events_page("chat", after=4, limit=1)
        assert [event.id for event in page.events] == ["e5"]
        assert set(looks) == {5}


async def test_events_are_found_by_their_ids_wherever_a_checkpoint_ends_and_without_its_tables(tmp_path: Path) -> None:
    async with FileSessionStore(tmp_path) as store:
        await store.create("chat")
        for number in range(60):
            await store.append("chat", *[said(LARGE, id=f"{number} {part}") for part in range(1 + number % 3)])
        await store.retract("chat", "7 0", "59 0")
        wanted = ["59 0", "nobody", "7 0", "7 1", "0 0", *(f"{number} 0" for number in range(1, 59, 5))]
        events = {event.id: event for event in await store.events("chat", include_retracted=True)}
        expected = [events.get(event_id) for event_id in wanted]
        assert await _covered(tmp_path, "chat") > 0
    paths = await asyncio.to_thread(sidecars_of, tmp_path, "chat")
    for path in (None, *paths):
        if path is not None:
            await asyncio.to_thread(_turn_a_bit_of, path)
        async with FileSessionStore(tmp_path) as cold:
            assert await cold.events_by_id("chat", *wanted) == expected, path
            await cold.append("chat", said(LARGE * 40))  # the next checkpoint


def _turn_a_bit_of(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
