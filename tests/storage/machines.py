"""The stores that the model-based test is made on."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import redis
from fakeredis import FakeServer
from hypothesis.stateful import (
    invariant,
)

from a2a_session_manager import (
    InMemorySessionStore,
    RedisSessionStore,
)
from a2a_session_manager.storage.commit_records import Creation, EncodedCommit, Receipt
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.storage.fork_rules import ForkDraft
from a2a_session_manager.storage.memory.backend import MemoryBackend
from a2a_session_manager.storage.read_records import LoadedSession
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import scripts as all_scripts
from a2a_session_manager.storage.redis.script import Script
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from tests.storage.redis.looks import connections_of, fake_client, keys_of
from tests.storage.store_machine import StoreMachine


class YieldingBackend(MemoryBackend):
    """Memory whose every verb takes a few turns of the loop, as a store with I/O does."""

    async def create(self, key: SessionKey, creation: Creation, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        receipt = await super().create(key, creation, commit)
        await asyncio.sleep(0)
        return receipt

    def fork_at_once(self, source: SessionKey, key: SessionKey, draft: ForkDraft) -> None:
        return None  # it reads, and others have a go, before it creates

    async def commit(self, key: SessionKey, commit: EncodedCommit) -> Receipt:
        await asyncio.sleep(0)
        receipt = await super().commit(key, commit)
        await asyncio.sleep(0)
        return receipt

    async def load(self, *args: Any, **kwargs: Any) -> list[LoadedSession | None]:
        await asyncio.sleep(0)
        return await super().load(*args, **kwargs)


class MemoryMachine(StoreMachine):
    async def open_store(self, place: Path) -> BaseSessionStore:
        return InMemorySessionStore()


class YieldingMachine(StoreMachine):
    async def open_store(self, place: Path) -> BaseSessionStore:
        return BaseSessionStore(YieldingBackend())


class FileMachine(StoreMachine):
    is_durable = True

    async def open_store(self, place: Path) -> BaseSessionStore:
        return FileSessionStore(place)


class FakeredisMachine(StoreMachine):
    is_durable = True

    def __init__(self) -> None:
        self.fake = FakeServer()
        super().__init__()

    async def open_store(self, place: Path) -> BaseSessionStore:
        return RedisSessionStore(fake_client(self.fake))


class RedisMachine(StoreMachine):
    """On the server that `test_redis` starts."""

    is_durable = True
    url: ClassVar[str]
    options = ""

    async def open_store(self, place: Path) -> BaseSessionStore:
        return store_from_url(f"{self.url}?key_prefix={place.name}:{self.options}")


class SetClockMachine(RedisMachine):
    """There, with a clock that is set: the scripts read the time from a key, where they ask the server for it."""

    clock_key: ClassVar = "the clock of a test"

    def __init__(self) -> None:
        self.clock = redis.Redis.from_url(self.url)
        scripts = [each for each in vars(all_scripts).values() if isinstance(each, Script)]
        self.sources = {id(each): (each, each.source) for each in scripts}
        for script, source in self.sources.values():
            self._set(script, re.sub(r"call\('TIME'\)", f"call('LRANGE', '{self.clock_key}', 0, 1)", source))
        super().__init__()

    @property
    def time(self) -> datetime:
        return self._time

    @time.setter
    def time(self, time: datetime) -> None:
        self._time = time
        seconds, millis = divmod(self.millis(), 1000)
        with self.clock.pipeline() as pipeline:
            pipeline.delete(self.clock_key)
            pipeline.rpush(self.clock_key, seconds, millis * 1000)
            pipeline.execute()

    def teardown(self) -> None:
        super().teardown()
        for script, source in self.sources.values():
            self._set(script, source)
        self.clock.close()

    def _set(self, script: Script, source: str) -> None:
        object.__setattr__(script, "source", source)
        script.__post_init__()


class ExpiringMachine(RedisMachine):
    """There, with a time to live that no session reaches."""

    lets_expire = True
    options = "&expiration_seconds=3600"

    @invariant()
    def what_was_made_to_stay_has_no_time_to_live(self) -> None:
        self.run(self._compare_times_to_live())

    async def _compare_times_to_live(self) -> None:
        connections = connections_of(self.store)
        for plain in self.model.sessions.values():
            place = await keys_of(self.store, plain.id)
            answers = await connections.read_many([("PTTL", key) for key in (place.tree, *place.all_of_session)])
            of_tree, *own = (answer for answer in answers if answer != -2)
            assert {answer == -1 for answer in own} == {plain.stays}
            if place.is_root:
                assert (of_tree == -1) == plain.stays
