"""Processes that write and read pages at once, and are killed: no page is short, nothing of what is gone is left."""

from __future__ import annotations

import asyncio
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from tests.storage.file.catalogued import check_store, journal_of, rows
from tests.storage.file.processes import cataloguer

NO_HANG_SECONDS = 120

Harm = Callable[[Path], None]


def _nothing(directory: Path) -> None:
    pass


def _lose_catalog(directory: Path) -> None:
    shutil.rmtree(journal_of(directory).parent, ignore_errors=True)


def _lose_journal(directory: Path) -> None:
    journal_of(directory).unlink(missing_ok=True)


def _lose_tables(directory: Path) -> None:
    for path in journal_of(directory).parent.glob("*.db*"):
        path.unlink(missing_ok=True)


def _cut_journal(directory: Path) -> None:
    path = journal_of(directory)
    if path.exists():
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size // 2)


def _turn_a_bit(directory: Path) -> None:
    files = [path for path in journal_of(directory).parent.glob("*") if path.is_file()]
    for path in files:
        with suppress(FileNotFoundError):
            data = bytearray(path.read_bytes())
            if data:
                data[len(data) // 2] ^= 4
                path.write_bytes(data)


def _write_nonsense(directory: Path) -> None:
    folder = journal_of(directory).parent
    if folder.is_dir():
        for path in [journal_of(directory), *folder.glob("*.db")]:
            path.write_bytes(b"nonsense " * 2_000)


HARMS = (
    _nothing, _nothing, _lose_catalog, _lose_journal, _lose_tables, _cut_journal, _turn_a_bit, _write_nonsense,
)  # fmt: skip


def test_processes_that_are_killed_leave_the_catalog_right(tmp_path: Path) -> None:
    _crowd(tmp_path, processes=2, kills=1, most=60, harms=[_nothing], seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(4))
def test_a_crowd_of_processes_that_are_killed_leaves_the_catalog_right(tmp_path: Path, seed: int) -> None:
    _crowd(tmp_path, processes=4, kills=40, most=400, harms=HARMS, seed=seed)


def _crowd(tmp_path: Path, *, processes: int, kills: int, most: int, harms: Sequence[Harm], seed: int) -> None:
    directory, notes = tmp_path / "sessions", tmp_path / "notes"
    notes.mkdir()
    chance = random.Random(seed)
    asyncio.run(cataloguer.make_fixed(directory))
    with ExitStack() as running:
        crowd = [(number, _cataloguer(directory, notes, number, running)) for number in range(processes)]
        for number in range(processes, processes + kills):
            victim, process = crowd.pop(chance.randrange(len(crowd)))
            _wait_for_works(notes / str(victim), process, chance.randint(1, most))
            chance.choice(harms)(directory)
            process.kill()
            crowd.append((number, _cataloguer(directory, notes, number, running)))
        for number, process in crowd:
            _wait_for_works(notes / str(number), process, 1)
            process.kill()
    asyncio.run(_check(directory))


async def _check(directory: Path) -> None:
    async with cataloguer.store_in(directory) as store:
        await check_store(store)
        for order in cataloguer.ORDERS:
            for is_newest_first in (True, False):
                found = await cataloguer.check_order(store, order, newest_first=is_newest_first, limit=3, properties={})
                assert len(found) == await store.count()
                if order == "updated":
                    later = [each.updated_at for each in (found if is_newest_first else found[::-1])]
                    assert all(after <= before + cataloguer.GRAIN for before, after in pairwise(later))
        assert await rows(store) == await store.count()


def _cataloguer(directory: Path, notes: Path, number: int, running: ExitStack) -> subprocess.Popen[str]:
    command = [sys.executable, cataloguer.__file__, str(directory), str(number), str(notes / str(number))]
    process = running.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    running.callback(process.kill)  # whatever fails: it never ends by itself
    return process


def _wait_for_works(notes: Path, process: subprocess.Popen[str], works: int) -> None:
    deadline = time.monotonic() + NO_HANG_SECONDS
    while not notes.exists() or notes.stat().st_size < works:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)
