"""A fork that is made at once leaves the keys and the errors of one whose source was read first."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import EventSource, SessionEvent, SessionManager, TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from a2a_session_manager.storage.redis.keys import SessionKeys
from tests.draws import few
from tests.redis_servers.server import RedisServer
from tests.storage.redis.both_ways import both_ways
from tests.storage.redis.histories import REFUSALS, Drawn, History, histories, places
from tests.storage.redis.looks import connections_of, keys_of

NEW = "made"
WAYS = ("once", "twice")
# What differs from one session to the next, however it is made.
OF_EACH = {b"creation", b"created", b"updated", b"tag", b"parent_creation"}
READ = {"hash": ("HGETALL",), "list": ("LRANGE", 0, -1), "zset": ("ZRANGE", 0, -1, "WITHSCORES"), "none": ("EXISTS",)}
properties = st.sampled_from([None, {"branch": 1}, {"e1": [], "copied_from": "no"}])
points = st.lists(st.tuples(st.none() | places, properties), min_size=1, max_size=3)


@settings(max_examples=few(3, of=1000), deadline=None)
@given(drawn=histories, points=points)
def test_a_fork_at_once_is_that_of_two_calls_whatever_has_happened(
    redis_server: RedisServer, drawn: Drawn, points: list[tuple[int | None, dict[str, Any] | None]]
) -> None:
    async def run() -> None:
        length, steps = drawn
        async with both_ways(redis_server) as [store, _]:
            history = History(store)
            await history.begin(length)
            for few_steps in steps:
                await history.take(few_steps)
                for name in history.names:
                    for place, named in points:
                        at = await _point(store, name, place)
                        once, twice = [await _made(store, way, name, at, named) for way in WAYS]
                        assert once == twice

    asyncio.run(run())


async def _point(store: BaseSessionStore, name: str, place: int | None) -> int | None:
    """Return None, or a seq, which may be that of a hidden event, or of one that is not there yet."""
    session = await store.get(name, last=0)
    assert session is not None
    return None if place is None else place % (session.last_seq + 1) + 1


async def _made(
    store: BaseSessionStore, way: str, name: str, at: int | None, named: dict[str, Any] | None
) -> list[object]:
    """Return what the fork left when it was made and when more was said in it, or the error; nothing stays of it."""
    new_id = f"{NEW} {way}"
    with pytest.MonkeyPatch.context() as patch:
        if way != "once":
            patch.setattr(store._open_backend, "fork_at_once", lambda *_: None)
        try:
            made = await SessionManager(store).fork(name, at=at, new_id=new_id, properties=named)
        except REFUSALS as error:
            return [type(error), str(error).replace(new_id, NEW)]
    told = (made.state, made.metadata.properties, made.last_seq, made.revision, made.parent_id, made.forked_from)
    left = await _left(store, new_id)
    # What was counted of a response up to the point is known to the fork, and no more.
    await store.append(new_id, *[_spent(number) for number in range(1, 4)])
    await store.retract(new_id, last=2, write_id="r")
    later = await _left(store, new_id)
    await store.delete(new_id)
    return [told, left, later]


def _spent(number: int) -> SessionEvent[Any]:
    usage = TokenUsage(prompt_tokens=7, model="m", cost_pico_usd=1, response_id=f"msg {number}")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return SessionEvent(id=f"own {number}", message=".", source=EventSource.LLM, token_usage=usage, timestamp=now)


async def _left(store: BaseSessionStore, new_id: str) -> dict[bytes, object]:
    """Return all keys of the session, and what its tree says of it, but for what is another in each session."""
    keys = await keys_of(store, new_id)
    connections = connections_of(store)
    kinds = await connections.read_many([("TYPE", key) for key in keys.all_of_session])
    reads = [READ[_text(kind)] for kind in kinds]
    commands = [(verb, key, *more) for key, (verb, *more) in zip(keys.all_of_session, reads, strict=True)]
    contents = await connections.read_many(commands)
    found = {key: _comparable(kind, content) for key, kind, content in zip(_ends(keys), kinds, contents, strict=True)}
    lines = await connections.read_many([("HMGET", keys.tree, f"n:{new_id}", f"f:{new_id}")])
    line, source = lines[0]
    found[b"tree"] = line.split(b" ", 3)[1::2], source and source.partition(b" ")[2]
    return found


def _ends(keys: SessionKeys) -> list[bytes]:
    """Return what the keys hold, in their order."""
    return [key.removeprefix(keys.ends[0]).removesuffix(keys.ends[1]) for key in keys.all_of_session]


def _text(kind: bytes | str) -> str:
    return kind.decode() if isinstance(kind, bytes) else kind


def _comparable(kind: bytes | str, content: Any) -> object:
    if _text(kind) != "hash":
        return content
    fields = content if isinstance(content, dict) else dict(zip(content[::2], content[1::2], strict=True))
    # The write id of the first commit is random.
    named = [(b"w:" if name.startswith(b"w:") else name, value) for name, value in fields.items()]
    return sorted((name, b"" if name in OF_EACH else value) for name, value in named)
