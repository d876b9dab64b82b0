"""Events, runs and values to bytes and back, whatever JSON they hold."""

from __future__ import annotations

import contextlib
import copy
import gc
import json
import math
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, field_validator

from a2a_session_manager import (
    CorruptSession,
    EventSource,
    EventType,
    InvalidEvent,
    InvalidSessionOperation,
    RunStatus,
    SessionEvent,
    SessionRun,
    TokenUsage,
)
from a2a_session_manager.models.session_event import with_seq
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.serialization.plain_json import has_split_character
from a2a_session_manager.serialization.values import encode_value
from a2a_session_manager.storage.codec import (
    decode_event,
    decode_value,
    encode_event,
    event_model,
)
from a2a_session_manager.storage.records import EncodedEvent, StoredRun
from a2a_session_manager.storage.run_codec import decode_run, encode_run

# Any code point at all, lone surrogates included: models say such things. Two that would come back as one are refused,
# which has a test of its own.
any_text = st.text(st.characters(exclude_categories=[])).filter(lambda text: not has_split_character(text))
valid_text = st.text()
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4), max_leaves=20
)
ids = st.text(min_size=1, max_size=20)
moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]))


class Plan(BaseModel):
    days: int
    notes: list[str] = []


@st.composite
def events(draw: st.DrawFn) -> SessionEvent[Any]:
    usage = TokenUsage(prompt_tokens=5, model="m", details={"raw": draw(json_values)})
    return SessionEvent(
        id=draw(ids),
        message=draw(json_values),
        source=draw(st.sampled_from(EventSource)),
        type=draw(st.sampled_from(EventType) | valid_text),
        timestamp=draw(moments),
        task_id=draw(st.none() | ids),
        metadata=draw(st.dictionaries(valid_text, json_values, max_size=3)),
        token_usage=draw(st.none() | st.just(usage)),
    )


def exactly(value: Any) -> str:
    """Equal only for the same types, key order and sign of zero: 1, 1.0 and True differ."""
    return json.dumps(value)


def encoded(event: SessionEvent[Any]) -> EncodedEvent:
    return encode_event(event, JsonCheck(math.inf), "events[0]")


def decoded(data: bytes, **fields: Any) -> SessionEvent[Any]:
    return decode_event(data, "s", 7, **{"retracted": False, **fields})


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


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (SessionEvent(message={"a": {1}}), "events[0].message.a"),
        (SessionEvent(metadata={"a": math.nan}), "events[0].metadata.a"),
        (SessionEvent(token_usage=TokenUsage(details={"raw": b""})), "events[0].token_usage.details.raw"),
    ],
)
def test_every_part_of_an_event_that_json_has_not_is_refused_with_its_path(event: SessionEvent[Any], path: str) -> None:
    with pytest.raises(InvalidEvent) as caught:
        encoded(event)

    assert caught.value.path == path


@pytest.mark.parametrize("bad", ["", "x" * 513, "\ud800"])
def test_an_event_whose_id_was_changed_to_a_bad_one_is_refused(bad: str) -> None:
    # model_copy validates nothing; stored, such an event could never be read again.
    for field in ("id", "task_id"):
        with pytest.raises((InvalidEvent, InvalidSessionOperation)):
            encoded(SessionEvent(message="x").model_copy(update={field: bad}))


# Its time is fixed: these bytes are the names of the tests below, and those must be the same in every process.
GOOD = encode_event(
    SessionEvent(id="e", message="x", timestamp=datetime(2026, 1, 1, tzinfo=UTC)), JsonCheck(math.inf), "events[0]"
).data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"{}",
        b"\x00\xff",
        GOOD[:-1],
        GOOD[:10],
        GOOD + b"x",
        GOOD[1:],
        GOOD.replace(b'"id":"e"', b'"id":""'),
        GOOD.replace(b'"id":"e"', b'"id":7'),
        GOOD.replace(b'"source":"llm"', b'"source":"nobody"'),
        GOOD.replace(b'{"v":1,', b'{"v":"1",'),
        GOOD.replace(b'{"v":1,', b"{"),
    ],
)
def test_damaged_bytes_are_damage_and_name_the_event(data: bytes) -> None:
    with pytest.raises(CorruptSession, match="'s': event 7 is damaged: restore it from a backup") as caught:
        decoded(data)

    assert (caught.value.session_id, caught.value.seq) == ("s", 7)


@given(st.binary(max_size=40))
@settings(deadline=None)
def test_any_bytes_at_all_are_damage_and_nothing_else(data: bytes) -> None:
    with pytest.raises(CorruptSession):
        decoded(data)


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255))
@settings(deadline=None)
def test_one_flipped_byte_never_escapes_as_another_error(at: int, byte: int) -> None:
    data = GOOD[:at] + bytes([byte]) + GOOD[at + 1 :]

    with contextlib.suppress(CorruptSession):  # any other error fails the test
        decoded(data)


@pytest.mark.parametrize("message_type", [None, Plan])
def test_bytes_of_a_newer_release_say_so(message_type: Any) -> None:
    with pytest.raises(CorruptSession, match="format 2 by a newer release: upgrade"):
        decoded(GOOD.replace(b'{"v":1,', b'{"v":2,'), model=event_model(message_type))


def test_a_damaged_value_names_where_it_was() -> None:
    with pytest.raises(CorruptSession, match=r"'s': state\.plan is damaged"):
        decode_value(b'{"days"', "s", "state.plan")


# Runs


@given(
    st.builds(
        SessionRun,
        id=ids,
        agent=st.none() | valid_text,
        status=st.sampled_from(RunStatus),
        started_at=st.none() | moments,
        ended_at=st.none() | moments,
        metadata=st.dictionaries(valid_text, json_values, max_size=3),
    ),
    st.none() | any_text,
)
@settings(deadline=None)
def test_a_run_comes_back_as_it_was(run: SessionRun, error: str | None) -> None:
    run.error = error

    stored = encode_run(run, JsonCheck(math.inf))

    assert decode_run(stored, "s") == run
    assert stored.status == run.status.value


@pytest.mark.parametrize("bad", [ValueError("no seats"), 5, b"x"], ids=repr)
def test_a_run_whose_reason_is_no_text_is_refused_or_comes_back_as_text(bad: Any) -> None:
    # `run.mark_failed(exc)` for `str(exc)`: an easy slip, which must not make the session unreadable.
    run = SessionRun(status=RunStatus.RUNNING)

    try:
        run.mark_failed(bad)
        stored = encode_run(run, JsonCheck(math.inf))
    except (InvalidEvent, InvalidSessionOperation):
        return

    assert isinstance(decode_run(stored, "s").error, str)


def test_a_runs_metadata_that_json_has_not_is_refused_with_its_path() -> None:
    with pytest.raises(InvalidEvent) as caught:
        encode_run(SessionRun(id="r", metadata={"a": {1}}), JsonCheck(math.inf))

    assert caught.value.path == "runs[r].metadata.a"


@pytest.mark.parametrize("data", [b"", b"{}", b'{"v":1,"id":"r","status":"asleep"}', b'{"v":1,"id":""}'])
def test_a_damaged_run_is_damage(data: bytes) -> None:
    with pytest.raises(CorruptSession, match="'s': a run is damaged"):
        decode_run(StoredRun("running", data), "s")


@pytest.mark.parametrize(
    "make",
    [
        lambda naive: SessionEvent(timestamp=naive),
        lambda naive: SessionMetadata(created_at=naive),
        lambda naive: SessionRun(started_at=naive),
    ],
)
def test_a_time_without_a_zone_is_refused_when_the_model_is_made(make: Callable[[datetime], object]) -> None:
    # Compared with the aware times of a session, it would only fail later.
    with pytest.raises(InvalidEvent, match=r"timezone.*datetime\.now\(UTC\)"):
        make(datetime(2026, 1, 1))


def test_a_field_changed_to_what_it_cannot_hold_is_refused_before_it_is_written() -> None:
    broken = SessionEvent(message="x").model_copy(update={"timestamp": "yesterday"})

    with pytest.raises(InvalidEvent, match="cannot hold"):
        encoded(broken)
