"""Usage that contradicts itself is refused; sums are exact, in any order and grouping."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from a2a_session_manager import InvalidEvent, TokenSummary, TokenTally, TokenUsage
from a2a_session_manager.models.money import pico_from_usd, usd_from_pico
from a2a_session_manager.models.token_tally import COUNTERS
from a2a_session_manager.models.token_usage import priced
from tests.models.usages import usages


@st.composite
def spent(draw: st.DrawFn) -> tuple[TokenUsage, str, str | None]:
    run_id = draw(st.sampled_from([None, "r1", "r2"]))
    return draw(usages()), draw(st.sampled_from(["user", "llm", "system"])), run_id


def folded(items: list[tuple[TokenUsage, str, str | None]]) -> TokenSummary:
    def add(summary: TokenSummary, item: tuple[TokenUsage, str, str | None]) -> TokenSummary:
        usage, source, run_id = item
        return summary.plus(usage, source=source, run_id=run_id)

    return reduce(add, items, TokenSummary())


@pytest.mark.parametrize("name", [name for name in COUNTERS if name in TokenUsage.model_fields])
def test_no_count_may_be_negative(name: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        TokenUsage.model_validate({name: -1})


@pytest.mark.parametrize(
    "numbers",
    [
        {"prompt_tokens": 5, "cache_read_tokens": 6},
        {"prompt_tokens": 5, "cache_write_tokens": 6},
        {"prompt_tokens": 5, "cache_read_tokens": 3, "cache_write_tokens": 3},
        {"prompt_tokens": 5, "cache_write_tokens": 2, "cache_write_1h_tokens": 3},
        {"prompt_tokens": 5, "input_audio_tokens": 6},
        {"completion_tokens": 5, "reasoning_tokens": 6},
        {"completion_tokens": 5, "output_audio_tokens": 6},
    ],
)
def test_a_detail_larger_than_its_whole_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="more than the"):
        TokenUsage.model_validate(numbers)


@pytest.mark.parametrize(
    "numbers",
    [
        {"prompt_tokens": 5, "cache_read_tokens": 2, "cache_write_tokens": 3, "cache_write_1h_tokens": 3},
        {"completion_tokens": 5, "reasoning_tokens": 5, "output_audio_tokens": 5},
    ],
)
def test_a_detail_may_be_all_of_its_whole(numbers: dict[str, int]) -> None:
    usage = TokenUsage.model_validate(numbers)

    assert usage.model_dump(include=set(numbers)) == numbers


@pytest.mark.parametrize("total", [0, 14, 16])
def test_a_total_that_contradicts_its_parts_is_refused(total: int) -> None:
    with pytest.raises(ValidationError, match=f"total_tokens is {total}, but its parts add up to 15"):
        TokenUsage.model_validate({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": total})


@pytest.mark.parametrize(
    "numbers",
    [
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
        {"input_tokens": 10, "output_tokens": 5, "total_tokens": None},
    ],
)
def test_a_total_that_fits_its_parts_is_accepted(numbers: dict[str, int]) -> None:
    assert TokenUsage.model_validate(numbers).total_tokens == 15


@pytest.mark.parametrize(
    "numbers",
    [
        {"prompt_tokens": None, "total_tokens": 5},
        {"prompt_tokens": "five", "total_tokens": 5},
        {"prompt_tokens": [5], "estimated_cost_usd": 1},
        {"estimated_cost_usd": "much"},
        {"estimated_cost_usd": float("inf")},
        {"estimated_cost_usd": float("nan")},
        {"estimated_cost_usd": [1]},
    ],
)
def test_numbers_of_the_wrong_kind_are_a_validation_error(numbers: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TokenUsage.model_validate(numbers)


def test_input_and_output_tokens_are_other_names_of_the_same_numbers() -> None:
    usage = TokenUsage.model_validate({"input_tokens": 3, "output_tokens": 4})

    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 4)
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 4, 7)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        TokenUsage.model_validate({"promt_tokens": 3})


def test_a_usage_is_frozen() -> None:
    usage = TokenUsage(prompt_tokens=1)

    with pytest.raises(InvalidEvent, match="frozen"):
        usage.prompt_tokens = 2


@pytest.mark.parametrize("cost", ["0.1", 0.1, Decimal("0.1"), "0.000000000001", 3])
def test_a_cost_in_dollars_is_kept_exactly(cost: Any) -> None:
    usage = TokenUsage.model_validate({"estimated_cost_usd": cost})

    assert usage.estimated_cost_usd == Decimal(str(cost))
    assert usage.priced_by == "caller"


def test_a_cost_finer_than_a_pico_dollar_is_rounded_half_to_even() -> None:
    assert pico_from_usd("0.0000000000005") == 0
    assert pico_from_usd("0.0000000000015") == 2
    assert pico_from_usd("0.0000000000025") == 2


def test_a_negative_cost_is_refused() -> None:
    with pytest.raises(ValidationError):
        TokenUsage.model_validate({"estimated_cost_usd": -1})


def test_an_unknown_cost_is_none_and_a_cost_of_0_is_0() -> None:
    assert TokenUsage(prompt_tokens=5).estimated_cost_usd is None
    assert TokenUsage(prompt_tokens=5, cost_pico_usd=0).estimated_cost_usd == 0


@given(st.integers(0, 10**24))
@settings(deadline=None)
def test_pico_dollars_survive_the_way_through_dollars(pico: int) -> None:
    assert pico_from_usd(usd_from_pico(pico)) == pico


@given(usages())
@settings(deadline=None)
def test_a_usage_survives_json(usage: TokenUsage) -> None:
    assert TokenUsage.model_validate_json(usage.model_dump_json()) == usage


@pytest.mark.parametrize(
    ("pico", "text"),
    [(0, "0"), (10**12, "1"), (420_000_000, "0.00042"), (10**14, "100"), (1, "1E-12"), (-5 * 10**11, "-0.5")],
)
def test_a_cost_has_no_zeros_at_its_end(pico: int, text: str) -> None:
    assert str(usd_from_pico(pico)) == text


@given(usages())
@settings(deadline=None)
def test_what_a_usage_adds_to_a_sum_is_its_own_numbers(usage: TokenUsage) -> None:
    counters = usage.counters()

    flagged = {
        "unpriced_requests": usage.requests if usage.cost_pico_usd is None else 0,
        "partially_priced_requests": usage.requests if usage.partially_priced else 0,
        "requests_without_usage": 0,
        "repeated_requests": 0,  # whether it is one, the session knows
    }
    for name in COUNTERS:
        expected = flagged[name] if name in flagged else getattr(usage, name) or 0
        assert counters.get(name, 0) == expected
    assert 0 not in counters.values()


def test_a_request_of_which_nothing_is_known_costs_no_0_and_is_counted() -> None:
    usage = TokenUsage(model="gpt-4o", basis="unknown")
    at = datetime(2026, 11, 20, tzinfo=UTC)

    assert usage.estimated_cost_usd is None
    assert priced(usage, at) is usage
    assert usage.counters() == {"requests": 1, "unpriced_requests": 1, "requests_without_usage": 1}
    reported = usage.model_copy(update={"cost_pico_usd": 5, "priced_by": "reported"})
    total = TokenSummary().plus(reported, source="llm").total
    assert (total.unpriced_requests, total.requests_without_usage, total.is_lower_bound) == (0, 1, True)


@given(st.lists(usages(), max_size=8), st.integers(0, 8))
@settings(deadline=None)
def test_tallies_add_up_in_any_grouping(many: list[TokenUsage], cut: int) -> None:
    tallies = [TokenTally().plus(usage.counters()) for usage in many]

    whole = sum(tallies, TokenTally())
    parts = sum(tallies[:cut], TokenTally()) + sum(tallies[cut:], TokenTally())

    assert whole == parts
    for name in COUNTERS:
        assert getattr(whole, name) == sum(usage.counters().get(name, 0) for usage in many)


@given(st.lists(spent(), max_size=8), st.randoms(use_true_random=False), st.integers(0, 8))
@settings(deadline=None)
def test_a_summary_is_the_same_in_any_order_and_grouping(
    items: list[tuple[TokenUsage, str, str | None]], random: Any, cut: int
) -> None:
    shuffled = random.sample(items, len(items))

    assert folded(items) == folded(shuffled)
    assert folded(items) == folded(items[:cut]) + folded(items[cut:])


@given(st.lists(spent(), max_size=8))
@settings(deadline=None)
def test_every_view_of_a_summary_is_the_plain_sum(items: list[tuple[TokenUsage, str, str | None]]) -> None:
    summary = folded(items)

    everything = [usage for usage, _, _ in items]
    assert summary.total_prompt_tokens == sum(usage.prompt_tokens for usage in everything)
    assert summary.total_completion_tokens == sum(usage.completion_tokens for usage in everything)
    assert summary.total_tokens == sum(usage.total_tokens for usage in everything)
    assert summary.total_estimated_cost_usd == usd_from_pico(sum(usage.cost_pico_usd or 0 for usage in everything))
    assert summary.unpriced_requests == sum(usage.requests for usage in everything if usage.cost_pico_usd is None)
    for model, tally in summary.usage_by_model.items():
        assert tally.total_tokens == sum(usage.total_tokens for usage in everything if usage.model == model)
    for source, tally in summary.usage_by_source.items():
        assert tally.total_tokens == sum(usage.total_tokens for usage, own, _ in items if own == source)
    for run_id, tally in summary.by_run.items():
        assert tally.total_tokens == sum(usage.total_tokens for usage, _, run in items if run == run_id)
    assert set(summary.usage_by_model) == {usage.model for usage in everything}
    assert set(summary.by_run) == {run_id for _, _, run_id in items} - {None}


def test_adding_leaves_both_summaries_as_they_were() -> None:
    usage = TokenUsage(prompt_tokens=1, model="m")
    first = TokenSummary().plus(usage, source="llm")
    second = TokenSummary().plus(usage, source="user", run_id="r")

    both = first + second

    assert both.total_tokens == 2
    assert first == TokenSummary().plus(usage, source="llm")
    assert second == TokenSummary().plus(usage, source="user", run_id="r")


def test_an_unpriced_request_makes_the_cost_a_lower_bound_and_is_counted() -> None:
    priced = TokenUsage(prompt_tokens=1, cost_pico_usd=2_000_000_000_000, model="a")
    unpriced = TokenUsage(prompt_tokens=1, requests=3, model="b")

    summary = TokenSummary().plus(priced, source="llm").plus(unpriced, source="llm")

    assert summary.total_estimated_cost_usd == 2
    assert summary.unpriced_requests == 3
    assert summary.total.is_lower_bound
    assert not summary.usage_by_model["a"].is_lower_bound


def test_a_summary_never_counts_a_model_named_like_a_source_twice() -> None:
    usage = TokenUsage(prompt_tokens=1, model="llm")

    summary = TokenSummary().plus(usage, source="llm").plus(usage, source="user")

    assert summary.total_tokens == 2
    assert {name: tally.total_tokens for name, tally in summary.usage_by_source.items()} == {"llm": 1, "user": 1}


def test_costs_can_be_formatted_with_a_number_of_digits() -> None:
    usage = TokenUsage(prompt_tokens=1, cost_pico_usd=1_234_567_890_123)
    summary = TokenSummary().plus(usage, source="llm")

    assert f"{usage.estimated_cost_usd:.6f}" == "1.234568"
    assert f"{summary.total_estimated_cost_usd:.6f}" == "1.234568"
    assert f"{TokenSummary().total_estimated_cost_usd:.6f}" == "0.000000"
