"""The quick way of an append leaves the same keys behind as the way that every other commit takes."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from redis.exceptions import ResponseError

from a2a_session_manager.exceptions import InvalidSessionOperation, SessionConflict
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.models.session_run import SessionRun
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.storage.redis import scripts
from a2a_session_manager.testing.contract.making import Event
from tests.redis_servers.server import RedisServer
from tests.storage.redis.both_ways import plain, spent

GENERAL = scripts._script(*scripts.COMMIT_RULES, "commit")
LARGE = 2**53 - 2


async def work(store: BaseSessionStore) -> list[object]:
    """Make every kind of append, with others in between; return what was answered."""
    answers: list[object] = []

    async def append(session_id: str, *events: Event, **guard: Any) -> None:
        try:
            answers.append([(event.id, event.seq) for event in await store.append(session_id, *events, **guard)])
        except (SessionConflict, InvalidSessionOperation) as error:
            answers.append(str(error))

    await store.create("talk", write_id="c")
    await store.create("child", parent_id="talk", write_id="c")
    for session_id in ("talk", "child"):
        await append(session_id, plain(1))
        await append(session_id, *map(plain, range(2, 9)))
        await append(session_id, plain(3), plain(9))  # one is known
        await append(session_id, plain(10), plain(10))  # the same twice
        await append(session_id, spent(1, 5), plain(11), spent(2, 7), spent(3, 1, model="other"))
        await append(session_id, spent(40, 2, task_id="before there are runs"))
        await append(session_id, plain(12), expected_revision=1)
        run = SessionRun(id="run")
        await store.commit(session_id, SessionChange(runs=[run]), write_id="w")
        await append(session_id, spent(4, 3, task_id="run"), spent(5, 4), spent(41, 2, task_id="run"))
        await append(session_id, spent(42, 6, task_id="run"), spent(43, 1, task_id="not yet made"))
        await append(session_id, spent(44, LARGE, model="third", task_id="run"))
        await store.retract(session_id, last=2, write_id="r")
        await append(session_id, plain(13), spent(6, 2))
        await append(session_id, spent(7, LARGE), spent(8, 1))  # above 2^53: to the last digit
        await append(session_id, spent(9, 3), plain(14))
        await append(session_id, spent(10, 9 * 10**18), spent(45, 9 * 10**18))  # more than Redis counts to
    crowd = [store.append("talk", plain(20 + number)) for number in range(50)]
    await asyncio.gather(*crowd)
    answers.append([(event.id, event.seq) for event in await store.events("talk", include_retracted=True)])
    answers.append((await store.usage("talk", tree=True)).total)
    return answers


def kept(server: RedisServer, prefix: str) -> dict[str, object]:
    """Return all keys under `prefix`, without what differs from one store to the next."""
    found: dict[str, object] = {}
    read = {"hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "zset": ("ZRANGE", 0, -1), "string": ("GET",)}
    for key in sorted(server.call("KEYS", f"{prefix}*")):
        if key.endswith(b":entries"):  # of pages: no commit writes there, and each has marks of its own
            continue
        kind = server.call("TYPE", key).decode()
        name, *arguments = read[kind]
        value = server.call(name, key, *arguments)
        if isinstance(value, dict):
            differing = (b"creation", b"created", b"updated", b"tag", b"claim", b"parent_creation")
            value = {field: text for field, text in value.items() if field not in differing}
            value = {field: b"" if field.startswith((b"n:", b"r:")) else text for field, text in value.items()}
        if kind in ("hash", "list") or key.endswith(b"hidden"):
            found[key.decode().removeprefix(prefix)] = value
    return found


async def test_appends_leave_the_same_behind_whichever_way_they_take(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefixes = [f"test-{uuid4().hex}:" for _ in range(2)]
    answers = []
    for prefix, script in zip(prefixes, (scripts.COMMIT, GENERAL), strict=True):
        monkeypatch.setattr(scripts, "COMMIT", script)
        async with store_from_url(f"{redis_server.url}?key_prefix={prefix}") as store:
            answers.append(await work(store))

    assert answers[0] == answers[1]
    quick, general = [await asyncio.to_thread(kept, redis_server, prefix) for prefix in prefixes]
    assert quick == general
    assert len(quick) >= 8


def test_the_quick_way_is_really_taken(redis_server: RedisServer) -> None:
    script = scripts.COMMIT.source.replace("return appended end", "return redis.error_reply('ERR quick') end")
    name = f"test-{uuid4().hex}"
    keys = [f"{name}:{kind}" for kind in ("tree", "head", "log", "ids", "hidden", "followers")]
    redis_server.call("HSET", keys[0], "n:s", "1 0 c parent")
    redis_server.call("HSET", keys[1], "v", 1, "creation", "c", "revision", 1, "last_seq", 0, "updated", 1)
    redis_server.call("HSET", keys[3], "w:w", "1")

    with pytest.raises(ResponseError, match="quick"):
        redis_server.call("EVAL", script, 6, *keys, "s", "1 0 1", "1 0a - 1 0 0 0 0 0 - ", "e1", "{}")

    assert redis_server.call("HGET", keys[1], "last_seq") == b"1"
