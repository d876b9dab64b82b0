"""Sessions that expire under a crowd at work: none goes before its time, and nothing of those that went stays."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import SessionNotFound
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import said, spending
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer

pytestmark = pytest.mark.soak

SECONDS = 20
LIFE = 1.0
# A deadline moves when less than nine tenths are left: a session lives at least so long after a write.
SURELY = 0.9 * LIFE
TASKS = 8
FOREVER = "for-ever"


class Crowd:
    """Tasks that create, write and delete sessions of their own, each through any of several stores, and followers."""

    def __init__(self, stores: list[BaseSessionStore]) -> None:
        self._stores = stores
        self.done: Counter[str] = Counter()
        self.is_over = False

    def store(self) -> BaseSessionStore:
        return random.choice(self._stores)

    async def work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(TASKS):
                tasks.create_task(self._until_over(self._sessions_of(number)))
                tasks.create_task(self._until_over(self._follow()))
            await asyncio.sleep(SECONDS)
            self.is_over = True

    async def _until_over(self, task: Coroutine[Any, Any, None]) -> None:
        try:
            await task
        finally:
            # Not by cancellation alone: before Python 3.12, `asyncio.wait_for`, which redis-py uses, may swallow one.
            self.is_over = True

    async def _sessions_of(self, number: int) -> None:
        while not self.is_over:
            name, parent_id = _name(number), random.choice([None, FOREVER, _name(number)])
            if name == parent_id or await self.store().get(name) is not None:
                await asyncio.sleep(random.uniform(0, 0.3) * LIFE)
                continue
            began = _time()
            try:
                change = SessionChange(events=[spending(1), said()], set_state={"k": 1})
                await self.store().create(name, parent_id=parent_id, change=change)
            except SessionNotFound:
                self.done["no parent"] += 1
            else:
                self.done["created"] += 1
                await self._live(name, parent_id, began)

    async def _live(self, name: str, parent_id: str | None, written: float) -> None:
        """Write to a session now and then, until it has expired, or is deleted, or the crowd has had enough."""
        events = 2
        for _ in range(random.randrange(8)):
            await asyncio.sleep(random.uniform(0, 0.5) * LIFE)
            if not await self._is_whole(name, parent_id, written, events):
                return
            began = _time()
            try:
                await self.store().append(name, said())
            except SessionNotFound:
                assert _time() - written > SURELY, f"{name} went before its time"
                self.done["expired"] += 1
                return
            events, written = events + 1, began
        end = random.choice([None, "deleted", "expired"])
        if end == "deleted":
            await self.store().delete(name, children="cascade")
        elif end == "expired":
            while await self.store().get(name) is not None:  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.05)
        self.done[end or "left to its children"] += 1

    async def _is_whole(self, name: str, parent_id: str | None, written: float, events: int) -> bool:
        """Tell whether the session is there; if its time has not come, so must be all that leads to it."""
        store = self.store()
        session, parent = await store.get(name), None if parent_id is None else await store.get(parent_id)
        listed = name in await store.list_sessions()
        if _time() - written <= SURELY:
            assert session is not None, f"{name} went before its time"
            assert parent_id is None or (parent is not None and name in parent.child_ids)
            assert listed
        assert session is None or (len(session.events) == events and session.state == {"k": 1})
        self.done["there" if session else "expired"] += 1
        return session is not None

    async def _follow(self) -> None:
        while not self.is_over:
            last = 0
            try:
                async for event in self.store().follow(_name(random.randrange(TASKS))):
                    assert event.seq == last + 1
                    last = event.seq
            except SessionNotFound:
                self.done["followed"] += bool(last)
                await asyncio.sleep(0.05)


def _name(number: int) -> str:
    return f"talk{number}-{random.randrange(4)}"


def _time() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture(params=["redis_server", "redis_cluster"], ids=["single", "cluster"])
def server(request: pytest.FixtureRequest) -> RedisServer | RedisCluster:
    """Where the sessions lie."""
    started: RedisServer | RedisCluster = request.getfixturevalue(request.param)
    return started


async def test_none_goes_before_its_time_and_nothing_stays_of_those_that_went(
    server: RedisServer | RedisCluster,
) -> None:
    prefix = f"{uuid4().hex[:12]}:"
    stores = [store_from_url(f"{server.url}?key_prefix={prefix}&expiration_seconds={LIFE}") for _ in range(4)]
    async with store_from_url(f"{server.url}?key_prefix={prefix}") as keeper:
        await keeper.create(FOREVER)
        crowd = Crowd(stores)
        await crowd.work()
        await asyncio.sleep(LIFE)
        async with asyncio.timeout(60):
            while left := await asyncio.to_thread(_left, server, prefix):
                # Each creation looks after some; what is there by itself goes in twice the time.
                await keeper.delete(await keeper.create("another"))
                await asyncio.sleep(0.1)
    for store in stores:
        await store.aclose()

    assert left == []
    assert {"created", "there", "expired", "deleted", "followed"} <= set(+crowd.done)


def _left(server: RedisServer | RedisCluster, prefix: str) -> list[str]:
    """Return keys and members that tell of sessions of the crowd, but for refusals and followers, which expire."""
    found: list[str] = []
    for node in server.nodes if isinstance(server, RedisCluster) else [server]:
        with node.admin() as client:
            send: Callable[..., Any] = client.execute_command
            for name in (key.decode() for key in send("KEYS", f"{prefix}*")):
                kind = send("TYPE", name)
                reader = {b"zset": ("ZRANGE", name, 0, -1), b"hash": ("HKEYS", name)}.get(kind)
                members = [f"{name} {member.decode()}" for member in send(*reader)] if reader else [name]
                if not name.endswith((":refused", ":followers")):
                    found += [each for each in members if "talk" in each]
    return found
