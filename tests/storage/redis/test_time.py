"""A server that goes back in time, as by a restore or a failover that loses the newest commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import product
from typing import Any
from uuid import uuid4

import pytest

from a2a_session_manager import SessionConflict
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage.store import BaseSessionStore
from a2a_session_manager.storage.url import store_from_url
from a2a_session_manager.testing.contract.making import ids, listening, said, several
from tests.redis_servers.server import RedisServer
from tests.storage.redis.looks import connections_of, keys_of


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[BaseSessionStore]:
    async with store_from_url(f"{redis_server.url}?key_prefix={uuid4().hex[:12]}:") as opened:
        yield opened


async def dumped(store: BaseSessionStore, session_id: str) -> dict[bytes, bytes]:
    place = await keys_of(store, session_id)
    keys = (place.tree, *place.all_of_session)
    dumps = await connections_of(store).read_many([("DUMP", key) for key in keys])
    return {key: dump for key, dump in zip(keys, dumps, strict=True) if dump is not None}


async def restore(store: BaseSessionStore, dumps: dict[bytes, bytes]) -> None:
    await connections_of(store).read_many([("RESTORE", key, 0, dump, "REPLACE") for key, dump in dumps.items()])


async def test_a_follower_of_a_server_that_lost_the_newest_commits_is_told(store: BaseSessionStore) -> None:
    await store.create("talk", change=SessionChange(events=several(2)))
    before = await dumped(store, "talk")
    async with listening(store, "talk") as take:
        await take(2)
        await store.append("talk", said(id="lost"))
        await take(1)
        waiting = asyncio.create_task(take(1))
        await restore(store, before)
        await connections_of(store).read_many([("PING",)])

        with pytest.raises(SessionConflict, match="earlier state") as caught:
            await waiting

    assert (caught.value.expected_revision, caught.value.revision) == (2, 1)


@pytest.mark.parametrize(
    ("lost", "since"),
    [
        *product(
            ["one event", "three events", "large event"],
            [["event"], ["event"] * 2, ["event"] * 5, ["state", "event", "event", "event"]],
        ),
        *product(["state"], [["state"], ["event"], ["event"] * 5]),
    ],
)
async def test_a_follower_is_told_nothing_of_what_was_written_since_the_loss(
    lost: str, since: list[str], store: BaseSessionStore
) -> None:
    await store.create("talk", change=SessionChange(events=several(2)))
    before = await dumped(store, "talk")
    changes = {
        "one event": [SessionChange(events=[said(id="lost")])],
        "three events": [SessionChange(events=[said(id=f"lost {number}")]) for number in range(3)],
        "large event": [SessionChange(events=[said("much " * 20_000, id="lost")])],
        "state": [SessionChange(set_state={"plan": "lost"})],
    }
    for change in changes[lost]:
        await store.commit("talk", change)
    heard = len(await store.events("talk"))
    async with listening(store, "talk") as take:
        await take(heard)
        await restore(store, before)
        for kind in since:
            await store.commit("talk", change_of(kind))

        with pytest.raises(SessionConflict, match="another course") as caught:
            await take(1)

    assert caught.value.revision == 1 + len(since)


def change_of(kind: str) -> SessionChange:
    return SessionChange(events=[said("since")]) if kind == "event" else SessionChange(set_state={"plan": "since"})


async def test_who_follows_after_the_loss_waits_for_news_and_does_not_ask_without_end(store: BaseSessionStore) -> None:
    await store.create("talk", change=SessionChange(events=several(2)))
    before = await dumped(store, "talk")
    async with listening(store, "talk") as take:
        await take(2)
        waiting = asyncio.create_task(take(3))
        await asyncio.sleep(0.1)  # the channel is listened to, and hears of revisions that will be lost
        for number in range(3):
            await store.append("talk", said(id=f"lost{number}"))
        await waiting
        await restore(store, before)
    connections: Any = connections_of(store)
    original, calls = connections.run_many, 0

    async def counting(*some: Any, **options: Any) -> list[Any]:
        nonlocal calls
        calls += 1
        answers: list[Any] = await original(*some, **options)
        return answers

    connections.run_many = counting
    async with listening(store, "talk") as take:
        await take(2)
        news = asyncio.create_task(take(1))
        await asyncio.sleep(0.3)
        calls_before_news = calls
        await store.append("talk", said(id="new"))

        assert ids(await news) == ["new"]
    assert calls_before_news < 10


async def test_a_session_read_before_the_loss_guards_nothing_that_was_written_since(store: BaseSessionStore) -> None:
    await store.create("talk", change=SessionChange(events=[said(id="old")]))
    before = await dumped(store, "talk")
    await store.append("talk", said(id="lost"))
    seen = await store.get("talk")
    assert seen is not None
    await restore(store, before)
    await store.append("talk", said(id="written since"))

    with pytest.raises(SessionConflict, match="not at the one that was read"):
        await store.append(seen, said(id="late"), expected_revision=seen.revision)
    with pytest.raises(SessionConflict, match="not at the one that was read"):
        await store.delete(seen, expected_revision=seen.revision)

    assert ids(await store.events("talk")) == ["old", "written since"]
