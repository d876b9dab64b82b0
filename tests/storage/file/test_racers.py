"""Chance races of several processes, killed again and again, against what each of them was answered."""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from a2a_session_manager.models.session import Session
from a2a_session_manager.storage.file import FileSessionStore
from tests.storage.file.processes import racer

KILLS = 30
NO_HANG_SECONDS = 60


@pytest.mark.soak
def test_processes_that_race_for_the_same_ids_and_are_killed_lose_double_and_revive_nothing(tmp_path: Path) -> None:
    directory, notes = tmp_path / "sessions", tmp_path / "notes"
    notes.mkdir()

    async def make_roots() -> None:
        async with FileSessionStore(directory) as store:
            for root in racer.ROOTS:
                await store.create(root)

    asyncio.run(make_roots())
    chance = random.Random(5)
    with contextlib.ExitStack() as running:
        racers = [(number, _racer(directory, notes, number, running)) for number in range(4)]
        for number in range(4, 4 + KILLS):
            victim, process = racers.pop(chance.randrange(len(racers)))
            _wait_for_notes(notes / str(victim), chance.randint(500, 15_000))
            assert process.poll() is None, process.communicate()
            process.kill()
            racers.append((number, _racer(directory, notes, number, running)))
        for _, process in racers:
            process.kill()

    told = [line.split() for path in notes.iterdir() for line in path.read_text().splitlines()]
    asyncio.run(_compare(directory, told))


def _wait_for_notes(path: Path, size: int) -> None:
    deadline = time.monotonic() + NO_HANG_SECONDS
    while not path.exists() or path.stat().st_size < size:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _racer(directory: Path, notes: Path, number: int, running: contextlib.ExitStack) -> subprocess.Popen[str]:
    command = [sys.executable, racer.__file__, str(directory), str(number), str(notes / str(number))]
    return running.enter_context(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))


def _first_ids(source: Session[Any], count: int) -> list[str]:
    """Return the ids of the events that a fork has from its source."""
    return [event.id for event in source.events[:count]]


async def _compare(directory: Path, told: list[list[str]]) -> None:
    """Compare what the racers were answered with what a cold store finds."""
    meant_to_die = {words[1] for words in told if words[0] == "delete"}
    assert len(meant_to_die) > 20
    async with FileSessionStore(directory) as store:
        living = {}
        for session_id in racer.IDS:
            session = await store.get(session_id)
            if session is not None:
                living[racer.life_of(session)] = session
        for words in told:
            assert words[0] != "made" or words[1] in living or words[1] in meant_to_die, "an acknowledged life is lost"
        for life, session in living.items():
            inherited = 0 if session.forked_from is None else session.forked_from.seq
            source = None if session.forked_from is None else living.get(session.forked_from.creation_id)
            if source is not None:
                assert [event.id for event in session.events[:inherited]] == _first_ids(source, inherited)
            found = [event.id for event in session.events[inherited:]]
            sent = {words[2] for words in told if words[:2] == ["append", life]}
            acknowledged = {words[2] for words in told if words[:2] == ["appended", life]}
            assert len(found) == len(set(found))
            assert acknowledged <= set(found) <= sent
            assert [event.seq for event in session.events] == list(range(1, inherited + len(found) + 1))
        for root in racer.ROOTS:
            spent = (await store.usage(root, tree=True)).total_tokens
            acknowledged_spend = sum(words[0] == "appended" and words[3] == root for words in told)
            sent_spend = sum(words[0] == "append" and words[3] == root for words in told)
            assert acknowledged_spend <= spent <= sent_spend
            children = await store.children(root)
            assert sorted(children) == sorted(each.id for each in living.values() if each.parent_id == root)
