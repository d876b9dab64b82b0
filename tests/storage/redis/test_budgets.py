"""Budgets on Redis: what the scripts keep of them, in step with all that is spent, and what a step costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
import pytest_asyncio

from a2a_session_manager import InvalidSessionOperation
from a2a_session_manager.exceptions import BudgetExceeded, CorruptSession
from a2a_session_manager.models.change import SessionChange
from a2a_session_manager.storage import BaseSessionStore, store_from_url
from a2a_session_manager.testing.contract.budgets import settle, tokens
from a2a_session_manager.testing.contract.making import said, spending, whole
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer
from tests.storage.redis.expiring import shorten
from tests.storage.redis.looks import connections_of, keys_of

TREE = ("top", "mid", "low")


@pytest.fixture
def url(redis_server: RedisServer) -> str:
    return f"{redis_server.url}?key_prefix=test-{uuid4().hex}:"


@pytest_asyncio.fixture
async def store(url: str) -> AsyncIterator[BaseSessionStore]:
    async with store_from_url(url) as store:
        await grow(store)
        yield store


async def grow(store: BaseSessionStore) -> None:
    """Make a tree of three levels."""
    above = None
    for name in TREE:
        await store.create(name, parent_id=above)
        above = name


async def counted(store: BaseSessionStore, session: str) -> int:
    """Return how many tokens the scope of a session's budget has spent."""
    spent = (await store.budget(session)).spent.tokens
    assert spent is not None
    return spent


async def forms(store: BaseSessionStore, *session_ids: str) -> set[bytes]:
    heads = [(await keys_of(store, each)).head for each in session_ids]
    return {*await connections_of(store).read_many([("HGET", head, "v") for head in heads])}


async def test_releases_that_know_of_no_budgets_refuse_every_session_of_the_tree(store: BaseSessionStore) -> None:
    await store.append("low", said(id="a"))
    await store.fork("low", at="a", new_id="before")
    assert await forms(store, *TREE) == {b"1"}

    await store.set_budget("mid", tokens=100)
    await store.create("after", parent_id="low")
    await store.fork("low", at="a", new_id="fork")

    assert await forms(store, *TREE, "before", "after", "fork") == {b"3"}
    await store.append("fork", said(id="b"), spending(3))
    for name, count in (("top", 0), ("low", 1), ("fork", 3)):
        assert len((await whole(store, name)).events) == count
        for last in (0, 1):
            assert await store.get(name, last=last) is not None
    await store.delete("fork")


async def test_what_was_spent_before_a_budget_counts_also_where_it_was_deleted(
    store: BaseSessionStore, url: str
) -> None:
    for number, name in enumerate(TREE):
        await store.append(name, spending(10**number))
    for name in ("lower", "lowest"):
        await store.create(name, parent_id="low")
        await store.append(name, spending(1000))
    await store.delete("lowest")
    await store.create("below lower", parent_id="lower")
    await store.append("below lower", spending(10_000))
    await store.delete("lower", children="cascade")
    async with store_from_url(url) as other:
        await other.set_budget("mid", tokens=10**9)
        await other.set_budget("top", tokens=10**9)
        await other.set_budget("low", tokens=10**9)

    assert [await counted(store, name) for name in TREE] == [24222, 24220, 24200]
    await store.delete("low")
    assert [await counted(store, name) for name in TREE[:2]] == [24222, 24220]
    await store.remove_budget("mid")
    await store.append("mid", spending(3))
    await store.set_budget("mid", tokens=10**9)
    assert [await counted(store, name) for name in TREE[:2]] == [24228, 24226]


async def test_a_tree_that_goes_leaves_nothing_of_its_budgets(store: BaseSessionStore, url: str) -> None:
    await store.set_budget("top", tokens=100)
    await store.set_budget("mid", tokens=50, grant=True)
    await store.place_hold("low", tokens=5)
    keys = await keys_of(store, "top")
    assert await connections_of(store).read_many([("EXISTS", keys.budgets)]) == [1]

    await store.delete("top", children="cascade")

    prefix = url.partition("key_prefix=")[2]
    left = await connections_of(store).read_many([("KEYS", f"{prefix}*")])
    assert keys.budgets not in left[0]
    await grow(store)
    assert await store.budgets("low") == []


async def test_budgets_live_as_long_as_their_tree(url: str) -> None:
    async with store_from_url(f"{url}&expiration_seconds=100") as store:
        await grow(store)
        await store.set_budget("top", tokens=100)
        keys = await keys_of(store, "top")

        async def are_in_step() -> bool:
            left: list[int] = await connections_of(store).read_many(
                [("PTTL", key) for key in (keys.tree, keys.head, keys.budgets)]
            )
            return 0 < max(left) < min(left) + 100

        assert await are_in_step()
        await shorten(store, "top", 50_000)
        await store.append("top", spending(1))
        assert await are_in_step()


async def test_what_an_expired_session_has_spent_stays_and_its_grant_is_free(url: str) -> None:
    async with store_from_url(f"{url}&expiration_seconds=1") as store:
        await store.create("top", expires=False)
        await store.create("mid", parent_id="top")
        await store.append("mid", spending(5))
        await store.set_budget("top", tokens=100)
        await store.set_budget("mid", tokens=80, grant=True)
        await store.append("mid", spending(5))
        assert await tokens(store, "top") == (20, 60, 0, 20)
        await asyncio.sleep(1.2)

        await store.place_hold("top", tokens=80)

        assert await tokens(store, "top") == (20, 80, 0, 0)


async def test_a_hold_in_a_quiet_tree_is_one_round_trip_and_so_is_its_settlement(redis_server: RedisServer) -> None:
    async with (
        FaultyProxy(redis_server.port) as proxy,
        store_from_url(f"{proxy.url}?key_prefix=test-{uuid4().hex}:") as store,
    ):
        await grow(store)
        for name in TREE:
            await store.set_budget(name, tokens=1000)
        before = proxy.round_trips
        first = await store.place_hold("low", tokens=5)
        assert proxy.round_trips - before <= 2
        await settle(store, "low", first, spending(1))

        before = proxy.round_trips
        await store.place_hold("low", id="second", tokens=5)
        await store.append("low", spending(2, id="second"))
        await store.place_hold("low", id="third", tokens=5)
        await store.release_hold("low", "third")
        assert proxy.round_trips - before == 4
        assert await tokens(store, "top") == (6, 0, 0, 994)


async def test_what_another_process_has_settled_is_not_held_again(store: BaseSessionStore, url: str) -> None:
    await store.set_budget("top", tokens=100)
    for name in ("renewed", "charged", "voided"):
        await store.place_hold("low", id=name, tokens=10)
    await store.charge_hold("low", "voided")
    async with store_from_url(url) as other:
        await other.append("low", *(spending(1, id=name) for name in ("renewed", "charged", "voided")))

    await store.renew_hold("low", "renewed")
    await store.charge_hold("low", "charged")
    assert await tokens(store, "top") == (6, 0, 0, 94)
    await store.place_hold("low", tokens=94)


async def test_what_was_freed_elsewhere_is_seen_before_anything_is_refused(store: BaseSessionStore, url: str) -> None:
    await store.set_budget("top", tokens=10)
    await store.place_hold("low", id="first", tokens=10)
    async with store_from_url(url) as other:
        await other.release_hold("low", "first")
        await store.place_hold("mid", id="second", tokens=10)
        with pytest.raises(BudgetExceeded):
            await other.place_hold("low", tokens=1)


async def test_budgets_that_the_server_lost_are_damage_and_no_absence(store: BaseSessionStore) -> None:
    await store.set_budget("top", tokens=100)
    keys = await keys_of(store, "top")
    await connections_of(store).read_many([("DEL", keys.budgets)])

    for write in (
        store.append("low", said()),
        store.append("top", spending(1)),
        store.create("new", parent_id="mid"),
        store.place_hold("low", tokens=1),
        store.budgets("top"),
    ):
        with pytest.raises(CorruptSession, match="lost its budgets"):
            await write
    await store.delete("top", children="cascade")


async def test_totals_that_cannot_be_read_are_no_reason_to_begin_at_nothing(store: BaseSessionStore) -> None:
    await store.append("low", spending(1))
    for name in ("totals", "head"):
        key = getattr(await keys_of(store, "low"), name)
        await connections_of(store).read_many([("HSET", key, 't:prompt_tokens:["m","llm"]', "many")])
        with pytest.raises(CorruptSession, match="totals"):
            await store.set_budget("low" if name == "head" else "top", tokens=100)


@pytest.mark.parametrize("field", ["b:x:y", "h:x:y", "s:x"])
async def test_what_cannot_be_read_is_told(store: BaseSessionStore, field: str) -> None:
    await store.set_budget("top", tokens=100)
    keys = await keys_of(store, "top")
    await connections_of(store).read_many([("HSET", keys.budgets, field, '[2,"newer"]')])

    with pytest.raises(CorruptSession, match="budgets"):
        await store.place_hold("low", tokens=1)


async def test_a_budget_that_is_refused_leaves_no_trace(store: BaseSessionStore) -> None:
    for refused in (store.set_budget("mid", tokens=5, grant=True), store.raise_budget("mid", tokens=5)):
        with pytest.raises(InvalidSessionOperation, match="budget"):
            await refused

    assert await forms(store, *TREE) == {b"1"}
    keys = await keys_of(store, "top")
    assert await connections_of(store).read_many([("EXISTS", keys.budgets), ("HGET", keys.tree, "has_budgets")]) == [
        0,
        None,
    ]


async def test_ids_of_all_kinds_are_kept_apart(store: BaseSessionStore) -> None:
    for name in ("a:b", "ø {}", "x y\n"):
        await store.create(name, parent_id="top", change=SessionChange(events=[spending(1)]))
        for budget in ("a:b", "ø \n", "%d"):
            await store.set_budget(name, budget, tokens=50, window="day", timezone="Europe/Oslo")
        await store.set_budget(name, tokens=60)
        hold = await store.place_hold(name, id=f"of {name}", tokens=7)
        await settle(store, name, hold, spending(2))
        await store.place_hold(name, id=f"left of {name}", tokens=7)
        shown = {each.id: (each.spent.tokens, each.held.tokens) for each in await store.budgets(name)}
        assert shown == {"default": (6, 7), "a:b": (4, 7), "ø \n": (4, 7), "%d": (4, 7)}
