"""Processes that ask for more than there is: exactly as many holds pass as there is room for, on every level."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from a2a_session_manager import BudgetExceeded, SessionManager
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.spender import HELD

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
    if request.param == "file":
        return f"file:{tmp_path}/sessions"
    name = "redis_server" if request.param == "redis" else "redis_cluster"
    server: RedisServer | RedisCluster = request.getfixturevalue(name)
    return f"{server.url}?key_prefix=test-{uuid4().hex}:"


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
