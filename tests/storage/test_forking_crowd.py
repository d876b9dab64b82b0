"""Processes fork sessions of one tree, work in them and delete them, lose replies and are killed.

No branch shows another's; nothing that is inherited is lost or doubled; every token counts once.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random
from time import sleep
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import EventType, InMemorySessionStore, SessionEvent, SessionManager, SessionNotFound
from a2a_session_manager.models.forked_from import TreeNode
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from tests.redis_servers.server import RedisServer
from tests.storage.forker import HIDDEN, POINT, SAME_FORKS, SOURCE, Forker, event_of, in_short, said_in
from tests.stores import url_of

ROOT = Path(__file__).parents[2]
NAMES = ("a", "b", "c")
FORKS_EACH, FEW_FORKS, KILLS = 67, 7, 12
SEEDS = 4
# In seconds: most steps end within it, and what nobody forks or writes to goes while others are at work.
LIFE = 2.0
FIRST, MOST_A_STEP = 20, 4

Logs = dict[str, list[SessionEvent[Any]]]


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.soak)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return url_of(request.param, request, tmp_path)


async def _begin(url: str) -> None:
    async with SessionManager.from_url(url) as sessions:
        await _fill(sessions)


async def _fill(sessions: SessionManager) -> None:
    await sessions.create(SOURCE, expires=False)
    await sessions.append(SOURCE, *(event_of(f"first {number}", SOURCE, number) for number in range(FIRST)))
    await sessions.retract(SOURCE, *(f"first {number}" for number in HIDDEN))


def _start(url: str, name: str, steps: str, acks: Path, life: float = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.storage.forker", url, name, steps, str(acks), str(life)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_four_processes_that_fork_at_one_point_under_one_id_get_one_fork(url: str, tmp_path: Path) -> None:
    asyncio.run(_begin(url))
    processes = [_start(url, str(number), "same", tmp_path) for number in range(4)]
    answers = [json.loads(process.communicate()[0]) for process in processes]

    async def made() -> list[str | None]:
        async with SessionManager.from_url(url) as sessions:
            assert set(await sessions.forks(SOURCE)) == {f"same-{number}" for number in range(SAME_FORKS)}
            found = [await sessions.get(f"same-{number}") for number in range(SAME_FORKS)]
            assert {len(each.events) for each in found} == {POINT - len(HIDDEN)}
            return [each.creation_id for each in found]

    assert answers == [asyncio.run(made())] * 4


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS))
def test_forks_by_processes_that_are_killed_lose_double_and_mix_up_nothing(url: str, tmp_path: Path, seed: int) -> None:
    acks = _work_of_processes(url, tmp_path, seed)

    asyncio.run(_check_cold(url, acks, FORKS_EACH))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS))
def test_forks_that_expire_meanwhile_go_in_their_time_and_alone(
    redis_server: RedisServer, tmp_path: Path, seed: int
) -> None:
    url = f"{redis_server.url}?key_prefix=test-{uuid4().hex}:&expiration_seconds={LIFE}"
    acks = _work_of_processes(url, tmp_path, seed, life=LIFE)

    asyncio.run(_check_expiry(url, acks))


def _work_of_processes(url: str, place: Path, seed: int, *, life: float = 0) -> Path:
    """Let processes fork until each has done its part, some being killed meanwhile; return what they have told."""
    asyncio.run(_begin(url))
    acks = place / "acks"
    acks.touch()
    chance = Random(seed)

    def start(name: str) -> subprocess.Popen[str]:
        return _start(url, name, str(FORKS_EACH), acks, life)

    running = {name: start(name) for name in NAMES}
    for _ in range(KILLS):
        _wait_for_acks(acks, 3, running)
        name = chance.choice(NAMES)
        running[name].kill()
        running[name].communicate()
        running[name] = start(name)
    for process in running.values():
        process.communicate()
        assert process.returncode == 0
    return acks


async def _check_expiry(url: str, acks: Path) -> None:
    """What has not expired yet is whole; all forks go, and of the source nothing does; the money stays spent."""
    told = [json.loads(line) for line in (await asyncio.to_thread(acks.read_text)).splitlines()]
    made = {ack["fork"]: ack for ack in told if "fork" in ack}
    async with store_from_url(url) as cold:
        sessions = SessionManager(cold)
        nodes = {node.id: node for node in await sessions.tree(SOURCE)}
        deleted = {ack["deletes"] for ack in told if "deletes" in ack}
        assert made.keys() - nodes.keys() - deleted
        _check_birth(made)
        for node in nodes.values():
            with suppress(SessionNotFound):  # it goes while it is looked at
                log = await cold.events(node.id, include_retracted=True)
                inherited = 0 if node.forked_from is None else node.forked_from.seq
                assert {event.message["content"] for event in log[inherited:]} <= {said_in(node.id), in_short(node.id)}
                assert node.parent_id is None or not made[node.id].get("expired")
                if node.parent_id is not None:
                    source = await cold.events(node.parent_id, include_retracted=True)
                    assert _said(log[:inherited]) == _said(source[:inherited])
        async with asyncio.timeout(60):
            while len(await sessions.tree(SOURCE)) > 1:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(LIFE / 4)
        assert await sessions.forks(SOURCE) == []
        assert await cold.list_sessions() == [SOURCE]
        log = await cold.events(SOURCE, include_retracted=True)
        late = [event_id for ack in made.values() for event_id, session_id in ack["events"] if session_id == SOURCE]
        assert {event.id for event in log} >= {*(f"first {number}" for number in range(FIRST)), *late}
        assert {event.id for event in log if event.retracted} == {f"first {number}" for number in HIDDEN}
        spent = (await sessions.usage(SOURCE, tree=True)).total.prompt_tokens
        steps = sum("begins" in ack for ack in told)
        assert FIRST + sum(len(ack["events"]) for ack in made.values()) <= spent <= FIRST + steps * MOST_A_STEP


async def _check_cold(url: str, acks: Path, steps: int) -> None:
    async with store_from_url(url) as cold:
        await check_forks(cold, acks, steps)


def test_forks_by_tasks_that_are_cancelled_lose_double_and_mix_up_nothing(tmp_path: Path) -> None:
    asyncio.run(_by_tasks(tmp_path / "acks", FEW_FORKS, seed=0))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(SEEDS))
def test_many_forks_by_tasks_that_are_cancelled_lose_double_and_mix_up_nothing(tmp_path: Path, seed: int) -> None:
    asyncio.run(_by_tasks(tmp_path / "acks", FORKS_EACH, seed=seed))


async def _by_tasks(acks: Path, steps: int, *, seed: int) -> None:
    await asyncio.to_thread(acks.touch)
    chance = Random(seed)
    async with InMemorySessionStore() as store:
        await _fill(SessionManager(store))

        def start(name: str) -> asyncio.Task[None]:
            return asyncio.create_task(Forker(store, name, acks, chance).take_steps(steps))

        running = {name: start(name) for name in NAMES}
        for _ in range(KILLS):
            await asyncio.sleep(chance.random() * 0.05)
            name = chance.choice(NAMES)
            running[name].cancel()
            await asyncio.wait([running[name]])
            running[name] = start(name)
        await asyncio.gather(*running.values())

        await check_forks(store, acks, steps)


def _wait_for_acks(acks: Path, more: int, running: dict[str, subprocess.Popen[str]]) -> None:
    before = len(acks.read_text().splitlines())
    while len(acks.read_text().splitlines()) < before + more:
        if all(process.poll() is not None for process in running.values()):
            return
        sleep(0.05)


async def check_forks(cold: BaseSessionStore, acks: Path, steps: int) -> None:
    """Check what a store holds at the end against what was acknowledged, and each fork against its source."""
    told = [json.loads(line) for line in (await asyncio.to_thread(acks.read_text)).splitlines()]
    made = {ack["fork"]: ack for ack in told if "fork" in ack}
    ends = {ack["deletes"]: ack for ack in told if "deletes" in ack}
    assert made.keys() == {f"{name}-{step}" for name in NAMES for step in range(steps)}
    sessions = SessionManager(cold)
    nodes = {node.id: node for node in await sessions.tree(SOURCE)}
    gone = made.keys() - nodes.keys()
    assert gone <= ends.keys()
    assert nodes.keys() == {SOURCE, *made} - gone
    logs = {name: await cold.events(name, include_retracted=True) for name in nodes}
    _check_birth(made)
    assert any(event.type == EventType.SUMMARY for log in logs.values() for event in log)
    spent = sum(ends[name]["spent"] for name in gone)
    for name, node in nodes.items():
        inherited = _check_inherited(node, logs, made)
        own = logs[name][inherited:]
        spenders = [event for event in own if event.type != EventType.SUMMARY]
        assert {event.message["content"] for event in spenders} <= {said_in(name)}
        assert {event.message["content"] for event in own if event not in spenders} <= {in_short(name)}
        assert len({event.id for event in logs[name]}) == len(logs[name])
        assert (await sessions.usage(name)).total.prompt_tokens == len(spenders)
        spent += len(spenders)
        await _check_view(sessions, name, logs[name])
    assert (await sessions.usage(SOURCE, tree=True)).total.prompt_tokens == spent
    for ack in made.values():
        for event_id, session_id in ack["events"]:
            assert session_id in gone or [event.id for event in logs[session_id]].count(event_id) == 1
    await _check_deletion(sessions, nodes, logs, spent)


def _check_birth(made: dict[str, Any]) -> None:
    """Each fork has begun with what its source had hidden at that moment, as far as nobody else was at work there."""
    born = [ack for ack in made.values() if "born with" in ack]
    assert any(ack["source hid"] for ack in born)
    for ack in born:
        assert ack["born with"] == ack["source hid"], ack["fork"]


def _check_inherited(node: TreeNode, logs: Logs, made: dict[str, Any]) -> int:
    """Check what a fork has of its source, and what is hidden there; return how many events those are."""
    if node.forked_from is None:
        return 0
    ack, point = made[node.id], node.forked_from
    assert list(point) == ack["from"]
    assert {event.id for event in logs[node.id] if event.retracted} == set(ack["hidden"])
    assert node.parent_id is not None
    source = logs[node.parent_id]  # which has stored the event; the one that was forked may be deleted by now
    assert _said(logs[node.id][: point.seq]) == _said(source[: point.seq])
    return point.seq


async def _check_view(sessions: SessionManager, name: str, log: list[SessionEvent[Any]]) -> None:
    """A view shows what is in its own log and not hidden there, and nothing else."""
    shown = {json.dumps(event.message) for event in log if not event.retracted}
    async with sessions.open(name) as chat:
        for view in (await chat.messages(), await chat.messages(compacted=False)):
            said = [message["content"] for message in view]
            assert all(any(each in text for text in shown) for each in said)
        assert len(await chat.messages(compacted=False, repair=False)) <= len(shown) + len(log)


async def _check_deletion(sessions: SessionManager, nodes: dict[str, TreeNode], logs: Logs, spent: int) -> None:
    """Delete one branch with all below it: no other one is touched, and the money stays spent."""
    branch = next(name for name in nodes if name != SOURCE)
    below, todo = {branch}, [branch]
    while todo:
        parent = todo.pop()
        found = [node.id for node in nodes.values() if node.parent_id == parent]
        below |= {*found}
        todo += found
    await sessions.delete(branch, children="cascade")
    assert {node.id for node in await sessions.tree(SOURCE)} == nodes.keys() - below
    for name in nodes.keys() - below:
        assert _said(await sessions.store.events(name, include_retracted=True)) == _said(logs[name])
    assert (await sessions.usage(SOURCE, tree=True)).total.prompt_tokens == spent


def _said(events: list[SessionEvent[Any]]) -> list[tuple[str, Any]]:
    return [(event.id, event.message) for event in events]
