"""A change that contradicts itself cannot be made."""

from __future__ import annotations

from typing import Any

import pytest

from a2a_session_manager import InvalidSessionOperation, Retraction, SessionChange


@pytest.mark.parametrize(
    "ways",
    [
        {},
        {"event_ids": ["e"], "last": 1},
        {"event_ids": ["e"], "after": 1},
        {"last": 1, "after": 1},
        {"event_ids": ["e"], "last": 1, "after": 1},
    ],
)
def test_a_retraction_is_said_in_exactly_one_way(ways: dict[str, Any]) -> None:
    with pytest.raises(InvalidSessionOperation, match="in one way: event ids, last= or after="):
        Retraction(**ways)


@pytest.mark.parametrize("ways", [{"event_ids": ["e"]}, {"last": 0}, {"last": 1}, {"after": 0}, {"after": 7}])
def test_one_way_is_enough_and_0_counts_as_one(ways: dict[str, Any]) -> None:
    retraction = Retraction(**ways)

    assert {name: getattr(retraction, name) for name in ways} == ways


@pytest.mark.parametrize("name", ["last", "after"])
def test_a_retraction_refuses_a_negative_number(name: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=f"{name}=-1 cannot be negative"):
        Retraction(**dict[str, Any]({name: -1}))


def test_a_state_key_cannot_be_set_and_unset_at_once() -> None:
    with pytest.raises(InvalidSessionOperation, match=r"state keys both set and unset in one change: \['a'\]"):
        SessionChange(set_state={"a": 1, "b": 2}, unset_state=["a", "c"])


def test_a_property_cannot_be_set_and_unset_at_once() -> None:
    with pytest.raises(InvalidSessionOperation, match=r"properties keys both .* \['a'\]"):
        SessionChange(set_properties={"a": 1}, unset_properties=["a"])


def test_the_same_key_may_be_set_in_state_and_unset_in_properties() -> None:
    change = SessionChange(set_state={"a": 1}, unset_properties=["a"])

    assert change.set_state == {"a": 1}
    assert change.unset_properties == ["a"]
