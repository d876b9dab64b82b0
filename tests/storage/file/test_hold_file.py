"""The file of holds beside a tree: what a step leaves, whoever reads it, and whatever became of the file."""

from __future__ import annotations

import errno
import os
import random
from itertools import pairwise
from pathlib import Path

import pytest

from a2a_session_manager.budgets.amounts import Some
from a2a_session_manager.budgets.records import HoldRecord, Key
from a2a_session_manager.exceptions import CorruptSession, StoreFull, StoreUnavailable
from a2a_session_manager.serialization.plain_json import dumped
from a2a_session_manager.storage.file import hold_file
from a2a_session_manager.storage.file.framing import framed
from a2a_session_manager.storage.file.handle_pool import HandlePool
from a2a_session_manager.storage.file.hold_file import HoldFile
from tests.storage.file.processes.power import Recorder

LIFE = "life"


def opened(folder: Path, *, durable: bool = False) -> HoldFile:
    return HoldFile(folder / "talk.tree", "talk", HandlePool(), durable=durable)


def holds(*numbers: int, tokens: int = 1) -> dict[Key, HoldRecord]:
    made = [HoldRecord(f"h{each}", "talk", (LIFE,), Some(tokens=tokens), each, each + 1) for each in numbers]
    return {hold.key: hold for hold in made}


def begun(folder: Path, *steps: dict[Key, HoldRecord], durable: bool = False) -> HoldFile:
    file = opened(folder, durable=durable)
    file.begin(LIFE)
    file.stored(LIFE)
    for step in steps:
        file.put(step)
    return file


def test_what_one_process_puts_another_reads_whoever_wrote_before(tmp_path: Path) -> None:
    mine, theirs = begun(tmp_path), opened(tmp_path)
    steps = [holds(1), holds(1, 2), holds(2, tokens=3), {}, holds(4, 5, 6), holds(6)]
    for step in steps:
        assert theirs.stored(LIFE) == mine.stored(LIFE)
        mine, theirs = theirs, mine
        mine.put(step)
        assert mine.stored(LIFE) == theirs.stored(LIFE) == opened(tmp_path).stored(LIFE) == step


def test_a_file_that_has_grown_is_written_anew_and_others_go_on_with_it(tmp_path: Path) -> None:
    mine, theirs = begun(tmp_path), opened(tmp_path)
    sizes = []
    for number in range(2_000):
        mine.stored(LIFE)
        mine.put(holds(number))
        sizes.append(mine.path.stat().st_size)
        if number % 7 == 0:
            assert theirs.stored(LIFE) == holds(number)
            mine, theirs = theirs, mine

    assert max(sizes) < 70_000
    assert sum(after < before for before, after in pairwise(sizes)) > 1
    assert opened(tmp_path).stored(LIFE) == holds(1_999)


def test_a_process_that_dies_while_it_writes_has_held_nothing(tmp_path: Path) -> None:
    file = begun(tmp_path, holds(1))
    reader = opened(tmp_path)
    whole = file.path.read_bytes()
    file.put(holds(1, 2))
    cut_off = file.path.read_bytes()

    for size in range(len(whole), len(cut_off)):
        file.path.write_bytes(cut_off[:size])
        assert opened(tmp_path).stored(LIFE) == holds(1)
        assert file.path.read_bytes() == whole

        file.path.write_bytes(cut_off[:size])
        reader.stored(LIFE)
        reader.put(holds(1, 3))
        assert reader.stored(LIFE) == opened(tmp_path).stored(LIFE) == holds(1, 3)


@pytest.mark.parametrize("is_durable", [False, True])
def test_a_changed_byte_anywhere_is_damage_and_nothing_is_taken_for_free(tmp_path: Path, is_durable: bool) -> None:
    file = begun(tmp_path, holds(1), holds(1, 2), durable=is_durable)
    whole = file.path.read_bytes()
    for place in range(len(whole)):
        file.path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(CorruptSession, match=r"talk\.holds is .*restore it from a backup"):
            opened(tmp_path, durable=is_durable).stored(LIFE)

    file.path.write_bytes(whole)  # as the error says
    assert opened(tmp_path).stored(LIFE) == file.stored(LIFE) == holds(1, 2)


@pytest.mark.parametrize("damage", [None, b"", b"\n0123", b"nonsense", b"\0" * 200])
def test_a_file_that_is_lost_or_something_else_is_an_error_also_to_who_has_read_it(
    tmp_path: Path, damage: bytes | None
) -> None:
    file = begun(tmp_path, holds(1))
    whole = file.path.read_bytes()
    if damage is None:
        file.path.unlink()
    else:
        file.path.write_bytes(damage)
    how = "missing" if damage is None else "without its first record" if len(damage) < 8 else "damaged"
    for each in (file, opened(tmp_path)):
        with pytest.raises(CorruptSession, match=rf"talk\.holds is {how}.*restore it from a backup"):
            each.stored(LIFE)
    assert damage is None or file.path.read_bytes() == damage

    file.path.write_bytes(whole)
    assert file.stored(LIFE) == holds(1)


@pytest.mark.parametrize("record", [[[], [[LIFE, "h2"]]], [[["h2"]], []], [[]], {}, [[], [LIFE]]])
def test_a_record_of_nonsense_is_damage(tmp_path: Path, record: object) -> None:
    file = begun(tmp_path, holds(1))
    with file.path.open("ab") as raw:
        raw.write(framed(dumped(record)))
    for each in (file, opened(tmp_path), file):
        with pytest.raises(CorruptSession, match="not what follows from the record before"):
            each.stored(LIFE)


def test_a_file_that_is_copied_over_it_counts_whatever_was_read_before(tmp_path: Path) -> None:
    file = begun(tmp_path, holds(1))
    shorter = file.path.read_bytes()
    file.put(holds(1, 2))
    file.path.write_bytes(shorter)
    assert file.stored(LIFE) == holds(1)

    (tmp_path / "other").mkdir()
    file.path.write_bytes(begun(tmp_path / "other", holds(3), holds(3, 4), holds(3, 4, 5)).path.read_bytes())
    assert file.stored(LIFE) == holds(3, 4, 5)


def test_a_file_of_an_earlier_session_or_of_a_newer_release_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = begun(tmp_path, holds(1))
    with pytest.raises(CorruptSession, match="that of an earlier session"):
        file.stored("another life")

    file.begin("another life")  # as its first budget does
    assert file.stored("another life") == opened(tmp_path).stored("another life") == {}

    file.put(holds(2))
    file.begin("another life")  # once more, as where the first one went with its session
    assert file.stored("another life") == opened(tmp_path).stored("another life") == holds(2)

    with monkeypatch.context() as newer:
        newer.setattr(hold_file, "FORMAT", 2)
        file.begin("a third life")
    with pytest.raises(CorruptSession, match="format 2 by a newer release: upgrade"):
        file.stored("a third life")


def test_zeros_are_what_the_power_left_of_a_write_for_the_disk_and_damage_in_any_other_place(tmp_path: Path) -> None:
    for durable in (True, False):
        folder = tmp_path / str(durable)
        folder.mkdir()
        file = begun(folder, holds(1), durable=durable)
        whole = file.path.read_bytes()
        file.put(holds(1, 2))
        size = file.path.stat().st_size - len(whole)
        for tail in (b"\0" * size, b"\0" * 100 + b'"",[]]\n'):
            file.path.write_bytes(whole + tail)
            if durable:
                assert opened(folder).stored(LIFE) == holds(1)
                assert file.path.read_bytes() == whole
            else:
                with pytest.raises(CorruptSession):
                    opened(folder, durable=True).stored(LIFE)

        file.path.write_bytes(whole[:-1] + b"\0" + whole[-1:] + whole)  # somebody wrote after it
        with pytest.raises(CorruptSession):
            opened(folder).stored(LIFE)


def test_without_room_nothing_is_held_and_the_file_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = begun(tmp_path, holds(1))
    whole = file.path.read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:20]))
    with pytest.raises(StoreFull, match="no room is left"):
        file.put(holds(1, 2))
    monkeypatch.undo()

    assert file.path.read_bytes() == whole
    assert file.stored(LIFE) == holds(1)


def test_what_could_not_be_synced_is_synced_before_anybody_relies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = begun(tmp_path, durable=True), opened(tmp_path, durable=True)
    other.stored(LIFE)
    synced: list[int] = []

    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(StoreUnavailable):
        file.put(holds(1))
    for each in (file, other):
        with pytest.raises(StoreUnavailable):
            each.stored(LIFE)

    monkeypatch.setattr(os, "fdatasync", synced.append)
    for each in (file, other):
        assert each.stored(LIFE) == holds(1)
        assert each.stored(LIFE) == holds(1)
    assert len(synced) == 2


def test_the_first_write_for_the_disk_brings_all_to_disk_that_was_written_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(tmp_path, holds(1))
    file = opened(tmp_path, durable=True)
    before = file.path.stat().st_ino
    file.stored(LIFE)
    file.put(holds(1, 2))
    assert file.path.stat().st_ino != before
    assert b"@0 " in file.path.read_bytes().splitlines()[1]


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    file = begun(tmp_path, holds(1))
    file.path.rename(tmp_path / "elsewhere")
    file.path.symlink_to(tmp_path / "elsewhere")
    for each in (file, opened(tmp_path)):
        with pytest.raises(StoreUnavailable, match="symlink"):
            each.stored(LIFE)


def test_a_name_that_could_not_be_synced_is_synced_before_anybody_relies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []

    def fail(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(hold_file, "sync_directory", fail)
    with pytest.raises(StoreUnavailable):
        opened(tmp_path, durable=True).begin(LIFE)
    monkeypatch.setattr(hold_file, "sync_directory", synced.append)
    assert opened(tmp_path, durable=True).stored(LIFE) == {}
    assert synced == [tmp_path]


def test_no_loss_of_power_takes_a_hold_that_was_put_for_the_disk(tmp_path: Path) -> None:
    steps = [holds(*range(first, first + 12)) for first in range(0, 36, 3)]
    top = tmp_path / "top"
    top.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hold_file, "_MUCH_BYTES", 3_000)
        recorder = Recorder(top, patch)
        files = [opened(top, durable=True), opened(top, durable=True)]
        files[0].begin(LIFE)
        for number, step in enumerate(steps):
            file = files[number % 2]
            file.stored(LIFE)
            file.put(step)
            recorder.done = number + 1

    known: set[int] = set()
    chance = random.Random(7)
    for moment in recorder.moments:
        for disk in (*moment.plain_disks(), *moment.single_losses(), moment.random_disk(chance)):
            mark = hash((moment.done, tuple(sorted(disk.files().items()))))
            if moment.done and mark not in known:
                known.add(mark)
                disk.write(tmp_path / "found")
                file = opened(tmp_path / "found", durable=bool(len(known) % 2))
                found = file.stored(LIFE)
                assert found in steps[moment.done - 1 : moment.done + 1], (moment.call, moment.done)
                file.put(found | holds(99))
                assert opened(tmp_path / "found").stored(LIFE) == found | holds(99)
    assert len(known) > 30
