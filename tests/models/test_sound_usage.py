"""A record of a usage leaves out what says nothing, and is read back whole, old or new."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings

from a2a_session_manager import SessionEvent, TokenUsage
from a2a_session_manager.models.sound_usage import is_sound, is_sound_record
from a2a_session_manager.serialization.json_check import JsonCheck
from a2a_session_manager.storage.codec import decode_event, encode_event
from tests.models.usages import usages

# What a usage was written as before it knew of tiers.
OLD = (
    '{"prompt_tokens":3,"completion_tokens":0,"cache_read_tokens":0,"cache_write_tokens":0,"cache_write_1h_tokens":0,'
    '"reasoning_tokens":0,"input_audio_tokens":0,"output_audio_tokens":0,"requests":1,"model":"m","provider":null,'
    '"basis":"reported","cost_pico_usd":null,"priced_by":null,"details":null}'
)


def record_of(usage: TokenUsage) -> bytes:
    return encode_event(SessionEvent(message="m", token_usage=usage), JsonCheck(1_000)).data


@given(usages())
@settings(deadline=None)
def test_a_usage_is_stored_and_read_back(usage: TokenUsage) -> None:
    data = record_of(usage)

    assert decode_event(data, "s", 1, retracted=False).token_usage == usage
    assert is_sound_record(json.loads(data)["token_usage"])


def test_a_usage_with_searches_is_read_back_from_where_they_stand() -> None:
    usage = TokenUsage(prompt_tokens=3, model="m", web_searches=2, speed="fast")

    data = record_of(usage)

    assert b'"output_audio_tokens":0,"web_searches":2,"requests":1' in data
    assert decode_event(data, "s", 1, retracted=False).token_usage == usage


def test_a_usage_without_a_tier_is_written_as_it_was_before_there_were_any() -> None:
    data = record_of(TokenUsage(prompt_tokens=3, model="m"))

    assert f'"token_usage":{OLD}'.encode() in data
    assert is_sound_record(json.loads(OLD))


def test_only_what_is_said_is_written() -> None:
    data = record_of(TokenUsage(prompt_tokens=3, model="m", speed="fast"))

    assert f'"token_usage":{OLD[:-1]},"speed":"fast"}}'.encode() in data


@pytest.mark.parametrize(
    "bad",
    [{"service_tier": 5}, {"list_cost_pico_usd": -1}, {"list_cost_pico_usd": True}, {"partially_priced": 1}]
    + [{"web_searches": bad} for bad in (-1, True, 1.0, "1", None, 10**12 + 1)],
)
def test_what_a_field_cannot_hold_is_not_sound(bad: dict[str, Any]) -> None:
    assert not is_sound(TokenUsage().model_copy(update=bad))
    assert not is_sound_record({**json.loads(OLD), **bad})


@pytest.mark.parametrize("more", [{"unknown": 1}, {"speed": "fast", "service_tier": "flex"}])
def test_a_record_with_fields_out_of_their_place_is_left_to_the_slower_reader(more: dict[str, Any]) -> None:
    assert not is_sound_record({**json.loads(OLD), **more})
