"""Many processes on one Redis: every acknowledged event once, in its writer's order, totals exact."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.testing.contract.making import several
from tests.redis_servers.server import RedisServer
from tests.storage.file.test_replay import CONVERSATIONS, REPLAY, write_transcripts
from tests.storage.redis.processes import forker, writer
from tests.storage.redis.processes.writer import child_of, event_of

PROCESSES = 4
TASKS = 16
FOUR = ["e1", "e2", "e3", "e4"]
EVENTS = pytest.mark.parametrize("events", [15, pytest.param(500, marks=pytest.mark.soak)])


def run_writers(url: str, acks: Path, events: int, *more: str) -> list[str]:
    """Let all processes write, each to its end; return the ids of what was acknowledged."""
    root = Path(writer.__file__).parents[4]
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.storage.redis.processes.writer", url, "talk"),
                *(f"p{number}", str(TASKS), str(events), str(acks), *more),
            ],
            cwd=root,
        )
        for number in range(PROCESSES)
    ]
    assert [process.wait(timeout=300) for process in processes] == [0] * PROCESSES
    return acks.read_text().splitlines()


def with_a_talk(server: RedisServer) -> str:
    """Create the session that all write to, under a prefix of its own; return the store's URL."""
    url = f"{server.url}?key_prefix=test-{uuid4().hex}:"

    async def create() -> None:
        async with store_from_url(url) as store:
            await store.create("talk")

    asyncio.run(create())
    return url


@EVENTS
def test_processes_append_to_one_session(redis_server: RedisServer, tmp_path: Path, events: int) -> None:
    url = with_a_talk(redis_server)

    async def check() -> None:
        async with store_from_url(url) as cold:
            log = await cold.events("talk")
            assert sorted(event.id for event in log) == sorted(acknowledged)
            assert [event.seq for event in log] == list(range(1, PROCESSES * TASKS * events + 1))
            for process in range(PROCESSES):
                for task in range(TASKS):
                    mine = [event.id for event in log if event.id.startswith(f"p{process} {task} ")]
                    assert mine == [event_of(f"p{process}", task, number).id for number in range(events)]
            spent = (await cold.usage("talk")).total
            assert spent.prompt_tokens == spent.requests == PROCESSES * TASKS * events
            by_model = (await cold.usage("talk")).usage_by_model
            assert [by_model[f"p{process}"].prompt_tokens for process in range(PROCESSES)] == [TASKS * events] * 4

    acknowledged = run_writers(url, tmp_path / "acks", events)
    asyncio.run(check())


@EVENTS
def test_processes_append_to_one_tree(redis_server: RedisServer, tmp_path: Path, events: int) -> None:
    url = with_a_talk(redis_server)

    async def check() -> None:
        async with store_from_url(url) as cold:
            children = {child_of(f"p{process}", task) for process in range(PROCESSES) for task in range(TASKS)}
            assert set(await cold.children("talk")) == children
            assert len(await cold.tree("talk")) == PROCESSES * TASKS + 1
            for process in range(PROCESSES):
                for task in range(TASKS):
                    log = await cold.events(child_of(f"p{process}", task))
                    expected = [event_of(f"p{process}", task, number).id for number in range(events)]
                    assert [event.id for event in log] == expected
            spent = (await cold.usage("talk", tree=True)).total
            assert spent.prompt_tokens == spent.requests == PROCESSES * TASKS * events
            assert (await cold.usage("talk")).total.requests == 0
            assert len(acknowledged) == PROCESSES * TASKS * events

    acknowledged = run_writers(url, tmp_path / "acks", events, "tree")
    asyncio.run(check())


def test_a_replay_whose_server_is_killed_again_and_again_ends_with_every_conversation_equal(
    own_redis: RedisServer, tmp_path: Path
) -> None:
    transcripts = tmp_path / "transcripts.jsonl"
    write_transcripts(transcripts)
    command = [sys.executable, str(REPLAY), str(transcripts), "--store", own_redis.url]
    kills = 0

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as replay:
        while replay.poll() is None:
            if own_redis.call("DBSIZE") > 10 * kills:  # it has begun, and has gone on since the last time
                own_redis.restart()
                kills += 1
            time.sleep(0.02)
        assert replay.stdout is not None
        shown = replay.stdout.read()

    assert kills >= 2, "the replay ended before its server could be killed: this shows nothing"
    assert replay.returncode == 0, shown
    assert f"{CONVERSATIONS} of {CONVERSATIONS} conversations" in shown


def test_processes_that_fork_one_session_at_one_point_with_one_id_make_one_fork(redis_server: RedisServer) -> None:
    url, count = f"{redis_server.url}?key_prefix=test-{uuid4().hex}:", 5

    async def create() -> None:
        async with store_from_url(url) as store:
            await store.create("talk", change=SessionChange(events=several(6)))

    async def check() -> None:
        async with store_from_url(url) as cold:
            names = [*(f"fork {number}" for number in range(count)), *(f"one of {number}" for number in range(count))]
            assert sorted(await cold.forks("talk")) == names
            assert [[event.id for event in await cold.events(name)] for name in names[:count]] == [FOUR] * count

    asyncio.run(create())
    root = Path(forker.__file__).parents[4]
    commands = [
        (sys.executable, "-m", "tests.storage.redis.processes.forker", url, "talk", str(point), str(count))
        for point in range(1, PROCESSES + 1)
    ]
    processes = [subprocess.Popen(each, cwd=root, stdout=subprocess.PIPE, text=True) for each in commands]
    told = [process.communicate(timeout=120)[0].splitlines() for process in processes]

    assert [process.returncode for process in processes] == [0] * PROCESSES
    for lines in zip(*told, strict=True):
        same, others = zip(*(line.split() for line in lines), strict=True)
        assert len(set(same)) == 1
        assert sorted(others)[1:] == ["taken"] * (PROCESSES - 1)
    asyncio.run(check())
