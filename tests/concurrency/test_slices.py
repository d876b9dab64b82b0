"""Long heads give way to the loop while they are read; here after every single value, so that few of them show it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from a2a_session_manager import InMemorySessionStore, SessionChange, SessionEvent, SessionRun, TokenUsage
from a2a_session_manager.concurrency import slices
from a2a_session_manager.storage.records import SessionKey
from a2a_session_manager.storage.redis.heads import head_of, totals_of
from a2a_session_manager.storage.redis.replies import hash_of

MANY = 30


@pytest.fixture(autouse=True)
def shortest_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "_SLICE_SECONDS", -1.0)


async def turns_during(work: Coroutine[Any, Any, object]) -> int:
    """Return how often the loop came round to others while `work` was under way."""
    turns = 0
    task = asyncio.create_task(work)
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    await task
    return turns


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda store: store.usage("runs"), id="usage by run"),
        pytest.param(lambda store: store.usage("models"), id="usage by model"),
        pytest.param(lambda store: store.usage("models", tree=True), id="usage of a tree"),
        pytest.param(lambda store: store.runs("runs"), id="runs"),
        pytest.param(lambda store: store.get("keys", last=0), id="state"),
        pytest.param(lambda store: store.events("runs"), id="events"),
        pytest.param(lambda store: store.get_many(["runs"] * MANY), id="many sessions"),
    ],
)
async def test_a_long_head_gives_way_to_the_loop(read: Any) -> None:
    store = InMemorySessionStore()
    numbers = range(MANY)
    usage = TokenUsage(prompt_tokens=1, model="m", cost_pico_usd=1)
    # Of small events, several are decoded between two looks at the clock.
    spent = [SessionEvent(message="x" * 4_000, task_id=f"r{n}", token_usage=usage) for n in numbers]
    await store.create("runs", change=SessionChange(events=spent, runs=[SessionRun(id=f"r{n}") for n in numbers]))
    models = [usage.model_copy(update={"model": f"m{n}"}) for n in numbers]
    await store.create("models", change=SessionChange(events=[SessionEvent(token_usage=each) for each in models]))
    await store.create("keys", change=SessionChange(set_state={f"k{n}": n for n in numbers}))

    assert await turns_during(read(store)) >= MANY


async def test_what_redis_answered_is_taken_apart_in_slices() -> None:
    key = SessionKey((), "talk")
    about = {"creation": 1, "depth": 1, "created": 1, "updated": 1, "revision": 1, "last_seq": 1, "hidden": 0}
    head = [part for name, value in about.items() for part in (name.encode(), b"%d" % value)]
    state = [part for n in range(MANY) for part in (b"s:%d" % n, b"1")]
    runs = [part for n in range(MANY) for part in (b"r:%d" % n, b"%d running {}" % n)]
    counters = [part for n in range(MANY) for part in (b"u:requests:%d" % n, b"1")]
    totals = [part for n in range(MANY) for part in (b't:requests:["m%d","llm"]' % n, b"1")]

    for fields, *of_runs in (
        [head + state, [], []],
        [head, runs, []],
        [head, runs + counters, []],
        [head, runs, counters],
    ):
        assert await turns_during(head_of(key, "talk", hash_of(fields), *of_runs)) >= MANY
    assert await turns_during(totals_of(key, totals)) >= MANY
