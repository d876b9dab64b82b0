"""What a Redis server may refuse: each time an error of ours, with the remedy, the cause, and nothing half-written."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from a2a_session_manager.exceptions import StoreFull, StoreUnavailable
from a2a_session_manager.storage import store_from_url
from a2a_session_manager.storage.redis.connections import Connections
from a2a_session_manager.storage.redis.rights import ARGUMENTS
from a2a_session_manager.storage.redis.script import Script, ScriptCall, encoded
from a2a_session_manager.storage.redis.scripts import ALL
from a2a_session_manager.testing.contract.making import ids, said
from a2a_session_manager.testing.contract.writes import DELETE, WRITES
from tests.redis_servers.fixtures import StartServer
from tests.redis_servers.scripts import IMPATIENT, PROBE_KEY, connected, push, pushed

SLOW_LOADING = ("key-load-delay", "150")  # microseconds a command; it answers between thousands of them
PLAIN = "+eval +evalsha +ping +zrangebylex +zlexcount"
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


def rights_of_the_store() -> list[str]:
    """Return what the store cannot do without; the rights to publish and to subscribe are not among it."""
    scripted = set().union(*(script.commands() for script in ALL)) - {"PUBLISH"}
    return ["-@all", *{*PLAIN.split(), *(f"+{command.lower()}" for command in scripted)}]


def test_the_readme_names_the_rights() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    [rights] = [block for block in re.findall(r"```text\n(.*?)```", readme, re.DOTALL) if block.startswith("-@all")]

    assert sorted(rights.split()) == sorted(rights_of_the_store())


async def test_the_store_needs_the_commands_of_its_scripts_and_few_others(server_with: StartServer) -> None:
    server = await server_with(("user", "ann", "on", ">secret", "~session:*", *rights_of_the_store()))

    async with store_from_url(server.url.replace("//", "//ann:secret@")) as store:
        for write in [*WRITES, DELETE]:
            session = await write.prepare(store, write.name)
            await write.send(store, session)
        assert len(await store.list_sessions()) == len(WRITES) + 1
        assert len(await store.tree("the parent")) == 3
        # No right to publish or to subscribe: news come by looking.
        stream = store.follow("append")
        heard = [await anext(stream) for _ in range(6)]
        news = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.1)
        assert not news.done()
        await store.append("append", said(id="news"))
        heard.append(await asyncio.wait_for(news, timeout=15))
        await stream.aclose()

    assert ids(heard)[-1] == "news"


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

    await refused(connected(replica.url, patience=IMPATIENT), StoreUnavailable, "use the primary's address")


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

    await refused(connected(server.url, patience=IMPATIENT), StoreUnavailable, "cluster")


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
