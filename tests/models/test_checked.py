"""A value that one of our models cannot hold raises our own error, which is a ValueError like pydantic's."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from a2a_session_manager import (
    InvalidEvent,
    InvalidSessionOperation,
    Session,
    SessionEvent,
    SessionManagerError,
    SessionRun,
    TokenUsage,
)
from a2a_session_manager.identifiers import checked_id
from a2a_session_manager.models.money import MOST_PICO_USD
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.models.token_tally import TokenTally
from a2a_session_manager.pricing.usage_numbers import MOST_COUNTED

NAIVE = datetime(2023, 5, 1)


class _NoOffset(tzinfo):
    def utcoffset(self, _: datetime | None) -> None:
        return None

    def dst(self, _: datetime | None) -> None:
        return None

    def tzname(self, _: datetime | None) -> None:
        return None


def _assign(model: BaseModel, name: str, value: object) -> None:
    setattr(model, name, value)


def _made(kind: Callable[..., object], **fields: Any) -> object:
    return kind(**fields)


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "a naive time of an event": (lambda: _made(SessionEvent, timestamp=NAIVE), "timestamp"),
    "a zone without an offset": (lambda: _made(SessionEvent, timestamp=NAIVE.replace(tzinfo=_NoOffset())), "timestamp"),
    "a naive time of a run": (lambda: _made(SessionRun, started_at=NAIVE), "started_at"),
    "a naive time set on a run": (lambda: _assign(SessionRun(), "ended_at", NAIVE), "ended_at"),
    "a naive time of a session": (lambda: _made(SessionMetadata, created_at=NAIVE), "created_at"),
    "a naive time set on a session": (lambda: _assign(SessionMetadata(), "updated_at", NAIVE), "updated_at"),
    "a time no store can count": (
        lambda: _made(SessionMetadata, created_at=datetime.max.replace(tzinfo=UTC)),
        "created_at",
    ),
    "an id that is a number": (lambda: _made(SessionEvent, id=5), "id"),
    "an unknown field": (lambda: _made(SessionEvent, mesage="x"), "mesage"),
    "a source that is none": (lambda: _made(SessionEvent, source="nobody"), "source"),
    "metadata that is none": (lambda: _made(SessionEvent, metadata=5), "metadata"),
    "a status that is none": (lambda: _made(SessionRun, status="lost"), "status"),
    "an agent that is a number": (lambda: _assign(SessionRun(), "agent", 5), "agent"),
    "state that is none": (lambda: _made(Session, state=[1]), "state"),
    "a message that is not of its type": (lambda: _made(SessionEvent[int], message="x"), "message"),
    "a count of 5,001 digits": (lambda: _made(TokenUsage, prompt_tokens=10**5_000), "prompt_tokens"),
    "a count that is too large": (lambda: _made(TokenUsage, requests=MOST_COUNTED + 1), "requests"),
    "a count that is negative": (lambda: _made(TokenUsage, completion_tokens=-1), "completion_tokens"),
    "a count that is a truth": (lambda: _made(TokenUsage, prompt_tokens=True), ""),
    "a cost of 72 bytes of JSON": (lambda: _made(TokenUsage, estimated_cost_usd="1e5000"), ""),
    "a cost that is no number": (lambda: _made(TokenUsage, estimated_cost_usd=Decimal("sNaN")), ""),
    "a cost that is too large": (lambda: _made(TokenUsage, cost_pico_usd=MOST_PICO_USD + 1), "cost_pico_usd"),
    "a frozen usage": (lambda: _assign(TokenUsage(), "model", "m"), "model"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_value_that_a_model_cannot_hold_raises_our_error_which_names_the_field(what: str) -> None:
    make, path = REFUSED[what]

    with pytest.raises(InvalidEvent) as raised:
        make()

    assert isinstance(raised.value, ValueError)
    assert raised.value.path == path
    assert len(str(raised.value)) < 300


def test_a_naive_time_is_refused_with_the_remedy() -> None:
    with pytest.raises(SessionManagerError, match=r"SessionEvent\.timestamp: .*datetime\.now\(UTC\)"):
        SessionEvent(timestamp=NAIVE)


def test_several_wrong_fields_are_all_named() -> None:
    with pytest.raises(InvalidEvent, match=r"SessionRun\.agent: .*; SessionRun\.error: "):
        _made(SessionRun, agent=5, error=6)


def test_inside_another_model_the_error_is_pydantics() -> None:
    class Page(BaseModel):
        events: list[SessionEvent[Any]]

    with pytest.raises(ValidationError) as raised:
        Page(events=[{"message": 1, "timestamp": NAIVE}])  # type: ignore[list-item]  # what pydantic converts

    assert raised.value.errors()[0]["loc"] == ("events", 0, "timestamp")
    with pytest.raises(ValidationError):
        SessionRun.model_validate({"agent": 5})


def test_an_unknown_status_is_refused_by_name() -> None:
    run = SessionRun()

    with pytest.raises(InvalidSessionOperation, match="'lost' is no status of a run: take one of pending, running"):
        _assign(run, "status", "lost")


@pytest.mark.parametrize("value", [10**5_000, [[[[[[1]]]]]] * 99, object, "\ud83d", b"\xff" * 999, "x" * 999], ids=type)
def test_what_cannot_be_an_id_is_refused_whatever_it_is(value: object) -> None:
    with pytest.raises(InvalidSessionOperation) as raised:
        checked_id(value)

    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 250


def test_one_usage_may_count_up_to_a_trillion_and_sums_may_count_more() -> None:
    most = TokenUsage(prompt_tokens=MOST_COUNTED, requests=MOST_COUNTED, cost_pico_usd=MOST_PICO_USD)

    total = TokenTally() + TokenTally(**most.counters()) + TokenTally(**most.counters())

    assert total.prompt_tokens == 2 * MOST_COUNTED
    assert TokenTally.model_validate_json(total.model_dump_json()) == total


def test_a_time_whose_offset_has_seconds_becomes_utc() -> None:
    local_mean_time = datetime(1890, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=53, seconds=28)))

    run = SessionRun(started_at=local_mean_time)

    assert run.started_at == local_mean_time
    assert SessionRun.model_validate_json(run.model_dump_json()) == run


@pytest.mark.parametrize("model", [Session, SessionEvent, SessionMetadata, SessionRun, TokenUsage])
def test_an_unknown_field_is_refused_by_name(model: Callable[..., Any]) -> None:
    with pytest.raises(InvalidEvent, match="parent"):
        model(parent="trip")
