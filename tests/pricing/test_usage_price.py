"""One function prices a usage, stored or read, media included; sums add costs and never price sums."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InMemorySessionStore, SessionEvent, TokenSummary, TokenUsage
from a2a_session_manager.models import clock
from a2a_session_manager.models.money import pico_from_usd
from a2a_session_manager.models.token_usage import priced
from a2a_session_manager.pricing.list_prices import load
from a2a_session_manager.pricing.pricer import ListPricer, PricedCost
from a2a_session_manager.pricing.prices import Prices
from a2a_session_manager.pricing.usage_numbers import UsageNumbers
from a2a_session_manager.pricing.usage_price import UsagePrice, price_usage
from a2a_session_manager.usage.provider_usage import usage_from
from tests.models.usages import usages
from tests.usage.provider_rows import ROWS
from tests.usage.row import Row

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


IMAGE = {
    "promptTokenCount": 100,
    "candidatesTokenCount": 1300,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}, {"modality": "TEXT", "tokenCount": 10}],
}


async def stored(usage: TokenUsage) -> TokenUsage:
    """Return `usage` as a store has it that got it in an event of AT."""
    store = InMemorySessionStore()
    await store.create("s")
    await store.append("s", SessionEvent(message="m", timestamp=AT, token_usage=usage))
    session = await store.get("s")
    assert session is not None
    kept = session.events[0].token_usage
    assert kept is not None
    assert session.token_summary.total.cost_pico_usd == (kept.cost_pico_usd or 0)
    return kept


async def costs(usage: TokenUsage) -> dict[str, int | None]:
    """Return what each way of pricing says of `usage` at AT, in pico-dollars."""
    with mock.patch.object(clock, "time_ns", return_value=int(AT.timestamp()) * 10**9):
        dollars = usage.estimated_cost_usd
    found = price_usage(usage, AT).cost
    return {
        "stored": (await stored(usage)).cost_pico_usd,
        "read": None if dollars is None else pico_from_usd(dollars),
        "priced at": (await usage.priced_at(AT)).cost_pico_usd,
        "by the function": None if found is None else found.cost_pico_usd,
    }


@pytest.mark.parametrize(
    ("details", "media"),
    [
        (None, {}),
        ({"output_tokens_details": {"image_tokens": 7}}, {"output_image_tokens": 7}),
        (
            {
                "candidatesTokensDetails": [
                    {"modality": "IMAGE", "tokenCount": 5},
                    {"modality": "DOCUMENT", "tokenCount": 2},
                ]
            },
            {"output_audio_tokens": 0, "output_image_tokens": 7, "output_video_tokens": 0},
        ),
        ({"output_tokens_details": {"image_tokens": "many"}, "citation_tokens": 3}, {}),
    ],
)
def test_a_usage_tells_the_media_that_the_providers_object_counts(details: Any, media: dict[str, int]) -> None:
    assert TokenUsage(prompt_tokens=1, details=details).media == media


async def test_an_image_costs_what_images_cost_stored_and_read() -> None:
    found = await costs(usage_from(IMAGE, model="gemini-2.5-flash-image"))

    # A million tokens cost 0.30 dollars in, 30 out as an image and 2.50 out as text: 0.038755 dollars.
    assert set(found.values()) == {100 * 300_000 + 1290 * 30_000_000 + 10 * 2_500_000} == {38_755_000_000}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_every_providers_usage_costs_the_same_stored_and_read(row: Row) -> None:
    usage = usage_from(row.usage, model=row.model, provider=row.provider)
    found = await costs(usage)

    if usage.cost_pico_usd is not None:  # reported: the function tells the list's
        assert found.pop("by the function") == priced(usage, AT).list_cost_pico_usd
    assert len(set(found.values())) == 1
    assert None not in found.values()


COUNTS = st.integers(0, 2_000)
MODALITIES = st.lists(
    st.fixed_dictionaries({"modality": st.sampled_from(["TEXT", "AUDIO", "IMAGE", "VIDEO", "DOCUMENT"])}).flatmap(
        lambda item: st.builds(lambda n: {**item, "tokenCount": n}, COUNTS)
    ),
    max_size=3,
)
MEDIA_DETAILS = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "promptTokensDetails": MODALITIES,
        "candidatesTokensDetails": MODALITIES,
        "cacheTokensDetails": MODALITIES,
        "output_tokens_details": st.fixed_dictionaries({"image_tokens": COUNTS}),
        "input_token_details": st.fixed_dictionaries({"image_tokens": COUNTS | st.none() | st.just("many")}),
        "citation_tokens": COUNTS,
    },
)
MODELS = st.sampled_from(
    ["gemini-2.5-flash-image", "gemini-2.5-flash", "gpt-4o-realtime-preview", "gpt-image-1", "sonar-pro", "nobody's"]
)


@given(usages(), st.fixed_dictionaries({"details": MEDIA_DETAILS, "model": MODELS, "cost_pico_usd": st.none()}))
@settings(deadline=None)
def test_any_usage_costs_the_same_stored_and_read(usage: TokenUsage, about: dict[str, Any]) -> None:
    unpriced = usage.model_copy(update=about)

    found = asyncio.run(costs(unpriced))

    assert len(set(found.values())) == 1


async def test_every_way_gives_the_same_reason_where_a_known_price_does_not_fit() -> None:
    event = await SessionEvent.create_with_tokens("m", prompt="hello", model="whisper-1", timestamp=AT)
    counted = await TokenUsage.from_text("hello", model="whisper-1")

    assert event.token_usage == await counted.priced_at(AT) == await stored(counted)
    assert event.token_usage.details is not None
    assert "no price for input tokens" in event.token_usage.details["unpriced"]
    assert price_usage(counted, AT) == UsagePrice(reason=event.token_usage.details["unpriced"])
    assert counted.estimated_cost_usd is None


async def test_a_price_that_is_found_later_leaves_no_reason_against_it() -> None:
    unpriced = await TokenUsage(prompt_tokens=10, model="whisper-1").priced_at(AT)
    assert unpriced.details is not None

    usage = priced(unpriced, AT, ListPricer({"whisper-1": Prices(input=1, output=1)}))

    assert (usage.cost_pico_usd, usage.details) == (10_000_000, None)
    assert priced(unpriced, AT) is unpriced


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
