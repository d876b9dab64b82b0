"""The contract on Redis: one server with RESP 2 and RESP 3, a cluster, and fakeredis."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from fakeredis import FakeServer

from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing import StoreContract
from a2a_session_manager.testing.contract.appending import AppendingContract
from a2a_session_manager.testing.contract.base import ContractBase
from a2a_session_manager.testing.contract.budgets import BudgetsContract
from a2a_session_manager.testing.contract.budgets_set import BudgetsSetContract
from a2a_session_manager.testing.contract.corruption import CorruptionContract
from a2a_session_manager.testing.contract.deleting import DeletingContract
from a2a_session_manager.testing.contract.exactly_once import ExactlyOnceContract
from a2a_session_manager.testing.contract.following import FollowingContract
from a2a_session_manager.testing.contract.guarding import GuardingContract
from a2a_session_manager.testing.contract.incarnations import IncarnationsContract
from a2a_session_manager.testing.contract.lifecycle import LifecycleContract
from a2a_session_manager.testing.contract.listing import ListingContract
from a2a_session_manager.testing.contract.losing_replies import LosingRepliesContract
from a2a_session_manager.testing.contract.namespaces import NamespacesContract
from a2a_session_manager.testing.contract.paging import PagingContract
from a2a_session_manager.testing.contract.racing import RacingContract
from a2a_session_manager.testing.contract.reading_messages import ReadingMessagesContract
from a2a_session_manager.testing.contract.retracting import RetractingContract
from a2a_session_manager.testing.contract.runs import RunsContract
from a2a_session_manager.testing.contract.trees import TreesContract
from a2a_session_manager.testing.contract.usage import UsageContract
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import connections_of, fake_client, keys_of


class OnRedis(ContractBase):
    """What all of them do alike; the server is shared, so each test keeps to a prefix of its own."""

    async def damage(self, store: BaseSessionStore, session_id: str) -> None:
        log = (await keys_of(store, session_id)).log
        await connections_of(store).read_many([("LSET", log, 0, '1 {"v":1,"id":"e1","mess')])

    @abstractmethod
    async def open_indexed_store(self, place: Path, indexed: Sequence[str]) -> BaseSessionStore:
        """Return a store that finds sessions by these properties."""

    async def open_store(self, place: Path) -> BaseSessionStore:
        return await self.open_indexed_store(place, ())


class OnServer(OnRedis):
    protocol = 2

    @pytest.fixture(autouse=True)
    def server(self, redis_server: RedisServer) -> None:
        self.url = redis_server.url

    async def open_indexed_store(self, place: Path, indexed: Sequence[str]) -> BaseSessionStore:
        return store_from_url(self._url_for(place), indexed=indexed)

    async def open_expiring_store(self, place: Path, seconds: float) -> BaseSessionStore:
        return store_from_url(f"{self._url_for(place)}&expiration_seconds={seconds}")

    def _url_for(self, place: Path) -> str:
        return f"{self.url}?protocol={self.protocol}&key_prefix={prefix_for(place)}"


class OnCluster(OnServer):
    @pytest.fixture(autouse=True)
    def server(self, redis_cluster: RedisCluster) -> None:
        self.url = redis_cluster.url


class TestRedisResp2(OnServer, StoreContract):
    """The whole contract."""


class TestRedisResp3(
    OnServer,
    AppendingContract,
    RunsContract,
    UsageContract,
    ReadingMessagesContract,
    FollowingContract,
    CorruptionContract,
):
    """What has replies and messages of every kind: those are what the protocols write differently."""

    protocol = 3


@pytest.mark.soak
class TestRedisResp3Whole(OnServer, StoreContract):
    protocol = 3


class TestRedisCluster(
    OnCluster,
    TreesContract,
    DeletingContract,
    IncarnationsContract,
    ListingContract,
    NamespacesContract,
    FollowingContract,
    RacingContract,
    LosingRepliesContract,
    CorruptionContract,
    LifecycleContract,
    PagingContract,
    BudgetsContract,
    BudgetsSetContract,
):
    """What several nodes can get wrong."""


@pytest.mark.soak
class TestRedisClusterWhole(OnCluster, StoreContract):
    """The whole contract takes minutes there."""


class OnFakeredis(OnRedis):
    @pytest.fixture(autouse=True)
    def server(self) -> None:
        self.fake = FakeServer()

    async def open_indexed_store(self, place: Path, indexed: Sequence[str]) -> BaseSessionStore:
        return RedisSessionStore(fake_client(self.fake), key_prefix=prefix_for(place), indexed=indexed)


class TestFakeredis(
    OnFakeredis,
    AppendingContract,
    GuardingContract,
    ExactlyOnceContract,
    RetractingContract,
    RunsContract,
    UsageContract,
    DeletingContract,
    ReadingMessagesContract,
    FollowingContract,
    CorruptionContract,
    LifecycleContract,
    BudgetsContract,
    BudgetsSetContract,
):
    """So that users can test with it: what the scripts do, for that is what another server can get wrong."""


@pytest.mark.soak
class TestFakeredisWhole(OnFakeredis, StoreContract):
    """The rest is decided above the border, and tested on a server; `.ci/redis` runs the whole here, too."""


def prefix_for(place: Path) -> str:
    return f"{sha256(str(place).encode()).hexdigest()[:12]}:"
