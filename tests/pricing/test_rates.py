"""Rates that were derived once give the list's own price for any request of the same kinds of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from unittest import mock

import genai_prices
import pytest
from genai_prices.types import ModelInfo
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager.models.token_usage import TokenUsage
from a2a_session_manager.pricing.list_prices import ListPrices, load
from a2a_session_manager.pricing.pricer import DEFAULT_PRICER
from a2a_session_manager.pricing.rates import KINDS, Rates, plain_counts, rates_of
from tests.draws import few
from tests.pricing.priced_models import AT, MODELS, SHAPES, THEIR_NAMES
from tests.pricing.test_tiers import CONTEXTS

TIMES = [AT, AT - timedelta(days=500), datetime(2026, 11, 20, 20)]  # the last has no zone, and another hour
LISTS = ListPrices()


@pytest.fixture(autouse=True)
def loaded_prices() -> None:
    load()


def theirs(counts: Mapping[str, int], provider: str, model: str, at: datetime, context: Mapping[str, str]) -> Decimal:
    usage = genai_prices.Usage(**{THEIR_NAMES.get(name, name): count for name, count in counts.items()})
    listed = genai_prices.calc_price(
        usage, model, provider_id=provider, genai_request_timestamp=at, price_context=context
    )
    return (listed.total_price * 10**12).to_integral_value(rounding=ROUND_HALF_EVEN)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("provider", "model"), MODELS)
def test_the_second_request_of_a_kind_costs_what_the_list_says(provider: str, model: str, shape: str) -> None:
    for at in TIMES:
        for times in (1, 3, 7):
            counts = {name: count * times for name, count in SHAPES[shape].items()}
            cost = LISTS.cost(TokenUsage.model_validate(counts), model, provider, at)

            assert cost is not None
            assert cost.pico_usd == theirs(counts, provider, model, at, {})


@st.composite
def requests(draw: st.DrawFn) -> dict[str, int]:
    tokens = st.sampled_from([0, 1]) | st.integers(0, 10**6)
    prompt, completion = draw(tokens), draw(tokens)
    read = draw(st.just(0) | st.integers(0, prompt))
    write = draw(st.just(0) | st.integers(0, prompt - read))
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cache_read_tokens": read,
        "cache_write_tokens": write,
        "cache_write_1h_tokens": draw(st.just(0) | st.integers(0, write)),
        "reasoning_tokens": draw(st.just(0) | st.integers(0, completion)),
        **draw(st.just({}) | st.fixed_dictionaries({"web_searches": st.integers(0, 9), "file_searches": st.just(2)})),
    }


@given(st.sampled_from(MODELS), requests(), st.sampled_from([{}, *CONTEXTS]), st.sampled_from(TIMES))
@settings(deadline=None, max_examples=few(100, of=1_000))
def test_any_request_costs_what_the_list_says(
    sold: tuple[str, str], counts: dict[str, int], context: dict[str, str], at: datetime
) -> None:
    provider, model = sold
    usage = TokenUsage.model_validate({**counts, **context})
    if DEFAULT_PRICER.price(usage, model, provider, at) is None:
        assert "no price is known for" in str(DEFAULT_PRICER.refusal(usage, model, provider, at))
        return

    costs = [LISTS.cost(usage, model, provider, at) for _ in range(2)]

    assert [cost.pico_usd for cost in costs if cost] == [theirs(counts, provider, model, at, context)] * 2


def test_the_list_is_asked_once_for_requests_of_a_kind() -> None:
    lists = ListPrices()

    def cost(tokens: int, model: str = "gpt-4o", at: datetime = AT) -> int | None:
        found = lists.cost(TokenUsage(prompt_tokens=tokens), model, None, at)
        return None if found is None else found.pico_usd

    assert (cost(1000), cost(1000, "gemini-2.5-pro")) == (2_500_000_000, 1_250_000_000)
    with mock.patch.object(ModelInfo, "calc_price", side_effect=ArithmeticError("asked again")):
        assert (cost(2000), cost(3, at=AT.replace(hour=23))) == (5_000_000_000, 7_500_000)
        for model, at in (("gpt-4o", AT + timedelta(days=1)), ("gpt-4o-mini", AT), ("gemini-2.5-pro", AT)):
            with pytest.raises(ArithmeticError, match="asked again"):
                cost(1000, model, at)


def test_prices_by_the_hour_are_read_at_their_hour() -> None:
    lists = ListPrices()
    usage = TokenUsage(prompt_tokens=1_000_000)

    costs = [lists.cost(usage, "deepseek-chat", None, datetime(2026, 1, 1, hour, tzinfo=UTC)) for hour in (12, 20, 12)]

    assert [cost.pico_usd for cost in costs if cost is not None] == [
        theirs({"prompt_tokens": 1_000_000}, "deepseek", "deepseek-chat", datetime(2026, 1, 1, hour, tzinfo=UTC), {})
        for hour in (12, 20, 12)
    ]


@pytest.mark.parametrize(
    "odd",
    [
        {"prompt_tokens": 10, "cache_read_tokens": 20},
        {"completion_tokens": 1, "reasoning_tokens": 2},
        {"prompt_tokens": 5, "cache_write_tokens": 2, "cache_write_1h_tokens": 3},
        {"prompt_tokens": 5, "input_audio_tokens": 3},
        {"requests": 2},
    ],
)
def test_what_is_no_plain_request_is_left_to_the_list(odd: dict[str, int]) -> None:
    assert plain_counts(TokenUsage().model_copy(update=odd)) is None


def test_half_a_pico_dollar_goes_to_even() -> None:
    rates = Rates(per_token=(5, 0, 0, 0, 0, 0), request=0, scale=10)

    assert [rates.pico_usd((count, 0, 0, 0, 0, 0)) for count in (1, 2, 3, 4, 5)] == [0, 1, 2, 2, 2]


def test_rates_hold_what_a_request_costs_besides() -> None:
    def in_usd(counts: Mapping[str, int]) -> Decimal:
        return Decimal("0.005") + Decimal("0.0000025") * counts["prompt_tokens"]

    rates = rates_of(in_usd, (7, 0, 0, 0, 0, 0))

    assert (rates.pico_usd((7, 0, 0, 0, 0, 0)), len(rates.per_token)) == (5_017_500_000, len(KINDS))
