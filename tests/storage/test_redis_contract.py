"""The contract on Redis: one server with RESP 2 and RESP 3, a cluster, and fakeredis."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from fakeredis import FakeServer

from a2a_session_manager.storage.base import BaseSessionStore
from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing import StoreContract
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis_looks import connections_of, fake_client, place_of


class RedisContract(StoreContract):
    """What all of them do alike; the server is shared, so each test keeps to a prefix of its own."""

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        log = (await place_of(store, session_id)).log
        await connections_of(store).read_many([("LSET", log, 0, '1 {"v":1,"id":"e1","mess')])


class TestRedisResp2(RedisContract):
    protocol = 2

    @pytest.fixture(autouse=True)
    def server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url

    async def open_store(self, place: Path) -> BaseSessionStore:
        return store_from_url(f"{self.url}?protocol={self.protocol}&key_prefix={prefix_for(place)}")


class TestRedisResp3(TestRedisResp2):
    protocol = 3


class TestRedisCluster(TestRedisResp2):
    @pytest.fixture(autouse=True)
    def server(self, redis_cluster: RedisCluster) -> None:
        self.url = redis_cluster.url


class TestFakeredis(RedisContract):
    """So that users can test with it."""

    @pytest.fixture(autouse=True)
    def server(self) -> None:
        self.fake = FakeServer()

    async def open_store(self, place: Path) -> BaseSessionStore:
        return RedisSessionStore(fake_client(self.fake), key_prefix=prefix_for(place))


def prefix_for(place: Path) -> str:
    return f"{sha256(str(place).encode()).hexdigest()[:12]}:"
