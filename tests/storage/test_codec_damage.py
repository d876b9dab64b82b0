"""Bytes that are damaged or newer, runs, and what JSON has not: refused by name, and never another error."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from a2a_session_manager import (
    CorruptSession,
    InvalidEvent,
    InvalidSessionOperation,
    RunStatus,
    SessionEvent,
    SessionRun,
    TokenUsage,
)
from a2a_session_manager.models.session_metadata import SessionMetadata
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.storage.codec import (
    decode_value,
    encode_event,
    event_model,
)
from a2a_session_manager.storage.records import StoredRun
from a2a_session_manager.storage.run_codec import decode_run, encode_run
from tests.storage.encoded_events import Plan, any_text, decoded, encoded, ids, json_values, moments, valid_text


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
