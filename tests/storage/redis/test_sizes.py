"""What sessions take in memory, as the server estimates it, or that it does not tell."""

from __future__ import annotations

from uuid import uuid4

import pytest
from fakeredis import FakeServer

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis import RedisSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import said
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import fake_client

KEYS = [SessionKey((), name) for name in ("root", "child", "nowhere")]


@pytest.fixture(params=["redis_server", "redis_cluster"])
def server(request: pytest.FixtureRequest) -> RedisServer | RedisCluster:
    started: RedisServer | RedisCluster = request.getfixturevalue(request.param)
    return started


async def test_a_session_takes_what_its_events_take_and_a_little_more(server: RedisServer | RedisCluster) -> None:
    url = f"{server.url}?key_prefix={uuid4().hex[:12]}:"
    async with store_from_url(url) as store:
        await store.create("root", change=SessionChange(events=[said("x" * 20_000)]))
        await store.create("child", parent_id="root", change=SessionChange(events=[said("x" * 1_000)]))
    async with store_from_url(url) as cold:
        root, child, nowhere = await cold._open_backend.sizes(KEYS)
        planned = await cold.prune(max_bytes=0)

    assert 20_000 < (root or 0) < 40_000
    assert 1_000 < (child or 0) < 10_000
    assert nowhere == 0
    assert planned.bytes == (root or 0) + (child or 0)


async def test_a_user_who_may_not_ask_is_told_no_sizes_and_can_prune_by_age(redis_server: RedisServer) -> None:
    url = f"{redis_server.url}?key_prefix={uuid4().hex[:12]}:"
    name = uuid4().hex[:12]
    async with store_from_url(url) as store:
        backend = store._open_backend
        connections = backend._connections  # type: ignore[attr-defined]  # of the Redis one
        await connections.read_many(
            [("ACL", "SETUSER", name, "on", ">secret", "~*", "&*", "+@all", "-memory", "-@dangerous", "+info")]
        )
        await store.create("talk")
    async with store_from_url(url.replace("redis://", f"redis://{name}:secret@")) as limited:
        assert await limited._open_backend.sizes([SessionKey((), "talk")]) == [None]
        with pytest.raises(InvalidSessionOperation, match="RedisBackend cannot tell"):
            await limited.prune(max_bytes=0, dry_run=False)
        assert (await limited.prune(older_than=0, dry_run=False)).bytes is None
        assert await limited.list_sessions() == []


async def test_a_server_that_knows_no_such_command_tells_no_sizes() -> None:
    async with RedisSessionStore(fake_client(FakeServer())) as store:
        await store.create("talk")

        assert await store._open_backend.sizes([SessionKey((), "talk")]) == [None]
