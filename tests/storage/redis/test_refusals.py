"""What a Redis server may refuse: each time an error of ours, with the remedy, the cause, and nothing half-written."""

from __future__ import annotations

import asyncio
import re
import socket
import traceback
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import a2a_session_manager.storage.redis
from a2a_session_manager import BaseSessionStore, SessionManager
from a2a_session_manager.exceptions import InvalidSessionOperation, SessionNotFound, StoreFull, StoreUnavailable
from a2a_session_manager.storage.redis import clients, pubsub_listener
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.rights import ARGUMENTS, PLAIN
from a2a_session_manager.storage.redis.script import Script, ScriptCall, encoded
from a2a_session_manager.storage.redis.scripts import ALL
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import ids, said
from a2a_session_manager.testing.contract.writes import DELETE, WRITES
from tests.redis_servers.cluster import RedisCluster
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.scripts import IMPATIENT, PROBE_KEY, connected, push, pushed
from tests.redis_servers.server import RedisServer

SLOW_LOADING = ("key-load-delay", "150")  # microseconds a command; it answers between thousands of them
# For scripts, the health check, a database other than 0, and a cluster: its map, its keys, a slot that is moved.
OF_THE_CLIENT = "+eval +evalsha +ping +select +cluster|slots +command +asking"
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")
[RIGHTS] = [block.split() for block in re.findall(r"```text\n(.*?)```", README, re.DOTALL) if block.startswith("-@all")]
PACKAGE = Path(a2a_session_manager.storage.redis.__file__).parent
NEEDED = "+eval +evalsha +hexists +hget +hset +rpush +unlink +lrange"


async def refused(connections: Connections, error: type[Exception], remedy: str) -> str:
    """Try a write of each kind; return how the server put it."""
    with pytest.raises(error, match=remedy) as one:
        await connections.run(push("refused", "one"))
    [answer] = await connections.run_many([push("refused", "two")])
    assert isinstance(answer, error)
    assert one.value.__cause__ is not None or error is StoreUnavailable
    await connections.aclose()
    return str(one.value)


async def test_a_wrong_password(server_with: StartServer) -> None:
    server = await server_with(("requirepass", "right"))

    for login in ("", ":wrong@", "ann:wrong@"):
        connections = connected(server.url.replace("//", f"//{login}"))
        shown = await refused(connections, StoreUnavailable, "check the user name and password")
        assert "wrong@" not in shown

    connections = connected(server.url.replace("//", "//:right@"))
    assert await connections.run(push("refused", "one")) == [b"1", b"new"]
    await connections.aclose()


async def test_missing_rights_are_named_on_first_use(server_with: StartServer) -> None:
    rights = NEEDED.replace("+rpush ", "").replace("+hset ", "")
    server = await server_with(("user", "ann", "on", ">secret", "~test:*", "&*", *rights.split()))
    connections = connected(server.url.replace("//", "//ann:secret@"))

    shown = await refused(connections, StoreUnavailable, "may not run HSET, RPUSH")

    assert "+hset +rpush" in shown
    assert await asyncio.to_thread(server.call, "KEYS", "*") == []


async def test_keys_beyond_the_users_reach_are_named(server_with: StartServer) -> None:
    server = await server_with(("user", "ann", "on", ">secret", "~other:*", "&*", *NEEDED.split()))
    connections = connected(server.url.replace("//", "//ann:secret@"))

    await refused(connections, StoreUnavailable, "grant")


async def test_the_rights_that_are_needed_are_enough(server_with: StartServer) -> None:
    server = await server_with(("user", "ann", "on", ">secret", "~test:*", "&*", *NEEDED.split()))
    connections = connected(server.url.replace("//", "//ann:secret@"))

    assert await connections.run(push("enough", "one")) == [b"1", b"new"]
    assert await pushed(connections, "enough") == [b"one"]
    [left] = [await asyncio.to_thread(server.call, "EXISTS", PROBE_KEY)]
    assert left == 0
    await connections.aclose()


def test_what_is_sent_outside_of_scripts_is_tried_too() -> None:
    sent = {name for module in PACKAGE.glob("*.py") for name in re.findall(r"\(\s*\"([A-Z]+)\",", module.read_text())}

    assert sent & ARGUMENTS.keys() == PLAIN


def test_the_readme_names_the_rights() -> None:
    scripted = set().union(*(script.commands() for script in ALL)) - {"PUBLISH"}
    needed = {"-@all", *OF_THE_CLIENT.split(), *(f"+{command.lower()}" for command in scripted | PLAIN)}

    assert sorted(RIGHTS) == sorted(needed)


async def use_all(url: str) -> None:
    """Use every verb that asks the server for something else."""
    async with SessionManager.from_url(url) as sessions:
        store: Any = sessions.store
        for write in [*WRITES, DELETE]:
            session = await write.prepare(store, write.name)
            await write.send(store, session)
        async with sessions.open("talk") as chat:
            await chat.user("x")
            async with chat.run(agent="planner") as run, run.child("talk/kid", agent="looker") as kid:
                await kid.user("y")
            await chat.set_state(seen=1)
            await chat.retract(last=1)
            await chat.messages()
            await chat.usage(tree=True)
        assert (await store.get("talk", last=5)).id == "talk"
        assert await store.events("talk") == []  # the only one is hidden
        assert await store.children("talk") == ["talk/kid"]
        assert len(await store.tree("talk")) == 2
        assert len(await store.list_sessions()) == len(WRITES) + 3
        assert list((await store.list_page("talk", limit=1)).session_ids) == ["talk"]
        with pytest.raises(InvalidSessionOperation):
            await store.delete("talk")
        await store.delete("talk", children="cascade")
        await follow_without_pub_sub(store)


async def follow_without_pub_sub(store: BaseSessionStore) -> None:
    """See that news come by looking."""
    stream = store.follow("append")
    heard = [await anext(stream) for _ in range(6)]
    news = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.1)
    assert not news.done()
    await store.append("append", said(id="news"))
    heard.append(await asyncio.wait_for(news, timeout=15))
    await stream.aclose()
    assert ids(heard)[-1] == "news"


@pytest.mark.parametrize("database", [0, 1])
async def test_the_rights_of_the_readme_are_enough(database: int, server_with: StartServer) -> None:
    server = await server_with(("user", "ann", "on", ">secret", "~session:*", *RIGHTS))

    await use_all(server.url.replace("//", "//ann:secret@").replace("/0", f"/{database}"))


async def test_the_rights_of_the_readme_are_enough_on_a_cluster(redis_cluster: RedisCluster) -> None:
    for node in redis_cluster.nodes:
        await asyncio.to_thread(node.call, "ACL SETUSER", "ann", "on", ">secret", "~session:*", *RIGHTS)

    await use_all(redis_cluster.url.replace("//", "//ann:secret@"))


async def test_who_may_not_subscribe_is_not_woken_again_and_again(
    server_with: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pubsub_listener, "_RECONNECT_SECONDS", 0.01)
    server = await server_with(("user", "ann", "on", ">secret", "~test:*", *RIGHTS))
    connections = connected(server.url.replace("//", "//ann:secret@"))
    waiting = asyncio.create_task(connections.wait(b"news", 3, 60))

    await asyncio.sleep(0.3)

    assert not waiting.done()
    await connections.aclose()
    await waiting


async def test_a_user_without_scripts(server_with: StartServer) -> None:
    rights = NEEDED.replace("+eval +evalsha", "")
    server = await server_with(("user", "ann", "on", ">secret", "~test:*", *rights.split()))

    await refused(connected(server.url.replace("//", "//ann:secret@")), StoreUnavailable, "evalsha")


async def test_a_server_without_scripts(server_with: StartServer) -> None:
    server = await server_with(("rename-command", "EVALSHA", '""'), ("rename-command", "EVAL", '""'))

    await refused(connected(server.url), StoreUnavailable, "needs EVAL and EVALSHA")


async def test_a_replica_that_takes_no_writes(server_with: StartServer) -> None:
    primary = await server_with()
    replica = await server_with(("replicaof", "127.0.0.1", str(primary.port)))

    await refused(connected(replica.url, retry_policy=IMPATIENT), StoreUnavailable, "use the primary's address")


async def test_a_server_that_is_full(server_with: StartServer) -> None:
    server = await server_with()
    connections = connected(server.url)
    assert await connections.run(push("full", "one")) == [b"1", b"new"]
    await asyncio.to_thread(server.call, "CONFIG SET", "maxmemory", 1)

    with pytest.raises(StoreFull, match="nothing of the commit was written") as full:
        await connections.run(push("full", "two"))

    assert full.value.__cause__ is not None
    assert await pushed(connections, "full") == [b"one"]
    await asyncio.to_thread(server.call, "CONFIG SET", "maxmemory", 0)
    assert await connections.run(push("full", "two")) == [b"2", b"new"]
    await connections.aclose()


async def test_a_server_that_cannot_persist(server_with: StartServer) -> None:
    server = await server_with(("min-replicas-to-write", "1"))

    await refused(connected(server.url), StoreUnavailable, "NOREPLICAS")


async def test_a_loading_server_is_waited_for(server_with: StartServer) -> None:
    server = await server_with(("appendonly", "yes"), SLOW_LOADING)
    connections = connected(server.url)
    await connections.run(push("loading", "one"))
    filled = connected(server.url)
    await filled.run_many([push("filling", str(number)) for number in range(1_000)])
    await filled.aclose()
    # Killed before the push is sent: the old process must not take it.
    await asyncio.to_thread(server.kill)
    start = asyncio.create_task(asyncio.to_thread(server.start))
    answer = await connections.run(push("loading", "two"))

    assert answer == [b"2", b"new"]
    await start
    await connections.aclose()


async def test_a_node_of_a_cluster_is_none_to_talk_to_alone(server_with: StartServer) -> None:
    server = await server_with(("cluster-enabled", "yes"))

    await refused(connected(server.url, retry_policy=IMPATIENT), StoreUnavailable, "cluster")


@pytest.mark.parametrize(
    ("address", "remedy"),
    [
        ("redis+cluster://127.0.0.1:{port}", "no node of a cluster .*use redis://"),
        ("redis+sentinel://127.0.0.1:{port}/primary", "no Sentinel .*use redis:// for a server"),
        ("redis://127.0.0.1:{port}/99", "no such database .*take a lower number"),
    ],
)
async def test_an_address_of_something_else_is_told(address: str, remedy: str, server_with: StartServer) -> None:
    server = await server_with()

    async with SessionManager.from_url(address.format(port=server.port)) as sessions:
        with pytest.raises(StoreUnavailable, match=remedy):
            await sessions.get_or_create("talk")


async def test_a_cluster_that_cannot_be_reached_is_unavailable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # nobody listens there
        connections = connected(f"redis+cluster://127.0.0.1:{free.getsockname()[1]}", retry_policy=IMPATIENT)

        await refused(connections, StoreUnavailable, "did not answer")


def test_every_command_of_the_scripts_can_be_tried() -> None:
    called = set().union(*(script.commands() for script in ALL))

    assert {"HSET", "RPUSH", "UNLINK"} <= called
    assert called - ARGUMENTS.keys() <= {"PUBLISH", "TIME"}  # one may be missing, one has no key


def test_commands_are_found_however_a_script_quotes_them() -> None:
    script = Script("any", "redis.call('HSET', KEYS[1]) redis.pcall( \"publish\", 1)")

    assert script.commands() == {"HSET", "PUBLISH"}


def test_a_call_names_the_script_by_its_digest() -> None:
    script = Script("any", "return 1")

    assert script.sha == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
    assert ScriptCall(script, [b"k"], ["ø", 1]).by_sha() == ("EVALSHA", script.sha, 1, b"k", "ø", 1)
    assert re.fullmatch("[0-9a-f]{40}", script.sha)


def test_the_texts_of_a_command_are_bytes_before_a_client_with_an_encoding_gets_them() -> None:
    assert encoded(("HGET", b"k", "ø", 1)) == ("HGET", b"k", "ø".encode(), 1)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("redis+cluster://ann:s3cret@127.0.0.1:{port}", "check the user name and password"),
        ("redis+sentinel://127.0.0.1:1/main?sentinel_password=s3cret", "No master found for 'main'"),
    ],
)
async def test_no_password_is_in_an_outage_nor_in_what_caused_it(
    redis_server: RedisServer, url: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "FAILOVER_TRIES", 1)
    async with SessionManager.from_url(url.format(port=redis_server.port)) as sessions:
        with pytest.raises(StoreUnavailable, match=remedy) as failure:
            await sessions.create("talk")

    assert "s3cret" not in "".join(traceback.format_exception(failure.value))


async def test_a_deleted_session_stays_so_for_a_second_store_of_the_same_url(
    redis_server: RedisServer,
) -> None:
    url = f"{redis_server.url}?key_prefix={uuid4().hex[:12]}:"
    async with store_from_url(url) as one, store_from_url(url) as two:
        session = await one.create("talk")
        await two.delete("talk")
        session.add_event(said("late"))

        for store in (one, two):
            with pytest.raises(SessionNotFound):
                await store.save(session)

        assert await two.get("talk") is None
