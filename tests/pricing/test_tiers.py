"""Tiers, batches, speed and region cost what the list says; what it does not say is never priced as the standard."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN

import genai_prices
import pytest

from a2a_session_manager.models.token_usage import TokenUsage, priced
from a2a_session_manager.pricing.list_prices import load
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER, ListPricer
from a2a_session_manager.pricing.prices import Prices
from tests.pricing.priced_models import AT, MODELS, SHAPES, THEIR_NAMES

CONTEXTS: list[dict[str, str]] = [
    {"service_tier": "flex"},
    {"service_tier": "priority"},
    {"processing": "batch"},
    {"speed": "fast"},
    {"service_tier": "priority", "processing": "batch"},
]
IDS = ["-".join(context.values()) for context in CONTEXTS]
PROBE = {"prompt_tokens": 1000, "completion_tokens": 100}


@pytest.fixture(autouse=True)
def loaded_prices() -> None:
    load()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("context", CONTEXTS, ids=IDS)
def test_a_cost_equals_the_lists_to_the_pico_dollar_or_is_a_lower_bound(context: dict[str, str], shape: str) -> None:
    counts, exact = SHAPES[shape], 0
    theirs = genai_prices.Usage(**{THEIR_NAMES.get(name, name): count for name, count in counts.items()})
    for provider, model in MODELS:
        listed = genai_prices.calc_price(
            theirs, model, provider_id=provider, genai_request_timestamp=AT, price_context=context
        )
        usage = TokenUsage.model_validate({**counts, **context})
        cost = DEFAULT_PRICER.price(usage, model, provider, AT)
        if cost is not None:
            expected = (listed.total_price * 10**12).to_integral_value(rounding=ROUND_HALF_EVEN)
            assert cost.cost_pico_usd == expected, (provider, model)
            exact += not cost.missing
        else:
            assert "no price is known for" in str(DEFAULT_PRICER.refusal(usage, model, provider, AT))
    assert exact > 0 or "code_executions" in counts  # of which no model has a price


def test_searches_cost_the_same_in_a_batch_and_in_every_tier() -> None:
    def fee(model: str, **context: str) -> int:
        costs = [
            priced(TokenUsage.model_validate({**PROBE, "model": model, "web_searches": count, **context}), AT)
            for count in (0, 1_000)
        ]
        assert [usage.partially_priced for usage in costs] == [False, False]
        return (costs[1].cost_pico_usd or 0) - (costs[0].cost_pico_usd or 0)

    assert {fee("gpt-5", **context) for context in ({}, CONTEXTS[0], CONTEXTS[1], CONTEXTS[2])} == {10 * 10**12}
    assert {fee("claude-sonnet-4-5", **context) for context in ({}, CONTEXTS[2])} == {10 * 10**12}
    assert {fee("gemini-3-flash-preview", **context) for context in ({}, CONTEXTS[2])} == {14 * 10**12}


def test_the_standard_is_never_the_price_of_what_the_list_does_not_know() -> None:
    standard = genai_prices.calc_price(genai_prices.Usage(input_tokens=1000), "gpt-4", genai_request_timestamp=AT)

    known = [
        priced(TokenUsage.model_validate({"prompt_tokens": 1000, "model": "gpt-4", name: value}), AT)
        for name, value in (("service_tier", "scale"), ("service_tier", "flex"), ("speed", "slow"))
    ]

    assert standard.total_price > 0
    assert [(usage.cost_pico_usd, usage.partially_priced) for usage in known] == [(None, True)] * 3
    assert [(usage.details or {})["unpriced"] for usage in known] == [
        f"no price is known for {what}, and it may be less than the standard one"
        for what in ("service_tier=scale", "service_tier=flex", "speed=slow")
    ]


def test_what_is_dearer_costs_the_standard_at_least() -> None:
    plain = priced(TokenUsage(prompt_tokens=1000, model="claude-sonnet-4-5"), AT)
    in_the_us = priced(TokenUsage(prompt_tokens=1000, model="claude-sonnet-4-5", region="us"), AT)

    assert in_the_us.cost_pico_usd == plain.cost_pico_usd is not None
    assert (plain.partially_priced, in_the_us.partially_priced) == (False, True)
    assert in_the_us.details == {"unpriced": "no price is known for region=us"}
    assert in_the_us.counters()["partially_priced_requests"] == 1
    assert "partially_priced_requests" not in plain.counters()


def test_own_prices_hold_for_the_standard() -> None:
    pricer = ListPricer({"o3": Prices(1, 2)})

    def asked(**context: str) -> tuple[int | None, bool]:
        usage = priced(TokenUsage.model_validate({**PROBE, "model": "o3", **context}), AT, pricer)
        return usage.cost_pico_usd, usage.partially_priced

    assert asked() == (1_200_000_000, False)
    assert asked(service_tier="priority") == (1_200_000_000, True)
    assert asked(service_tier="flex") == (None, True)


@pytest.mark.parametrize("tokens", [200_000, 200_001])
def test_long_contexts_cost_more_in_every_tier(tokens: int) -> None:
    usage = TokenUsage(prompt_tokens=tokens, model="gemini-2.5-pro", processing="batch")

    cost = priced(usage, AT).cost_pico_usd

    assert cost == tokens * (625_000 if tokens == 200_000 else 1_250_000)
