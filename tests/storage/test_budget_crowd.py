"""Processes that ask for more than there is: exactly as many holds pass as there is room for, on every level."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from a2a_session_manager import BudgetExceeded, EventSource, SessionEvent, SessionManager, TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from tests.storage import stopped_spender
from tests.storage.spender import HELD
from tests.stores import url_of

ROOT = Path(__file__).parents[2]
# What there is room for at the root, in the middle, and at each of the two lowest sessions.
ROOMS = [(5, 9, 9), (9, 5, 9), (9, 9, 3), (7, 7, 7), (1, 9, 9), (9, 8, 4)]


def fitting(rooms: tuple[int, int, int]) -> int:
    top, mid, low = rooms
    return min(top, mid, 2 * low)


async def make_trees(sessions: SessionManager, rounds: int) -> None:
    for number in range(rounds):
        top, mid, low = ROOMS[number % len(ROOMS)]
        await sessions.create(f"{number}")
        await sessions.create(f"{number}/mid", parent_id=f"{number}")
        await sessions.set_budget(f"{number}", tokens=top * HELD)
        await sessions.set_budget(f"{number}/mid", tokens=mid * HELD)
        for name in ("a", "b"):
            await sessions.create(f"{number}/low/{name}", parent_id=f"{number}/mid")
            await sessions.set_budget(f"{number}/low/{name}", requests=low)


async def start(url: str, rounds: int, tries: int, name: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "tests.storage.spender", url, str(rounds), str(tries), name]
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)


async def check_trees(sessions: SessionManager, rounds: int) -> None:
    """Look whether all of what was admitted is spent or held still, and nothing else stands against a limit."""
    for number in range(rounds):
        budget = await sessions.budget(f"{number}")
        totals = (await sessions.usage(f"{number}", tree=True)).total
        assert budget.spent.tokens == totals.total_tokens
        assert budget.held.tokens == HELD * len(budget.holds)
        used = (budget.spent.tokens or 0) + (budget.held.tokens or 0)
        assert used == HELD * fitting(ROOMS[number % len(ROOMS)])
        for low in ("a", "b"):
            with pytest.raises(BudgetExceeded) as refused:
                await sessions.store.place_hold(f"{number}/low/{low}", tokens=HELD)  # type: ignore[attr-defined]  # ours has it
            assert {*refused.value.holds} <= {*(await sessions.budget(refused.value.budget_session_id)).holds}


def counted(outputs: list[bytes]) -> Iterator[tuple[int, int]]:
    passed: Counter[int] = Counter()
    for line in b"".join(outputs).decode().splitlines():
        number, got = map(int, line.split())
        passed[number] += got
    yield from sorted(passed.items())


async def crowd(url: str, *, processes: int, rounds: int) -> None:
    async with SessionManager.from_url(url) as sessions:
        await make_trees(sessions, rounds)
        started = [await start(url, rounds, 6, f"process {number}") for number in range(processes)]
        outputs = [(await process.communicate())[0] for process in started]

        assert [process.returncode for process in started] == [0] * processes
        assert [*counted(outputs)] == [(number, fitting(ROOMS[number % len(ROOMS)])) for number in range(rounds)]
        await check_trees(sessions, rounds)


@pytest.fixture(params=["file", "redis", pytest.param("cluster", marks=pytest.mark.soak)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


async def test_exactly_as_many_pass_as_there_is_room_for_in_two_processes(url: str) -> None:
    await crowd(url, processes=2, rounds=len(ROOMS))


@pytest.mark.soak
async def test_exactly_as_many_pass_as_there_is_room_for_in_many_processes(url: str) -> None:
    await crowd(url, processes=4, rounds=200)


@pytest.mark.soak
async def test_what_killed_processes_have_admitted_is_held_or_spent(url: str) -> None:
    rounds = 60
    async with SessionManager.from_url(url) as sessions:
        await make_trees(sessions, rounds)
        for number in range(12):
            doomed = await start(url, rounds, 6, f"doomed {number}")
            assert doomed.stdout is not None
            for _ in range(number):
                await doomed.stdout.readline()
            doomed.kill()
            await doomed.communicate()
        last = await start(url, rounds, 6, "last")
        await last.communicate()

        assert last.returncode == 0
        await check_trees(sessions, rounds)


@pytest.mark.parametrize(
    "url", ["file", *(pytest.param(store, marks=pytest.mark.soak) for store in ("redis", "cluster"))], indirect=True
)
async def test_a_process_stopped_beyond_its_hold_is_estimated_and_spends_late(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        store = sessions.store
        assert isinstance(store, BaseSessionStore)
        await sessions.create("top")
        await sessions.create("stopped", parent_id="top")
        await sessions.create("other", parent_id="top")
        await sessions.set_budget("top", tokens=100)
        command = [sys.executable, "-m", "tests.storage.stopped_spender", url, "stopped", "request", "1"]
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert await process.stdout.readline() == b"sent\n"
            process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(1.05)

            # Whether it has spent anything, nobody knows: its room is nobody else's.
            with pytest.raises(BudgetExceeded) as refused:
                await store.place_hold("other", tokens=71)
            assert (refused.value.held, refused.value.estimated) == (0, stopped_spender.HELD)
            assert refused.value.holds == ["request"]
            placed = await store.place_hold("other", tokens=70)

            process.send_signal(signal.SIGCONT)
            process.stdin.write(b"answered\n")
            await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0
        budget = await sessions.budget("top")
        assert (budget.spent.tokens, budget.held.tokens, budget.estimated.tokens) == (stopped_spender.SPENT, 70, 0)

        usage = TokenUsage(prompt_tokens=60, completion_tokens=15)
        event = SessionEvent(message="reply", source=EventSource.LLM, token_usage=usage)
        await store.settling(placed).append("other", event)
        budget = await sessions.budget("top")
        spent = budget.spent.tokens or 0
        assert not budget.holds
        assert spent == (await sessions.usage("top", tree=True)).total.total_tokens
        assert spent - 100 <= (stopped_spender.SPENT - stopped_spender.HELD) + (75 - 70)
