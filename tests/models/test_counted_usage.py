"""Usage counted where no provider reported it, and priced at the time of its event."""

from __future__ import annotations

from datetime import UTC, datetime

from a2a_session_manager import EventSource, InMemorySessionStore, Session, SessionEvent, TokenUsage
from tests.offline import no_network

__all__ = ["no_network"]


async def test_a_counted_usage_has_both_sides_and_says_how_it_was_got() -> None:
    usage = await TokenUsage.from_text("hello world", "hello world", "gpt-4o")

    assert (usage.prompt_tokens, usage.completion_tokens, usage.basis) == (2, 2, "counted")


async def test_a_model_without_a_vocabulary_of_ours_is_an_estimate() -> None:
    usage = await TokenUsage.from_text("hello world", model="claude-sonnet-4-5")

    assert (usage.total_tokens, usage.basis) == (2, "estimated")


async def test_an_event_made_with_tokens_is_priced_at_its_own_time() -> None:
    at_first, later = datetime(2025, 5, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)

    events = [
        await SessionEvent.create_with_tokens("a", prompt="hello " * 1000, model="o3", timestamp=when)
        for when in (at_first, later)
    ]

    costs = [event.token_usage.cost_pico_usd for event in events if event.token_usage is not None]
    assert costs[0] is not None
    assert costs[1] is not None
    assert costs[0] == 5 * costs[1]  # o3 fell from 10 to 2 dollars a million in June 2025


async def test_the_cost_of_0_1_formats_and_survives_the_store() -> None:
    store = InMemorySessionStore()
    session = Session()
    session.add_event(
        await SessionEvent.create_with_tokens(
            message="hi", prompt="hello", completion="hi", model="gpt-4o", source=EventSource.LLM
        )
    )
    await store.save(session)

    again = await store.get(session.id)

    assert again is not None
    usage = again.events[0].token_usage
    assert usage is not None
    assert f"{usage.estimated_cost_usd:.7f}" == "0.0000125"  # 2.5 and 10 dollars a million
    assert again.total_cost == usage.estimated_cost_usd
