"""What JSON has not is refused with the path to it and what to do instead."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from a2a_session_manager import InvalidEvent
from a2a_session_manager.serialization.json_check import DEEPEST, JsonCheck, TooHeavy

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[]))
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


class Colour(StrEnum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Payload(BaseModel):
    value: Any = None
    costs: list[float] = []
    when: datetime | None = None


class Strange(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    value: Any = None
    data: bytes = b""


def checked(value: Any) -> None:
    JsonCheck(math.inf).check(value, "message")


def nested(levels: int, kind: type) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind is list else {"k": value}
    return value


@given(json_values)
@settings(deadline=None)
def test_json_is_accepted(value: Any) -> None:
    checked(value)


@pytest.mark.parametrize(
    "value", [Colour.RED, Level.HIGH, Payload(value={"a": [1]}), Payload(when=datetime(2026, 1, 1, tzinfo=UTC)), -0.0]
)
def test_what_becomes_json_by_itself_is_accepted(value: Any) -> None:
    checked(value)
    checked({"a": [value]})


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (math.nan, "not a JSON number"),
        (math.inf, "not a JSON number"),
        (-math.inf, "not a JSON number"),
        (b"x", "store base64 text"),
        (bytearray(b"x"), "store base64 text"),
        ({1}, "store a sorted list"),
        (frozenset({1}), "store a sorted list"),
        ((1, 2), "store a list"),
        (datetime(2026, 1, 1, tzinfo=UTC), r"store \.isoformat\(\)"),
        (date(2026, 1, 1), r"store \.isoformat\(\)"),
        (Decimal("0.1"), r"store str\(value\)"),
        (UUID(int=1), r"store str\(value\)"),
        (object(), "plain JSON values or a pydantic model"),
        (object, "plain JSON values or a pydantic model"),
        (1j, "plain JSON values or a pydantic model"),
        ({7: 1}, "the key 7 is a int: JSON keys are strings"),
        ({None: 1}, "JSON keys are strings"),
        ({("a", "b"): 1}, "JSON keys are strings"),
        ({True: 1}, "JSON keys are strings"),
        (Payload(costs=[math.nan]), "not a JSON number"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_what_json_has_not_is_refused_with_the_remedy(value: Any, remedy: str, inside: bool) -> None:
    with pytest.raises(InvalidEvent, match=remedy):
        checked({"deep": [value]} if inside else value)


@pytest.mark.parametrize("value", [10**5_000, -(10**5_000), {"n": 10**4_300}], ids=["long", "negative", "inside"])
def test_a_number_too_long_to_be_read_back_is_refused(value: Any) -> None:
    # Python reads no more than 4,300 digits: stored, it would be damage for ever.
    with pytest.raises(InvalidEvent):
        checked(value)


@pytest.mark.parametrize("value", [Strange(value=object()), Strange(data=b"\xff")])
def test_a_model_that_cannot_be_dumped_is_refused_with_the_path(value: Any) -> None:
    with pytest.raises(InvalidEvent) as caught:
        checked({"a": [value]})

    assert caught.value.path == "message.a[0]"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({1}, "message"),
        ({"a": {1}}, "message.a"),
        ([0, {1}], "message[1]"),
        ({"a": [0, {"b": {1}}]}, "message.a[1].b"),
        ({"a": Payload(costs=[1.0, math.nan])}, "message.a.costs[1]"),
        ({"a": {3: 1}}, "message.a"),
    ],
)
def test_the_path_leads_to_the_culprit(value: Any, path: str) -> None:
    with pytest.raises(InvalidEvent, match=f"^{re.escape(path)}: ") as caught:
        checked(value)

    assert caught.value.path == path


@pytest.mark.parametrize("kind", [list, dict])
def test_nesting_is_accepted_up_to_the_limit_and_refused_above_it(kind: type) -> None:
    checked(nested(DEEPEST, kind))

    with pytest.raises(InvalidEvent, match="more than 100 levels of nesting: flatten it"):
        checked(nested(DEEPEST + 1, kind))


@pytest.mark.parametrize("levels", [200, 5_000])
def test_any_depth_is_refused_without_running_out_of_stack(levels: int) -> None:
    with pytest.raises(InvalidEvent, match="levels of nesting"):
        checked(nested(levels, list))


def test_the_error_of_a_deep_place_shows_where_the_way_begins_and_ends_and_carries_all_of_it() -> None:
    with pytest.raises(InvalidEvent) as caught:
        checked(nested(200, list))

    assert len(str(caught.value)) < 250
    assert caught.value.path is not None
    assert caught.value.path.endswith("[0]" * DEEPEST)


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)

    with pytest.raises(InvalidEvent, match="levels of nesting"):
        checked(circle)


def test_a_check_stops_when_it_has_walked_enough() -> None:
    JsonCheck(10_000).check("x" * 9_000, "message")

    with pytest.raises(TooHeavy):
        JsonCheck(10_000).check("x" * 11_000, "message")


def test_the_weight_of_several_values_adds_up() -> None:
    check = JsonCheck(10_000)
    check.check("x" * 6_000, "a")

    with pytest.raises(TooHeavy):
        check.check({"k": "x" * 6_000}, "b")


def test_many_small_values_are_heavy_too() -> None:
    with pytest.raises(TooHeavy):
        JsonCheck(10_000).check([0] * 1_000, "message")
