"""Two processes resume the same runs: one's messages land, and what both spent is recorded."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from a2a_session_manager import EventType, SessionChange, SessionManager, SessionRun
from tests.stores import url_of

ROOT = Path(__file__).parents[2]


class Process:
    """An owner that does one thing after the other as it is told; see `owner.py`."""

    def __init__(self, url: str, name: str, lease: float, prefix: str, count: int) -> None:
        command = [sys.executable, "-m", "tests.storage.owner", url, name, str(lease), prefix, str(count)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.answer() == {"ready"}

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self) -> set[str]:
        assert self.process.stdout is not None
        return set(self.process.stdout.readline().split())


@contextmanager
def two_processes(url: str, leases: tuple[float, float], prefix: str, count: int) -> Iterator[tuple[Process, Process]]:
    first = Process(url, "first", leases[0], prefix, count)
    second = Process(url, "second", leases[1], prefix, count)
    try:
        yield first, second
    finally:
        for each in (first, second):
            each.process.send_signal(signal.SIGCONT)
            each.process.kill()
            each.process.communicate()


@pytest.fixture(params=["file", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


async def make_waiting_runs(url: str, prefix: str, count: int) -> None:
    run = SessionRun(id="r")
    run.mark_running()
    run.mark_waiting()
    async with SessionManager.from_url(url) as sessions:
        for number in range(count):
            await sessions.store.create(f"{prefix}{number}", change=SessionChange(runs=[run]))


async def check(url: str, prefix: str, owners: dict[str, str], spent: dict[str, int]) -> None:
    """The messages of the owner are there, and nobody else's; and what was spent, by whomever."""
    async with SessionManager.from_url(url) as sessions:
        for session_id, owner in owners.items():
            events = (await sessions.get(session_id)).events
            assert [event.message for event in events if event.type != EventType.USAGE] == [owner]
            assert (await sessions.usage(session_id)).by_run["r"].prompt_tokens == spent[session_id]


def take_over(url: str, count: int, *, after_expiry: bool) -> None:
    """Let both resume; stop one, let the other have its runs, and let both write at once."""
    prefix = f"{uuid4().hex[:8]}-"
    asyncio.run(make_waiting_runs(url, prefix, count))
    names = {f"{prefix}{number}" for number in range(count)}
    with two_processes(url, (1, 30) if after_expiry else (30, 30), prefix, count) as (first, second):
        for each in (first, second):
            each.tell("resume refuse")
        got = [each.answer() for each in (first, second)]
        if not after_expiry:  # else what one has got may have expired before the other asked
            assert (got[0] | got[1], got[0] & got[1]) == (names, set())
        first.tell("stop")
        os.waitpid(first.process.pid, os.WUNTRACED)
        second.tell("resume wait" if after_expiry else "resume take_over")
        assert second.answer() == names - got[1]

        second.tell("write")
        first.process.send_signal(signal.SIGCONT)
        assert first.answer() == set()
        first.tell("write")
        assert (first.answer(), second.answer()) == (set(), names)

    asyncio.run(check(url, prefix, dict.fromkeys(names, "second"), {name: 1 + (name in got[0]) for name in names}))


def test_a_process_that_was_stopped_and_taken_over_writes_nothing_but_what_it_spent(url: str) -> None:
    take_over(url, 12, after_expiry=False)


def test_a_process_that_stood_still_for_longer_than_its_lease_has_lost_its_runs(url: str) -> None:
    take_over(url, 6, after_expiry=True)


@pytest.mark.soak
def test_500_runs_are_resumed_by_two_processes_of_which_one_stands_still(url: str) -> None:
    for number in range(20):
        take_over(url, 25, after_expiry=number % 4 != 0)
