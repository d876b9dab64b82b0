"""Processes fork sessions of one tree at once, and are killed: no branch shows another's; every token counts once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from a2a_session_manager import SessionManager
from tests.redis_servers.server import RedisServer
from tests.storage.forker import POINT, SAME_FORKS, SOURCE, event_of

ROOT = Path(__file__).parents[2]
NAMES = ("a", "b", "c")
FORKS_EACH, KILLS = 67, 12


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.soak)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "file":
        return f"file:{tmp_path / 'sessions'}"
    server: RedisServer = request.getfixturevalue("redis_server")
    return f"{server.url}?key_prefix=test-{uuid4().hex}:"


async def _begin(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        await sessions.create(SOURCE)
        await sessions.append(SOURCE, *(event_of(f"first {number}", SOURCE) for number in range(20)))


def _start(url: str, name: str, steps: str, acks: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.storage.forker", url, name, steps, str(acks)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_four_processes_that_fork_at_one_point_under_one_id_get_one_fork(url: str, tmp_path: Path) -> None:
    asyncio.run(_begin(url))
    processes = [_start(url, str(number), "same", tmp_path) for number in range(4)]
    answers = [json.loads(process.communicate()[0]) for process in processes]

    async def made() -> list[str | None]:
        async with SessionManager.from_url(url) as sessions:
            assert set(await sessions.forks(SOURCE)) == {f"same-{number}" for number in range(SAME_FORKS)}
            found = [await sessions.get(f"same-{number}") for number in range(SAME_FORKS)]
            assert {len(each.events) for each in found} == {POINT}
            return [each.creation_id for each in found]

    assert answers == [asyncio.run(made())] * 4


@pytest.mark.soak
def test_forks_of_forks_by_processes_that_are_killed_lose_double_and_mix_up_nothing(url: str, tmp_path: Path) -> None:
    asyncio.run(_begin(url))
    acks = tmp_path / "acks"
    acks.touch()
    chance = Random(7)
    running = {name: _start(url, name, str(FORKS_EACH), acks) for name in NAMES}
    for _ in range(KILLS):
        _wait_for_acks(acks, 3, running)
        name = chance.choice(NAMES)
        running[name].kill()
        running[name].communicate()
        running[name] = _start(url, name, str(FORKS_EACH), acks)
    for process in running.values():
        process.communicate()
        assert process.returncode == 0

    asyncio.run(_check(url, [json.loads(line) for line in acks.read_text().splitlines()]))


def _wait_for_acks(acks: Path, more: int, running: dict[str, subprocess.Popen[str]]) -> None:
    before = len(acks.read_text().splitlines())
    while len(acks.read_text().splitlines()) < before + more:
        if all(process.poll() is not None for process in running.values()):
            return
        asyncio.run(asyncio.sleep(0.05))


async def _check(url: str, acks: list[dict[str, object]]) -> None:
    assert len({ack["fork"] for ack in acks}) == len(NAMES) * FORKS_EACH
    async with SessionManager.from_url(url) as sessions:
        nodes = await sessions.tree(SOURCE)
        logs = {node.id: await sessions.store.events(node.id, include_retracted=True) for node in nodes}
        told = {ack["fork"]: ack["from"] for ack in acks}
        spent = 0
        for node in nodes:
            log, inherited = logs[node.id], 0
            if node.forked_from is not None:
                inherited = node.forked_from.seq
                assert list(node.forked_from) == told[node.id]
                source = logs[node.forked_from.id]
                assert [(each.id, each.message) for each in log[:inherited]] == [
                    (each.id, each.message) for each in source[:inherited]
                ]
            own = log[inherited:]
            assert {each.message for each in own} <= {node.id}
            assert len({each.id for each in log}) == len(log)
            assert (await sessions.usage(node.id)).total.prompt_tokens == len(own)
            spent += len(own)
        assert (await sessions.usage(SOURCE, tree=True)).total.prompt_tokens == spent
        for ack in acks:
            for event_id, session_id in ack["events"]:  # type: ignore[attr-defined]  # a list of pairs, from JSON
                assert [each.id for each in logs[session_id]].count(event_id) == 1
