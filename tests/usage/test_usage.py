"""Usage as callers hand it in becomes a TokenUsage, or a clear error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from a2a_session_manager import InvalidEvent, TokenUsage
from a2a_session_manager.usage.provider_usage import usage_from


def test_a_usage_is_taken_as_it_is() -> None:
    usage = TokenUsage(prompt_tokens=1, model="m")

    assert usage_from(usage) is usage
    assert usage_from(usage, model="other") is usage


def test_a_mapping_of_its_fields_is_a_usage() -> None:
    assert usage_from({"input_tokens": 3, "output_tokens": 4}) == TokenUsage(prompt_tokens=3, completion_tokens=4)


def test_the_model_is_filled_in_where_the_usage_names_none() -> None:
    assert usage_from({"prompt_tokens": 1}, model="m").model == "m"
    assert usage_from(TokenUsage(prompt_tokens=1), model="m").model == "m"
    assert usage_from({"prompt_tokens": 1, "model": "own"}, model="m").model == "own"


def test_the_callers_mapping_stays_as_it_was() -> None:
    numbers = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}

    usage_from(numbers, model="m")

    assert numbers == {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}


@pytest.mark.parametrize(
    "bad", [7, "12 tokens", None, SimpleNamespace(tokens=1), [1], {}, {"tokens": 3}, b"1", object(), TokenUsage]
)
def test_anything_else_is_refused_with_what_to_pass(bad: Any) -> None:
    with pytest.raises(InvalidEvent, match=r"pass TokenUsage\(prompt_tokens=") as caught:
        usage_from(bad)

    assert caught.value.path == "usage"


@pytest.mark.parametrize(
    "bad",
    [
        {"prompt_tokens": -1},
        {"prompt_tokens": 1, "cache_read_tokens": 2},
        {"prompt_tokens": None, "total_tokens": 3},
        {"total_tokens": 3},
        {"cache_read_tokens": 3},
        {"estimated_cost_usd": "much"},
    ],
)
def test_numbers_that_contradict_each_other_are_an_invalid_event(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidEvent, match="usage is not understood"):
        usage_from(bad)


def test_the_keys_of_what_is_not_recognised_are_named() -> None:
    with pytest.raises(InvalidEvent, match=r"a dict with the keys \['answer', 'tokens'\]"):
        usage_from({"tokens": 3, "answer": 42})


def test_the_provider_is_filled_in_where_the_usage_names_none() -> None:
    assert usage_from(TokenUsage(prompt_tokens=1), provider="azure").provider == "azure"
    assert usage_from(TokenUsage(prompt_tokens=1, provider="openai"), provider="azure").provider == "openai"
