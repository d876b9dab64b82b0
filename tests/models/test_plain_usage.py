"""A usage is the same whether it is made of plain values, or by pydantic."""

from __future__ import annotations

import pickle
from copy import deepcopy
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import InvalidEvent, TokenUsage
from a2a_session_manager.models.plain_usage import plain_usage
from tests.draws import few

_NOTHING = TokenUsage.model_validate({}).__dict__


class _Text(str):
    __slots__ = ()


class _Basis(StrEnum):
    COUNTED = "counted"


_COUNTS = st.sampled_from([0, 1, 2, 3, 10**12]) | st.sampled_from([-1, 10**12 + 1, True, 2.0, "2", None])
_TEXTS = st.sampled_from([None, "", "m", "reported", "counted", _Text("m"), _Basis.COUNTED, 5, "x" * 513, "\ud800"])
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    name: _COUNTS if isinstance(value, int) else _TEXTS for name, value in _NOTHING.items()
}
_VALUES |= {
    "cost_pico_usd": st.sampled_from([None, 0, 7, 10**24, 10**24 + 1, -1, True, 7.0, "7"]),
    "partially_priced": st.sampled_from([True, False, 1]),
    "details": st.sampled_from([None, {}, {"a": [1]}]),
    "input_tokens": _COUNTS,
    "total_tokens": _COUNTS,
    "unknown": _COUNTS,
}


def _known_or_rare() -> st.SearchStrategy[dict[str, Any]]:
    plain = {name: _VALUES[name] for name in _NOTHING if plain_usage({name: _NOTHING[name]}, _NOTHING)}
    return st.fixed_dictionaries({}, optional=plain) | st.fixed_dictionaries({}, optional=_VALUES)


@given(_known_or_rare())
@settings(max_examples=few(150, of=10_000), deadline=None)
def test_it_is_what_pydantic_makes_of_the_values(fields: dict[str, Any]) -> None:
    try:
        wanted = TokenUsage.model_validate(fields)
    except ValueError:
        with pytest.raises(InvalidEvent):
            TokenUsage(**fields)
        return

    made = TokenUsage(**fields)

    assert made == wanted
    assert list(made.__dict__.items()) == list(wanted.__dict__.items())
    assert list(map(type, made.__dict__.values())) == list(map(type, wanted.__dict__.values()))
    assert made.model_fields_set == wanted.model_fields_set


def test_what_is_said_of_nearly_all_requests_is_plain() -> None:
    said = {"prompt_tokens": 9, "completion_tokens": 2, "cache_read_tokens": 4, "model": "m", "cost_pico_usd": 5}

    assert plain_usage({**said, "response_id": "r", "basis": "counted"}, _NOTHING) is not None
    assert plain_usage({**said, "reasoning_tokens": 3}, _NOTHING) is None
    assert plain_usage({**said, "web_searches": 1}, _NOTHING) is None


def test_it_is_copied_and_pickled_as_any_other_and_stays_frozen() -> None:
    usage = TokenUsage(prompt_tokens=3, model="m")
    other = TokenUsage(prompt_tokens=5, model="m")

    assert deepcopy(usage) == pickle.loads(pickle.dumps(usage)) == usage != other
    assert usage.model_copy(update={"requests": 2}).model_fields_set == {"prompt_tokens", "model", "requests"}
    assert other.model_fields_set == {"prompt_tokens", "model"}
    with pytest.raises(InvalidEvent, match="frozen"):
        usage.prompt_tokens = 4


_BAD: dict[str, Any] = {"region": 5}


class _Own(TokenUsage):
    """A class of one's own, whose further field has to be checked."""

    region: str = "eu"


def test_a_class_of_ones_own_is_checked_by_its_own_fields() -> None:
    assert _Own(model="m").region == "eu"
    with pytest.raises(InvalidEvent):
        _Own(**_BAD)
