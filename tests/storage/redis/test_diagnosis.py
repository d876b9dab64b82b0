"""What a store says of the Redis servers that it is on: settings by which it cannot keep its promises."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from a2a_session_manager.diagnosis import StoreFinding
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.redis import diagnosis
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.fixtures import StartServer


async def _found(url: str) -> dict[str, StoreFinding]:
    async with store_from_url(url) as store:
        return {finding.code: finding for finding in await store.diagnose()}


async def test_a_policy_that_evicts_what_is_stored_is_found_with_its_remedy(server_with: StartServer) -> None:
    server = await server_with(("appendonly", "no"), ("maxmemory", "200mb"), ("maxmemory-policy", "volatile-lru"))
    url = server.url

    assert {code: finding.severity for code, finding in (await _found(url)).items()} == {
        "server": "note",
        "no_append_only_file": "warning",
    }
    expiring = await _found(f"{url}?expiration_seconds=60")
    assert (expiring["eviction"].severity, expiring["eviction"].where) == ("error", url)
    await asyncio.to_thread(server.call, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert "noeviction" in (await _found(url))["eviction"].remedy


async def test_what_is_not_brought_to_disk_and_what_a_user_may_not_ask_is_found(server_with: StartServer) -> None:
    server = await server_with(("appendonly", "yes"), ("appendfsync", "no"))
    url = server.url

    assert set(await _found(url)) == {"server", "no_fsync"}
    await asyncio.to_thread(server.call, "CONFIG", "SET", "appendfsync", "always")
    assert (await _found(url))["append_only_file"].text.endswith("appendfsync is always")
    await asyncio.to_thread(server.call, "ACL", "SETUSER", "default", "-config")
    assert (await _found(url))["append_only_file"].text.endswith("cannot be asked for")
    await asyncio.to_thread(server.call, "ACL", "SETUSER", "default", "-info")
    assert set(await _found(url)) == {"silent_server"}
    await asyncio.to_thread(server.call, "ACL", "SETUSER", "default", "-rpush")
    [(code, finding)] = (await _found(url)).items()
    assert (code, finding.severity) == ("unavailable", "error")
    assert "+rpush" in finding.text


async def test_every_primary_of_a_cluster_is_looked_at(redis_cluster: RedisCluster) -> None:
    async with store_from_url(redis_cluster.url) as store:
        found = await store.diagnose()

    assert len({finding.where for finding in found if finding.code == "server"}) == len(redis_cluster.nodes)


@pytest.mark.parametrize(
    ("info", "codes"),
    [
        ({"redis_version": "6.0.9", "aof_enabled": 1}, {"old_server"}),
        ({"redis_version": "7.2.4", "valkey_version": b"9.1.0", "aof_enabled": 1}, set()),
        ({"redis_version": "8.0", "aof_enabled": 1, "role": "slave"}, {"replica"}),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, {"write_failed"}),
        ({"aof_enabled": 1, "maxmemory": 1_000, "used_memory": 950}, {"nearly_full"}),
        ({"aof_enabled": 1, "maxmemory": 0, "maxmemory_policy": "allkeys-lfu"}, {"eviction"}),
    ],
)
async def test_what_a_server_says_of_itself_is_judged(
    info: dict[str, Any], codes: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Client:
        async def execute_command(self, *command: str) -> dict[Any, Any]:
            return {**info} if command == ("INFO",) else {b"appendfsync": b"everysec"}

    client: Any = Client()
    found = await diagnosis.diagnose_servers(client, "here", has_expiry=False)

    assert {finding.code for finding in found if finding.severity != "note"} == codes
    assert all(finding.remedy for finding in found if finding.severity != "note")
