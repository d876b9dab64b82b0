"""Events are frozen, and unknown types of events are kept as they are."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from a2a_session_manager import EventSource, EventType, InvalidSessionOperation, SessionEvent


class Answer(BaseModel):
    text: str


@pytest.mark.parametrize("name", list(SessionEvent.model_fields))
def test_no_field_of_an_event_can_be_assigned_and_the_error_says_what_to_do(name: str) -> None:
    event = SessionEvent(id="e", message="x")
    before = event.model_copy(deep=True)

    with pytest.raises(InvalidSessionOperation, match=f"'e' is frozen, '{name}' .* append a new event and retract"):
        setattr(event, name, None)

    assert event == before


def test_no_field_of_an_event_can_be_deleted() -> None:
    event = SessionEvent(message="x")

    with pytest.raises(ValidationError, match="frozen"):
        del event.message

    assert event.message == "x"


@pytest.mark.parametrize("known", list(EventType))
def test_the_name_of_a_known_type_becomes_its_enum(known: EventType) -> None:
    event = SessionEvent(type=known.value)

    assert event.type is known


@pytest.mark.parametrize("own", ["my.audit", "MESSAGE", "", "Überweisung"])
def test_an_unknown_kind_stays_the_string_it_was_also_through_json(own: str) -> None:
    event = SessionEvent(type=own)

    again = SessionEvent.model_validate_json(event.model_dump_json())

    assert event.type == own
    assert again.type == own
    assert not isinstance(again.type, EventType)


def test_an_event_is_a_message_of_the_model_unless_told_otherwise() -> None:
    event = SessionEvent(message="x")

    assert event.type is EventType.MESSAGE
    assert event.source is EventSource.LLM
    assert (event.seq, event.retracted, event.task_id, event.token_usage) == (None, False, None, None)
    assert event.timestamp.tzinfo is not None


def test_two_events_have_different_ids() -> None:
    assert SessionEvent().id != SessionEvent().id


@pytest.mark.parametrize("bad", ["", "x" * 513, "\ud800"])
@pytest.mark.parametrize("field", ["id", "task_id"])
def test_an_event_refuses_a_bad_id(field: str, bad: str) -> None:
    with pytest.raises(InvalidSessionOperation, match=r"cannot be used|lone surrogate"):
        SessionEvent.model_validate({field: bad})


@pytest.mark.parametrize("good", ["x", "x" * 512, "ключ", "../../etc", "a\0b", "{a}:b"])
def test_an_event_takes_any_other_string_as_id(good: str) -> None:
    assert SessionEvent(id=good).id == good


def test_a_typed_event_keeps_its_payload_as_the_model() -> None:
    event = SessionEvent[Answer].model_validate({"message": {"text": "hi"}})

    assert event.message == Answer(text="hi")


def test_a_typed_event_refuses_another_payload() -> None:
    with pytest.raises(ValidationError):
        SessionEvent[Answer].model_validate({"message": {"words": 3}})


def test_copies_of_an_event_are_equal_and_frozen_too() -> None:
    event = SessionEvent(message={"a": [1]}, metadata={"k": "v"}, timestamp=datetime(2026, 1, 1, tzinfo=UTC))

    for twin in (event.model_copy(), copy.copy(event), copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert twin == event
        with pytest.raises(InvalidSessionOperation):
            twin.message = "other"


def test_a_deep_copy_shares_no_payload() -> None:
    event: SessionEvent[Any] = SessionEvent(message={"a": [1]})

    twin = copy.deepcopy(event)
    twin.message["a"].append(2)

    assert event.message == {"a": [1]}
