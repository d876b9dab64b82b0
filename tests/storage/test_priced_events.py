"""An event with an unpriced usage gets its cost at its own time, on the loop or in a thread."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from a2a_session_manager import InMemorySessionStore, InvalidEvent, SessionEvent, TokenUsage
from a2a_session_manager.pricing.list_prices import load
from a2a_session_manager.pricing.pricer import PricedCost
from a2a_session_manager.pricing.usage_numbers import UsageNumbers
from a2a_session_manager.storage.priced_events import needs_price, priced_events
from tests.offline import no_network

__all__ = ["no_network"]

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def loaded_prices() -> None:
    load()


async def test_an_event_is_priced_at_its_own_time() -> None:
    def event(at: datetime) -> SessionEvent[Any]:
        usage = TokenUsage(prompt_tokens=1_000_000, model="o3")
        return SessionEvent(message="m", timestamp=at, token_usage=usage)

    old, new = await priced_events([event(datetime(2025, 5, 1, tzinfo=UTC)), event(AT)])

    assert old.token_usage is not None
    assert new.token_usage is not None
    assert old.token_usage.estimated_cost_usd == Decimal(10)
    assert new.token_usage.estimated_cost_usd == Decimal(2)


async def test_an_event_with_nothing_to_price_is_the_same_object() -> None:
    without = SessionEvent(message="m")
    known = SessionEvent(message="m", token_usage=TokenUsage(prompt_tokens=1, model="gpt-4o", cost_pico_usd=3))
    unknown = SessionEvent(message="m", token_usage=TokenUsage(prompt_tokens=1, model="nobody's"))

    for event in (without, known, unknown):
        assert (await priced_events([event]))[0] is event
    assert [needs_price(event) for event in (without, known, unknown)] == [False, False, True]


async def test_a_usage_at_what_is_no_time_is_refused_and_not_priced() -> None:
    made = SessionEvent(message="m", token_usage=TokenUsage(prompt_tokens=1, model="gpt-4o"))

    async with InMemorySessionStore() as store:
        session = await store.create("trip")
        with pytest.raises(InvalidEvent, match="changed to another type"):
            await store.append(session, made.model_copy(update={"timestamp": 5}))

        assert await store.events("trip") == []


@pytest.mark.parametrize("count", [1, 16, 17, 200])
async def test_a_batch_is_priced_each_event_at_its_own_time(count: int) -> None:
    events = [SessionEvent(message=n, token_usage=TokenUsage(prompt_tokens=n, model="gpt-4o")) for n in range(count)]

    costs = [event.token_usage.cost_pico_usd for event in await priced_events(events) if event.token_usage is not None]

    assert costs == [n * 2_500_000 for n in range(count)]
    assert [event.token_usage.cost_pico_usd for event in events if event.token_usage is not None] == [None] * count


async def test_a_batch_with_nothing_to_price_is_the_same_sequence() -> None:
    events = [SessionEvent(message="m"), SessionEvent(message="m", token_usage=TokenUsage(prompt_tokens=1))]

    assert await priced_events(events) is events


@pytest.mark.parametrize(("count", "where"), [(1, "loop"), (16, "loop"), (17, "thread"), (2_000, "thread")])
async def test_a_few_prices_are_read_on_the_loop_and_many_in_a_thread(count: int, where: str) -> None:
    seen: set[int] = set()

    class Witness:
        def price(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> PricedCost | None:
            seen.add(threading.get_ident())
            return PricedCost(1, "witness")

    events = [SessionEvent(message=n, token_usage=TokenUsage(prompt_tokens=n, model="m")) for n in range(count)]

    await priced_events(events, Witness())

    assert (seen == {threading.get_ident()}) is (where == "loop")
