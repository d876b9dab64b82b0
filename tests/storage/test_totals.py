"""Money adds up: many writers at once, batches sent twice, events taken back, read cold from every store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from contextlib import AsyncExitStack

import pytest

from a2a_session_manager import EventSource, SessionEvent, SessionManager, TokenSummary, TokenUsage
from a2a_session_manager.storage import BaseSessionStore
from tests.stores import OpenStore, open_store

__all__ = ["open_store"]

WRITERS = 8
MODELS = ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro", "nobody-knows-it"]
SOURCES = [EventSource.LLM, EventSource.SYSTEM]


def an_event(number: int) -> SessionEvent:
    """Return the event of that number, whoever asks: with a cost where its model has one, across a tier too."""
    rng = random.Random(number)
    prompt, completion = rng.randrange(300_000), rng.randrange(5_000)
    model = rng.choice(MODELS)
    usage = TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cache_read_tokens=rng.randrange(prompt + 1),
        reasoning_tokens=rng.randrange(completion + 1),
        model=model,
        cost_pico_usd=None if model == MODELS[-1] else rng.randrange(10**13),
    )
    run_id = rng.choice([None, "run-1", "run-2"])
    return SessionEvent(
        id=f"e{number}", message="…", source=rng.choice(SOURCES), task_id=run_id, token_usage=usage, metadata={}
    )


def folded(events: Iterable[SessionEvent]) -> TokenSummary:
    """Return what `events` spent, added up by one loop of plain integers."""
    by_model: dict[str, dict[str, dict[str, int]]] = {}
    by_run: dict[str, dict[str, int]] = {}
    for event in events:
        usage = event.token_usage
        assert usage is not None
        rows = [by_model.setdefault(usage.model, {}).setdefault(event.source.value, {})]
        if event.task_id is not None:
            rows.append(by_run.setdefault(event.task_id, {}))
        for row in rows:
            for name in ("requests", "prompt_tokens", "completion_tokens", "cache_read_tokens", "reasoning_tokens"):
                row[name] = row.get(name, 0) + getattr(usage, name)
            row["cost_pico_usd"] = row.get("cost_pico_usd", 0) + (usage.cost_pico_usd or 0)
            row["unpriced_requests"] = row.get("unpriced_requests", 0) + (usage.cost_pico_usd is None)
    return TokenSummary.model_validate({"by_model": by_model, "by_run": by_run})


async def write(store: BaseSessionStore, numbers: range, *, batch: int = 10) -> None:
    """Append the events in batches, every third of them twice, as after a reply that was lost."""
    for start in range(numbers.start, numbers.stop, batch):
        events = [an_event(number) for number in range(start, min(start + batch, numbers.stop))]
        for _ in range(2 if start % 3 == 0 else 1):
            await store.append("talk", *events)


@pytest.mark.parametrize("count", [2_000, pytest.param(10_000, marks=pytest.mark.soak)])
async def test_totals_of_eight_writers_are_the_fold_over_their_events(open_store: OpenStore, count: int) -> None:
    shares = [range(first, first + count // WRITERS) for first in range(0, count, count // WRITERS)]
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(open_store()) for _ in shares]
        await stores[0].create("root")
        await stores[0].create("talk", parent_id="root")
        async with asyncio.TaskGroup() as group:
            for store, share in zip(stores, shares, strict=True):
                group.create_task(write(store, share))

    async with open_store() as cold:
        sessions = SessionManager(cold)
        found, of_tree = await sessions.usage("talk"), await sessions.usage("root", tree=True)
        logged = await cold.events("talk")
        session = await sessions.get("talk", last=0)
    expected = await asyncio.to_thread(lambda: folded(map(an_event, range(count))))
    assert len(logged) == count
    assert found == expected == folded(logged)
    assert session.token_summary.by_model == expected.by_model
    assert of_tree.by_model == expected.by_model
    assert found.unpriced_requests > 0
    assert found.total.is_lower_bound


async def test_a_replayed_batch_adds_nothing_and_a_retraction_takes_no_money_back(open_store: OpenStore) -> None:
    events = [an_event(number) for number in range(40)]
    async with open_store() as store:
        await store.create("talk")
        await store.append("talk", *events)
        await store.retract("talk", last=15)
        before = await store.usage("talk")

        await store.append("talk", *events)
        await store.retract("talk", after=0)

    async with open_store() as cold:
        assert await cold.events("talk") == []
        assert await cold.usage("talk") == before == folded(events)


async def test_own_and_tree_are_apart_and_each_request_counts_once(open_store: OpenStore) -> None:
    async with open_store() as store:
        for number, (session_id, parent_id) in enumerate([("a", None), ("b", "a"), ("c", "b"), ("d", "a")]):
            await store.create(session_id, parent_id=parent_id)
            await store.append(session_id, *map(an_event, range(number * 10, number * 10 + 10)))

    async with open_store() as cold:
        own = [await cold.usage(session_id) for session_id in "abcd"]
        trees = [await cold.usage(session_id, tree=True) for session_id in "abcd"]
    assert own == [folded(map(an_event, range(at, at + 10))) for at in range(0, 40, 10)]
    spans = [[0, 1, 2, 3], [1, 2], [2], [3]]
    assert [tree.by_model for tree in trees] == [
        sum((own[at] for at in span), TokenSummary()).by_model for span in spans
    ]


async def test_two_requests_below_a_tier_sum_to_less_than_one_above_it(open_store: OpenStore) -> None:
    async with open_store() as store:
        async with SessionManager(store).open("twice") as chat:
            for _ in range(2):
                await chat.assistant("…", model="gemini-2.5-pro", usage={"prompt_tokens": 125_000})
        async with SessionManager(store).open("once") as chat:
            await chat.assistant("…", model="gemini-2.5-pro", usage={"prompt_tokens": 250_000})

    async with open_store() as cold:
        twice, once = (await cold.usage("twice")).total, (await cold.usage("once")).total
    assert twice.prompt_tokens == once.prompt_tokens == 250_000
    assert 0 < twice.cost_pico_usd < once.cost_pico_usd
    assert (twice.unpriced_requests, once.unpriced_requests) == (0, 0)


async def test_an_unknown_model_leaves_a_lower_bound_that_says_so(open_store: OpenStore) -> None:
    usage = {"prompt_tokens": 1_000, "completion_tokens": 100}
    async with open_store() as store, SessionManager(store).open("talk") as chat:
        known = await chat.assistant("a", model="gpt-4o", usage=usage)
        unknown = await chat.assistant("b", model="nobody-knows-it", usage=usage)

    async with open_store() as cold:
        total = (await cold.usage("talk")).total
    assert known.token_usage is not None
    assert unknown.token_usage is not None
    assert unknown.token_usage.estimated_cost_usd is None
    assert total.estimated_cost_usd == known.token_usage.estimated_cost_usd
    assert (total.requests, total.unpriced_requests, total.is_lower_bound) == (2, 1, True)
