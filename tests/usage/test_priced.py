"""An unpriced usage gets its cost at its event's time; sums add costs and never price sums."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import pytest

from a2a_session_manager import SessionEvent, TokenSummary, TokenUsage
from a2a_session_manager.pricing.list_prices import load
from a2a_session_manager.pricing.pricer import ListPricer, PricedCost, Prices, UsageNumbers
from a2a_session_manager.usage.priced import needs_price, priced, priced_event, priced_events
from a2a_session_manager.usage.provider_usage import usage_from

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def loaded_prices() -> None:
    load()


def test_an_unpriced_usage_gets_its_cost_and_who_says_so() -> None:
    usage = priced(TokenUsage(prompt_tokens=1000, completion_tokens=100, model="gpt-4o"), AT)

    assert usage.cost_pico_usd == 3_500_000_000
    assert usage.priced_by is not None
    assert usage.priced_by.startswith("genai-prices 0.2.")


def test_a_price_that_is_there_stays() -> None:
    usage = TokenUsage(prompt_tokens=1000, model="gpt-4o", cost_pico_usd=0, priced_by="caller")

    assert priced(usage, AT) is usage


@pytest.mark.parametrize("model", ["", "nobody's-model"])
def test_an_unknown_model_stays_unpriced_and_is_counted_so(model: str) -> None:
    usage = TokenUsage(prompt_tokens=1000, model=model)

    assert priced(usage, AT) is usage
    assert TokenSummary().plus(priced(usage, AT), source="llm").unpriced_requests == 1


def test_an_event_is_priced_at_its_own_time() -> None:
    def event(at: datetime) -> SessionEvent[Any]:
        usage = TokenUsage(prompt_tokens=1_000_000, model="o3")
        return SessionEvent(message="m", timestamp=at, token_usage=usage)

    old = priced_event(event(datetime(2025, 5, 1, tzinfo=UTC)))
    new = priced_event(event(AT))

    assert old.token_usage is not None
    assert new.token_usage is not None
    assert old.token_usage.estimated_cost_usd == Decimal(10)
    assert new.token_usage.estimated_cost_usd == Decimal(2)


def test_an_event_with_nothing_to_price_is_the_same_object() -> None:
    without = SessionEvent(message="m")
    known = SessionEvent(message="m", token_usage=TokenUsage(prompt_tokens=1, model="gpt-4o", cost_pico_usd=3))
    unknown = SessionEvent(message="m", token_usage=TokenUsage(prompt_tokens=1, model="nobody's"))

    assert [priced_event(event) is event for event in (without, known, unknown)] == [True] * 3
    assert [needs_price(event) for event in (without, known, unknown)] == [False, False, True]


def test_the_reason_is_kept_where_a_known_price_does_not_fit() -> None:
    audio = TokenUsage(
        prompt_tokens=100, cache_read_tokens=50, input_audio_tokens=20, model="gemini-2.5-flash", details={"a": 1}
    )

    usage = priced(audio, AT)

    assert usage.cost_pico_usd is None
    assert usage.details is not None
    assert usage.details["a"] == 1
    assert "cache_audio_read_tokens" in usage.details["unpriced"]


def test_the_providers_own_object_tells_the_cached_audio_apart() -> None:
    raw = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 50,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 80}, {"modality": "AUDIO", "tokenCount": 20}],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 50}],
    }

    usage = priced(usage_from(raw, model="gemini-2.5-flash"), AT)

    # 30 text at $0.30, 50 cached text at $0.03, 20 audio at $1.00 per million
    assert usage.cost_pico_usd == 30 * 300_000 + 50 * 30_000 + 20 * 1_000_000


def test_images_cost_what_images_cost() -> None:
    raw = {
        "promptTokenCount": 10,
        "candidatesTokenCount": 1300,
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}, {"modality": "TEXT", "tokenCount": 10}],
    }

    usage = priced(usage_from(raw, model="gemini-2.5-flash-image"), AT)

    assert usage.cost_pico_usd == 10 * 300_000 + 1290 * 30_000_000 + 10 * 2_500_000


@pytest.mark.parametrize("model", ["gpt-5.5", "claude-sonnet-4-5", "gemini-2.5-pro"])
def test_two_requests_below_a_tier_cost_less_than_one_above_it(model: str) -> None:
    tier = 300_000
    half = priced(TokenUsage(prompt_tokens=tier // 2, model=model), AT)
    whole = priced(TokenUsage(prompt_tokens=tier, model=model), AT)

    two = TokenSummary().plus(half, source="llm").plus(half, source="llm").total
    one = TokenSummary().plus(whole, source="llm").total

    assert two.prompt_tokens == one.prompt_tokens
    assert 0 < two.cost_pico_usd < one.cost_pico_usd


def test_two_times_125k_cost_less_than_250k() -> None:
    half, whole = (priced(TokenUsage(prompt_tokens=n, model="gemini-2.5-pro"), AT) for n in (125_000, 250_000))

    total = TokenSummary().plus(half, source="llm").plus(half, source="llm").total

    assert (total.estimated_cost_usd, whole.estimated_cost_usd) == (Decimal("0.3125"), Decimal("0.625"))


def test_several_requests_in_one_usage_are_priced_only_where_the_sum_has_one_price() -> None:
    def cost(model: str, prompt: int) -> TokenUsage:
        return priced(TokenUsage(prompt_tokens=prompt, requests=3, model=model), AT)

    assert cost("gpt-4o", 250_000).cost_pico_usd == 250_000 * 2_500_000
    assert cost("gemini-2.5-pro", 200_000).cost_pico_usd == 200_000 * 1_250_000
    above, each = cost("gemini-2.5-pro", 250_000), cost("perplexity/sonar", 100)
    assert (above.cost_pico_usd, each.cost_pico_usd) == (None, None)
    assert "record them one by one" in str(above.details)
    assert "each has a price" in str(each.details)


def test_the_callers_decimal_context_changes_nothing() -> None:
    usage = TokenUsage(prompt_tokens=123_457, completion_tokens=7, model="gpt-4o-mini")
    expected = priced(usage, AT).cost_pico_usd

    with localcontext(prec=2):
        assert priced(usage, AT).cost_pico_usd == expected == 123_457 * 150_000 + 7 * 600_000


def test_any_pricer_will_do() -> None:
    class Flat:
        def price(self, usage: UsageNumbers, model: str, provider: str | None, at: datetime) -> PricedCost | None:
            return PricedCost(7 * usage.prompt_tokens, "flat") if provider == "us" else None

    usage = TokenUsage(prompt_tokens=2, model="m")

    assert priced(usage.model_copy(update={"provider": "us"}), AT, Flat()).cost_pico_usd == 14
    assert priced(usage, AT, Flat()) is usage


def test_overrides_come_first() -> None:
    pricer = ListPricer({"gpt-4o": Prices(input=1, output=2)})

    usage = priced(TokenUsage(prompt_tokens=10, completion_tokens=10, model="openai/gpt-4o"), AT, pricer)

    assert (usage.cost_pico_usd, usage.priced_by) == (30_000_000, "override gpt-4o")


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
