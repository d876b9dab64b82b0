"""A process that dies at any step of a cascade: the tree is there whole or gone whole, and nothing stays for ever."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.redis import reaper
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import spending
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import backend_of, connections_of

PARENTS = {"kid0": "talk", "kid1": "talk", "a": "kid0", "b": "a", "c": "b", "d": "kid0", "e": "kid1"}
VICTIMS = {"talk": {"talk", *PARENTS}, "kid0": {"kid0", "a", "b", "c", "d"}}
CHANGE = SessionChange(events=[spending(1)], set_state={"k": 1})


class Data:
    """Sessions of one test: where they lie, how they are opened, and what is left of some."""

    def __init__(self, nodes: Sequence[RedisServer], url: str) -> None:
        self._nodes = nodes
        self._prefix = f"{uuid4().hex[:12]}:"
        self.url = f"{url}?key_prefix={self._prefix}"

    def open(self) -> BaseSessionStore:
        return store_from_url(self.url)

    async def left_of(self, names: set[str]) -> list[str]:
        """Return keys and lines of the index that tell of `names`, but for refusals, which expire."""
        return await asyncio.to_thread(self._left_of, names)

    async def let_time_pass(self) -> None:
        """Let the time have come for all that is to be looked after."""
        await asyncio.to_thread(self._let_time_pass)

    def _left_of(self, names: set[str]) -> list[str]:
        found: list[str] = []
        for node in self._nodes:
            with node.admin() as client:
                send: Callable[..., Any] = client.execute_command
                for key in send("KEYS", f"{self._prefix}*"):
                    name = key.decode().removeprefix(self._prefix)
                    if not name.startswith("{:"):
                        lines = send("ZRANGE", key, 0, -1) if send("TYPE", key) == b"zset" else []
                        found += [f"{name} {line.decode()}" for line in lines if line.decode().split()[0] in names]
                    elif not name.endswith((":refused", ":followers")) or client.pttl(key) < 0:
                        root, kind, *below = name[2:].replace("}", "").split(":")
                        if kind == "gone" or (below or [root])[0] in names:
                            found.append(name)
        return found

    def _let_time_pass(self) -> None:
        for node in self._nodes:
            with node.admin() as client:
                send: Callable[..., Any] = client.execute_command
                for key in send("KEYS", f"{self._prefix}index::due"):
                    for line in send("ZRANGE", key, 0, -1):
                        send("ZADD", key, 1, line)


@pytest.fixture(params=["single", pytest.param("cluster", marks=pytest.mark.soak)])
def make_data(request: pytest.FixtureRequest) -> Callable[[], Data]:
    """A function that begins with other data each time, on a single server or on a cluster."""
    if request.param == "single":
        server: RedisServer = request.getfixturevalue("redis_server")
        return lambda: Data([server], server.url)
    cluster: RedisCluster = request.getfixturevalue("redis_cluster")
    return lambda: Data(cluster.nodes, cluster.url)


async def grow(store: BaseSessionStore) -> None:
    await store.create("near", change=CHANGE)
    await store.create("below", parent_id="near", change=CHANGE)
    await store.create("talk", change=CHANGE)
    for name, parent_id in PARENTS.items():
        await store.create(name, parent_id=parent_id, change=CHANGE)


class Dying:
    """A process whose commands leave one by one, and that is dead after so many of them."""

    def __init__(self, store: BaseSessionStore, commands: int) -> None:
        connections: Any = connections_of(store)
        self._connections = connections
        self._original_run, self._original_read = connections.run_many, connections.read_many
        self._left = commands
        connections.run_many, connections.read_many = self._run_many, self._read_many

    def revive(self) -> None:
        """Let the store be closed as usual."""
        self._connections.run_many, self._connections.read_many = self._original_run, self._original_read

    def _step(self) -> None:
        if self._left == 0:
            raise asyncio.CancelledError
        self._left -= 1

    async def _run_many(self, calls: Sequence[Any], *_: Any, **__: Any) -> list[Any]:
        answers: list[Any] = []
        for call in calls:
            self._step()
            answers += await self._original_run([call])
        return answers

    async def _read_many(self, commands: Sequence[Any]) -> list[Any]:
        self._step()
        answers: list[Any] = await self._original_read(commands)
        return answers


async def dies_deleting(data: Data, victim: str, commands: int) -> bool:
    """Make the sessions, and let a process die after so many commands of its cascade; False when it was done before."""
    async with data.open() as store:
        await grow(store)
        backend, key = backend_of(store), store._key(victim)
        [loaded] = await backend.load([key], last=0, whole_head=False)
        assert loaded is not None
        dying = Dying(store, commands)
        deleting = asyncio.create_task(
            backend._deleter.delete(key, loaded.head.creation_id, cascade=True, guard=None)  # not one that is finished
        )
        await asyncio.wait({deleting})
        for task in list(backend._tasks):
            task.cancel()
        await asyncio.sleep(0)
        dying.revive()
        if not deleting.cancelled():
            deleting.result()
        return deleting.cancelled()


async def listing(store: BaseSessionStore, victim: str) -> None:
    await store.list_sessions()


async def creating(store: BaseSessionStore, victim: str) -> None:
    await store.create("another")


async def creating_the_same(store: BaseSessionStore, victim: str) -> None:
    await store.create(victim, parent_id=PARENTS.get(victim))
    await store.create("another")


async def creating_and_deleting_the_same(store: BaseSessionStore, victim: str) -> None:
    await store.create(victim, parent_id=PARENTS.get(victim))
    await store.delete(victim)
    await store.create("another")


async def whole_or_gone(data: Data, names: set[str]) -> bool:
    """Tell, by a cold store, whether all of these sessions are there; fail when only some are."""
    async with data.open() as store:
        there = {name for name in names if await store.get(name) is not None}
        assert there in (set(), names)
        if await store.get("talk") is not None:
            assert there == names & {name for name, _ in await store.tree("talk")}
        return bool(there)


async def others_are_unharmed(data: Data, others: set[str]) -> None:
    async with data.open() as store:
        assert sorted(await store.list_sessions()) == sorted(others)
        for name in others - {"another"}:
            session = await store.get(name)
            assert session is not None
            assert session.state == {"k": 1}
            assert len(session.events) == 1
        assert (await store.usage("near", tree=True)).total.requests == 2
        assert await store.children("near") == ["below"]
        if "talk" in others:
            assert {name for name, _ in await store.tree("talk")} == others & {"talk", *PARENTS}


FINISHING = [listing, creating, creating_the_same, creating_and_deleting_the_same]


@pytest.mark.parametrize("stride", [13, pytest.param(1, marks=pytest.mark.soak)])
@pytest.mark.parametrize("victim", VICTIMS)
@pytest.mark.parametrize("finish", FINISHING)
async def test_a_tree_is_whole_or_gone_and_the_next_verb_removes_what_is_left(
    make_data: Callable[[], Data],
    victim: str,
    finish: Callable[[BaseSessionStore, str], Awaitable[None]],
    stride: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reaper, "_SESSIONS_A_CALL", 2)
    doomed = VICTIMS[victim]
    others = {"near", "below", "talk", *PARENTS} - doomed
    commands = 0
    while await dies_deleting(data := make_data(), victim, commands):
        if not await whole_or_gone(data, doomed):
            await data.let_time_pass()
            async with data.open() as store:
                await finish(store, victim)

            made = {"another"} if finish is not listing else set()
            remade = {victim} if finish is creating_the_same else set()
            left = await data.left_of(doomed - remade)
            # That somebody shall look is forgotten by the next creation at the latest.
            assert [name for name in left if finish is not listing or ":due" not in name] == [], commands
            async with data.open() as store:
                for name in remade:
                    await store.delete(name)
            await others_are_unharmed(data, others | made)
        commands += stride
    assert commands > 30


@pytest.mark.soak
@pytest.mark.parametrize("victim", ["talk", "kid0"])
async def test_a_process_that_is_killed_in_a_cascade_of_hundreds(make_data: Callable[[], Data], victim: str) -> None:
    leaves = {f"leaf{number}-{parent}": parent for number in range(60) for parent in VICTIMS["kid0"]}
    doomed = VICTIMS[victim] | leaves.keys()
    others = {"near", "below", "talk", *PARENTS} - doomed
    unfinished = 0
    for number in range(24):
        data = make_data()
        async with data.open() as store:
            await grow(store)
            await asyncio.gather(*(store.create(leaf, parent_id=parent) for leaf, parent in leaves.items()))

        await killed_deleting(data, victim, 0.006 * number)

        if not await whole_or_gone(data, doomed):
            unfinished += bool(await data.left_of(doomed))
            await data.let_time_pass()
            finish = FINISHING[number % 2]
            async with data.open() as store:
                await finish(store, victim)
            left = await data.left_of(doomed)
            assert [name for name in left if finish is not listing or ":due" not in name] == [], number
            async with data.open() as store:
                made = {"another"} if finish is creating else set()
                assert sorted(await store.list_sessions()) == sorted(others | made)
    assert unfinished > 1, "it was done or had not begun whenever it was killed: this shows nothing"


async def killed_deleting(data: Data, victim: str, seconds: float) -> None:
    """Kill a process so many seconds after it began to delete."""
    program = (sys.executable, "-m", "tests.storage.redis.processes.deleter", data.url, victim)
    process = await asyncio.create_subprocess_exec(*program, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    process.stdin.write(b"\n")
    await process.stdin.drain()
    await asyncio.sleep(seconds)
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()
