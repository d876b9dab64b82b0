"""Metrics on every store: what is measured and counted, and that nothing is counted twice."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from a2a_session_manager import SessionManager, TokenUsage, store_from_url
from a2a_session_manager.exceptions import SessionNotFound
from a2a_session_manager.storage import InMemorySessionStore
from a2a_session_manager.storage.file import FileSessionStore
from a2a_session_manager.testing.contract.making import said
from tests.integrations.opentelemetry.recorded import Recorded, recorded
from tests.redis_servers.proxy import FaultyProxy
from tests.redis_servers.server import RedisServer
from tests.stores import OpenStore, open_store

__all__ = ["open_store", "recorded"]  # a fixture


def usage(response_id: str | None = None) -> TokenUsage:
    return TokenUsage(
        prompt_tokens=90, completion_tokens=12, model="m", cost_pico_usd=5 * 10**12, response_id=response_id
    )


async def test_each_call_is_measured(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        recorded.instrument(store)
        await store.create("talk")
        await asyncio.gather(*[store.append("talk", said()) for _ in range(5)])
        with pytest.raises(SessionNotFound):
            await store.append("nobody", said())

    points = {
        (point.attributes["db.operation.name"], point.attributes.get("error.type")): point
        for point in recorded.points("operation.duration")
    }
    assert points["create", None].count == 1
    assert points["commit", None].count == 5
    assert points["commit", "SessionNotFound"].count == 1
    assert 0 < points["commit", None].sum < 60
    named = {name for point in points.values() for name in point.attributes}
    assert named == {"db.system.name", "db.operation.name", "error.type"}  # no ids: each would be a series of its own


async def test_the_sizes_of_batches_are_those_of_the_statistics(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        recorded.instrument(store)
        await store.create("talk")
        await asyncio.gather(*[store.append("talk", said()) for _ in range(30)])
        told = store.statistics()

    points = recorded.points("batch.size")
    if isinstance(store, InMemorySessionStore):
        assert points == []
    else:
        [point] = points
        assert (point.count, point.sum, point.max) == (told.batches, told.commits, told.largest_batch)


async def test_a_large_commit_on_files_is_a_batch_of_one(tmp_path: str, recorded: Recorded) -> None:
    async with FileSessionStore(tmp_path) as store:
        recorded.instrument(store)
        await store.create("talk")
        await store.append("talk", *[said("x" * 1_000) for _ in range(1_000)])

    [point] = recorded.points("batch.size")
    assert (point.count, point.sum) == (1, 1)


async def test_round_trips_made_again_are_counted_and_their_commit_once(
    redis_server: RedisServer, recorded: Recorded
) -> None:
    async with FaultyProxy(redis_server.port) as proxy:
        store = recorded.instrument(store_from_url(f"{proxy.url}?key_prefix={uuid4().hex}:"))
        await store.create("talk")
        proxy.drop_replies(2, b"EVALSHA")
        await store.append("talk", said(token_usage=usage()))
        told = store.statistics()
        await store.aclose()

    [point] = recorded.points("retries")
    assert point.value == told.retries == 2
    assert recorded.tokens() == {"input": 90, "output": 12}  # the first try has made the commit


async def test_tokens_and_cost_are_counted_by_model(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        recorded.instrument(store)
        await store.create("talk")
        await store.append("talk", said(token_usage=usage()), said())
        await store.append("talk", said(token_usage=usage()))
        total = await store.usage("talk")

    assert recorded.tokens() == {"input": total.total_prompt_tokens, "output": total.total_completion_tokens}
    assert {point.attributes["gen_ai.request.model"] for point in recorded.points("usage.tokens")} == {"m"}
    [cost] = recorded.points("usage.cost")
    assert cost.value == float(total.total_estimated_cost_usd) == 10
    assert dict(cost.attributes) == {"gen_ai.request.model": "m"}


async def test_a_usage_that_is_sent_again_is_counted_once(open_store: OpenStore, recorded: Recorded) -> None:
    event = said(token_usage=usage())
    async with open_store() as store:
        recorded.instrument(store)
        await store.create("talk")
        await store.append("talk", event)
        await store.append("talk", event)
        await store.append("talk", event, said(token_usage=usage()))
        total = await store.usage("talk")

    assert recorded.tokens() == {"input": total.total_prompt_tokens, "output": 24}


async def test_a_response_that_comes_twice_is_counted_once(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store:
        recorded.instrument(store)
        await store.create("talk")
        await store.append("talk", said(token_usage=usage("response-1")))
        await store.append("talk", said(token_usage=usage("response-1")), said(token_usage=usage()))
        total = await store.usage("talk")

    assert recorded.tokens() == {"input": total.total_prompt_tokens, "output": 24}


async def test_a_run_is_measured_with_its_status(open_store: OpenStore, recorded: Recorded) -> None:
    async with open_store() as store, SessionManager(recorded.instrument(store)).open("talk") as chat:
        async with chat.run(agent="planner"):
            pass
        with pytest.raises(ValueError, match="secret"):
            async with chat.run(agent="planner"):
                raise ValueError("secret")

    assert {
        (point.attributes["a2a_session_manager.run.status"], point.attributes.get("error.type")): point.count
        for point in recorded.points("run.duration")
    } == {("completed", None): 1, ("failed", "ValueError"): 1}
