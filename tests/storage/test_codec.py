"""Events, runs and values to bytes and back, whatever JSON they hold."""

from __future__ import annotations

import copy
import gc
import json
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from pydantic import BaseModel, field_validator

from a2a_session_manager import (
    EventSource,
    InvalidSessionOperation,
    SessionEvent,
    TokenUsage,
)
from a2a_session_manager.models.session_event import with_seq
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.serialization.values import encode_value
from a2a_session_manager.storage.codec import (
    decode_event,
    decode_value,
    event_model,
)
from tests.storage.encoded_events import Plan, decoded, encoded, events, exactly, json_values


@given(events())
@settings(deadline=None)
def test_an_event_comes_back_as_it_was(event: SessionEvent[Any]) -> None:
    again = decoded(encoded(event).data)

    assert again == event.model_copy(update={"seq": 7})
    assert exactly(again.message) == exactly(event.message)
    assert exactly(again.metadata) == exactly(event.metadata)
    assert again.timestamp.utcoffset() == event.timestamp.utcoffset()


@given(json_values)
@settings(deadline=None)
def test_a_value_comes_back_as_it_was(value: Any) -> None:
    data = encode_value(value, JsonCheck(math.inf), "state", "k")

    assert exactly(decode_value(data, "s", "state.k")) == exactly(value)


@given(events())
@settings(deadline=None)
def test_encoding_the_same_event_twice_gives_the_same_bytes(event: SessionEvent[Any]) -> None:
    assert encoded(event) == encoded(event.model_copy(deep=True))


@pytest.mark.parametrize(
    "value",
    ["\ud800", "a\udfffb", {"\udc00": ["\ud83d"]}, "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")],
    ids=ascii,
)
def test_a_lone_surrogate_survives(value: Any) -> None:
    assert decoded(encoded(SessionEvent(message=value)).data).message == value
    assert decode_value(encode_value(value, JsonCheck(math.inf), "state"), "s", "state") == value


@pytest.mark.parametrize("value", [10**400, -(10**400), 2**63, 2**64, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0])
def test_a_number_keeps_every_digit(value: Any) -> None:
    again = decoded(encoded(SessionEvent(message={"n": value})).data).message

    assert exactly(again) == exactly({"n": value})


@pytest.mark.parametrize(
    ("message", "where"),
    [(Plan(days=3), None), ({"plans": [Plan(days=3)]}, "plans"), (Plan(days=3, notes=["\u2028"]), None)],
)
def test_a_model_goes_in_as_its_json(message: Any, where: str | None) -> None:
    again: Any = decoded(encoded(SessionEvent(message=message)).data).message

    assert (again[where][0] if where else again)["days"] == 3


def test_a_model_with_a_lone_surrogate_goes_in_too() -> None:
    class Said(BaseModel):
        text: Any

    message = {"a": [Said(text="\ud800")]}

    assert decoded(encoded(SessionEvent(message=message)).data).message == {"a": [{"text": "\ud800"}]}
    data = encode_value(message, JsonCheck(math.inf), "state")
    assert decode_value(data, "s", "state") == {"a": [{"text": "\ud800"}]}


def test_a_message_type_brings_the_model_back() -> None:
    data = encoded(SessionEvent(message=Plan(days=3, notes=["x"]))).data

    assert decoded(data, model=event_model(Plan)).message == Plan(days=3, notes=["x"])


def test_a_payload_of_a_typed_event_that_says_more_than_its_type_is_kept_whole() -> None:
    class LongPlan(Plan):
        hotel: str

    event: SessionEvent[Plan] = SessionEvent[Plan](message=LongPlan(days=3, hotel="Grand"))

    assert decoded(encoded(event).data).message == {"days": 3, "notes": [], "hotel": "Grand"}


def test_a_payload_that_is_not_of_the_message_type_is_no_damage() -> None:
    data = encoded(SessionEvent(id="e", message={"nights": 3})).data

    event: SessionEvent[Any] = decoded(data, model=event_model(Plan))

    assert (event.message, event.seq) == ({"nights": 3}, 7)
    assert str(event.message_error).endswith("message.days: Field required")
    assert "message_error" not in event.model_dump()


def test_a_payload_whose_validator_fails_is_no_damage() -> None:
    class Strict(BaseModel):
        days: int

        @field_validator("days")
        @classmethod
        def _refuse(cls, days: int) -> int:
            raise KeyError(days)

    event = decoded(encoded(SessionEvent(message={"days": 3})).data, model=event_model(Strict))

    assert (event.message, event.message_error) == ({"days": 3}, "KeyError: 3")


def test_bytes_hold_the_version_first_and_no_place() -> None:
    data = encoded(SessionEvent(message="x", seq=3, retracted=True)).data

    document = json.loads(data)
    assert data.startswith(b'{"v":1,')
    assert document.keys() & {"seq", "retracted"} == set()


def test_a_decoded_event_has_the_place_it_was_given() -> None:
    data = encoded(SessionEvent(message="x", seq=3)).data

    again = decode_event(data, "s", 9, retracted=True)

    assert (again.seq, again.retracted) == (9, True)


def test_of_ten_thousand_loaded_events_each_brings_two_objects_that_the_garbage_collector_walks() -> None:
    data = encoded(SessionEvent(message="x")).data
    decoded(data)
    gc.collect()
    before = len(gc.get_objects())

    kept = [decoded(data) for _ in range(10_000)]

    assert len(gc.get_objects()) - before < 2.1 * len(kept)  # the event and its __dict__


def _changed_by_hand(event: SessionEvent[Any]) -> None:
    event.model_fields_set.add("metadata")


def _copied_with_more(event: SessionEvent[Any]) -> None:
    event.model_copy(update={"metadata": {"a": 1}})


def _changed_in_a_copy(event: SessionEvent[Any]) -> None:
    copy.copy(event).__pydantic_fields_set__.add("metadata")


def _changed_in_a_deep_copy(event: SessionEvent[Any]) -> None:
    copy.deepcopy(event).__pydantic_fields_set__.add("metadata")


def _changed_after_pickling(event: SessionEvent[Any]) -> None:
    pickle.loads(pickle.dumps(event)).__pydantic_fields_set__.add("metadata")


def _placed_and_changed(event: SessionEvent[Any]) -> None:
    with_seq(event, 9).model_fields_set.add("metadata")
    with_seq(event, 9).model_copy(update={"metadata": {"a": 1}}).model_fields_set.add("type")


def _assigned(event: SessionEvent[Any]) -> None:
    with pytest.raises(InvalidSessionOperation):
        event.metadata = {"a": 1}


@pytest.mark.parametrize(
    "change",
    [
        _changed_by_hand,
        _copied_with_more,
        _changed_in_a_copy,
        _changed_in_a_deep_copy,
        _changed_after_pickling,
        _placed_and_changed,
        _assigned,
    ],
)
def test_loaded_events_share_their_fields_sets_and_nobody_notices(change: Callable[[SessionEvent[Any]], None]) -> None:
    data = encoded(SessionEvent(id="e", message="x")).data
    one, other = decoded(data), decoded(data)
    assert one.__pydantic_fields_set__ is other.__pydantic_fields_set__

    change(one)

    assert other.model_fields_set == {"id", "message", "source", "type", "timestamp"}
    assert "metadata" not in decoded(data).model_dump(exclude_unset=True)
    assert one == other


def test_loaded_usages_share_their_fields_sets_too() -> None:
    data = encoded(SessionEvent(message="x", token_usage=TokenUsage(prompt_tokens=3, model="m"))).data
    one, other = decoded(data).token_usage, decoded(data).token_usage
    assert one is not None
    assert other is not None
    assert one.__pydantic_fields_set__ is other.__pydantic_fields_set__
    before = set(other.model_fields_set)

    one.model_fields_set.add("details")
    one.model_copy(update={"details": {}}).model_fields_set.add("details")

    assert other.model_fields_set == before
    assert one == other


def test_events_with_different_fields_keep_different_fields_sets() -> None:
    short = decoded(encoded(SessionEvent(message="x")).data)
    long = decoded(encoded(SessionEvent(message="x", task_id="r", metadata={"a": 1})).data)

    assert long.model_fields_set - short.model_fields_set == {"task_id", "metadata"}


def test_an_event_tells_its_run_and_what_it_spent() -> None:
    usage = TokenUsage(prompt_tokens=3, model="m")

    one = encoded(SessionEvent(task_id="r", token_usage=usage, source=EventSource.USER))
    free = encoded(SessionEvent(message="x"))

    assert one.run_id == "r"
    assert one.usage is not None
    assert (one.usage.model, one.usage.source, one.usage.counters) == ("m", "user", usage.counters())
    assert (free.run_id, free.usage) == (None, None)
